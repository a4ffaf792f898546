"""Trajectory files of the TUM RGB-D and the KITTI odometry benchmarks: numbers between spaces."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from adapters.rotations import quaternion_from_rotation
from adapters.trajectory.recorded_poses import PoseRow, RecordedPoses, TrajectoryFileError, collect
from adapters.trajectory.text_table import SECOND_NS, TextFile

TUM_COLUMNS = 8
KITTI_COLUMNS = 12
# As far as six significant digits are from a rotation, with room to spare.
_ROTATION_TOLERANCE = 0.01


def read_tum(file: TextFile) -> RecordedPoses:
    """Rows ``timestamp tx ty tz qx qy qz qw``, the time stamp in seconds; lines with ``#`` are comments.

    Raises:
        TrajectoryFileError: See :func:`adapters.trajectory.reading.read_trajectory`.
    """
    return collect(_tum_rows(file), file.place, has_time=True)


def read_kitti(file: TextFile) -> RecordedPoses:
    """Rows of 12 numbers: the first three rows of a 4×4 matrix, one after the other; line i is frame i.

    Raises:
        TrajectoryFileError: See :func:`adapters.trajectory.reading.read_trajectory`.
    """
    return collect(_kitti_rows(file), file.place, has_time=False)


def _tum_rows(file: TextFile) -> Iterator[PoseRow]:
    for line, text in file.rows():
        cells = _cells(file, line, text, TUM_COLUMNS, "TUM: timestamp tx ty tz qx qy qz qw")
        key = file.nanoseconds(line, cells[0], SECOND_NS)
        yield PoseRow(line, key, tuple(file.numbers(line, cells[1:])))


def _kitti_rows(file: TextFile) -> Iterator[PoseRow]:
    for index, (line, text) in enumerate(file.rows()):
        cells = _cells(file, line, text, KITTI_COLUMNS, "KITTI: three rows of a matrix")
        matrix = np.array(file.numbers(line, cells)).reshape(3, 4)
        quaternion = np.full(4, np.nan)
        if np.isfinite(matrix).all():
            _require_rotation(file, line, matrix[:, :3])
            quaternion = quaternion_from_rotation(matrix[:, :3])
        yield PoseRow(line, index, (*matrix[:, 3].tolist(), *quaternion.tolist()))


def _cells(file: TextFile, line: int, text: str, expected: int, columns: str) -> list[str]:
    cells = text.split()
    if len(cells) != expected:
        raise TrajectoryFileError(
            f"{file.place(line)}: has {len(cells)} numbers, expected {expected} ({columns})"
        )
    return cells


def _require_rotation(file: TextFile, line: int, rotation: NDArray[np.float64]) -> None:
    off = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if off > _ROTATION_TOLERANCE or np.linalg.det(rotation) < 0:
        raise TrajectoryFileError(f"{file.place(line)}: the first three columns are no rotation")
