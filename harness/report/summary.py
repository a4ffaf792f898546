"""What stands at the top of a report: what was compared, and a sentence per contender made of figures."""

from harness.record import Alignment, Status
from harness.report.comparison import Comparison, Contender, Group, Trial
from harness.report.scores import (
    ate_summary,
    centimetres,
    coverage,
    median_figure,
    per_cent,
)
from harness.statistics import Summary


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
        _clause(perception, alignment.label, members)
        for perception in comparison.perceptions
        for alignment in Alignment
        if (members := _scored(groups, perception, alignment))
    ]
    if any(group.ground_truth_is_input for group in groups):
        clauses.append("ground truth is part of its input")
    return "; ".join([f"{_counted(len(trials), 'trial')}, {counts}", *clauses]) + "."


def _scored(groups: list[Group], perception: str, alignment: Alignment) -> list[tuple[Group, Summary]]:
    """The groups of one table's rows that have an ok run, with their errors."""
    return [
        (group, summary)
        for group in groups
        if group.perception == perception and group.alignment is alignment and (summary := ate_summary(group))
    ]


def _clause(perception: str, alignment: str, members: list[tuple[Group, Summary]]) -> str:
    medians = [summary.median for _, summary in members]
    if len(medians) == 1:
        text = f"a median {alignment} ATE of {centimetres(medians[0])} cm on {members[0][0].sequence}"
    else:
        low, high = centimetres(min(medians)), centimetres(max(medians))
        text = f"median {alignment} ATEs from {low} to {high} cm over {len(medians)} sequences"
    incomplete = [group.sequence for group, _ in members if not group.complete]
    if incomplete:
        text += f" (of the ok runs; not every run is ok on {_listed(incomplete)})"
    coverages = [value for group, _ in members if (value := median_figure(group, coverage)) is not None]
    text += f", coverage {'' if len(set(coverages)) == 1 else 'at least '}{per_cent(min(coverages))} %"
    speeds = [value for group, _ in members if (value := median_figure(group, _speed)) is not None]
    if speeds:
        text += f", {min(speeds):.1f} frames a second" + (" at the slowest" if len(speeds) > 1 else "")
    return f"with perception {perception} {text}"


def _speed(trial: Trial) -> float | None:
    return trial.record.timings.frames_per_second
