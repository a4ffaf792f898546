"""Aligns a stretch of visual odometry with the IMU: gravity, velocities, biases and the scale of depth.

The linear initialisation of Qin, Li, Shen: VINS-Mono. IEEE Transactions on Robotics 34(4), 2018, section V,
with the scale near one instead of free, since depth is metric up to a bias, and the accelerometer's bias.
"""

from dataclasses import dataclass

import gtsam
import numpy as np
from numpy.typing import NDArray

from adapters.mono_hydra.odometry.inertial import GRAVITY, ImuCalibration, ImuSteps

# Standard deviation of the place of a keyframe against its neighbour, metres; the fit may find it larger.
_POSITION_NOISE = 0.003
# ... of the velocity's change, m/s: little more than what the accelerometer's bias leaves.
_VELOCITY_NOISE = 0.01
_ACCELEROMETER_BIAS_PRIOR = 0.1
# The length of gravity is known.
_GRAVITY_NOISE = 0.02
_GYROSCOPE_ITERATIONS = 2
_GRAVITY_ITERATIONS = 3


@dataclass(frozen=True)
class Keypose:
    """A keyframe of the stretch.

    Attributes:
        camera_to_world: float64 [4, 4], in the odometry's unit of length.
        steps: IMU from the keyframe before to this one; not used for the first.
    """

    camera_to_world: NDArray[np.float64]
    steps: ImuSteps


@dataclass(frozen=True)
class InertialAlignment:
    """What the IMU says about a stretch.

    Attributes:
        gravity: float64 [3], m/s², downwards, in the odometry's world.
        velocities: float64 [K, 3], of the IMU at the keyframes, m/s in the odometry's world.
        gyroscope_bias: float64 [3], rad/s.
        accelerometer_bias: float64 [3], m/s².
        scale: Units of the odometry per metre.
        scale_deviation: Its standard deviation, from the fit.
        residual: Root mean square of the position residuals, metres.
    """

    gravity: NDArray[np.float64]
    velocities: NDArray[np.float64]
    gyroscope_bias: NDArray[np.float64]
    accelerometer_bias: NDArray[np.float64]
    scale: float
    scale_deviation: float
    residual: float


@dataclass(frozen=True)
class _Preintegrated:
    """Motion between two keyframes in the IMU frame of the first, with derivatives by accelerometer bias."""

    duration: float
    rotation: NDArray[np.float64]
    velocity: NDArray[np.float64]
    position: NDArray[np.float64]
    velocity_by_bias: NDArray[np.float64]
    position_by_bias: NDArray[np.float64]


def align_with_imu(
    keyposes: list[Keypose], calibration: ImuCalibration, scale_prior: tuple[float, float] | None
) -> InertialAlignment | None:
    """Solves for everything the IMU adds to a stretch of odometry.

    Args:
        keyposes: At least four, one after the other, each with IMU steps since the one before.
        calibration: Of the IMU.
        scale_prior: Expected scale and its standard deviation; None when the scale is one.

    Returns:
        None when the stretch does not determine gravity.
    """
    poses = np.stack([keypose.camera_to_world for keypose in keyposes])
    stretches = [keypose.steps for keypose in keyposes[1:]]
    if len(keyposes) < 4 or any(not len(steps) for steps in stretches):
        return None
    imu_rotations = poses[:, :3, :3] @ calibration.imu_to_camera[:3, :3]
    gyroscope_bias = _gyroscope_bias(stretches, imu_rotations)
    measured = [_preintegrate(steps, gyroscope_bias) for steps in stretches]
    gravity: NDArray[np.float64] | None = None
    solution = None
    for _ in range(_GRAVITY_ITERATIONS):
        solution = _solve(poses, imu_rotations, measured, calibration, scale_prior, gravity)
        if solution is None:
            return None
        gravity = solution.gravity * (GRAVITY / np.linalg.norm(solution.gravity))
    assert solution is not None
    assert gravity is not None
    return InertialAlignment(
        gravity,
        solution.velocities,
        gyroscope_bias,
        solution.accelerometer_bias,
        1.0 / solution.inverse_scale,
        solution.inverse_scale_deviation / solution.inverse_scale**2,
        solution.residual,
    )


@dataclass(frozen=True)
class _Solution:
    gravity: NDArray[np.float64]
    velocities: NDArray[np.float64]
    accelerometer_bias: NDArray[np.float64]
    inverse_scale: float
    inverse_scale_deviation: float
    residual: float


def _gyroscope_bias(stretches: list[ImuSteps], imu_rotations: NDArray[np.float64]) -> NDArray[np.float64]:
    """The bias that makes the gyroscope agree with the odometry's rotations, rad/s."""
    bias = np.zeros(3)
    for _ in range(_GYROSCOPE_ITERATIONS):
        errors, durations = [], []
        for steps, first, second in zip(stretches, imu_rotations[:-1], imu_rotations[1:], strict=True):
            measured = _preintegrate(steps, bias)
            errors.append(gtsam.Rot3.Logmap(gtsam.Rot3(measured.rotation.T @ first.T @ second)))
            durations.append(measured.duration)
        # A bias b turns the preintegrated rotation by about b times the duration.
        weights = np.array(durations)
        bias = bias - (weights[:, None] * np.array(errors)).sum(axis=0) / (weights**2).sum()
    return bias


def _preintegrate(steps: ImuSteps, gyroscope_bias: NDArray[np.float64]) -> _Preintegrated:
    """The same as in gtsam, which does not hand out the derivatives in Python."""
    rotation, velocity, position = np.eye(3), np.zeros(3), np.zeros(3)
    velocity_by_bias, position_by_bias = np.zeros((3, 3)), np.zeros((3, 3))
    for duration, *values in steps:
        force = rotation @ np.array(values[3:])
        position = position + velocity * duration + 0.5 * force * duration**2
        position_by_bias = position_by_bias + velocity_by_bias * duration - 0.5 * rotation * duration**2
        velocity = velocity + force * duration
        velocity_by_bias = velocity_by_bias - rotation * duration
        rotation = rotation @ gtsam.Rot3.Expmap((np.array(values[:3]) - gyroscope_bias) * duration).matrix()
    return _Preintegrated(
        float(steps[:, 0].sum()), rotation, velocity, position, velocity_by_bias, position_by_bias
    )


def _solve(
    poses: NDArray[np.float64],
    imu_rotations: NDArray[np.float64],
    measured: list[_Preintegrated],
    calibration: ImuCalibration,
    scale_prior: tuple[float, float] | None,
    gravity: NDArray[np.float64] | None,
) -> _Solution | None:
    """One linear least squares: velocities of the IMU, gravity, accelerometer bias, inverse scale."""
    count = len(poses)
    at_gravity, at_bias, at_scale = 3 * count, 3 * count + 3, 3 * count + 6
    unknowns = at_scale + 1
    lever = calibration.imu_to_camera[:3, 3]
    rows, values = [], []
    for index, motion in enumerate(measured):
        turn, t = imu_rotations[index], motion.duration
        first, second = 3 * index, 3 * index + 3
        block = np.zeros((3, unknowns))
        block[:, first : first + 3] = -t * np.eye(3)
        block[:, at_gravity:at_bias] = -0.5 * t**2 * np.eye(3)
        block[:, at_bias:at_scale] = -turn @ motion.position_by_bias
        block[:, at_scale] = poses[index + 1, :3, 3] - poses[index, :3, 3]
        swing = (poses[index + 1, :3, :3] - poses[index, :3, :3]) @ lever
        rows.append(block / _POSITION_NOISE)
        values.append((turn @ motion.position - swing) / _POSITION_NOISE)
        block = np.zeros((3, unknowns))
        block[:, first : first + 3] = -np.eye(3)
        block[:, second : second + 3] = np.eye(3)
        block[:, at_gravity:at_bias] = -t * np.eye(3)
        block[:, at_bias:at_scale] = -turn @ motion.velocity_by_bias
        rows.append(block / _VELOCITY_NOISE)
        values.append(turn @ motion.velocity / _VELOCITY_NOISE)
    priors = [(at_bias + axis, 0.0, _ACCELEROMETER_BIAS_PRIOR) for axis in range(3)]
    expected, deviation = (1.0, 1e-6) if scale_prior is None else scale_prior
    priors.append((at_scale, 1.0 / expected, deviation / expected**2))
    for column, value, sigma in priors:
        row = np.zeros((1, unknowns))
        row[0, column] = 1.0 / sigma
        rows.append(row)
        values.append(np.array([value / sigma]))
    if gravity is not None:
        # Along its own direction gravity is as long as it is known to be.
        row = np.zeros((1, unknowns))
        row[0, at_gravity:at_bias] = gravity / GRAVITY / _GRAVITY_NOISE
        rows.append(row)
        values.append(np.array([GRAVITY / _GRAVITY_NOISE]))
    matrix, vector = np.concatenate(rows), np.concatenate(values)
    normal = matrix.T @ matrix
    if np.linalg.cond(normal) > 1e14:
        return None
    solved = np.linalg.solve(normal, matrix.T @ vector)
    found = solved[at_gravity:at_bias]
    if not 0.5 * GRAVITY < np.linalg.norm(found) < 1.5 * GRAVITY or solved[at_scale] <= 0.1:
        return None
    residuals = (matrix @ solved - vector)[: 6 * len(measured)].reshape(-1, 2, 3)
    # Where the fit is worse than its noise says, everything is that much less certain.
    freedom = max(residuals.size - unknowns, 1)
    excess = max(1.0, float((residuals**2).sum()) / freedom)
    covariance = np.linalg.inv(normal)
    imu_velocities = solved[:at_gravity].reshape(-1, 3)
    return _Solution(
        found,
        imu_velocities,
        solved[at_bias:at_scale],
        float(solved[at_scale]),
        float(np.sqrt(covariance[at_scale, at_scale] * excess)),
        float(np.sqrt((residuals[:, 0] ** 2).mean()) * _POSITION_NOISE),
    )
