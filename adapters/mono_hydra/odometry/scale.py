"""The scale of depth: how many units of the odometry make a metre, slowly varying, learned from the IMU.

A depth network is wrong as a whole: all its depths are a few per cent too long or too short. Vision and depth
alone cannot know, since a world 1.1 times as large looks the same; an IMU can. The odometry therefore works
in the unit that depth is given in, and what leaves it is divided by the scale of its time.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ScaleMeasurement:
    """What one stretch of odometry said.

    Attributes:
        time_s: Middle of the stretch.
        scale: Units of the odometry per metre.
        deviation: Its standard deviation.
    """

    time_s: float
    scale: float
    deviation: float


class ScaleFilter:
    """A random walk of the scale, measured now and then.

    Args:
        prior: Standard deviation before the first measurement, around one.
        walk: Standard deviation of the change after one second.
    """

    def __init__(self, prior: float, walk: float) -> None:
        self._prior = prior
        self._walk = walk
        self._measurements: list[ScaleMeasurement] = []
        self.scale = 1.0
        self.deviation = prior

    @property
    def measured(self) -> bool:
        """Whether anything was measured yet."""
        return bool(self._measurements)

    def add(self, measurement: ScaleMeasurement) -> None:
        """Takes in a measurement of a stretch that shares no IMU sample with those before."""
        self._measurements.append(measurement)
        means, variances = self._filtered()
        self.scale, self.deviation = float(means[-1]), float(np.sqrt(variances[-1]))

    def at(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scale at some times, seen from today: smoothed both ways (Rauch, Tung, Striebel, 1965)."""
        if not self._measurements:
            return np.ones(len(times_s))
        means, variances = self._filtered()
        times = np.array([measurement.time_s for measurement in self._measurements])
        smooth = means.copy()
        for index in range(len(means) - 2, -1, -1):
            predicted = variances[index] + self._walk**2 * (times[index + 1] - times[index])
            smooth[index] += variances[index] / predicted * (smooth[index + 1] - means[index])
        return np.interp(times_s, times, smooth)

    def _filtered(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        mean, variance = 1.0, self._prior**2
        means, variances = [], []
        before = self._measurements[0].time_s
        for measurement in self._measurements:
            variance += self._walk**2 * max(0.0, measurement.time_s - before)
            before = measurement.time_s
            gain = variance / (variance + measurement.deviation**2)
            mean += gain * (measurement.scale - mean)
            variance *= 1.0 - gain
            means.append(mean)
            variances.append(variance)
        return np.array(means), np.array(variances)
