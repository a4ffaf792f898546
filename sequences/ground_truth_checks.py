"""Ground truth held against what was recorded: depth, brightness, features, gyroscope."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sequences.consistency import (
    colour_reprojection_error,
    depth_reprojection_error,
    epipolar_error,
    feature_reprojection_error,
    gyroscope_error,
)
from sequences.errors import SequenceError
from sequences.frame_pairs import FramePairs, Poses, moved_pairs, turned_pairs
from sequences.matched_features import FeatureFinder, matched_features
from sequences.model import Frame, Sequence, SequenceInfo
from sequences.pose_conventions import MISTAKES, Reinterpreted

#: Another reading of poses, camera or depth explains what was recorded when it leaves at most this part.
_MUCH_BETTER = 0.8
#: It must rest on at least this part of the pixels, and be found at this part of the pairs.
_LEAST_SHARE = 0.5
#: An error below this part of what can be told is nothing to explain.
_NOISE = 0.1
#: About so many pixels of a frame are moved.
_PIXELS = 20_000


class Verdict(StrEnum):
    """What a comparison says."""

    AGREES = "agrees"
    CONTRADICTS = "contradicts"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Scale:
    """How the error of a comparison is to be read, in relation to its reference.

    Attributes:
        telling_from: Below this reference nothing can be told: what was recorded has as much noise.
        agrees_below: Ground truth agrees when it leaves at most this part of the reference,
        contradicts_above: and contradicts when it leaves more than this part.
    """

    telling_from: float
    agrees_below: float
    contradicts_above: float


@dataclass(frozen=True)
class Comparison:
    """Ground truth held against something that was recorded, at several pairs of frames.

    Attributes:
        what: What was compared: ``depth``.
        unit: Of the two figures: ``%`` of the distance, grey levels, pixels, degrees.
        error: Median over the pairs of what is left with the camera moved by ground truth.
        reference: Median of what is left with ``reference_is`` in its place.
        reference_is: What ground truth must be much better than: ``standing still``.
        scale: How the two are to be read.
        pairs: How many pairs of frames.
        moves: Whether the camera moves or turns far between them; otherwise noise may be all there is.
        better: The mistake that would explain what was recorded much better than what was read; None without.
        better_error: What it leaves.
    """

    what: str
    unit: str
    error: float
    reference: float
    reference_is: str
    scale: Scale
    pairs: int
    moves: bool
    better: str | None = None
    better_error: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether ground truth and what was recorded agree."""
        if self.better is not None:
            return Verdict.CONTRADICTS
        if self.reference < self.scale.telling_from:
            return Verdict.UNCLEAR
        if self.error <= self.scale.agrees_below * self.reference:
            return Verdict.AGREES
        contradicts = self.moves and self.error > self.scale.contradicts_above * self.reference
        return Verdict.CONTRADICTS if contradicts else Verdict.UNCLEAR


def compare(
    sequence: Sequence,
    poses: Poses,
    progress: Callable[[str, int, int], None],
) -> Iterator[Comparison]:
    """Hold the ground truth of a sequence against its images, and against its IMU.

    Args:
        sequence: What to look at; all its frames can be read.
        poses: Of its frames.
        progress: Told what is being done, how much is done and how much there is.

    Returns:
        One comparison for everything that there is to compare with and that says anything.
    """
    info = sequence.info
    task = f"comparing frames of {info.name}"
    checks = _checks(_KnownFeatures(), info)
    frames: dict[int, Frame] = {}
    for number, check in enumerate(checks):
        progress(task, number, len(checks))
        pairs = check.pairs(poses, info.frame_period_ns)
        found = _medians(check, Reinterpreted(sequence, None, frames), pairs.indices)
        if found is None:
            continue
        better = (
            _better_mistake(check, sequence, frames, pairs.indices[::2]) if check.tells_mistakes else None
        )
        yield Comparison(
            what=check.what,
            unit=check.unit,
            error=found.error,
            reference=found.reference,
            reference_is=check.reference_is,
            scale=check.scale,
            pairs=found.pairs,
            moves=pairs.moves,
            better=better[0] if better else None,
            better_error=better[1] if better else None,
        )
    progress(task, len(checks), len(checks))


def _better_mistake(
    check: "_Check", sequence: Sequence, frames: dict[int, Frame], pairs: tuple[tuple[int, int], ...]
) -> tuple[str, float] | None:
    """The mistake that explains what was recorded best, if it does so much better than what was read."""
    read = _medians(check, Reinterpreted(sequence, None, frames), pairs)
    if read is None or read.error < _NOISE * check.scale.telling_from:
        return None
    explained = []
    for mistake in MISTAKES:
        found = _medians(check, Reinterpreted(sequence, mistake, frames), pairs)
        # What leaves frames with little in common, or is itself far from the images, explains nothing.
        if (
            found is not None
            and found.error < _MUCH_BETTER * read.error
            and found.error <= check.scale.agrees_below * found.reference
            and found.pairs >= _LEAST_SHARE * read.pairs
            and found.samples >= _LEAST_SHARE * read.samples
        ):
            explained.append((found.error, mistake.name))
    if not explained:
        return None
    least, name = min(explained)
    return name, least


@dataclass(frozen=True)
class _Measured:
    """What a check found, at one pair of frames or as medians over several.

    Attributes:
        error: With the camera moved by ground truth.
        reference: With what it must be much better than.
        samples: How many pixels, features or IMU samples it rests on.
        pairs: How many pairs of frames.
    """

    error: float
    reference: float
    samples: float
    pairs: int = 1


def _medians(check: "_Check", sequence: Sequence, pairs: tuple[tuple[int, int], ...]) -> _Measured | None:
    """Medians over the pairs at which there is something to compare; None where there is none."""
    found = []
    for first, second in pairs:
        try:
            found.append(check.measure(sequence, first, second))
        except SequenceError:
            # Nothing in common, or no motion: this pair says nothing.
            continue
    if not found:
        return None
    error, reference, samples = np.median(
        [(each.error, each.reference, each.samples) for each in found], axis=0
    ).tolist()
    return _Measured(error, reference, samples, len(found))


class _KnownFeatures:
    """Finds features of two frames once, however often they are asked for."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    def __call__(self, first: Frame, second: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """As :func:`~sequences.matched_features.matched_features`."""
        key = (first.index, second.index)
        if key not in self._known:
            self._known[key] = matched_features(first, second)
        return self._known[key]


@dataclass(frozen=True)
class _Check:
    """One way of holding ground truth against what was recorded.

    Attributes:
        what, unit, reference_is, scale: As in :class:`Comparison`.
        measure: Compares two frames.
        pairs: Chooses the pairs from the poses and the frame period.
        tells_mistakes: Whether the known mistakes are tried as well.
    """

    what: str
    unit: str
    reference_is: str
    scale: Scale
    measure: Callable[[Sequence, int, int], _Measured]
    pairs: Callable[[Poses, int], FramePairs] = moved_pairs
    tells_mistakes: bool = True


def _checks(find: FeatureFinder, info: SequenceInfo) -> list[_Check]:
    step = max(1, round((info.intrinsics.width * info.intrinsics.height / _PIXELS) ** 0.5))
    features = Scale(telling_from=2.0, agrees_below=0.1, contradicts_above=0.2)

    def depth(sequence: Sequence, first: int, second: int) -> _Measured:
        found = depth_reprojection_error(sequence, first, second, step)
        return _Measured(100 * found.moved, 100 * found.unmoved, found.pixels)

    def brightness(sequence: Sequence, first: int, second: int) -> _Measured:
        found = colour_reprojection_error(sequence, first, second, step)
        return _Measured(found.moved, found.unmoved, found.pixels)

    def features_with_depth(sequence: Sequence, first: int, second: int) -> _Measured:
        found = feature_reprojection_error(sequence, first, second, find)
        return _Measured(found.moved, found.unmoved, found.pixels)

    def features_on_lines(sequence: Sequence, first: int, second: int) -> _Measured:
        found = epipolar_error(sequence, first, second, find)
        return _Measured(found.distance, found.displacement, found.matches)

    def gyroscope(sequence: Sequence, first: int, second: int) -> _Measured:
        found = gyroscope_error(sequence, first, second)
        return _Measured(found.difference, found.rotation, found.samples)

    still = "standing still"
    if info.has_depth:
        checks = [
            _Check("depth", "% of the distance", still, Scale(1.0, 0.5, 0.9), depth),
            _Check("brightness", "grey levels", still, Scale(2.0, 0.5, 0.9), brightness),
            _Check("features", "pixels", still, features, features_with_depth),
        ]
    else:
        checks = [_Check("features", "pixels from their lines", still, features, features_on_lines)]
    if info.imu is not None:
        turning = Scale(telling_from=10.0, agrees_below=0.5, contradicts_above=0.9)
        checks.append(_Check("gyroscope", "degrees", "no turn", turning, gyroscope, turned_pairs, False))
    return checks
