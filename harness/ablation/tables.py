"""The table of an ablation, as people read it and as numbers."""

from collections.abc import Mapping
from dataclasses import replace

from harness.ablation.comparison import Change, Step, backend_milliseconds, mean_changes
from harness.ablation.variants import Ablation
from harness.record import Status, count_words
from harness.report.comparison import primary_ate
from harness.report.scores import (
    ate_summary,
    centimetres,
    coverage,
    live_ate,
    median_figure,
    partial_values,
    per_cent,
    spread,
)
from harness.report.table import GROUND_TRUTH_MARK, MISSING, Cell, Table, text_cells

_TEXT_COLUMNS = ("sequence", "perception", "variant", "states", "alignment")
_NOTHING = Cell(MISSING, muted=True)


def ablation_table(ablation: Ablation, rows: list[list[Step]]) -> Table:
    """One row per sequence, perception module and variant; then the means over sequences, if several."""
    cells = [_row(step) for steps in rows for step in steps]
    for perception in sorted({steps[0].group.perception for steps in rows}):
        of_perception = [steps for steps in rows if steps[0].group.perception == perception]
        if len(of_perception) > 1:
            means = mean_changes(of_perception)
            cells += [_mean_row(perception, name, change) for name, change in means.items()]
    table = Table(
        name="ablation",
        caption=(
            f"What the parts of {ablation.backend} contribute: every variant adds to the one above it. ATE: "
            "RMSE of the translation, median over the ok runs, in brackets the smallest and the largest; "
            "live: of the poses as they were known frame by frame; time: the backend's own per frame. "
            "Changes are factors against the variant above, and only between variants of which every run "
            "is ok: below 1, the error got smaller or the time shorter."
        ),
        columns=(
            *(*_TEXT_COLUMNS, "ATE [cm]", "ATE change", "coverage [%]", "live ATE [cm]"),
            *("time [ms]", "time change"),
        ),
        rows=tuple(cells),
        text_columns=len(_TEXT_COLUMNS),
        notes=tuple(f"{each.name}: {_options(each.options)}." for each in ablation.variants),
    )
    return _without_column(_without_column(table, "perception"), "alignment")


def _without_column(table: Table, heading: str) -> Table:
    """The table without a column that says the same in every row; its caption says it instead."""
    number = table.columns.index(heading)
    values = {row[number].text for row in table.rows} - {""}
    if len(values) > 1:
        return table
    return replace(
        table,
        caption=f"{table.caption} In all rows, {heading}: {values.pop()}.",
        columns=table.columns[:number] + table.columns[number + 1 :],
        rows=tuple(row[:number] + row[number + 1 :] for row in table.rows),
        text_columns=table.text_columns - 1,
    )


def ablation_figures(rows: list[list[Step]]) -> list[dict[str, object]]:
    """The same as plain values: metres, milliseconds, ratios; None where there is none."""
    return [_figures(step) for steps in rows for step in steps]


def _row(step: Step) -> tuple[Cell, ...]:
    group, change = step.group, step.change
    summary = ate_summary(group)
    mark = GROUND_TRUTH_MARK if group.ground_truth_is_input else ""
    partial = partial_values(group, lambda trial: centimetres(primary_ate(trial)))
    if summary is None:
        ate = Cell(partial + mark, muted=True) if partial else _NOTHING
    else:
        details = filter(None, (spread(summary, centimetres), partial))
        ate = Cell(centimetres(summary.median) + mark, "; ".join(details))
    milliseconds = median_figure(group, backend_milliseconds)
    return (
        *text_cells(
            group.sequence,
            group.perception,
            step.variant,
            count_words(trial.record.status for trial in group.trials),
            group.alignment.label if group.alignment else MISSING,
        ),
        ate,
        _error_change(change),
        _median_or_partial(
            per_cent(median_figure(group, coverage)),
            partial_values(group, lambda trial: per_cent(coverage(trial))),
        ),
        Cell(centimetres(median_figure(group, live_ate))),
        _NOTHING if milliseconds is None else Cell(f"{milliseconds:.1f}"),
        _factor(change.milliseconds if change else None),
    )


def _mean_row(perception: str, variant: str, change: Change) -> tuple[Cell, ...]:
    text = text_cells("geometric mean", perception, variant, "", "")
    return (*text, Cell(""), _factor(change.ate), *(Cell(""),) * 3, _factor(change.milliseconds))


def _error_change(change: Change | None) -> Cell:
    cell = _factor(change.ate if change else None)
    return Cell(cell.text, "may be chance", muted=True) if change and change.may_be_chance else cell


def _factor(value: float | None) -> Cell:
    return _NOTHING if value is None else Cell(f"×{value:.2f}")


def _median_or_partial(median: str, partial: str) -> Cell:
    return Cell(partial or MISSING, muted=True) if median == MISSING else Cell(median, partial)


def _options(options: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items()) or "as it is"


def _figures(step: Step) -> dict[str, object]:
    group, change = step.group, step.change or Change(None, None)
    summary = ate_summary(group)
    return {
        "sequence": group.sequence,
        "perception": group.perception,
        "variant": step.variant,
        **{f"runs_{status.value}": len(group.with_status(status)) for status in Status},
        "alignment": group.alignment.value if group.alignment else None,
        "ground_truth_is_input": group.ground_truth_is_input,
        "ate_median_m": summary.median if summary else None,
        "ate_min_m": summary.minimum if summary else None,
        "ate_max_m": summary.maximum if summary else None,
        "ate_factor": change.ate,
        "ate_factor_p": change.p,
        "coverage_median": median_figure(group, coverage),
        "live_ate_median_m": median_figure(group, live_ate),
        "backend_ms_median": median_figure(group, backend_milliseconds),
        "backend_ms_factor": change.milliseconds,
    }
