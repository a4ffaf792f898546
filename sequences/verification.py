"""Is a recording right? Every frame is read, and ground truth, images and IMU are held against each other."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sequences.association import associate
from sequences.errors import SequenceError
from sequences.frame_pairs import Poses
from sequences.ground_truth_checks import Comparison, Verdict, compare
from sequences.model import LeftOut, Sequence
from sequences.pose_matrices import pose_matrices
from sequences.reader import ignore_progress

#: So many of a recording's images or poses may be lost; of depth images so many may say nothing at all.
_MOST_LOST = 0.2

_READING_THREADS = 2


@dataclass(frozen=True)
class Verification:
    """What was found out about a sequence.

    Attributes:
        name: The sequence.
        frames: How many it has.
        frames_read: How many of them were read.
        unreadable: One message for every frame that could not be read.
        left_out: What the reader left out, counts of zero included.
        frames_without_depth: How many of the frames that were read have depth of which no pixel is known.
        frames_without_pose: How many frames have no ground-truth pose near in time; None without ground
            truth.
        comparisons: Ground truth held against images and IMU.
        not_compared: Why there are no comparisons; None when there are.
    """

    name: str
    frames: int
    frames_read: int
    unreadable: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    frames_without_depth: int
    frames_without_pose: int | None
    comparisons: tuple[Comparison, ...]
    not_compared: str | None

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a sentence each; empty when the recording is right as far as can be told."""
        return (*self._lost(), *self._contradictions())

    def _lost(self) -> Iterator[str]:
        if self.unreadable:
            yield f"{len(self.unreadable)} frames cannot be read"
        for part in self.left_out:
            if part.count > _MOST_LOST * part.total and not part.by_design:
                yield f"much is lost: {part.sentence()}"
        if self.frames_without_depth > _MOST_LOST * self.frames_read:
            yield f"{self.frames_without_depth} frames have depth images in which nothing is known"

    def _contradictions(self) -> Iterator[str]:
        if self.not_compared is not None and self.frames_without_pose is not None and not self.unreadable:
            yield f"ground truth was compared with nothing: {self.not_compared}"
        for comparison in self.comparisons:
            if comparison.verdict is Verdict.CONTRADICTS:
                hint = f"; agreement would be better with {comparison.better}" if comparison.better else ""
                yield f"the ground truth is contradicted by {comparison.what}{hint}"
        if self.comparisons and {each.verdict for each in self.comparisons} == {Verdict.UNCLEAR}:
            yield (
                "nothing tells whether poses and images agree: the camera moves too little, or images and "
                "depth are too noisy"
            )

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
    unreadable, without_depth = _read_all(sequence, indices, progress)
    truth, poses = sequence.ground_truth(), _poses(sequence)
    comparisons: tuple[Comparison, ...] = ()
    if truth is None:
        not_compared: str | None = "there is none"
    elif not poses:
        not_compared = "no frame has a pose within half a frame period"
    elif unreadable:
        not_compared = "frames cannot be read"
    else:
        comparisons = tuple(compare(sequence, poses, progress))
        not_compared = None if comparisons else "no two frames with poses show enough in common"
    return Verification(
        name=info.name,
        frames=len(sequence),
        frames_read=len(indices),
        unreadable=unreadable,
        left_out=info.left_out,
        frames_without_depth=without_depth,
        frames_without_pose=None if truth is None else len(sequence) - len(poses),
        comparisons=comparisons,
        not_compared=not_compared,
    )


def _read_all(
    sequence: Sequence, indices: NDArray[np.int64], progress: Callable[[str, int, int], None]
) -> tuple[tuple[str, ...], int]:
    """Messages of frames that cannot be read, and how many have depth of which nothing is known."""
    task = f"reading {sequence.info.name}"
    unreadable, without_depth = [], 0

    def look(index: int) -> tuple[str | None, bool]:
        try:
            depth = sequence.frame(index).depth
        except SequenceError as error:
            return str(error), False
        return None, depth is not None and not depth.any()

    with ThreadPoolExecutor(_READING_THREADS) as threads:
        for done, (problem, is_unknown) in enumerate(threads.map(look, indices.tolist())):
            progress(task, done, len(indices))
            unreadable += [] if problem is None else [problem]
            without_depth += is_unknown
    progress(task, len(indices), len(indices))
    return tuple(unreadable), without_depth


def _poses(sequence: Sequence) -> Poses:
    """The camera-to-world pose of every frame that has one."""
    truth, info = sequence.ground_truth(), sequence.info
    if truth is None:
        return {}
    pairs = associate(info.timestamps_ns, truth.timestamps_ns, info.frame_period_ns // 2)
    matrices = pose_matrices(truth)
    return {int(frame): matrices[row] for frame, row in pairs}
