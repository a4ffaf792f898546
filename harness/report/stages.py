"""What backends say of their own work: time per stage, loops closed, frames lost."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.report.comparison import Comparison, Group, Trial
from harness.report.scores import median_figure
from harness.report.table import MISSING, Cell, Table, text_cells

#: Statistics that are shown where a backend has them, by heading.
_COUNTS = {
    "keyframes": "keyframes",
    "frames lost": "frames_lost",
    "frames interpolated": "frames_interpolated",
    "loops accepted": "loop_closures_accepted",
    "loops rejected": "loop_closures_rejected",
}


@dataclass(frozen=True)
class _StageTimes:
    """How long a stage takes, milliseconds, median over the ok runs."""

    median: float
    p95: float | None
    count: float | None


def stages_table(comparison: Comparison) -> Table | None:
    """Median and 95th percentile of every stage, stages across; None where no backend tells them."""
    times = {number: _stages(group) for number, group in enumerate(comparison.groups)}
    stages = list(dict.fromkeys(stage for of_group in times.values() for stage in of_group))
    if not stages:
        return None
    rows = []
    for number, group in enumerate(comparison.groups):
        if times[number]:
            cells = (_stage_cell(times[number].get(stage)) for stage in stages)
            rows.append((*text_cells(group.sequence, group.perception, group.contender.label), *cells))
    return Table(
        name="stages",
        caption=(
            "Time per call of the stages of a backend in ms, as it measured them itself: median and in "
            "brackets the 95th percentile; of several ok runs the median of each. Stages that work at the "
            "same time or within each other do not add up."
        ),
        columns=("sequence", "perception", "backend", *stages),
        rows=tuple(rows),
        text_columns=3,
    )


def stages_frame(comparison: Comparison) -> pd.DataFrame:
    """The same as numbers, one row per group and stage, with how often the stage ran."""
    return pd.DataFrame(
        [
            {
                "experiment": " ".join(sorted({trial.experiment for trial in group.trials})),
                "sequence": group.sequence,
                "perception": group.perception,
                "backend": group.contender.backend,
                "stage": stage,
                "median_ms": times.median,
                "p95_ms": times.p95,
                "count": times.count,
            }
            for group in comparison.groups
            for stage, times in _stages(group).items()
        ]
    )


def counts_table(comparison: Comparison) -> Table | None:
    """Keyframes, lost frames and loops of backends that count them; None where none does."""
    rows = []
    for group in comparison.groups:
        values = [median_figure(group, _statistic(name)) for name in _COUNTS.values()]
        if any(value is not None for value in values):
            cells = (Cell(MISSING, muted=True) if value is None else Cell(f"{value:g}") for value in values)
            rows.append((*text_cells(group.sequence, group.perception, group.contender.label), *cells))
    if not rows:
        return None
    return Table(
        name="counts",
        caption="What backends counted, medians over the ok runs.",
        columns=("sequence", "perception", "backend", *_COUNTS),
        rows=tuple(rows),
        text_columns=3,
    )


def _stage_cell(times: _StageTimes | None) -> Cell:
    if times is None:
        return Cell(MISSING, muted=True)
    return Cell(f"{times.median:.1f}", "" if times.p95 is None else f"{times.p95:.1f}")


def _stages(group: Group) -> dict[str, _StageTimes]:
    names: dict[str, None] = {}
    for trial in group.ranked:
        stage_ms = _statistics(trial).get("stage_ms")
        if isinstance(stage_ms, dict):
            names |= dict.fromkeys(str(name) for name in stage_ms)
    found = {}
    for name in names:
        median = median_figure(group, _stage_figure(name, "median"))
        if median is not None:
            p95, count = (median_figure(group, _stage_figure(name, what)) for what in ("p95", "count"))
            found[name] = _StageTimes(median, p95, count)
    return found


def _stage_figure(stage: str, what: str) -> Callable[[Trial], float | None]:
    """Read one figure of a stage; whatever is not of the expected form is passed over."""

    def read(trial: Trial) -> float | None:
        stage_ms = _statistics(trial).get("stage_ms")
        of_stage = stage_ms.get(stage) if isinstance(stage_ms, dict) else None
        return _number(of_stage.get(what)) if isinstance(of_stage, dict) else None

    return read


def _statistic(name: str) -> Callable[[Trial], float | None]:
    return lambda trial: _number(_statistics(trial).get(name))


def _statistics(trial: Trial) -> dict[str, Any]:
    statistics = trial.record.backend.get("statistics")
    return statistics if isinstance(statistics, dict) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
