"""Recordings in ASL layout, as the EuRoC MAV data set has them: one camera, an IMU, poses of the body.

Source: Burri et al., "The EuRoC micro aerial vehicle datasets", International Journal of Robotics Research
35(10), 2016.
"""

from sequences.euroc.sequence import EurocSequence

__all__ = ["EurocSequence"]
