"""Every figure behind the main tables: all scores per group, and the frames written as CSV."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from harness.record import Status, TrajectoryScores
from harness.report.comparison import Comparison, Group, Trial, primary_ate
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
from harness.statistics import Summary
from harness.store import trial_row


@dataclass(frozen=True)
class _Figure:
    """One column of the table of details."""

    heading: str
    text: Callable[[float | None], str]
    value: Callable[[Trial], float | None]


def _final(value: Callable[[TrajectoryScores], float | None]) -> Callable[[Trial], float | None]:
    """Read a figure of the final trajectory's scores, None where there are none."""

    def read(trial: Trial) -> float | None:
        evaluation = trial.record.evaluation
        return value(evaluation.final) if evaluation and evaluation.final else None

    return read


def _live_coverage(trial: Trial) -> float | None:
    return trial.record.evaluation.live_coverage if trial.record.evaluation else None


def _frames(trial: Trial) -> float | None:
    return trial.record.frames.in_sequence if trial.record.frames else None


def _frames_with_ground_truth(trial: Trial) -> float | None:
    return trial.record.evaluation.frames_with_ground_truth if trial.record.evaluation else None


def _number(decimals: int) -> Callable[[float | None], str]:
    return lambda value: MISSING if value is None else f"{value:.{decimals}f}"


_DETAILS = (
    _Figure("frames", _number(0), _frames),
    _Figure("with ground truth", _number(0), _frames_with_ground_truth),
    _Figure("coverage [%]", per_cent, coverage),
    _Figure("live ATE [cm]", centimetres, live_ate),
    _Figure("live coverage [%]", per_cent, _live_coverage),
    _Figure("ATE SE(3) [cm]", centimetres, _final(lambda scores: scores.ate_se3.rmse)),
    _Figure("ATE Sim(3) [cm]", centimetres, _final(lambda scores: scores.ate_sim3.rmse)),
    _Figure("Sim(3) scale", _number(4), _final(lambda scores: scores.sim3_scale)),
    _Figure("rotation [°]", _number(2), _final(lambda scores: scores.rotation_se3_deg.rmse)),
    _Figure(
        "RPE [cm]",
        centimetres,
        _final(lambda scores: scores.rpe_translation.rmse if scores.rpe_translation else None),
    ),
    _Figure(
        "RPE [°]",
        _number(2),
        _final(lambda scores: scores.rpe_rotation_deg.rmse if scores.rpe_rotation_deg else None),
    ),
)


def details_table(comparison: Comparison) -> Table:
    """Everything measured, one row per sequence, perception module and contender."""
    return Table(
        name="details",
        caption=(
            "All scores, medians over the ok runs. ATE and live ATE are by the alignment in the fourth "
            "column; live: the poses as they were known frame by frame. Interval: 95 % bootstrap interval of "
            "the median over runs. RPE: between consecutive poses."
        ),
        columns=(
            *("sequence", "perception", "backend", "alignment", "ok runs", "ATE [cm]", "min–max [cm]"),
            *("interval [cm]", *(figure.heading for figure in _DETAILS)),
        ),
        rows=tuple(_details_row(group) for group in comparison.groups),
        text_columns=4,
    )


def _details_row(group: Group) -> tuple[Cell, ...]:
    summary = ate_summary(group)
    mark = GROUND_TRUTH_MARK if group.ground_truth_is_input else ""
    partial = partial_values(group, lambda trial: centimetres(primary_ate(trial)))
    cells = list(
        text_cells(
            group.sequence,
            group.perception,
            f"{group.contender.label}{mark}",
            group.alignment.label if group.alignment else MISSING,
            f"{len(group.ranked)}/{len(group.trials)}",
            centimetres(summary.median) if summary else partial or MISSING,
            (spread(summary, centimetres) if summary else "") or MISSING,
            interval_text(summary),
        )
    )
    for figure in _DETAILS:
        partial = partial_values(group, lambda trial, figure=figure: figure.text(figure.value(trial)))  # type: ignore[misc]
        median = figure.text(median_figure(group, figure.value))
        cells.append(Cell(partial, muted=True) if partial and median == MISSING else Cell(median))
    return tuple(cells)


def interval_text(summary: Summary | None) -> str:
    """The bootstrap interval in centimetres."""
    if summary is None or summary.interval is None:
        return MISSING
    low, high = summary.interval
    return f"{centimetres(low)}–{centimetres(high)}"


def groups_frame(comparison: Comparison) -> pd.DataFrame:
    """One row per group for ``ate.csv``: counts, both alignments, spread, speed; metres and seconds."""
    return pd.DataFrame([_group_figures(group) for group in comparison.groups])


def _group_figures(group: Group) -> dict[str, object]:
    summary = ate_summary(group)
    experiments = sorted({trial.experiment for trial in group.trials})
    row: dict[str, object] = {
        "experiment": " ".join(experiments),
        "sequence": group.sequence,
        "perception": group.perception,
        "backend": group.contender.backend,
        "alignment": group.alignment.value if group.alignment else None,
        "ground_truth_is_input": group.ground_truth_is_input,
        **{f"runs_{status.value}": len(group.with_status(status)) for status in Status},
        "ate_median_m": summary.median if summary else None,
        "ate_min_m": summary.minimum if summary else None,
        "ate_max_m": summary.maximum if summary else None,
        "ate_interval_low_m": summary.interval[0] if summary and summary.interval else None,
        "ate_interval_high_m": summary.interval[1] if summary and summary.interval else None,
        "live_ate_median_m": median_figure(group, live_ate),
    }
    for column in _MEDIAN_COLUMNS:
        row[f"{column}_median"] = median_figure(group, lambda trial, column=column: _column(trial, column))  # type: ignore[misc]
    return row


_MEDIAN_COLUMNS = (
    "coverage",
    "ate_se3_rmse_m",
    "ate_sim3_rmse_m",
    "sim3_scale",
    "rpe_trans_rmse_m",
    "fps",
    "peak_memory_bytes",
)


def _column(trial: Trial, column: str) -> float | None:
    value = trial_row(trial.record)[column]
    return float(value) if isinstance(value, int | float) else None


def trials_frame(comparison: Comparison) -> pd.DataFrame:
    """Every trial of every experiment, the columns of ``trials.csv`` behind the experiment's label."""
    return pd.DataFrame(
        [{"experiment": trial.experiment, **trial_row(trial.record)} for trial in comparison.trials]
    )
