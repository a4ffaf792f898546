"""One evaluation of a perception module from its sequences to its files."""

from collections.abc import Sequence
from pathlib import Path

from harness.findings import utc_now
from harness.perception_evaluation.published_rows import published_rows
from harness.perception_evaluation.tables import evaluation_tables
from harness.perception_evaluation.writing import EvaluationRun, write_evaluation
from harness.published import PublishedTable
from perception.choice import ModuleChoice
from perception.evaluation import EvaluationOptions, evaluate_module
from sequences.reader import ReaderContext
from sequences.sequence_sets import SequenceEntry, open_sequence


def evaluate_and_write(
    choice: ModuleChoice,
    entries: Sequence[SequenceEntry],
    context: ReaderContext,
    options: EvaluationOptions,
    papers: PublishedTable | None,
    directory: Path,
) -> EvaluationRun:
    """Evaluate a module on sequences and write what came of it.

    Args:
        choice: The module.
        entries: The sequences; all are opened before the first frame is predicted.
        context: What readers need, and where progress goes.
        options: Of the evaluation.
        papers: Published figures to put ours beside; None for none.
        directory: Of the results.

    Raises:
        SequenceError: A sequence cannot be opened, or a frame not read.
        PerceptionError: The module fails, or its predictions cannot be compared.
        ResultsError: The results cannot be written.
    """
    started_at = utc_now()
    sequences = [open_sequence(entry, context) for entry in entries]
    evaluation = evaluate_module(choice, sequences, options, context.progress)
    tables = evaluation_tables(evaluation, options)
    if papers is not None:
        tables.append(published_rows(evaluation, entries, papers))
    run = EvaluationRun(evaluation, choice, tuple(entries), options, started_at, tuple(tables))
    write_evaluation(run, directory)
    return run
