"""The frames and the perception module of a trial again: opened, read and predicted as its record says."""

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
from pydantic import TypeAdapter, ValidationError

from harness.prediction_thread import PredictionThread, within_limit
from harness.record import RunRecord
from perception.cache import PredictionCache
from perception.choice import ModuleChoice
from perception.guarded import GuardedModule, create_module
from perception.module import Prediction
from sequences.errors import SequenceError
from sequences.model import Frame, Sequence
from sequences.reader import ReaderContext
from sequences.sequence_sets import SequenceEntry, open_sequence


def open_recorded_sequence(record: RunRecord, context: ReaderContext) -> Sequence:
    """Open the sequence of a trial again.

    Raises:
        SequenceError: The sequence is gone or cannot be read.
    """
    try:
        entry = TypeAdapter(SequenceEntry).validate_python(record.sequence.get("entry"))
    except ValidationError as error:
        raise SequenceError("its record does not say how to open it") from error
    return open_sequence(entry, context)


def create_recorded_module(record: RunRecord, context: ReaderContext) -> GuardedModule:
    """Create the module of a trial again. Predictions that the trial has kept will not be made again.

    Raises:
        PerceptionError: There is no such module any more, or it cannot be created.
        SequenceError: The record does not say which it was.
    """
    try:
        choice = TypeAdapter(ModuleChoice).validate_python(record.perception.get("choice"))
    except ValidationError as error:
        raise SequenceError(
            f"its record does not say what perception '{record.key.perception}' is"
        ) from error
    keeps = record.configuration.get("prediction_cache", True)
    return create_module(choice, PredictionCache.below(context.cache_directory) if keeps else None)


def spread_frames(record: RunRecord, sequence: Sequence, most: int) -> list[int]:
    """Indices of at most so many of the frames of a trial, spread evenly over them, the ends included."""
    frames = min(len(sequence), record.sequence.get("frames", len(sequence)))
    chosen = np.unique(np.linspace(0, frames - 1, min(frames, most)).round().astype(int))
    return [int(index) for index in chosen]


def predict_again(
    record: RunRecord, sequence: Sequence, module: GuardedModule, indices: Iterable[int]
) -> Iterator[tuple[Frame, Prediction]]:
    """Read and predict frames of a trial again; each may take as long as it might in the trial.

    Args:
        record: Of the trial.
        sequence: Of the trial.
        module: Loaded, and asked for its outputs on the sequence.
        indices: Of the frames.

    Raises:
        SequenceError: A frame cannot be read.
        PerceptionError: The module fails at a frame, or takes too long.
    """
    limit_s = record.configuration["predict_limit_s"]
    with PredictionThread() as thread:
        for index in indices:
            predicted = thread.submit(partial(_predict, sequence, module, index))
            yield within_limit(predicted, limit_s, record.key.perception)


def _predict(sequence: Sequence, module: GuardedModule, index: int) -> tuple[Frame, Prediction]:
    frame = sequence.frame(index)
    return frame, module.predict(frame)
