"""What the variants of a backend came to, and how each changes the one before it."""

from dataclasses import dataclass

from scipy.stats import gmean

from harness.ablation.directory import AblationDirectory
from harness.comparability import differences
from harness.report.comparison import Group, Trial, load_comparison, primary_ate
from harness.report.scores import ate_summary, median_figure
from harness.statistics import Alternative, can_be_significant, is_significant, one_sided_p


@dataclass(frozen=True)
class Change:
    """A variant in relation to the one before it.

    Attributes:
        ate: Median error divided by that of the one before: below 1, the part helps.
        milliseconds: The same of the backend's time per frame: above 1, the part costs time.
        p: Probability of an error so much smaller or larger between runs that do not differ.
        too_few_runs: So few runs could not show any difference.
    """

    ate: float | None
    milliseconds: float | None
    p: float | None = None
    too_few_runs: bool = False

    @property
    def may_be_chance(self) -> bool:
        """The runs could have shown a difference of the errors and did not."""
        return self.p is not None and not self.too_few_runs and not is_significant(self.p)


@dataclass(frozen=True)
class Step:
    """One variant on one sequence.

    Attributes:
        variant: Its name.
        group: Its runs.
        change: Against the variant before it; None for the first one, and where runs that are not ``ok``, or
            unlike conditions, forbid to compare them.
    """

    variant: str
    group: Group
    change: Change | None


def load_steps(directory: AblationDirectory) -> list[list[Step]]:
    """Everything that has ended: per sequence and perception module, the variants in their order.

    Raises:
        ResultsError: A variant's experiment is missing or damaged, or no trial of it has ended.
    """
    rows: dict[tuple[str, str], list[Step]] = {}
    for variant in directory.ablation.variants:
        for group in load_comparison([directory.experiment(variant)]).groups:
            steps = rows.setdefault((group.sequence, group.perception), [])
            before = steps[-1].group if steps else None
            steps.append(Step(variant.name, group, _change(group, before)))
    return [rows[key] for key in sorted(rows)]


def mean_changes(rows: list[list[Step]]) -> dict[str, Change]:
    """Geometric means over sequences, by variant; of those that can be compared on every sequence."""
    means = {}
    for steps in zip(*rows, strict=True):
        changes = [step.change for step in steps]
        present = [change for change in changes if change is not None]
        if len(present) == len(changes):
            means[steps[0].variant] = Change(
                _mean([change.ate for change in present]),
                _mean([change.milliseconds for change in present]),
            )
    return means


def backend_milliseconds(trial: Trial) -> float | None:
    """Median time the backend spent on a frame."""
    return trial.record.timings.backend_ms_median


def _change(group: Group, before: Group | None) -> Change | None:
    if before is None or not (group.complete and before.complete):
        return None
    if differences([group.figures(), before.figures()]):
        return None
    now, then = ate_summary(group), ate_summary(before)
    milliseconds = _ratio(
        median_figure(group, backend_milliseconds), median_figure(before, backend_milliseconds)
    )
    ate = _ratio(now.median, then.median) if now and then else None
    if ate is None:
        return Change(None, milliseconds)
    errors, errors_before = (
        [error for trial in each.ranked if (error := primary_ate(trial)) is not None]
        for each in (group, before)
    )
    suspected = Alternative.GREATER if ate > 1 else Alternative.LESS
    return Change(
        ate,
        milliseconds,
        one_sided_p(errors, errors_before, suspected),
        too_few_runs=not can_be_significant(len(errors), len(errors_before)),
    )


def _ratio(now: float | None, then: float | None) -> float | None:
    return now / then if now is not None and then else None


def _mean(values: list[float | None]) -> float | None:
    present = [value for value in values if value]
    return float(gmean(present)) if len(present) == len(values) else None
