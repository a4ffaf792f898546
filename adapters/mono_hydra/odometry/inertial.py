"""IMU samples between frames: cut into steps, preintegrated by gtsam, used to predict.

Forster, Carlone, Dellaert, Scaramuzza: On-Manifold Preintegration for Real-Time Visual-Inertial Odometry.
IEEE Transactions on Robotics 33(1), 2017, as gtsam's combined IMU factor has it.

The odometry's unit of length is that of depth: where depth says 1.1 m for a metre, all lengths are 1.1 times
too large. Accelerations, gravity and the lever arm are therefore multiplied by the scale of depth before they
meet poses; see :mod:`adapters.mono_hydra.odometry.scale`.
"""

from dataclasses import dataclass
from typing import Any

import gtsam
import numpy as np
from numpy.typing import NDArray

from adapters.backend import BackendInputError

GRAVITY = 9.81
_INTEGRATION_NOISE = 1e-4
# Data sheets are optimistic, and vibration, time stamps and the mount add their part.
_NOISE_MARGIN = 2.0
_NANO = 1e-9
_NOISES = ("gyroscope_noise", "gyroscope_walk", "accelerometer_noise", "accelerometer_walk")
# Without any noise the factors could not be weighed.
_LEAST_NOISE = 1e-8


@dataclass(frozen=True)
class ImuCalibration:
    """The IMU beside the camera.

    Attributes:
        imu_to_camera: float64 [4, 4].
        gyroscope_noise: rad/s/√Hz.
        gyroscope_walk: rad/s²/√Hz.
        accelerometer_noise: m/s²/√Hz.
        accelerometer_walk: m/s³/√Hz.
    """

    imu_to_camera: NDArray[np.float64]
    gyroscope_noise: float
    gyroscope_walk: float
    accelerometer_noise: float
    accelerometer_walk: float


def calibration_from_request(imu: dict[str, Any]) -> ImuCalibration:
    """Takes the calibration out of the ``start`` message.

    Raises:
        BackendInputError: A number is missing or impossible.
    """
    try:
        imu_to_camera = np.asarray(imu["imu_to_camera"], dtype=np.float64).reshape(4, 4)
        noises = [float(imu[name]) for name in _NOISES]
    except (KeyError, TypeError, ValueError) as error:
        raise BackendInputError(f"the calibration of the IMU is not complete: {error}") from error
    turn = imu_to_camera[:3, :3]
    is_rigid = np.isfinite(imu_to_camera).all() and np.allclose(turn @ turn.T, np.eye(3), atol=1e-3)
    if not is_rigid or np.linalg.det(turn) < 0.0:
        raise BackendInputError(f"imu_to_camera is no rigid transformation: {imu_to_camera.tolist()}")
    if not all(np.isfinite(noise) and noise >= 0.0 for noise in noises):
        raise BackendInputError(f"noise of the IMU must be finite and not negative, got {noises}")
    return ImuCalibration(imu_to_camera, *(max(noise, _LEAST_NOISE) for noise in noises))


#: float64 [N, 7]: duration of a step in seconds, angular velocity in rad/s, specific force in m/s².
ImuSteps = NDArray[np.float64]

NO_STEPS: ImuSteps = np.zeros((0, 7))


class ImuClock:
    """Cuts samples into steps that begin and end exactly at frames."""

    def __init__(self) -> None:
        self._time_ns: int | None = None
        self._sample: NDArray[np.float64] | None = None

    def steps_until(
        self,
        frame_ns: int,
        samples: NDArray[np.float64] | None,
        timestamps_ns: NDArray[np.int64] | None,
    ) -> ImuSteps:
        """The steps from the frame before to this one.

        Between two samples their mean holds; after the last one before a frame, that sample.

        Args:
            frame_ns: Time stamp of the frame.
            samples: float64 [N, 6], rad/s and m/s², since the frame before.
            timestamps_ns: int64 [N].

        Returns:
            No steps for the first frame and where there are no samples.
        """
        before = self._time_ns
        if before is None:
            self._time_ns = frame_ns
        if samples is None or timestamps_ns is None or not len(samples):
            # The next step then reaches back to here, so that no time is lost unnoticed.
            return NO_STEPS
        self._time_ns = frame_ns
        last = self._sample
        self._sample = samples[-1]
        if before is None:
            return NO_STEPS
        times = np.concatenate([[before], timestamps_ns, [frame_ns]])
        values = np.concatenate([(samples[0] if last is None else last)[None], samples, samples[-1:]])
        durations = np.diff(times) * _NANO
        means = (values[1:] + values[:-1]) / 2
        steps = np.concatenate([durations[:, None], means], axis=1)
        return np.asarray(steps[durations > 0.0])


def preintegration_params(
    calibration: ImuCalibration, gravity: NDArray[np.float64], scale: float
) -> "gtsam.PreintegrationCombinedParams":
    """What gtsam needs to know of the IMU.

    Args:
        calibration: Of the IMU.
        gravity: float64 [3], metres per second squared, in the odometry's world, pointing down.
        scale: Of depth: units of the odometry per metre.
    """
    params = gtsam.PreintegrationCombinedParams(gravity * scale)
    margin = _NOISE_MARGIN
    identity = np.eye(3)
    params.setGyroscopeCovariance((margin * calibration.gyroscope_noise) ** 2 * identity)
    params.setAccelerometerCovariance((scale * margin * calibration.accelerometer_noise) ** 2 * identity)
    params.setBiasOmegaCovariance((margin * calibration.gyroscope_walk) ** 2 * identity)
    params.setBiasAccCovariance((scale * margin * calibration.accelerometer_walk) ** 2 * identity)
    params.setIntegrationCovariance(_INTEGRATION_NOISE**2 * identity)
    return params


def preintegrated(
    steps: ImuSteps,
    params: "gtsam.PreintegrationCombinedParams",
    bias: "gtsam.imuBias.ConstantBias",
    scale: float,
) -> "gtsam.PreintegratedCombinedMeasurements":
    """The steps as one measurement, in the odometry's unit of length."""
    measurement = gtsam.PreintegratedCombinedMeasurements(params, bias)
    for duration, *values in steps:
        measurement.integrateMeasurement(np.array(values[3:]) * scale, np.array(values[:3]), duration)
    return measurement


def rotation_of(
    steps: ImuSteps, gyroscope_bias: NDArray[np.float64], calibration: ImuCalibration
) -> NDArray[np.float64]:
    """How the camera turned during the steps: float64 [3, 3], camera at the end to camera at the start."""
    turned = np.eye(3)
    for duration, *values in steps:
        turned = turned @ gtsam.Rot3.Expmap((np.array(values[:3]) - gyroscope_bias) * duration).matrix()
    to_camera = calibration.imu_to_camera[:3, :3]
    return np.asarray(to_camera @ turned @ to_camera.T)
