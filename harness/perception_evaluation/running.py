"""One evaluation of a perception module from its sequences to its files."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.findings import utc_now
from harness.perception_evaluation.published_rows import published_rows
from harness.perception_evaluation.tables import evaluation_tables
from harness.perception_evaluation.writing import EvaluationRun, write_evaluation
from harness.published import PublishedTable
from perception.choice import ModuleChoice
from perception.evaluation import EvaluationOptions, evaluate_module
from perception.evaluation.view_sequence import ViewSequence
from perception.training.configuration import TrainingConfigurationError, read_training_config
from perception.training.view_sources import make_source
from sequences.model import Sequence as FrameSequence
from sequences.reader import ReaderContext
from sequences.sequence_sets import SequenceEntry, open_sequence

Progress = Callable[[str, int, int], None]

Opened = tuple[SequenceEntry, FrameSequence]


def open_sequences(entries: Sequence[SequenceEntry], context: ReaderContext) -> list[Opened]:
    """Sequences with what they were opened from.

    Raises:
        SequenceError: One cannot be opened.
    """
    return [(entry, open_sequence(entry, context)) for entry in entries]


def open_held_out_views(training: Path, progress: Progress) -> Opened:
    """The views that the configuration of a training holds out, as a sequence of single images.

    Args:
        training: File with the configuration; its ``evaluation`` names the views.
        progress: Told how it goes, should they have to be made.

    Raises:
        PerceptionError: The configuration is not valid, or holds out no views.
        SequenceError: The views are not there.
    """
    choice = read_training_config(training).evaluation
    if choice is None:
        raise TrainingConfigurationError(f"{training} holds out no views: it has no 'evaluation'")
    source = make_source(choice, "evaluation")
    source.prepare(progress, os.cpu_count() or 1)
    entry = SequenceEntry(
        name=source.name,
        reader=f"views of {choice.kind}",
        parameters=dict(choice.parameters),
        dataset=choice.kind,
    )
    return entry, ViewSequence(source)


def evaluate_and_write(
    choice: ModuleChoice,
    opened: Sequence[Opened],
    progress: Progress,
    options: EvaluationOptions,
    papers: PublishedTable | None,
    directory: Path,
) -> EvaluationRun:
    """Evaluate a module on sequences and write what came of it.

    Args:
        choice: The module.
        opened: The sequences.
        progress: Told about every frame.
        options: Of the evaluation.
        papers: Published figures to put ours beside; None for none.
        directory: Of the results.

    Raises:
        SequenceError: A frame cannot be read.
        PerceptionError: The module fails, or its predictions cannot be compared.
        ResultsError: The results cannot be written.
    """
    started_at = utc_now()
    entries = [entry for entry, _ in opened]
    evaluation = evaluate_module(choice, [sequence for _, sequence in opened], options, progress)
    tables = evaluation_tables(evaluation, options)
    if papers is not None:
        tables.append(published_rows(evaluation, entries, papers))
    run = EvaluationRun(evaluation, choice, tuple(entries), options, started_at, tuple(tables))
    write_evaluation(run, directory)
    return run
