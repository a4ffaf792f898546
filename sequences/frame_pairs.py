"""Which frames of a sequence to compare with each other: those between which the camera has moved."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sequences.model import NANOSECONDS_PER_SECOND

#: How many pairs of frames are compared, spread evenly over the sequence.
PAIRS = 12
#: Between the frames of a pair the camera should have moved or turned so far.
_LEAST_MOTION_M, _LEAST_TURN_DEG = 0.15, 8.0
_LONGEST_WAIT_S = 5.0
#: And for the gyroscope, whose bias of some degrees a second counts with time.
_LEAST_TURN_FOR_GYROSCOPE_DEG = 15.0
_LONGEST_WAIT_FOR_GYROSCOPE_S = 1.5

Poses = dict[int, NDArray[np.float64]]
"""The camera-to-world pose of every frame that has one, float64 [4, 4], by the frame's index."""


@dataclass(frozen=True)
class FramePairs:
    """Frames to compare.

    Attributes:
        indices: First and second of each pair.
        moves: Whether the camera moves or turns far between them.
    """

    indices: tuple[tuple[int, int], ...]
    moves: bool


def moved_pairs(poses: Poses, frame_period_ns: int) -> FramePairs:
    """Frames to compare: a first one, and the next between which the camera has moved far enough.

    Where it never does within some seconds, frames that are as far apart as that must do.
    """
    latest = _frames_within(_LONGEST_WAIT_S, frame_period_ns)
    far = _pairs(poses, latest, _has_moved)
    if far:
        return FramePairs(tuple(far), moves=True)
    indices = sorted(poses)
    near = [(first, max(index for index in indices if index - first <= latest)) for first in _starts(indices)]
    apart = max((second - first for first, second in near), default=0)
    return FramePairs(
        tuple((first, second) for first, second in near if second - first > apart / 2), moves=False
    )


def turned_pairs(poses: Poses, frame_period_ns: int) -> FramePairs:
    """Frames between which the camera has turned far in little time; none where it never does."""
    latest = _frames_within(_LONGEST_WAIT_FOR_GYROSCOPE_S, frame_period_ns)
    far = _pairs(poses, latest, lambda motion: _turn_deg(motion) > _LEAST_TURN_FOR_GYROSCOPE_DEG)
    return FramePairs(tuple(far), moves=True)


def _pairs(poses: Poses, latest: int, is_far: Callable[[NDArray[np.float64]], bool]) -> list[tuple[int, int]]:
    """For frames spread over the sequence the next one, ``latest`` frames later at most, that is far."""
    pairs = []
    for first in _starts(sorted(poses)):
        to_first = np.linalg.inv(poses[first])
        later = (index for index in range(first + 1, first + latest + 1) if index in poses)
        second = next((index for index in later if is_far(to_first @ poses[index])), None)
        if second is not None:
            pairs.append((first, second))
    return pairs


def _starts(indices: list[int]) -> list[int]:
    return [indices[i] for i in np.unique(np.linspace(0, len(indices) - 1, PAIRS).round().astype(int))]


def _frames_within(seconds: float, frame_period_ns: int) -> int:
    return max(1, int(seconds * NANOSECONDS_PER_SECOND / frame_period_ns))


def _has_moved(motion: NDArray[np.float64]) -> bool:
    return bool(np.linalg.norm(motion[:3, 3]) > _LEAST_MOTION_M) or _turn_deg(motion) > _LEAST_TURN_DEG


def _turn_deg(motion: NDArray[np.float64]) -> float:
    return float(np.degrees(Rotation.from_matrix(motion[:3, :3]).magnitude()))
