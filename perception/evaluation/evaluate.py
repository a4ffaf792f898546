"""Running a perception module over sequences and comparing what it says with what was recorded."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from threadpoolctl import ThreadpoolController

from perception.choice import ModuleChoice
from perception.errors import ModuleFailedError, PerceptionError
from perception.evaluation.label_comparison import LabelComparison, compare_labels
from perception.evaluation.latency import execution
from perception.evaluation.options import EvaluationOptions
from perception.evaluation.scale_drift import ScaleDrift, ScaleDriftSummary, summarise_drift
from perception.evaluation.sequence_scores import Figures, FrameFigures, SequenceScores, merged
from perception.evaluation.view_sequence import ViewSequence
from perception.guarded import GuardedModule, create_module
from sequences.errors import SequenceError
from sequences.model import Frame, Intrinsics, SequenceInfo
from sequences.model import Sequence as FrameSequence

#: What errors are raised again as: the first that fits.
_KINDS = (ModuleFailedError, PerceptionError, SequenceError)


@dataclass(frozen=True)
class EvaluatedSequence:
    """What came of one sequence.

    Attributes:
        info: What is known of it.
        outputs: What the module gave on it, sorted.
        figures: All figures but the drift.
        drift: How the scale changes along it; None without depth to compare, and for single views.
        frames: Figures of every frame that took part.
    """

    info: SequenceInfo
    outputs: tuple[str, ...]
    figures: Figures
    drift: ScaleDrift | None
    frames: tuple[FrameFigures, ...]


@dataclass(frozen=True)
class Evaluation:
    """What came of a module.

    Attributes:
        module: What it is called in tables.
        reads_sensor: It is shown the recorded depth and labels, which are the truth here.
        details: What it says of itself: versions, digest of the weights, options.
        execution: Device and threads.
        sequences: One by one.
        together: All their pixels, frames and pairs in one.
        drift: Drift over all sequences.
    """

    module: str
    reads_sensor: bool
    details: dict[str, Any]
    execution: dict[str, Any]
    sequences: tuple[EvaluatedSequence, ...]
    together: Figures
    drift: ScaleDriftSummary | None


@dataclass(frozen=True)
class _Planned:
    """A sequence with a module of its own, which may keep what it remembers of frames to itself."""

    sequence: FrameSequence
    module: GuardedModule
    outputs: frozenset[str]
    labels: LabelComparison | None


def evaluate_module(
    choice: ModuleChoice,
    sequences: Sequence[FrameSequence],
    options: EvaluationOptions,
    progress: Callable[[str, int, int], None],
) -> Evaluation:
    """Predict frames of sequences, and compare with their depth, labels and poses.

    Frames are read between predictions, and not beside them, so that reading does not slow predicting down;
    nor do the threads of NumPy's OpenBLAS, which go on waiting busily after each comparison: there is one.
    What is kept of a frame is a row of figures; images are kept for about a second.

    Args:
        choice: The module.
        sequences: At least one. What their frames carry is taken as the truth.
        options: Which frames, which range of depth, which label space.
        progress: Told about every frame.

    Raises:
        PerceptionError: The module cannot work on a sequence, fails at a frame, or its labels cannot be
            compared; what concerns all frames is found out before the first one is predicted.
        SequenceError: A frame cannot be read; names sequence, frame and file.
    """
    planned = deque(_plan(choice, sequence, options) for sequence in sequences)
    name, reads_sensor = planned[0].module.name, planned[0].module.reads_sensor
    details: dict[str, Any] = {}
    scores: list[SequenceScores] = []
    found: list[EvaluatedSequence] = []
    while planned:
        # A module is let go with its sequence: it may hold a whole network.
        each = planned.popleft()
        with ThreadpoolController().select(internal_api="openblas").limit(limits=1):
            score = _compare(each, options, progress)
        details = details or each.module.describe()
        scores.append(score)
        found.append(
            EvaluatedSequence(
                each.sequence.info,
                tuple(sorted(each.outputs)),
                score.figures(),
                None if isinstance(each.sequence, ViewSequence) else score.scale_drift(),
                tuple(score.frames),
            )
        )
    return Evaluation(
        module=name,
        reads_sensor=reads_sensor,
        details=details,
        execution=execution(details),
        sequences=tuple(found),
        together=merged(scores).figures(),
        drift=summarise_drift([each.drift for each in found if each.drift]),
    )


def _plan(choice: ModuleChoice, sequence: FrameSequence, options: EvaluationOptions) -> _Planned:
    info = sequence.info
    module = create_module(choice)
    with _named(info.name):
        outputs = module.outputs(info)
        predicted = module.label_space(info)
        labels = None
        if "semantics" in outputs and info.label_space is not None and predicted is not None:
            labels = compare_labels(info.label_space, predicted, options.label_space)
    return _Planned(sequence, module, outputs, labels)


def _compare(
    planned: _Planned, options: EvaluationOptions, progress: Callable[[str, int, int], None]
) -> SequenceScores:
    sequence, module = planned.sequence, planned.module
    name = sequence.info.name
    score = SequenceScores(sequence, planned.outputs, planned.labels, options)
    indices = options.indices(len(sequence))
    seen = sequence.info.intrinsics
    with _named(name):
        module.load()
    for done, index in enumerate(indices):
        progress(f"evaluating {name}", done, len(indices))
        with _named(name, index):
            frame, camera = _read(sequence, index)
            if camera != seen:
                seen = camera
                module.outputs(replace(sequence.info, intrinsics=camera))
            timed = module.predict_timed(frame)
            assert timed.seconds is not None, "predictions are not kept, since their time is a figure"
            score.add(frame, camera, timed.prediction, 1000 * timed.seconds)
    progress(f"evaluating {name}", len(indices), len(indices))
    return score


def _read(sequence: FrameSequence, index: int) -> tuple[Frame, Intrinsics]:
    """A frame, and the camera that took it: of single views each has its own."""
    if isinstance(sequence, ViewSequence):
        return sequence.frame_and_camera(index)
    return sequence.frame(index), sequence.info.intrinsics


@contextmanager
def _named(sequence: str, frame: int | None = None) -> Iterator[None]:
    """Say of an error at which sequence and frame it happened."""
    try:
        yield
    except (PerceptionError, SequenceError) as error:
        kind = next(kind for kind in _KINDS if isinstance(error, kind))
        says_frame = frame is None or str(error).startswith(f"frame {frame}")
        where = "" if says_frame else f"frame {frame}: "
        raise kind(f"sequence '{sequence}': {where}{error}") from error
