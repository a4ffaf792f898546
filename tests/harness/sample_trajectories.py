"""Small trajectories that tests of the evaluation score."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from harness.evaluation import TimedPoses

FRAME_PERIOD_NS = 33_333_333
START_NS = 1_305_031_102_175_304_123


def frame_timestamps(count: int) -> NDArray[np.int64]:
    return START_NS + FRAME_PERIOD_NS * np.arange(count, dtype=np.int64)


def smooth_path(timestamps_ns: NDArray[np.int64]) -> TimedPoses:
    """The same curve through space at whatever instants are asked for."""
    t = (timestamps_ns - START_NS) / 1e9
    positions = np.column_stack([np.sin(1.3 * t), 0.5 * np.cos(0.7 * t), 0.3 * np.sin(0.9 * t + 0.5)])
    turns = np.column_stack([0.3 * np.sin(t), 0.6 * np.sin(0.5 * t), 0.2 * np.cos(t)])
    return TimedPoses(timestamps_ns, positions, Rotation.from_rotvec(turns).as_quat())


def with_noise(poses: TimedPoses, seed: int, metres: float = 0.01, radians: float = 0.01) -> TimedPoses:
    generator = np.random.default_rng(seed)
    noise = Rotation.from_rotvec(generator.normal(0.0, radians, (len(poses), 3)))
    return TimedPoses(
        poses.timestamps_ns,
        poses.positions + generator.normal(0.0, metres, (len(poses), 3)),
        (poses.rotations() * noise).as_quat(),
    )


def in_another_world(
    poses: TimedPoses, rotation: Rotation, shift: NDArray[np.float64], scale: float
) -> TimedPoses:
    """The same path as a system with its own origin, orientation and scale would give it."""
    return TimedPoses(
        poses.timestamps_ns,
        scale * rotation.apply(poses.positions) + shift,
        (rotation * poses.rotations()).as_quat(),
    )
