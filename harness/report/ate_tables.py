"""The tables of the absolute trajectory error, one per alignment: contenders across, sequences down."""

from collections.abc import Callable

from harness.comparability import Difference, differences
from harness.record import Alignment, Status
from harness.report.comparison import Comparison, Group, Trial, primary_ate
from harness.report.scores import (
    ate_summary,
    centimetres,
    coverage,
    median_figure,
    partial_values,
    per_cent,
    spread,
    summarise_figures,
)
from harness.report.table import GROUND_TRUTH_MARK, MISSING, Cell, Table, text_cells


def main_tables(comparison: Comparison) -> list[Table]:
    """One table per alignment that occurs: sequences and perception modules down, contenders across."""
    rows: dict[Alignment, list[tuple[str, str]]] = {}
    occurring = {group.alignment for group in comparison.groups}
    first = next((alignment for alignment in Alignment if alignment in occurring), Alignment.SE3)
    for row in sorted({(group.sequence, group.perception) for group in comparison.groups}):
        known = {
            group.alignment
            for group in comparison.groups
            if (group.sequence, group.perception) == row and group.alignment is not None
        }
        # A row in which no trial came far enough to have an alignment is shown all the same, once.
        for alignment in known or {first}:
            rows.setdefault(alignment, []).append(row)
    return [
        _main_table(comparison, alignment, rows[alignment]) for alignment in Alignment if alignment in rows
    ]


def _main_table(comparison: Comparison, alignment: Alignment, rows: list[tuple[str, str]]) -> Table:
    groups = {
        (group.sequence, group.perception, group.contender): group
        for group in comparison.groups
        if group.alignment in (alignment, None) and (group.sequence, group.perception) in rows
    }
    contenders = [each for each in comparison.contenders if any(key[2] == each for key in groups)]
    of_rows = {row: [groups.get((*row, each)) for each in contenders] for row in rows}
    obstacles = {row: _obstacles(of_row) for row, of_row in of_rows.items()}
    body = [_main_row(*row, of_row, bool(obstacles[row])) for row, of_row in of_rows.items()]
    for perception in comparison.perceptions:
        names = [sequence for sequence, of_row in rows if of_row == perception]
        if len(names) > 1:
            columns = [[groups.get((name, perception, each)) for name in names] for each in contenders]
            body.append(_mean_row(perception, columns))
    headings = (heading for each in contenders for heading in (f"{each.label} [cm]", "cov. [%]"))
    return Table(
        name=f"ate_{alignment.value}",
        caption=(
            f"ATE after {alignment.label} alignment, RMSE of the translation in cm: median over "
            "the ok runs, in brackets the smallest and the largest, and coverage (cov.). Bold: the best of "
            "its row among backends of which every run is ok, where they can be compared. Means only of "
            "backends that are ok on every run of every sequence."
        ),
        columns=("sequence", "perception", *headings),
        rows=tuple(body),
        notes=tuple(
            f"{sequence} with perception {perception} cannot be compared: {'; '.join(found)}."
            for (sequence, perception), found in obstacles.items()
            if found
        ),
    )


def _obstacles(groups: list[Group | None]) -> list[str]:
    """What keeps the errors in a row from being compared, in words; ground truth as input has its mark."""
    shown = [
        group
        for group in groups
        if group
        and not group.ground_truth_is_input
        and any(primary_ate(trial) is not None for trial in group.trials)
    ]
    return [_in_words(each, shown) for each in differences([group.figures() for group in shown])]


def _in_words(difference: Difference, groups: list[Group]) -> str:
    if difference.values is None:
        return difference.what
    labels: dict[object, list[str]] = {}
    for value, group in zip(difference.values, groups, strict=True):
        labels.setdefault(value, []).append(group.contender.label)
    of_values = (f"{value} for {' and '.join(names)}" for value, names in labels.items())
    return f"the {difference.what} is {', '.join(of_values)}"


def _main_row(
    sequence: str, perception: str, groups: list[Group | None], has_obstacles: bool
) -> tuple[Cell, ...]:
    best = _best(groups)
    cells = list(text_cells(sequence, perception))
    for group in groups:
        is_best = group is not None and group is best
        cells += [ate_cell(group, best=is_best, show_frames=has_obstacles), _coverage_cell(group)]
    return tuple(cells)


def _best(groups: list[Group | None]) -> Group | None:
    """The group of smallest median, if there are two to compare; ground truth as input never wins."""
    candidates = [
        (summary.median, number, group)
        for number, group in enumerate(groups)
        if group and group.complete and not group.ground_truth_is_input and (summary := ate_summary(group))
    ]
    if len(candidates) < 2 or differences([group.figures() for _, _, group in candidates]):
        return None
    return min(candidates)[2]


def ate_cell(
    group: Group | None,
    *,
    best: bool = False,
    show_frames: bool = False,
    figure: Callable[[Trial], float | None] = primary_ate,
) -> Cell:
    """The errors of a group with their spread, or the states it ended in where there are none.

    Args:
        group: None where there was no such trial.
        best: It is the best of its row.
        show_frames: Its number of frames must be known to read it.
        figure: Which error, metres.
    """
    if group is None:
        return Cell(MISSING, muted=True)
    mark = GROUND_TRUTH_MARK if group.ground_truth_is_input else ""
    summary = summarise_figures(group, figure)
    partial = partial_values(group, lambda trial: centimetres(figure(trial)))
    if summary is None:
        return Cell(f"{partial}{mark}" if partial else _states(group), muted=True)
    details = [spread(summary, centimetres)]
    if not group.complete:
        details.append(f"{len(group.ranked)} of {len(group.trials)} runs")
    if show_frames:
        details.append(f"{group.figures().frames} frames")
    details.append(partial)
    return Cell(f"{centimetres(summary.median)}{mark}", "; ".join(filter(None, details)), best=best)


def _coverage_cell(group: Group | None) -> Cell:
    if group is None:
        return Cell(MISSING, muted=True)
    partial = partial_values(group, lambda trial: per_cent(coverage(trial)))
    median = median_figure(group, coverage)
    if median is None:
        return Cell(partial or MISSING, muted=True)
    return Cell(per_cent(median), partial)


def _states(group: Group) -> str:
    counts = ((status.value, len(group.with_status(status))) for status in Status)
    present = [(name, count) for name, count in counts if count]
    if len(present) == 1:
        return present[0][0]
    return ", ".join(f"{count} {name}" for name, count in present)


def _mean_row(perception: str, columns: list[list[Group | None]]) -> tuple[Cell, ...]:
    """Means over sequences, of contenders that are complete on all of them."""
    cells = list(text_cells("mean of medians", perception))
    for groups in columns:
        present = [group for group in groups if group is not None and group.complete]
        medians = [summary.median for group in present if (summary := ate_summary(group))]
        coverages = [value for group in present if (value := median_figure(group, coverage)) is not None]
        if len(medians) < len(groups):
            cells += [Cell(MISSING, muted=True)] * 2
            continue
        mark = GROUND_TRUTH_MARK if any(group.ground_truth_is_input for group in present) else ""
        cells.append(Cell(f"{centimetres(sum(medians) / len(medians))}{mark}"))
        cells.append(Cell(per_cent(sum(coverages) / len(coverages))))
    return tuple(cells)
