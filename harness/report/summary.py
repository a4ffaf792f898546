"""What stands at the top of a report: what was compared, and a sentence per contender made of figures."""

from harness.record import Alignment, Status
from harness.report.comparison import Comparison, Contender, Group, Trial
from harness.report.scores import (
    ALIGNMENT_NAMES,
    ate_summary,
    centimetres,
    coverage,
    median_figure,
    per_cent,
)
from harness.report.table import MISSING


def title(comparison: Comparison) -> str:
    """What was compared."""
    backends = sorted({contender.backend for contender in comparison.contenders})
    experiments = [label for label, _ in comparison.experiments]
    if len(experiments) > 1:
        return f"{_listed(backends)}: experiments {_listed(experiments)}"
    return f"{_listed(backends)} on {_counted(len(comparison.sequences), 'sequence')}"


def lead_sentence(comparison: Comparison) -> str:
    """Experiments, sequences, perception modules and number of trials in a sentence."""
    experiments = [label for label, _ in comparison.experiments]
    return (
        f"{'Experiment' if len(experiments) == 1 else 'Experiments'} {_listed(experiments)}: "
        f"{_counted(len(comparison.trials), 'trial')} on {_listed(comparison.sequences)} "
        f"with perception {_listed(comparison.perceptions)}."
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def contender_sentence(comparison: Comparison, contender: Contender) -> str:
    """What became of one contender's trials, and its errors, in a sentence made of its figures alone."""
    groups = comparison.of_contender(contender)
    trials = [trial for group in groups for trial in group.trials]
    counts = ", ".join(
        f"{count} {status.value}"
        for status in Status
        if (count := sum(trial.record.status is status for trial in trials))
    )
    clauses = [
        clause
        for perception in comparison.perceptions
        for alignment in Alignment
        if (
            clause := _clause(
                [each for each in groups if each.perception == perception and each.alignment is alignment]
            )
        )
    ]
    return "; ".join([f"{_counted(len(trials), 'trial')}, {counts}", *clauses]) + "."


def _clause(groups: list[Group]) -> str:
    summaries = [(group, summary) for group in groups if (summary := ate_summary(group))]
    if not summaries:
        return ""
    group, _ = summaries[0]
    alignment = ALIGNMENT_NAMES[group.alignment] if group.alignment else MISSING
    medians = [summary.median for _, summary in summaries]
    low, high = centimetres(min(medians)), centimetres(max(medians))
    if len(medians) == 1:
        text = f"with perception {group.perception} a median {alignment} ATE of {low} cm on {group.sequence}"
    else:
        text = (
            f"with perception {group.perception} median {alignment} ATEs from {low} to {high} cm "
            f"over {len(medians)} sequences"
        )
    coverages = [value for each, _ in summaries if (value := median_figure(each, coverage)) is not None]
    speeds = [value for each, _ in summaries if (value := median_figure(each, _speed)) is not None]
    text += f", coverage {'' if len(set(coverages)) == 1 else 'at least '}{per_cent(min(coverages))} %"
    if speeds:
        text += f", {min(speeds):.1f} frames a second" + (" at the slowest" if len(speeds) > 1 else "")
    return text


def _speed(trial: Trial) -> float | None:
    return trial.record.timings.frames_per_second
