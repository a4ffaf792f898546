"""What a trajectory file holds: poses in order of time, each checked, with the place where it stands."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from adapters.backend import BackendInputError
from adapters.rotations import quaternion_from_rotation

# Files carry quaternions with as few as four decimals; anything further from unit length is no rotation.
_UNIT_LENGTH_TOLERANCE = 0.01


class TrajectoryFileError(BackendInputError):
    """A trajectory file or bag cannot be used; the message names it and, where there is one, the line."""


@dataclass(frozen=True)
class PoseRow:
    """One row of a file as it was read.

    Attributes:
        place: Number of the line, or of the message, from 1.
        key: Nanoseconds, or the frame's index in a format without time; None where it is NaN or infinite.
        pose: x y z in metres, then the quaternion x y z w.
    """

    place: int
    key: int | None
    pose: tuple[float, ...]


@dataclass(frozen=True)
class RecordedPoses:
    """The usable poses of a file.

    Attributes:
        has_time: Whether poses belong to instants; otherwise row i belongs to frame i.
        keys: int64 [N], strictly increasing: nanoseconds, or indices of frames.
        poses: float64 [N, 7], x y z in metres, then the unit quaternion x y z w; body to world.
        rows: How many rows the file has; those that are not among the poses had a NaN or infinite entry.
    """

    has_time: bool
    keys: NDArray[np.int64]
    poses: NDArray[np.float64]
    rows: int

    def __len__(self) -> int:
        return len(self.keys)

    def of_camera(self, camera_to_body: NDArray[np.float64]) -> "RecordedPoses":
        """The poses of a camera that is fixed to the body.

        Args:
            camera_to_body: float64 [4, 4], rigid; takes points of the camera frame to the body frame.
        """
        turned = _product(self.poses[:, 3:], quaternion_from_rotation(camera_to_body[:3, :3]))
        positions = self.poses[:, :3] + _rotate(self.poses[:, 3:], camera_to_body[:3, 3])
        return replace(self, poses=np.hstack([positions, turned]))


def collect(rows: Iterable[PoseRow], name_place: Callable[[int], str], has_time: bool) -> RecordedPoses:
    """Check rows and put the usable ones together.

    Args:
        rows: As they stand in the file.
        name_place: What messages call the place of a row.
        has_time: Whether the rows' keys are nanoseconds.

    Raises:
        TrajectoryFileError: No row is usable, a quaternion is no rotation, or time does not increase.
    """
    all_rows = list(rows)
    usable = [row for row in all_rows if row.key is not None and np.isfinite(row.pose).all()]
    if not usable:
        of_how_many = f"; all of its {len(all_rows)} rows are NaN or infinite" if all_rows else ""
        raise TrajectoryFileError(f"{name_place(0)} holds no pose{of_how_many}")
    keys = np.array([row.key for row in usable], dtype=np.int64)
    poses = np.array([row.pose for row in usable], dtype=np.float64)
    _check_order(keys, usable, name_place)
    lengths = np.linalg.norm(poses[:, 3:], axis=1, keepdims=True)
    off_unit = np.abs(lengths[:, 0] - 1.0) > _UNIT_LENGTH_TOLERANCE
    if off_unit.any():
        first = int(np.argmax(off_unit))
        raise TrajectoryFileError(
            f"{name_place(usable[first].place)}: the quaternion has length {lengths[first, 0]:.4g} and "
            "not 1; are the columns in the order of the format?"
        )
    return RecordedPoses(has_time, keys, np.hstack([poses[:, :3], poses[:, 3:] / lengths]), len(all_rows))


def _check_order(keys: NDArray[np.int64], rows: list[PoseRow], name_place: Callable[[int], str]) -> None:
    wrong = np.flatnonzero(keys[1:] <= keys[:-1]) + 1
    if len(wrong):
        row, before = rows[wrong[0]], rows[wrong[0] - 1]
        what = "that of" if row.key == before.key else "earlier than that of"
        raise TrajectoryFileError(
            f"{name_place(row.place)}: the time stamp is {what} the pose before it (at {before.place}); "
            "poses must be sorted by time, each instant once"
        )


def _product(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quaternions [N, 4] times a quaternion [4], x y z w: the rotation ``second``, then ``first``."""
    vector, scalar = first[:, :3], first[:, 3:]
    product = scalar * second[:3] + second[3] * vector + np.cross(vector, second[:3])
    return np.hstack([product, scalar * second[3] - vector @ second[:3, None]])


def _rotate(quaternions: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
    """A point [3] turned by each of the unit quaternions [N, 4], x y z w."""
    vector, scalar = quaternions[:, :3], quaternions[:, 3:]
    across = np.cross(vector, np.broadcast_to(point, vector.shape))
    return np.asarray(point + 2.0 * (scalar * across + np.cross(vector, across)))
