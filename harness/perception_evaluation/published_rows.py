"""Figures of papers on perception with ours beside them."""

from collections.abc import Sequence
from decimal import Decimal

from harness.errors import ConfigurationError
from harness.published import Metric, PublishedFigure, PublishedTable
from harness.report.table import MISSING, Cell, Table, text_cells
from perception.evaluation import Evaluation
from sequences.sequence_sets import SequenceEntry

_METRICS: tuple[Metric, ...] = ("miou", "depth_rmse")


def require_perception_figures(published: PublishedTable) -> None:
    """Refuse figures of something else, such as trajectory errors.

    Raises:
        ConfigurationError: The table has neither an mIoU nor an RMSE of depth.
    """
    if not any(each.metric in _METRICS for each in published.figures):
        raise ConfigurationError(
            f"'{published.name}' has neither miou nor depth_rmse, which an evaluation of perception could be "
            "put beside; use --published nyudv2"
        )


def published_rows(
    evaluation: Evaluation, entries: Sequence[SequenceEntry], published: PublishedTable
) -> Table:
    """Methods of papers by row, ours first."""
    methods: dict[str, list[PublishedFigure]] = {}
    for figure in published.figures:
        if figure.metric in _METRICS:
            methods.setdefault(figure.method, []).append(figure)
    sources = dict.fromkeys(figure.source for figures in methods.values() for figure in figures)
    return Table(
        name=f"published_{published.name}",
        caption=f"Figures that papers print for {published.name}, as printed, below those measured here.",
        columns=("method", "measured", "mIoU [%]", "depth RMSE [m]"),
        rows=(_own_row(evaluation), *(_row(method, figures) for method, figures in methods.items())),
        notes=(
            *_what_ours_are_of(evaluation, entries, published),
            "Ours are pooled over all pixels of all frames, the mIoU over the classes that are true or "
            "predicted, the RMSE without any scaling.",
            *(f"Source: {source}." for source in sources),
        ),
    )


def _own_row(evaluation: Evaluation) -> tuple[Cell, ...]:
    semantics, depth = evaluation.together.semantics, evaluation.together.depth
    return (
        *text_cells(evaluation.module, "here"),
        Cell(f"{100 * semantics.miou:.2f}", semantics.label_space) if semantics else Cell(MISSING),
        Cell(f"{depth.pooled.rmse:.4f}" if depth else MISSING),
    )


def _row(method: str, figures: list[PublishedFigure]) -> tuple[Cell, ...]:
    values: dict[str, Decimal] = {figure.metric: figure.value for figure in figures}
    return text_cells(method, "in a paper", *(values.get(metric, MISSING) for metric in _METRICS))


def _what_ours_are_of(
    evaluation: Evaluation, entries: Sequence[SequenceEntry], published: PublishedTable
) -> tuple[str, ...]:
    if all(published.name in (entry.dataset, entry.reader) for entry in entries):
        return ()
    names = ", ".join(each.info.name for each in evaluation.sequences)
    return (
        f"Ours are of other data ({names}), with other scenes, cameras and truth than {published.name}: the "
        "rows stand beside each other for orientation and cannot be compared.",
    )
