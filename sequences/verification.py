"""Is a recording right? Every frame is read, and ground truth, images and IMU are held against each other."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sequences.association import associate
from sequences.consistency import (
    colour_reprojection_error,
    depth_reprojection_error,
    epipolar_error,
    gyroscope_error,
)
from sequences.errors import SequenceError
from sequences.model import NANOSECONDS_PER_SECOND, Frame, LeftOut, Sequence
from sequences.pose_conventions import MISTAKES, Reinterpreted
from sequences.pose_matrices import pose_matrices
from sequences.reader import ignore_progress

#: How many pairs of frames are compared, spread evenly over the sequence.
PAIRS = 12
#: Between the frames of a pair the camera should have moved or turned so far.
_LEAST_MOTION_M, _LEAST_TURN_DEG = 0.15, 8.0
_LONGEST_WAIT_S = 5.0
#: And for the gyroscope, whose bias of some degrees a second counts with time.
_LEAST_TURN_FOR_GYROSCOPE_DEG = 15.0
_LONGEST_WAIT_FOR_GYROSCOPE_S = 1.5

#: Poses agree with the images when moving by them leaves at most this part of what standing still leaves,
_AGREES_BELOW = 0.5
#: and contradict them when it leaves more than this part, or another reading of them leaves much less.
_CONTRADICTS_ABOVE = 0.9
_MUCH_BETTER = 0.7
#: An error below this part of what can be told is nothing to explain.
_NOISE = 0.1

_READING_THREADS = 2


class Verdict(StrEnum):
    """What a comparison says."""

    AGREES = "agrees"
    CONTRADICTS = "contradicts"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Comparison:
    """Ground truth held against something that was recorded, at several pairs of frames.

    Attributes:
        what: What was compared: ``depth``.
        unit: Of the two figures: ``%`` of the distance, grey levels, pixels, degrees.
        error: Median over the pairs of what is left with the camera moved by ground truth.
        reference: Median of what is left with ``reference_is`` in its place.
        reference_is: What ground truth must be much better than: ``standing still``.
        pairs: How many pairs of frames.
        telling_from: Below this reference nothing can be told: what was recorded has as much noise.
        better: The mistake that would explain what was recorded much better than the poses as they were read;
            None without.
        better_error: What it leaves.
    """

    what: str
    unit: str
    error: float
    reference: float
    reference_is: str
    pairs: int
    telling_from: float
    better: str | None = None
    better_error: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether ground truth and what was recorded agree."""
        if self.better is not None:
            return Verdict.CONTRADICTS
        if self.reference < self.telling_from:
            return Verdict.UNCLEAR
        if self.error > _CONTRADICTS_ABOVE * self.reference:
            return Verdict.CONTRADICTS
        return Verdict.AGREES if self.error <= _AGREES_BELOW * self.reference else Verdict.UNCLEAR


@dataclass(frozen=True)
class Verification:
    """What was found out about a sequence.

    Attributes:
        name: The sequence.
        frames: How many it has.
        frames_read: How many of them were read.
        unreadable: One message for every frame that could not be read.
        left_out: What the reader left out, counts of zero included.
        frames_without_pose: How many frames have no ground-truth pose near in time.
        comparisons: Ground truth held against images and IMU.
        not_compared: Why there are no comparisons; None when there are.
    """

    name: str
    frames: int
    frames_read: int
    unreadable: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    frames_without_pose: int | None
    comparisons: tuple[Comparison, ...]
    not_compared: str | None

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a sentence each; empty when the recording is right as far as can be told."""
        problems = [f"{len(self.unreadable)} frames cannot be read"] if self.unreadable else []
        for comparison in self.comparisons:
            if comparison.verdict is Verdict.CONTRADICTS:
                hint = f"; they agree better with {comparison.better}" if comparison.better else ""
                problems.append(f"{comparison.what} contradicts the ground-truth poses{hint}")
        verdicts = {comparison.verdict for comparison in self.comparisons}
        if self.comparisons and verdicts == {Verdict.UNCLEAR}:
            problems.append(
                "nothing tells whether poses and images agree: the camera moves too little, or depth is too "
                "noisy"
            )
        return tuple(problems)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(
    sequence: Sequence,
    largest_sample: int | None = None,
    progress: Callable[[str, int, int], None] = ignore_progress,
) -> Verification:
    """Read every frame of a sequence and compare what was recorded with the ground truth.

    Args:
        sequence: What to look at.
        largest_sample: Read no more than so many frames, spread evenly; None reads all.
        progress: Told what is being done, how much is done and how much there is.
    """
    info = sequence.info
    indices = np.arange(len(sequence))
    if largest_sample is not None and largest_sample < len(indices):
        indices = np.unique(np.linspace(0, len(sequence) - 1, largest_sample).round().astype(int))
    unreadable = tuple(_unreadable(sequence, indices, progress))
    poses = _poses(sequence)
    comparisons: tuple[Comparison, ...] = ()
    not_compared = None
    if not poses:
        not_compared = "there is no ground truth"
    elif unreadable:
        not_compared = "frames cannot be read"
    else:
        comparisons = tuple(_compare(sequence, poses, progress))
        if not comparisons:
            not_compared = "no two frames with poses show something in common"
    return Verification(
        name=info.name,
        frames=len(sequence),
        frames_read=len(indices),
        unreadable=unreadable,
        left_out=info.left_out,
        frames_without_pose=len(sequence) - len(poses) if sequence.ground_truth() is not None else None,
        comparisons=comparisons,
        not_compared=not_compared,
    )


def _unreadable(
    sequence: Sequence, indices: NDArray[np.int64], progress: Callable[[str, int, int], None]
) -> Iterator[str]:
    task = f"reading {sequence.info.name}"

    def problem(index: int) -> str | None:
        try:
            sequence.frame(index)
        except SequenceError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(_READING_THREADS) as threads:
        for done, message in enumerate(threads.map(problem, indices.tolist())):
            progress(task, done, len(indices))
            if message is not None:
                yield message
    progress(task, len(indices), len(indices))


def _poses(sequence: Sequence) -> dict[int, NDArray[np.float64]]:
    """The camera-to-world pose of every frame that has one."""
    truth, info = sequence.ground_truth(), sequence.info
    if truth is None:
        return {}
    pairs = associate(info.timestamps_ns, truth.timestamps_ns, info.frame_period_ns // 2)
    matrices = pose_matrices(truth)
    return {int(frame): matrices[row] for frame, row in pairs}


def _pairs(poses: dict[int, NDArray[np.float64]], frame_period_ns: int) -> list[tuple[int, int]]:
    """Frames to compare: a first one, and the next between which the camera has moved far enough.

    Where it never does within some seconds, frames that are as far apart as that must do.
    """
    far = _moved_pairs(poses, _frames_within(_LONGEST_WAIT_S, frame_period_ns), _has_moved)
    if far:
        return far
    latest = _frames_within(_LONGEST_WAIT_S, frame_period_ns)
    indices = sorted(poses)
    near = [(first, max(index for index in indices if index - first <= latest)) for first in _starts(indices)]
    apart = max((second - first for first, second in near), default=0)
    return [(first, second) for first, second in near if second - first > apart / 2]


def _turned_pairs(poses: dict[int, NDArray[np.float64]], frame_period_ns: int) -> list[tuple[int, int]]:
    """Frames between which the camera has turned far in little time; none where it never does."""
    return _moved_pairs(
        poses,
        _frames_within(_LONGEST_WAIT_FOR_GYROSCOPE_S, frame_period_ns),
        lambda motion: _turn_deg(motion) > _LEAST_TURN_FOR_GYROSCOPE_DEG,
    )


def _moved_pairs(
    poses: dict[int, NDArray[np.float64]], latest: int, is_far: Callable[[NDArray[np.float64]], bool]
) -> list[tuple[int, int]]:
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


def _compare(
    sequence: Sequence,
    poses: dict[int, NDArray[np.float64]],
    progress: Callable[[str, int, int], None],
) -> Iterator[Comparison]:
    info = sequence.info
    frames: dict[int, Frame] = {}
    task = f"comparing frames of {info.name}"
    checks = _CHECKS_WITH_DEPTH if info.has_depth else _CHECKS_WITHOUT_DEPTH
    if info.imu is not None:
        checks = (*checks, _GYROSCOPE)
    for number, check in enumerate(checks):
        progress(task, number, len(checks))
        pairs = check.pairs(poses, info.frame_period_ns)
        found = _medians(check, Reinterpreted(sequence, None, frames), pairs)
        if found is None:
            continue
        error, reference, used = found
        better = _better_mistake(check, sequence, frames, pairs, error) if check.tells_mistakes else None
        yield Comparison(
            what=check.what,
            unit=check.unit,
            error=error,
            reference=reference,
            reference_is=check.reference_is,
            pairs=used,
            telling_from=check.telling_from,
            better=better[0] if better else None,
            better_error=better[1] if better else None,
        )
    progress(task, len(checks), len(checks))


def _better_mistake(
    check: "_Check", sequence: Sequence, frames: dict[int, Frame], pairs: list[tuple[int, int]], error: float
) -> tuple[str, float] | None:
    if error < _NOISE * check.telling_from:
        return None
    explained = []
    for mistake in MISTAKES:
        found = _medians(check, Reinterpreted(sequence, mistake, frames), pairs)
        # One that leaves frames with nothing in common explains nothing.
        if found is not None and found[2] == len(pairs) and found[0] < _MUCH_BETTER * error:
            explained.append((found[0], mistake.name))
    if not explained:
        return None
    least, name = min(explained)
    return name, least


def _medians(
    check: "_Check", sequence: Sequence, pairs: list[tuple[int, int]]
) -> tuple[float, float, int] | None:
    """Medians over the pairs of error and reference, and how many pairs they are of; None of none."""
    found = []
    for first, second in pairs:
        try:
            found.append(check.measure(sequence, first, second))
        except SequenceError:
            # Nothing in common, or no motion: this pair says nothing.
            continue
    if not found:
        return None
    error, reference = np.median(np.array(found), axis=0).tolist()
    return error, reference, len(found)


@dataclass(frozen=True)
class _Check:
    """One way of holding ground truth against what was recorded.

    Attributes:
        what, unit, reference_is, telling_from: As in :class:`Comparison`.
        measure: Gives error and reference of a pair of frames.
        pairs: Chooses the pairs from the poses and the frame period.
        tells_mistakes: Whether the known mistakes are tried as well.
    """

    what: str
    unit: str
    reference_is: str
    telling_from: float
    measure: Callable[[Sequence, int, int], tuple[float, float]]
    pairs: Callable[[dict[int, NDArray[np.float64]], int], list[tuple[int, int]]] = _pairs
    tells_mistakes: bool = False


def _depth(sequence: Sequence, first: int, second: int) -> tuple[float, float]:
    found = depth_reprojection_error(sequence, first, second)
    return 100 * found.moved, 100 * found.unmoved


def _brightness(sequence: Sequence, first: int, second: int) -> tuple[float, float]:
    found = colour_reprojection_error(sequence, first, second)
    return found.moved, found.unmoved


def _features(sequence: Sequence, first: int, second: int) -> tuple[float, float]:
    found = epipolar_error(sequence, first, second)
    return found.distance, found.parallax


def _gyroscope(sequence: Sequence, first: int, second: int) -> tuple[float, float]:
    found = gyroscope_error(sequence, first, second)
    return found.difference, found.rotation


_CHECKS_WITH_DEPTH = (
    _Check("depth", "% of the distance", "standing still", 1.0, _depth, tells_mistakes=True),
    _Check("brightness", "grey levels", "standing still", 2.0, _brightness, tells_mistakes=True),
)
_CHECKS_WITHOUT_DEPTH = (
    _Check("features", "pixels from their lines", "turning alone", 2.0, _features, tells_mistakes=True),
)
_GYROSCOPE = _Check("gyroscope", "degrees", "no turn", 10.0, _gyroscope, _turned_pairs)
