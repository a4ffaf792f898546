"""Whether depth of a frame agrees with that of later ones, moved by ground-truth poses: maps rely on it."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sequences.consistency import ReprojectionError, depth_reprojection_error
from sequences.errors import SequenceError
from sequences.model import NANOSECONDS_PER_SECOND, Frame, GroundTruth, SequenceInfo
from sequences.model import Sequence as FrameSequence

#: About so many pixels of a frame are moved, spread evenly.
_PIXELS = 20_000
#: What two frames show in common must be this part of the pixels that are moved, and so many of them.
_LEAST_SHARE, _LEAST_PIXELS = 0.01, 50

NEXT_FRAME, SECOND = "next frame", "a second"
GAPS = (NEXT_FRAME, SECOND)


@dataclass(frozen=True)
class DepthConsistency:
    """How far depth disagrees between two frames: parts of the distance, medians over pixels of every pair.

    Attributes:
        pairs: How many pairs of frames it is of.
        moved: Median over pairs, with the first frame's depth moved by the ground-truth poses.
        moved_p95: The 95th percentile over pairs of the same.
        unmoved: Median over pairs, with the camera taken as standing still: what there is to disagree about.
    """

    pairs: int
    moved: float
    moved_p95: float
    unmoved: float


@dataclass(frozen=True)
class ConsistencyFigures:
    """Consistency of frames of one distance in time.

    Attributes:
        gap: ``next frame`` (of those that were evaluated) or ``a second``.
        seconds: Median time between the two frames.
        pairs: How many pairs of frames there were.
        pairs_without_pose: How many have a frame without ground-truth pose.
        predicted: Of the predictions; None where no pair has enough depth in common to be compared.
        sensor: Of the sequence's own depth at the same gap; None without it.
    """

    gap: str
    seconds: float
    pairs: int
    pairs_without_pose: int
    predicted: DepthConsistency | None
    sensor: DepthConsistency | None


@dataclass
class ConsistencyLog:
    """What was found at the pairs of one gap. Pairs with too little in common are in no list of errors."""

    seconds: list[float] = field(default_factory=list)
    without_pose: int = 0
    predicted: list[ReprojectionError] = field(default_factory=list)
    sensor: list[ReprojectionError] = field(default_factory=list)

    def merge(self, other: "ConsistencyLog") -> None:
        """Add the pairs of another log."""
        self.seconds += other.seconds
        self.without_pose += other.without_pose
        self.predicted += other.predicted
        self.sensor += other.sensor

    def figures(self, gap: str) -> ConsistencyFigures | None:
        """The figures; None where there was no pair."""
        if not self.seconds:
            return None
        return ConsistencyFigures(
            gap=gap,
            seconds=float(np.median(self.seconds)),
            pairs=len(self.seconds),
            pairs_without_pose=self.without_pose,
            predicted=_summary(self.predicted),
            sensor=_summary(self.sensor),
        )


class TemporalConsistency:
    """Compares every frame with the one before it and with the one a second before, as frames come.

    Keeps the depth of about a second, whatever the length of the sequence.

    Args:
        sequence: Has ground truth.
        posed: Indices of the frames that have a ground-truth pose.
        every: How many frames lie between two that are evaluated.
    """

    def __init__(self, sequence: FrameSequence, posed: Iterable[int], every: int):
        self._posed = frozenset(posed)
        info = sequence.info
        self._tolerance_ns = every * info.frame_period_ns // 2
        self._step = max(1, round((info.intrinsics.width * info.intrinsics.height / _PIXELS) ** 0.5))
        self._predicted, self._sensor = _DepthOnly(sequence), _DepthOnly(sequence)
        self._recent: deque[tuple[int, int]] = deque()
        self.logs = {gap: ConsistencyLog() for gap in GAPS}

    def add(self, frame: Frame, predicted: NDArray[np.float32]) -> None:
        """Take the next frame and its predicted depth, float32 [H, W], 0 where unknown."""
        self._predicted.show(frame, predicted)
        if frame.depth is not None:
            self._sensor.show(frame, frame.depth)
        if self._recent:
            self._compare(self.logs[NEXT_FRAME], self._recent[-1], frame)
        earlier = self._second_before(frame.timestamp_ns)
        if earlier is not None:
            self._compare(self.logs[SECOND], earlier, frame)
        self._recent.append((frame.index, frame.timestamp_ns))
        oldest_needed = frame.timestamp_ns - NANOSECONDS_PER_SECOND - self._tolerance_ns
        while len(self._recent) > 1 and self._recent[0][1] < oldest_needed:
            index, _ = self._recent.popleft()
            self._predicted.forget(index)
            self._sensor.forget(index)

    def _second_before(self, timestamp_ns: int) -> tuple[int, int] | None:
        """The frame that is nearest to a second before, if it is less than half a spacing off."""
        wanted = timestamp_ns - NANOSECONDS_PER_SECOND
        nearest = min(self._recent, key=lambda each: abs(each[1] - wanted), default=None)
        return nearest if nearest and abs(nearest[1] - wanted) <= self._tolerance_ns else None

    def _compare(self, log: ConsistencyLog, first: tuple[int, int], second: Frame) -> None:
        log.seconds.append((second.timestamp_ns - first[1]) / NANOSECONDS_PER_SECOND)
        if not {first[0], second.index} <= self._posed:
            log.without_pose += 1
            return
        for sequence, errors in ((self._predicted, log.predicted), (self._sensor, log.sensor)):
            if sequence.shows(first[0], second.index):
                error = self._error(sequence, first[0], second.index)
                if error is not None:
                    errors.append(error)

    def _error(self, sequence: "_DepthOnly", first: int, second: int) -> ReprojectionError | None:
        """How far the depth of two frames disagrees; None where they have too little in common."""
        moved, compared_with = (
            sequence.depth(index)[:: self._step, :: self._step] > 0 for index in (first, second)
        )
        try:
            error = depth_reprojection_error(sequence, first, second, self._step)
        except SequenceError:
            # Nothing in common: both have a pose and depth.
            return None
        # A camera that stands still sees other pixels in common than one that moves.
        in_common = min(error.pixels, int(np.count_nonzero(moved & compared_with)))
        return error if in_common >= max(_LEAST_PIXELS, _LEAST_SHARE * int(np.count_nonzero(moved))) else None


class _DepthOnly(FrameSequence):
    """The camera and the poses of a sequence, with the depth that was put in."""

    def __init__(self, sequence: FrameSequence):
        self._info = sequence.info
        self._truth = sequence.ground_truth()
        self._frames: dict[int, Frame] = {}

    @property
    def info(self) -> SequenceInfo:
        return self._info

    def show(self, frame: Frame, depth: NDArray[np.float32]) -> None:
        """Have a frame with this depth; its image is left out."""
        black = np.broadcast_to(np.uint8(0), frame.rgb.shape)
        self._frames[frame.index] = Frame(frame.index, frame.timestamp_ns, black, depth)

    def forget(self, index: int) -> None:
        """Have that frame no longer."""
        self._frames.pop(index, None)

    def shows(self, *indices: int) -> bool:
        """Whether there is depth for all of these frames."""
        return all(index in self._frames for index in indices)

    def frame(self, index: int) -> Frame:
        return self._frames[index]

    def depth(self, index: int) -> NDArray[np.float32]:
        """The depth that a frame was given."""
        depth = self._frames[index].depth
        assert depth is not None, "frames are shown with depth"
        return depth

    def ground_truth(self) -> GroundTruth | None:
        return self._truth


def _summary(errors: Sequence[ReprojectionError]) -> DepthConsistency | None:
    if not errors:
        return None
    moved = [error.moved for error in errors]
    return DepthConsistency(
        pairs=len(errors),
        moved=float(np.median(moved)),
        moved_p95=float(np.percentile(moved, 95)),
        unmoved=float(np.median([error.unmoved for error in errors])),
    )
