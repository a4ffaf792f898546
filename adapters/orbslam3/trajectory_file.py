"""Reads the trajectory files that ORB-SLAM3 writes and finds the frames that their rows belong to."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Times are written as a float of nanoseconds with six decimals; what is lost on the way is far below this.
_TIME_TOLERANCE_NS = 1000


class TrajectoryFileError(ValueError):
    """A trajectory file is not what ORB-SLAM3 is known to write."""


def read_trajectory(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Reads ``nanoseconds x y z qx qy qz qw`` rows; an empty or missing file has none.

    Returns:
        Times as int64 [N] in nanoseconds, and poses as float64 [N, 7] with unit quaternions.

    Raises:
        TrajectoryFileError: A row does not have eight finite numbers, or its quaternion has no length.
    """
    lines = path.read_text().splitlines() if path.exists() else []
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = [float(entry) for entry in line.split()]
        except ValueError as error:
            raise TrajectoryFileError(f"{path}, line {number}: {error}") from error
        if len(row) != 8 or not np.isfinite(row).all():
            raise TrajectoryFileError(f"{path}, line {number}: expected eight finite numbers, got '{line}'")
        rows.append(row)
    table = np.array(rows, dtype=np.float64).reshape(-1, 8)
    lengths = np.linalg.norm(table[:, 4:], axis=1, keepdims=True)
    if not np.all(np.abs(lengths - 1.0) < 0.01):
        raise TrajectoryFileError(
            f"{path}, line {int(np.argmax(np.abs(lengths - 1.0))) + 1}: no unit quaternion"
        )
    return np.round(table[:, 0]).astype(np.int64), np.hstack([table[:, 1:4], table[:, 4:] / lengths])


def match_frames(times_ns: NDArray[np.int64], frame_times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions in ``frame_times_ns`` (strictly increasing) of the frames that rows belong to, int64 [N].

    Raises:
        TrajectoryFileError: A time is not that of any frame.
    """
    if len(times_ns) == 0:
        return np.empty(0, dtype=np.int64)
    if len(frame_times_ns) == 0:
        raise TrajectoryFileError("the trajectory has rows although no frame was sent")
    after = np.clip(np.searchsorted(frame_times_ns, times_ns), 0, len(frame_times_ns) - 1)
    before = np.maximum(after - 1, 0)
    nearer_before = np.abs(frame_times_ns[before] - times_ns) < np.abs(frame_times_ns[after] - times_ns)
    nearest = np.where(nearer_before, before, after)
    distance = np.abs(frame_times_ns[nearest] - times_ns)
    if distance.max() > _TIME_TOLERANCE_NS:
        worst = int(np.argmax(distance))
        raise TrajectoryFileError(f"row {worst + 1} is {int(distance[worst])} ns away from any frame")
    return nearest.astype(np.int64)
