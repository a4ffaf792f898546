"""Reads the poses that upstream writes: one camera-to-world matrix per frame, in the order of the frames."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.backend import BackendInputError, Trajectory
from adapters.rotations import quaternion_from_rotation

POSES_FILE = Path("checkpoints", "est_poses.npy")
#: Upstream computes in float32.
_RIGID_TOLERANCE = 1e-3


def read_trajectory(path: Path, timestamps_ns: NDArray[np.int64]) -> Trajectory:
    """Read the poses of all frames.

    The file has no time stamps: which frame a pose belongs to is certain only when there are as many poses
    as frames.

    Args:
        path: The file.
        timestamps_ns: int64 [N], those of the frames.

    Raises:
        BackendInputError: The file is missing or damaged, or has too few or too many poses, or wrong ones.
    """
    poses: NDArray[Any] = _load(path)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or not np.issubdtype(poses.dtype, np.floating):
        raise BackendInputError(
            f"{path.name} must hold a 4×4 matrix per frame, it holds {poses.dtype} of shape {poses.shape}"
        )
    if len(poses) != len(timestamps_ns):
        raise BackendInputError(
            f"{path.name} holds {len(poses)} poses for {len(timestamps_ns)} frames, and nothing says which"
            " frames they belong to"
        )
    poses = poses.astype(np.float64)
    _check(path, ~np.isfinite(poses).all(axis=(1, 2)), "has NaN or infinite values")
    _check(path, ~_rigid(poses), "is no rotation and translation")
    quaternions = [quaternion_from_rotation(pose[:3, :3]) for pose in poses]
    return Trajectory(timestamps_ns, np.hstack([poses[:, :3, 3], np.reshape(quaternions, (-1, 4))]))


def _load(path: Path) -> NDArray[Any]:
    try:
        content = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise BackendInputError(f"GO-SLAM ended without having written {POSES_FILE}") from error
    except (OSError, ValueError, EOFError) as error:
        raise BackendInputError(f"{POSES_FILE} of GO-SLAM cannot be read: {error}") from error
    if not isinstance(content, np.ndarray):
        raise BackendInputError(f"{POSES_FILE} of GO-SLAM holds several arrays instead of one")
    return content


def _rigid(poses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which matrices are rigid, bool [N], for float64 [N, 4, 4]."""
    rotations = poses[:, :3, :3]
    skewed = np.abs(rotations @ rotations.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    last_row = np.abs(poses[:, 3] - np.eye(4)[3]).max(axis=1)
    return (skewed < _RIGID_TOLERANCE) & (np.linalg.det(rotations) > 0) & (last_row < _RIGID_TOLERANCE)


def _check(path: Path, wrong: NDArray[np.bool_], what: str) -> None:
    if wrong.any():
        first = int(np.argmax(wrong))
        raise BackendInputError(
            f"{path.name}: pose {first} {what}, and so it is with {int(wrong.sum())} of {len(wrong)} poses"
        )
