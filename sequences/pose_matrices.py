"""Poses written as 4x4 matrices in text: read, checked, and made ground truth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sequences.errors import DataFileError
from sequences.model import GroundTruth
from sequences.text_table import read_rows

_ROW = "r1 r2 r3 t"
_MATRIX = "r11 r12 r13 tx r21 r22 r23 ty r31 r32 r33 tz 0 0 0 1"
_LARGEST_ROTATION_ERROR = 0.01


def read_pose_file(path: Path) -> NDArray[np.float64] | None:
    """Read a file that holds one pose as four rows of four numbers.

    Returns:
        float64 [4, 4]; None when an entry is NaN or infinite, which says that there is no pose.

    Raises:
        DataFileError: The file cannot be read, is not four rows of four numbers, or holds no rigid motion.
    """
    rows = list(read_rows(path, _ROW))
    if len(rows) != 4:
        raise DataFileError(path, f"has {len(rows)} rows, expected 4 of {_ROW}")
    numbers = [_number(path, cell, row.line) for row in rows for cell in row.cells]
    return _pose(path, numbers, None)


def read_pose_rows(path: Path) -> list[NDArray[np.float64] | None]:
    """Read a file that holds one pose a line: the sixteen numbers of its matrix, row by row.

    Returns:
        float64 [4, 4] for every line; None where an entry is NaN or infinite.

    Raises:
        DataFileError: The file cannot be read, or a line is not sixteen numbers of a rigid motion.
    """
    return [
        _pose(path, [_number(path, cell, row.line) for cell in row.cells], row.line)
        for row in read_rows(path, _MATRIX)
    ]


def ground_truth_from_poses(
    path: Path, timestamps_ns: NDArray[np.int64], poses: Sequence[NDArray[np.float64] | None]
) -> GroundTruth:
    """Ground truth from camera-to-world matrices.

    Args:
        path: Where they were read from, for messages.
        timestamps_ns: int64 [N], strictly increasing.
        poses: N matrices, float64 [4, 4]; those that are None are dropped and counted.

    Raises:
        DataFileError: All of them are None.
    """
    usable = np.array([pose is not None for pose in poses], dtype=bool)
    if not usable.any():
        raise DataFileError(
            path,
            "has no usable pose; restore what it holds, or remove it to run without ground truth",
        )
    matrices = np.stack([pose for pose in poses if pose is not None])
    return GroundTruth(
        timestamps_ns[usable],
        matrices[:, :3, 3],
        Rotation.from_matrix(matrices[:, :3, :3]).as_quat(),
        rows_dropped=int((~usable).sum()),
    )


def pose_matrices(truth: GroundTruth) -> NDArray[np.float64]:
    """The poses of a ground truth, camera to world, float64 [N, 4, 4]."""
    poses = np.tile(np.eye(4), (len(truth), 1, 1))
    poses[:, :3, :3] = Rotation.from_quat(truth.quaternions).as_matrix()
    poses[:, :3, 3] = truth.positions
    return poses


def is_rigid_motion(matrix: NDArray[np.float64], largest_error: float = _LARGEST_ROTATION_ERROR) -> bool:
    """Whether a matrix of four rows and columns is a rotation and a translation.

    Args:
        matrix: float64 [4, 4].
        largest_error: How far an entry of R Rᵀ may be from the identity.
    """
    rotation = matrix[:3, :3]
    # The first two conditions keep what overflows out of the others.
    return bool(
        np.isfinite(matrix).all()
        and np.abs(rotation).max() < 2
        and np.abs(rotation @ rotation.T - np.eye(3)).max() < largest_error
        and np.linalg.det(rotation) > 0
        and np.allclose(matrix[3], [0.0, 0.0, 0.0, 1.0])
    )


def _pose(path: Path, numbers: list[float], line: int | None) -> NDArray[np.float64] | None:
    matrix = np.array(numbers, dtype=np.float64).reshape(4, 4)
    if not np.isfinite(matrix).all():
        return None
    if not is_rigid_motion(matrix):
        raise DataFileError(
            path,
            "the pose is no rigid motion (rotation and translation in three rows, last row 0 0 0 1); "
            "write nan where there is no pose",
            line,
        )
    return matrix


def _number(path: Path, cell: str, line: int) -> float:
    if "#" in cell:
        # Microsoft's C library writes -1.#INF and -1.#IND for what has no value.
        return float("nan")
    try:
        return float(cell)
    except ValueError as error:
        raise DataFileError(path, f"'{cell}' is not a number", line) from error
