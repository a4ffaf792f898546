"""Figures of trials and groups as tables print them: medians over ranked runs, partial runs one by one."""

from collections.abc import Callable

from harness.record import Alignment, Status, TrajectoryScores
from harness.report.comparison import Group, Trial, primary_ate
from harness.report.table import MISSING, PARTIAL_MARK
from harness.statistics import Summary, summarise

CENTIMETRES_PER_METRE = 100.0


def centimetres(metres: float | None) -> str:
    """A length for a table, two decimals."""
    return MISSING if metres is None else f"{metres * CENTIMETRES_PER_METRE:.2f}"


def per_cent(ratio: float | None) -> str:
    """A ratio for a table; 100 without decimals only where nothing at all is missing."""
    if ratio is None:
        return MISSING
    return "100" if ratio == 1 else f"{min(100 * ratio, 99.9):.1f}"


def ate_summary(group: Group) -> Summary | None:
    """Statistics of the primary error over the ranked trials, metres; None without any."""
    return summarise_figures(group, primary_ate)


def summarise_figures(group: Group, figure: Callable[[Trial], float | None]) -> Summary | None:
    """Statistics of any figure over the ranked trials; None where no trial has it."""
    values = [value for trial in group.ranked if (value := figure(trial)) is not None]
    return summarise(values) if values else None


def median_figure(group: Group, figure: Callable[[Trial], float | None]) -> float | None:
    """Median of any figure over the ranked trials; None where no trial has it."""
    summary = summarise_figures(group, figure)
    return summary.median if summary else None


def coverage(trial: Trial) -> float | None:
    """Coverage of a trial."""
    return trial.record.evaluation.coverage if trial.record.evaluation else None


def ate_after(trial: Trial, alignment: Alignment) -> float | None:
    """RMSE of the final poses after one of the two alignments, metres."""
    if trial.record.evaluation is None or trial.record.evaluation.final is None:
        return None
    return _rmse(trial.record.evaluation.final, alignment)


def live_ate(trial: Trial) -> float | None:
    """RMSE of the live poses by the alignment that tables print, metres."""
    evaluation = trial.record.evaluation
    if evaluation is None or evaluation.live is None:
        return None
    return _rmse(evaluation.live, evaluation.primary_alignment)


def _rmse(scores: TrajectoryScores, alignment: Alignment) -> float:
    return (scores.ate_se3 if alignment is Alignment.SE3 else scores.ate_sim3).rmse


def partial_values(group: Group, text: Callable[[Trial], str]) -> str:
    """Figures of the partial trials one by one: a mean of them would mean nothing."""
    return ", ".join(f"{text(trial)}{PARTIAL_MARK}" for trial in group.with_status(Status.PARTIAL))


def spread(summary: Summary, text: Callable[[float], str]) -> str:
    """Smallest and largest value; empty for a single run."""
    return f"{text(summary.minimum)}–{text(summary.maximum)}" if summary.n > 1 else ""
