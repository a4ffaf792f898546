"""Which frames the poses of a file belong to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pairing:
    """Poses and their frames.

    Attributes:
        poses: int64 [P], positions among the poses, strictly increasing.
        frames: int64 [P], positions among the frames, strictly increasing.
        largest_difference_ns: The widest gap between a pose and its frame; 0 without pairs.
    """

    poses: NDArray[np.int64]
    frames: NDArray[np.int64]
    largest_difference_ns: int


def pair_by_time(pose_ns: NDArray[np.int64], frame_ns: NDArray[np.int64], tolerance_ns: int) -> Pairing:
    """Give every frame the nearest of the poses that it is the nearest frame of.

    No pose and no frame is used twice, and both sides stay in order of time.

    Args:
        pose_ns: int64 [N], strictly increasing.
        frame_ns: int64 [M], strictly increasing.
        tolerance_ns: Pairs further apart than this are not made.
    """
    if not len(frame_ns):
        return Pairing(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), 0)
    middles = frame_ns[:-1] + np.diff(frame_ns) // 2
    nearest = np.searchsorted(middles, pose_ns, side="left")
    distances = np.abs(frame_ns[nearest] - pose_ns)
    order = np.lexsort((distances, nearest))
    order = order[distances[order] <= tolerance_ns]
    frames, first = np.unique(nearest[order], return_index=True)
    poses = order[first]
    largest = int(distances[poses].max()) if len(poses) else 0
    return Pairing(poses.astype(np.int64), frames.astype(np.int64), largest)


def pair_by_index(pose_indices: NDArray[np.int64], frame_indices: NDArray[np.int64]) -> Pairing:
    """Pair poses and frames of one index; both lists increase strictly."""
    _, poses, frames = np.intersect1d(pose_indices, frame_indices, assume_unique=True, return_indices=True)
    return Pairing(poses.astype(np.int64), frames.astype(np.int64), 0)
