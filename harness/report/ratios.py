"""How the error and the speed of every contender relate to those of the first."""

from math import exp, fsum, log

from harness.comparability import differences
from harness.report.comparison import Comparison, Contender, Group, Trial
from harness.report.scores import ate_summary, median_figure
from harness.report.table import MISSING, Cell, Table, text_cells

Ratios = tuple[float | None, float | None]

_NONE: Ratios = (None, None)


def reference_contender(comparison: Comparison) -> Contender:
    """The one that the others are compared with: the first backend that the user named, else by name."""
    contenders = comparison.contenders
    for _, experiment in comparison.experiments:
        for backend in experiment.configuration().backends:
            named = [each for each in contenders if each.backend == backend]
            if named:
                return named[0]
    return contenders[0]


def ratios_table(comparison: Comparison) -> Table | None:
    """Ratio of the medians of ATE and speed to the reference's; None for a single contender.

    Raises:
        ResultsError: A configuration is damaged or of another version.
    """
    reference = reference_contender(comparison)
    groups = {(group.sequence, group.perception, group.contender): group for group in comparison.groups}
    others = [
        contender
        for contender in comparison.contenders
        if contender != reference
        and any(
            _ratios(group, groups.get((group.sequence, group.perception, reference))) != _NONE
            for group in comparison.of_contender(contender)
        )
    ]
    rows: list[tuple[Cell, ...]] = []
    for perception in comparison.perceptions:
        of_rows: list[list[Ratios]] = []
        for sequence in comparison.sequences:
            base = groups.get((sequence, perception, reference))
            ratios = [_ratios(groups.get((sequence, perception, each)), base) for each in others]
            if any(pair != _NONE for pair in ratios):
                of_rows.append(ratios)
                rows.append(_row(sequence, perception, ratios))
        if len(of_rows) > 1:
            rows.append(
                _row("geometric mean", perception, [_means(column) for column in zip(*of_rows, strict=True)])
            )
    if not rows:
        return None
    return Table(
        name="ratios",
        caption=(
            f"In relation to {reference.label}: medians over the ok runs divided by those of "
            f"{reference.label}. ATE below 1: smaller error; speed above 1: more frames a second. Only of "
            "backends of which every run is ok, where they can be compared."
        ),
        columns=(
            *("sequence", "perception"),
            *(f"{each.label} {what}" for each in others for what in ("ATE", "speed")),
        ),
        rows=tuple(rows),
    )


def _ratios(group: Group | None, base: Group | None) -> Ratios:
    """Of ATE and speed; None where there is nothing to compare or something forbids it."""
    if group is None or base is None or not (group.complete and base.complete):
        return _NONE
    if differences([group.figures(), base.figures()]):
        return _NONE
    own, other = ate_summary(group), ate_summary(base)
    ate = own.median / other.median if own and other and other.median else None
    speeds = median_figure(group, _speed), median_figure(base, _speed)
    return ate, speeds[0] / speeds[1] if speeds[0] is not None and speeds[1] else None


def _speed(trial: Trial) -> float | None:
    return trial.record.timings.frames_per_second


def _means(ratios: tuple[Ratios, ...]) -> Ratios:
    """Geometric means over sequences, of contenders that have a ratio on all of them."""
    ate, speed = (_geometric_mean([pair[number] for pair in ratios]) for number in (0, 1))
    return ate, speed


def _geometric_mean(values: list[float | None]) -> float | None:
    present = [value for value in values if value]
    return exp(fsum(map(log, present)) / len(present)) if len(present) == len(values) else None


def _row(sequence: str, perception: str, ratios: list[Ratios]) -> tuple[Cell, ...]:
    cells = (
        Cell(MISSING, muted=True) if value is None else Cell(f"{value:.2f}")
        for pair in ratios
        for value in pair
    )
    return (*text_cells(sequence, perception), *cells)
