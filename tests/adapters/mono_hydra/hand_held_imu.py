"""A hand-held camera on a smooth path with an IMU beside it: exact poses and samples without noise."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from adapters.mono_hydra.odometry.inertial import GRAVITY, ImuCalibration

RATE_HZ = 200.0
CALIBRATION = ImuCalibration(
    np.array([[0.0, -1.0, 0.0, 0.04], [0.0, 0.0, -1.0, -0.02], [1.0, 0.0, 0.0, 0.01], [0.0, 0.0, 0.0, 1.0]]),
    gyroscope_noise=2e-4,
    gyroscope_walk=2e-5,
    accelerometer_noise=2e-3,
    accelerometer_walk=3e-3,
)
_STEP_S = 1e-4


@dataclass(frozen=True)
class Biases:
    """What an IMU says when nothing happens: rad/s and m/s²."""

    gyroscope: np.ndarray
    accelerometer: np.ndarray


NO_BIASES = Biases(np.zeros(3), np.zeros(3))


def camera_to_world(time_s: float) -> np.ndarray:
    """float64 [4, 4]; the world has z up, the camera looks along its x axis and sways."""
    pose = np.eye(4)
    waves = np.sin(np.array([1.9, 2.3, 1.4]) * time_s + np.array([0.0, 1.0, 2.0]))
    looking = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    pose[:3, :3] = Rotation.from_rotvec(np.array([0.2, 0.3, 0.5]) * waves).as_matrix() @ looking
    pose[:3, 3] = np.array([0.3, 0.4, 0.15]) * waves[[1, 2, 0]] + np.array([0.2, 0.0, 0.0]) * time_s
    return pose


def samples(times_s: np.ndarray, biases: Biases = NO_BIASES) -> np.ndarray:
    """float64 [N, 6]: angular velocity and specific force at some times, by differences of exact poses."""
    rows = []
    for time_s in times_s:
        before, now, after = (
            camera_to_world(time_s + shift) @ CALIBRATION.imu_to_camera for shift in (-_STEP_S, 0.0, _STEP_S)
        )
        turn = Rotation.from_matrix(before[:3, :3].T @ after[:3, :3]).as_rotvec() / (2 * _STEP_S)
        acceleration = (before[:3, 3] - 2 * now[:3, 3] + after[:3, 3]) / _STEP_S**2
        force = now[:3, :3].T @ (acceleration + np.array([0.0, 0.0, GRAVITY]))
        rows.append(np.concatenate([turn + biases.gyroscope, force + biases.accelerometer]))
    return np.array(rows)


def steps(start_s: float, end_s: float, biases: Biases = NO_BIASES) -> np.ndarray:
    """float64 [N, 7]: steps of the IMU between two times, each with the sample of its middle."""
    count = round((end_s - start_s) * RATE_HZ)
    edges = np.linspace(start_s, end_s, count + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    return np.concatenate([np.diff(edges)[:, None], samples(middles, biases)], axis=1)
