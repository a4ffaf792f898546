"""Published trajectory errors with ours beside them: like beside like, and nothing is ranked."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from harness.errors import ConfigurationError
from harness.published import Input, PublishedMethod, PublishedTable
from harness.record import Alignment, Status
from harness.report.ate_tables import ate_cell
from harness.report.comparison import Comparison, Group
from harness.report.measured_rows import Measured, measured_beside
from harness.report.scores import (
    CENTIMETRES_PER_METRE,
    centimetres,
    coverage,
    median_figure,
    partial_values,
    per_cent,
)
from harness.report.table import GROUND_TRUTH_MARK, MISSING, Cell, Table, text_cells

_INPUT_LABELS: dict[Input, str] = {"rgbd": "RGB-D", "mono": "monocular"}


@dataclass(frozen=True)
class PublishedSection:
    """Published figures in a report; empty unless they were asked for.

    Attributes:
        table: Methods and our contenders down, sequences across.
        frames: The same as numbers, under the name of its file.
    """

    table: Table | None = None
    frames: tuple[tuple[str, pd.DataFrame], ...] = ()


def make_published_section(comparison: Comparison, published: PublishedTable) -> PublishedSection:
    """Put our trials beside published figures.

    Raises:
        ConfigurationError: There are no trajectory errors among them.
    """
    table = published_table(comparison, published)
    return PublishedSection(table, ((f"{table.name}.csv", published_frame(comparison, published)),))


def published_table(comparison: Comparison, published: PublishedTable) -> Table:
    """Methods down, by input and alignment, published ones before ours; sequences and their mean across.

    Raises:
        ConfigurationError: There are no trajectory errors among the published figures.
    """
    if not published.sequences:
        metrics = ", ".join(dict.fromkeys(each.metric for each in published.figures))
        raise ConfigurationError(
            f"the published figures '{published.name}' hold {metrics} and no ate_rmse of any sequence, which "
            "is what a report can stand beside"
        )
    ours = measured_beside(comparison, published)
    lines = [
        *(
            (_order(each.input, each.alignment), 0, _published_row(each, published))
            for each in published.methods
        ),
        *((_order(each.input, each.alignment), 1, _measured_row(each, published)) for each in ours),
    ]
    return Table(
        name="published_" + re.sub(r"\W", "_", published.name, flags=re.ASCII),
        caption=(
            f"ATE as published ({published.name}) and as measured here, RMSE of the translation in cm, after "
            "the alignment in the fourth column. Published rows were not run by this harness: differences in "
            "protocol remain, so that no row is marked as the best."
        ),
        columns=("method", "figures", "input", "alignment", *published.sequences, "mean"),
        rows=tuple(row for _, _, row in sorted(lines, key=lambda line: line[:2])),
        text_columns=4,
        notes=tuple(_notes(ours, published)),
    )


def _order(input_: Input | None, alignment: Alignment | None) -> tuple[int, int]:
    inputs, alignments = (*_INPUT_LABELS, None), (*Alignment, None)
    return inputs.index(input_), alignments.index(alignment)


def _published_row(method: PublishedMethod, published: PublishedTable) -> tuple[Cell, ...]:
    mark = GROUND_TRUTH_MARK if method.ground_truth_is_input else ""
    values = (method.ate_cm.get(name) for name in published.sequences)
    return (
        *text_cells(method.name, "published", _INPUT_LABELS[method.input]),
        Cell(method.alignment.label if method.alignment else "not known"),
        *(Cell(MISSING, muted=True) if value is None else Cell(f"{value:f}{mark}") for value in values),
        _published_mean(method, published, mark),
    )


def _published_mean(method: PublishedMethod, published: PublishedTable, mark: str) -> Cell:
    mean, printed = method.mean_cm(published.sequences), method.printed_mean_cm
    if mean is not None:
        differs = method.mean_is_printed_otherwise(published.sequences)
        return Cell(f"{mean:.2f}{mark}", f"the paper prints {printed:f}" if differs else "")
    if printed is not None:
        return Cell(f"{printed:f}{mark}", "as printed")
    return Cell(MISSING, muted=True)


def _measured_row(measured: Measured, published: PublishedTable) -> tuple[Cell, ...]:
    unlike = measured.unlike(published)
    return (
        *text_cells(measured.label, "measured here"),
        Cell(_INPUT_LABELS[measured.input] if measured.input else MISSING),
        Cell(measured.alignment.label if measured.alignment else MISSING),
        *(_measured_cell(measured, name, name in unlike) for name in published.sequences),
        _measured_mean(measured, published, bool(unlike)),
    )


def _measured_cell(measured: Measured, sequence: str, show_frames: bool) -> Cell:
    group = measured.groups.get(sequence)
    cell = ate_cell(group, show_frames=show_frames, figure=measured.ate)
    covered = _coverage(group) if group else ""
    return Cell(cell.text, "; ".join(filter(None, [cell.detail, covered])), muted=cell.muted)


def _coverage(group: Group) -> str:
    median = median_figure(group, coverage)
    partial = partial_values(group, lambda trial: per_cent(coverage(trial)))
    values = ", ".join(filter(None, ["" if median is None else per_cent(median), partial]))
    return f"coverage {values} %" if values else ""


def _measured_mean(measured: Measured, published: PublishedTable, unlike: bool) -> Cell:
    mean = measured.mean(published.sequences)
    if mean is None:
        return Cell(MISSING, muted=True)
    mark = GROUND_TRUTH_MARK if measured.ground_truth_is_input else ""
    return Cell(f"{centimetres(mean)}{mark}", "other numbers of frames" if unlike else "")


def _notes(ours: list[Measured], published: PublishedTable) -> Iterable[str]:
    yield (
        "Means of published rows are recomputed from the figures of their sequences, and the printed mean "
        "stands beside one that it differs from by more than rounding; where a paper prints nothing but a "
        "mean, it is shown as printed."
    )
    if any(each.alignment is None for each in published.methods):
        yield "Alignment not known: the figures may be of either."
    if ours:
        yield (
            "Rows measured here: medians over the ok runs, by the alignment that our own tables print and by "
            "each that published rows of the same input state; all of them are of the same trials. The input "
            "is RGB-D where a sensor's depth was fed, and monocular where depth was predicted or absent. "
            "There is a mean where every run of every sequence is ok."
        )
    else:
        yield "This report has no trial on any of these sequences, so that no row was measured here."
    if differing := _other_frames(ours, published):
        yield f"Numbers of frames that are not the published ones: {differing}."
    unsure = [_named(each) for each in published.methods if each.ground_truth_is_input is None]
    if unsure:
        yield f"Whether ground truth was part of the input is not known of {', '.join(unsure)}."
    for method in published.methods:
        for note in method.notes:
            yield f"{_named(method)}: {note}."
    sources: dict[str, dict[str, None]] = {}
    for method in published.methods:
        for source in method.sources:
            sources.setdefault(source, {})[method.name] = None
    for source, names in sources.items():
        yield f"Source of {', '.join(names)}: {source}."


def _named(method: PublishedMethod) -> str:
    return f"{method.name} ({_INPUT_LABELS[method.input]})"


def _other_frames(ours: list[Measured], published: PublishedTable) -> str:
    found = [each.unlike(published) for each in ours]
    texts = []
    for name in published.sequences:
        counts = sorted({unlike[name] for unlike in found if name in unlike})
        if counts:
            here = " and ".join(map(str, counts))
            texts.append(f"{name} {here} here, {published.frames[name]} published")
    return "; ".join(texts)


def published_frame(comparison: Comparison, published: PublishedTable) -> pd.DataFrame:
    """The same as numbers, one row per figure; metres."""
    rows = [row for each in published.methods for row in _published_figures(each, published)]
    for measured in measured_beside(comparison, published):
        rows += _measured_figures(measured, published)
    # Cells are empty in some rows, which would make counts floating-point numbers.
    frame = pd.DataFrame(rows)
    counts = [name for name in frame if name == "frames" or str(name).startswith("runs_")]
    return frame.astype(dict.fromkeys(counts, "Int64"))


def _published_figures(method: PublishedMethod, published: PublishedTable) -> Iterable[dict[str, object]]:
    means = {
        "mean_recomputed": method.mean_cm(published.sequences),
        "mean_printed": method.printed_mean_cm,
    }
    row = {
        "figures": "published",
        "method": method.name,
        "input": method.input,
        "alignment": method.alignment.value if method.alignment else None,
        "ground_truth_is_input": method.ground_truth_is_input,
        "source": "; ".join(method.sources),
    }
    for sequence, value in method.ate_cm.items():
        of_sequence = {"sequence": sequence, "frames": published.frames.get(sequence)}
        yield row | of_sequence | {"kind": "per_sequence", "ate_m": _metres(value)}
    for kind, mean in means.items():
        if mean is not None:
            yield row | {"kind": kind, "ate_m": _metres(mean)}


def _metres(value: Decimal) -> float:
    return float(value / int(CENTIMETRES_PER_METRE))


def _measured_figures(measured: Measured, published: PublishedTable) -> Iterable[dict[str, object]]:
    row = {
        "figures": "measured",
        "method": measured.contender.label,
        "perception": measured.perception,
        "input": measured.input,
        "alignment": measured.alignment.value if measured.alignment else None,
        "ground_truth_is_input": measured.ground_truth_is_input,
    }
    for sequence, group in measured.groups.items():
        yield row | {
            "sequence": sequence,
            "frames": group.figures().frames,
            "kind": "per_sequence",
            "ate_m": median_figure(group, measured.ate),
            "coverage": median_figure(group, coverage),
            **{f"runs_{status.value}": len(group.with_status(status)) for status in Status},
        }
    mean = measured.mean(published.sequences)
    if mean is not None:
        yield row | {"kind": "mean_recomputed", "ate_m": mean}
