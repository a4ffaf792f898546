"""Ground-truth trajectories in the TUM format: ``timestamp tx ty tz qx qy qz qw``, one pose a line."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequences.errors import DataFileError
from sequences.model import GroundTruth
from sequences.text_table import Row, read_rows
from sequences.timestamps import seconds_text_to_nanoseconds

COLUMNS = "timestamp tx ty tz qx qy qz qw"

# Motion capture sometimes reports one instant twice: the published ground truth of TUM freiburg2_desk has two
# rows of one time stamp that are 1 mm and 0.6 degrees apart. Further apart than this, something is wrong.
_SAME_POSITION_M = 0.01
_SAME_ROTATION_RAD = np.radians(1.0)
_SHORTEST_QUATERNION = 1e-6


def read_ground_truth(path: Path) -> tuple[GroundTruth, int]:
    """Read ground truth, leaving out rows that say nothing.

    Rows with NaN or infinite entries are dropped together with their time stamps. Of rows with one time stamp
    and nearly one pose (1 cm, 1°) the first is kept.

    Returns:
        The poses, and how many rows were left out because they repeat the one before.

    Raises:
        DataFileError: The file cannot be read; a row has the wrong number of columns, something that is no
            number, a quaternion of length zero, or a time stamp that is not after the one before; or no row
            is usable.
    """
    rows = list(read_rows(path, COLUMNS))
    lines = np.array([row.line for row in rows], dtype=np.int64)
    values = np.array([_pose(path, row) for row in rows], dtype=np.float64).reshape(-1, 7)
    timestamps = [_timestamp(path, row) for row in rows]

    usable = np.isfinite(values).all(axis=1) & np.array([t is not None for t in timestamps], dtype=bool)
    if not usable.any():
        raise DataFileError(
            path,
            "has no usable pose; restore the file, or remove it to run without ground truth",
        )
    lines, values = lines[usable], values[usable]
    timestamps_ns = np.array([t for t, keep in zip(timestamps, usable, strict=True) if keep], dtype=np.int64)
    positions, quaternions = values[:, :3], unit_quaternions(path, lines, values[:, 3:])

    repeated = _repeated_rows(path, lines, timestamps_ns, positions, quaternions)
    kept = ~repeated
    truth = GroundTruth(
        timestamps_ns[kept], positions[kept], quaternions[kept], rows_dropped=int((~usable).sum())
    )
    return truth, int(repeated.sum())


def _pose(path: Path, row: Row) -> list[float]:
    numbers = []
    for cell in row.cells[1:]:
        try:
            numbers.append(float(cell))
        except ValueError as error:
            raise DataFileError(path, f"'{cell}' is not a number", row.line) from error
    return numbers


def _timestamp(path: Path, row: Row) -> int | None:
    text = row.cells[0]
    if text.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return None
    try:
        return seconds_text_to_nanoseconds(text)
    except ValueError as error:
        raise DataFileError(path, str(error), row.line) from error


def unit_quaternions(
    path: Path, lines: NDArray[np.int64], quaternions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Quaternions of length one.

    Args:
        path: The file they are from, for messages.
        lines: int64 [N], the line of each, for messages.
        quaternions: float64 [N, 4], finite.

    Raises:
        DataFileError: One is zero.
    """
    # The largest entry is divided out first: squares of very large entries would overflow.
    largest = np.abs(quaternions).max(axis=1, keepdims=True)
    too_short = largest[:, 0] < _SHORTEST_QUATERNION
    if too_short.any():
        raise DataFileError(
            path,
            "the quaternion is zero, which is no rotation; write nan in a row without a pose",
            int(lines[too_short][0]),
        )
    scaled = quaternions / largest
    return scaled / np.linalg.norm(scaled, axis=1, keepdims=True)


def _repeated_rows(
    path: Path,
    lines: NDArray[np.int64],
    timestamps_ns: NDArray[np.int64],
    positions: NDArray[np.float64],
    quaternions: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Mark rows that say again what the row before said; refuse any other disorder in time."""
    repeated = np.zeros(len(lines), dtype=bool)
    # Compared rather than subtracted: differences of far-off time stamps would overflow.
    for row in np.flatnonzero(timestamps_ns[1:] <= timestamps_ns[:-1]) + 1:
        if timestamps_ns[row] < timestamps_ns[row - 1]:
            raise DataFileError(
                path, "the time stamp is before that of the row above; sort the file by time", int(lines[row])
            )
        distance = np.linalg.norm(positions[row] - positions[row - 1])
        angle = 2 * np.arccos(min(1.0, abs(float(quaternions[row] @ quaternions[row - 1]))))
        if not (distance <= _SAME_POSITION_M and angle <= _SAME_ROTATION_RAD):
            raise DataFileError(
                path,
                "the time stamp is that of the row above and the pose is another; remove one of the two",
                int(lines[row]),
            )
        repeated[row] = True
    return repeated
