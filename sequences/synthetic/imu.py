"""IMU samples that belong to a camera path, with gravity, biases and noise."""

import numpy as np
from numpy.typing import NDArray

from sequences.model import NANOSECONDS_PER_SECOND, ImuCalibration, ImuSamples
from sequences.synthetic.camera_path import CameraPath
from sequences.synthetic.parameters import ImuParameters

# Metres per second squared, along the world's z axis at rest.
GRAVITY = np.array([0.0, 0.0, 9.81])

# The IMU sits a few centimetres beside the camera; its axes are x forward, y left, z up.
_IMU_TO_CAMERA = np.array(
    [[0.0, -1.0, 0.0, 0.04], [0.0, 0.0, -1.0, -0.015], [1.0, 0.0, 0.0, 0.01], [0.0, 0.0, 0.0, 1.0]]
)
# For how long the biases have been walking when the recording starts, seconds.
_WARM_UP_S = 10.0


def calibration(parameters: ImuParameters) -> ImuCalibration:
    """What a user of the samples knows about the IMU."""
    return ImuCalibration(
        parameters.rate_hz,
        parameters.gyroscope_noise,
        parameters.gyroscope_walk,
        parameters.accelerometer_noise,
        parameters.accelerometer_walk,
        _IMU_TO_CAMERA.copy(),
    )


def simulate(
    path: CameraPath, parameters: ImuParameters, start_ns: int, rng: np.random.Generator
) -> ImuSamples:
    """Samples from the first image to the last.

    White noise and random-walk biases are made discrete as in Crassidis, "Sigma-point Kalman filtering for
    integrated GPS and inertial navigation" (2006), appendix: white noise grows and the walk shrinks with the
    root of the rate.

    Args:
        path: The camera's path.
        parameters: Rate and noise.
        start_ns: Time stamp of the first image.
        rng: Draws the noise.
    """
    period = 1 / parameters.rate_hz
    times = np.arange(int(path.duration * parameters.rate_hz) + 1) * period
    motion = path.motion(times)
    lever = _IMU_TO_CAMERA[:3, 3]
    omega, alpha = motion.angular_velocities, motion.angular_accelerations
    swing = np.cross(alpha, lever) + np.cross(omega, np.cross(omega, lever))
    gravity_and_motion = np.einsum("nji,nj->ni", motion.rotations, motion.accelerations + GRAVITY)
    axes = _IMU_TO_CAMERA[:3, :3]
    gyroscope = omega @ axes
    accelerometer = (gravity_and_motion + swing) @ axes
    gyroscope = gyroscope + _errors(
        rng, len(times), period, parameters.gyroscope_noise, parameters.gyroscope_walk
    )
    accelerometer = accelerometer + _errors(
        rng, len(times), period, parameters.accelerometer_noise, parameters.accelerometer_walk
    )
    timestamps_ns = start_ns + np.rint(times * NANOSECONDS_PER_SECOND).astype(np.int64)
    return ImuSamples(timestamps_ns, gyroscope, accelerometer)


def _errors(
    rng: np.random.Generator, count: int, period: float, noise: float, walk: float
) -> NDArray[np.float64]:
    """White noise plus a bias that walks, float64 [count, 3]."""
    first_bias = rng.normal(0, walk * np.sqrt(_WARM_UP_S), 3)
    steps = rng.normal(0, walk * np.sqrt(period), (count, 3))
    white = rng.normal(0, noise / np.sqrt(period), (count, 3))
    return first_bias + np.cumsum(steps, axis=0) + white
