"""Perception modules asked again on some frames of a sequence, and compared with what it recorded."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.report.perception_sources import ModuleSource
from harness.report.recorded_frames import create_recorded_module, predict_again
from perception.errors import PerceptionError
from perception.evaluation.depth import DepthFigures, DepthScore
from perception.evaluation.label_comparison import LabelComparison, compare_labels
from perception.evaluation.options import EvaluationOptions
from perception.evaluation.semantics import SemanticsFigures, SemanticsScore
from perception.guarded import GuardedModule
from perception.module import Prediction
from sequences.errors import SequenceError
from sequences.label_spaces import load_label_space
from sequences.model import Frame, SequenceInfo
from sequences.model import Sequence as FrameSequence
from sequences.reader import ReaderContext

#: Frames that are compared, spread evenly over the sequence.
MOST_FRAMES = 40

#: Which of them are shown, as a share of the sequence.
_SHOWN_AT = (1 / 6, 1 / 2, 5 / 6)

#: Pictures are kept at this width or less, pixels: more than a panel of the figure has.
_PICTURE_WIDTH = 400

#: The range of recorded depth that is compared, as in ``harness perception eval``.
OPTIONS = EvaluationOptions()

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Images:
    """What is shown of one frame, small.

    Attributes:
        depth: float32 [h, w], metres, 0 where unknown; None without depth.
        labels: uint8 [h, w], 255 where unknown; None without labels whose space is known.
    """

    depth: NDArray[np.float32] | None
    labels: NDArray[np.uint8] | None


@dataclass(frozen=True)
class ShownFrame(Images):
    """What was recorded of a frame.

    Attributes:
        index: Of the frame in its sequence.
        rgb: uint8 [h, w, 3].
    """

    index: int
    rgb: NDArray[np.uint8]


@dataclass(frozen=True)
class ShownPrediction(Images):
    """What a module says of a frame.

    Attributes:
        abs_rel: AbsRel of its depth; None where there is nothing to compare with.
        right_labels: Share of the recorded labels that it has right; None where they cannot be compared.
    """

    abs_rel: float | None
    right_labels: float | None


@dataclass(frozen=True)
class ComparedModule:
    """What came of one module on one sequence.

    Attributes:
        source: The module and its trials.
        frames: How many frames it was asked for.
        label_space: Of its labels; None without labels that can be shown.
        depth: Errors of its depth over all those frames; None where there is nothing to compare.
        semantics: The same of its labels.
        shown: One for every shown frame.
        problems: What could not be compared or is not what it was, a sentence each.
    """

    source: ModuleSource
    frames: int
    label_space: str | None
    depth: DepthFigures | None
    semantics: SemanticsFigures | None
    shown: tuple[ShownPrediction, ...]
    problems: tuple[str, ...]


def shown_indices(indices: Sequence[int]) -> tuple[int, ...]:
    """Which of the compared frames are shown."""
    positions = (round(share * (len(indices) - 1)) for share in _SHOWN_AT)
    return tuple(dict.fromkeys(indices[position] for position in positions))


def read_shown_frames(sequence: FrameSequence, indices: Sequence[int]) -> tuple[ShownFrame, ...]:
    """Read the frames that are shown.

    Raises:
        SequenceError: One cannot be read.
    """
    has_labels = can_be_shown(sequence.info.label_space)
    return tuple(
        ShownFrame(
            depth=_thinned_if_any(frame.depth),
            labels=_thinned_if_any(frame.labels if has_labels else None),
            index=frame.index,
            rgb=_thinned(frame.rgb),
        )
        for frame in map(sequence.frame, indices)
    )


def compare_module(
    source: ModuleSource,
    sequence: FrameSequence,
    indices: Sequence[int],
    context: ReaderContext,
    progress: Callable[[str, int, int], None],
) -> ComparedModule | None:
    """Ask a module for frames again and compare what it says with what was recorded.

    Args:
        source: The module.
        sequence: The sequence.
        indices: Of the frames.
        context: Where predictions are kept.
        progress: Told about every frame.

    Returns:
        What came of it; None when it predicts neither depth nor labels here.

    Raises:
        PerceptionError: The module cannot be used any more, or fails.
        SequenceError: A frame cannot be read, or the record does not say what the module is.
    """
    module = create_recorded_module(source.record, context)
    info = sequence.info
    outputs = module.outputs(info) & {"depth", "semantics"}
    if not outputs:
        return None
    scores = _Scores(source.label, module, outputs, info)
    module.load()
    scores.note_changes(source)
    shown = set(shown_indices(indices))
    pictures = []
    step = f"{source.label} on {info.name}"
    for done, (frame, prediction) in enumerate(predict_again(source.record, sequence, module, indices)):
        progress(step, done, len(indices))
        picture = scores.add(frame, prediction)
        if frame.index in shown:
            pictures.append(picture)
    progress(step, len(indices), len(indices))
    return ComparedModule(
        source,
        len(indices),
        scores.label_space,
        scores.depth.figures(),
        scores.semantics.figures() if scores.semantics else None,
        tuple(pictures),
        tuple(scores.problems),
    )


def can_be_shown(label_space: str | None) -> bool:
    """Whether labels of a space have colours."""
    try:
        return label_space is not None and bool(load_label_space(label_space))
    except SequenceError:
        return False


class _Scores:
    """Compares the frames of one module with what was recorded."""

    def __init__(self, name: str, module: GuardedModule, outputs: frozenset[str], info: SequenceInfo):
        self.depth = DepthScore(OPTIONS.min_depth, OPTIONS.max_depth)
        self.label_space: str | None = None
        self.semantics: SemanticsScore | None = None
        self.problems: list[str] = []
        self._where = f"{name} on {info.name}"
        self._module = module
        self._labels: LabelComparison | None = None
        announced = module.label_space(info)
        if "semantics" not in outputs:
            return
        if announced is None or not can_be_shown(announced):
            self.problems.append(
                f"Labels of {self._where} are not shown: "
                + (
                    "the module does not say of which label space they are."
                    if announced is None
                    else f"there is no label space '{announced}' here."
                )
            )
            return
        self.label_space = announced
        if info.label_space is not None:
            self._labels = self._comparison(info.label_space, announced)
            self.semantics = SemanticsScore(self._labels.space) if self._labels else None

    def _comparison(self, recorded: str, predicted: str) -> LabelComparison | None:
        try:
            return compare_labels(recorded, predicted)
        except PerceptionError as error:
            self.problems.append(f"Labels of {self._where} are not compared: {error}.")
            return None

    def note_changes(self, source: ModuleSource) -> None:
        """Say so when the module is another one than in the trial by its own words, as with new weights."""
        then = source.record.perception.get("details")
        if then is None:
            return
        # As the record has it, where what was a tuple is a list.
        now = json.loads(json.dumps(self._module.describe()))
        if then == now:
            return
        changed = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
        self.problems.append(
            f"{self._where} is not quite what it was in its trials; it says something else of itself under: "
            f"{', '.join(changed)}."
        )

    def add(self, frame: Frame, prediction: Prediction) -> ShownPrediction:
        """Compare one frame."""
        abs_rel = right = None
        if frame.depth is not None and prediction.depth is not None:
            metrics = self.depth.add(frame.depth, prediction.depth).metrics()
            abs_rel = metrics.abs_rel if metrics else None
        labels = prediction.semantics
        if self.semantics and self._labels and frame.labels is not None and labels is not None:
            right = self.semantics.add(
                self._labels.true_labels(frame.labels), self._labels.predicted_labels(labels)
            )
        return ShownPrediction(
            depth=_thinned_if_any(prediction.depth),
            labels=_thinned_if_any(labels if self.label_space else None),
            abs_rel=abs_rel,
            right_labels=right,
        )


def _thinned(image: NDArray[Scalar]) -> NDArray[Scalar]:
    """A copy of every so many pixels, so that the whole image need not stay in memory."""
    step = -(-image.shape[1] // _PICTURE_WIDTH)
    return image[::step, ::step].copy()


def _thinned_if_any(image: NDArray[Scalar] | None) -> NDArray[Scalar] | None:
    return None if image is None else _thinned(image)
