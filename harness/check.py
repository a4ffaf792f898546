"""Whether an experiment got better or worse than a baseline, group by group, with figures and significance.

A group is all runs of one sequence, perception module and backend. "Worse" and "better" need both a factor
and significance, as in the regression detection of airspeed velocity; states that are no figures (failed,
missing, no longer complete) need neither.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from harness.baseline import Baseline, GroupFigures, group_figures
from harness.comparability import differences
from harness.errors import ConfigurationError
from harness.record import RunRecord, Status
from harness.statistics import Alternative, can_be_significant, is_significant, one_sided_p, runs_needed

# A drop of 5 % of the frames, computed as 1.0 - 0.95, must not count as more than 0.05.
_ROUNDING = 1e-9


class Verdict(StrEnum):
    """What became of a group since the baseline, worst first.

    ``failed``: more of its runs failed. ``missing``: it was not run. ``worse``: it ran and its figures are
    significantly worse. ``inconclusive``: its figures cannot be compared, or are worse in too few runs to
    tell. ``new``: the baseline does not have it.
    """

    FAILED = "failed"
    MISSING = "missing"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"
    NEW = "new"
    BETTER = "better"
    OK = "ok"


SEVERITY = {verdict: place for place, verdict in enumerate(Verdict)}
PASSING = frozenset({Verdict.OK, Verdict.BETTER, Verdict.NEW})


@dataclass(frozen=True)
class CheckLimits:
    """How much a figure may change before it counts.

    Attributes:
        factor: Ratio of the median ATEs, above 1.
        coverage_drop: Difference of the median coverages, 0 to 1.
        negligible_ate_m: Differences of the median ATEs up to this many metres never count: between two
            nearly perfect trajectories any ratio is noise.

    Raises:
        ConfigurationError: A limit lies outside its range.
    """

    factor: float = 1.25
    coverage_drop: float = 0.05
    negligible_ate_m: float = 1e-4

    def __post_init__(self) -> None:
        if not 1 < self.factor < math.inf:
            raise ConfigurationError(f"the factor must be above 1, such as 1.25; got {self.factor:g}")
        if not 0 <= self.coverage_drop < 1:
            raise ConfigurationError(f"the coverage drop must lie in 0 to 1; got {self.coverage_drop:g}")
        if not self.negligible_ate_m >= 0:
            raise ConfigurationError(
                f"the negligible ATE must not be negative; got {self.negligible_ate_m:g}"
            )


@dataclass(frozen=True)
class GroupVerdict:
    """The verdict on one group.

    Attributes:
        verdict: What became of it.
        explanation: Why, in one sentence with figures.
        now: Its figures in the experiment; None when it is not there.
        then: Its figures in the baseline; None when it is new.
    """

    sequence: str
    perception: str
    backend: str
    verdict: Verdict
    explanation: str
    now: GroupFigures | None
    then: GroupFigures | None


@dataclass(frozen=True)
class CheckResult:
    """All verdicts of a check, worst first."""

    baseline: str
    limits: CheckLimits
    groups: tuple[GroupVerdict, ...]

    @property
    def compared(self) -> int:
        """Groups with scored runs on both sides. A check that compared none has shown nothing."""
        return sum(
            group.now is not None
            and group.then is not None
            and bool(group.now.coverage and group.then.coverage)
            for group in self.groups
        )

    @property
    def passed(self) -> bool:
        """Whether something was compared and nothing is worse, failed, missing or inconclusive."""
        return self.compared > 0 and all(group.verdict in PASSING for group in self.groups)


def check(records: Iterable[RunRecord], baseline: Baseline, limits: CheckLimits | None = None) -> CheckResult:
    """Compare every group of an experiment with a baseline.

    Args:
        records: All records of the experiment.
        baseline: What to compare with.
        limits: What counts as a change; the defaults if None.
    """
    limits = limits or CheckLimits()
    now = {figures.group: figures for figures in group_figures(records)}
    then = {figures.group: figures for figures in baseline.groups}
    verdicts = []
    for group in sorted(now.keys() | then.keys()):
        finding = _judge(now.get(group), then.get(group), limits)
        verdicts.append(
            GroupVerdict(*group, finding.verdict, finding.explanation, now.get(group), then.get(group))
        )
    verdicts.sort(key=lambda verdict: SEVERITY[verdict.verdict])
    return CheckResult(baseline.name, limits, tuple(verdicts))


@dataclass(frozen=True)
class _Finding:
    verdict: Verdict
    explanation: str


def _judge(now: GroupFigures | None, then: GroupFigures | None, limits: CheckLimits) -> _Finding:
    if then is None:
        return _Finding(Verdict.NEW, "not in the baseline")
    if now is None:
        return _Finding(Verdict.MISSING, "in the baseline, not in this experiment")
    states: tuple[Callable[[GroupFigures, GroupFigures], _Finding | None], ...] = (
        _judge_presence,
        _judge_failures,
        _judge_comparability,
        _judge_completeness,
    )
    for judge in states:
        if finding := judge(now, then):
            return finding
    findings = [_judge_coverage(now, then, limits)]
    if now.ate_rmse_m and then.ate_rmse_m:
        findings.insert(0, _judge_ate(now, then, limits))
    verdict = min((finding.verdict for finding in findings), key=SEVERITY.__getitem__)
    return _Finding(verdict, "; ".join(found.explanation for found in findings if found.verdict is verdict))


def _judge_presence(now: GroupFigures, then: GroupFigures) -> _Finding | None:
    if now.attempted:
        return None
    return _Finding(Verdict.MISSING, f"skipped: {'; '.join(now.reasons) or 'no reason given'}")


def _judge_failures(now: GroupFigures, then: GroupFigures) -> _Finding | None:
    failed = f"{now.count(Status.FAILED)} of {_runs(now.attempted)} failed"
    against = f"{then.count(Status.FAILED)} of {then.attempted} in the baseline"
    if now.share(Status.FAILED) > then.share(Status.FAILED):
        reasons = f": {'; '.join(now.reasons)}" if now.reasons else ""
        return _Finding(Verdict.FAILED, f"{failed}, {against}{reasons}")
    if then.share(Status.FAILED) == 1:
        verdict = Verdict.OK if now.share(Status.FAILED) == 1 else Verdict.BETTER
        return _Finding(verdict, f"{failed}, {against}")
    return None


def _judge_comparability(now: GroupFigures, then: GroupFigures) -> _Finding | None:
    found = [
        f"{each.what} is {each.values[0]}, was {each.values[1]}" if each.values else each.what
        for each in differences([now, then])
    ]
    if not found:
        return None
    return _Finding(Verdict.INCONCLUSIVE, f"not comparable with the baseline: {', '.join(found)}")


def _judge_completeness(now: GroupFigures, then: GroupFigures) -> _Finding | None:
    """When most runs became partial, or complete, that is the news whatever the errors of the others say."""
    if not now.coverage or not then.coverage:
        return _Finding(Verdict.INCONCLUSIVE, "no run was scored here or in the baseline")
    coverage = _coverage_text(now, then)
    if then.mostly_complete and not now.mostly_complete:
        return _Finding(
            Verdict.WORSE, f"most runs were complete and are not now: {coverage}; ATE not compared"
        )
    if now.mostly_complete and not then.mostly_complete:
        return _Finding(Verdict.BETTER, f"most runs are complete and were not: {coverage}")
    return None


def _judge_coverage(now: GroupFigures, then: GroupFigures, limits: CheckLimits) -> _Finding:
    drop = float(np.median(then.coverage) - np.median(now.coverage))
    text = _coverage_text(now, then)
    if abs(drop) <= limits.coverage_drop + _ROUNDING:
        return _Finding(Verdict.OK, text)
    text += f", limit {100 * limits.coverage_drop:g} points"
    change = _Change(now.coverage, then.coverage, now.deterministic and then.deterministic)
    return _weigh(change, drop > 0, Alternative.LESS if drop > 0 else Alternative.GREATER, text)


def _judge_ate(now: GroupFigures, then: GroupFigures, limits: CheckLimits) -> _Finding:
    median, median_then = float(np.median(now.ate_rmse_m)), float(np.median(then.ate_rmse_m))
    ratio = median / median_then if median_then > 0 else math.inf
    name = now.alignment.label if now.alignment else ""
    text = f"ATE {name} median {100 * median:.2f} cm against {100 * median_then:.2f} cm: {ratio:.2f} times"
    if abs(median - median_then) <= limits.negligible_ate_m or 1 / limits.factor <= ratio <= limits.factor:
        return _Finding(Verdict.OK, text)
    is_worse = ratio > 1
    text += f", limit {limits.factor:g}"
    change = _Change(now.ate_rmse_m, then.ate_rmse_m, now.deterministic and then.deterministic)
    return _weigh(change, is_worse, Alternative.GREATER if is_worse else Alternative.LESS, text)


@dataclass(frozen=True)
class _Change:
    """One figure per run on both sides."""

    now: Sequence[float]
    then: Sequence[float]
    deterministic: bool

    def repeats_exactly(self) -> bool:
        """Whether every run gave the same bits, so that any difference is one of the systems."""
        return self.deterministic and len({*self.now}) == 1 and len({*self.then}) == 1


def _weigh(change: _Change, is_worse: bool, alternative: Alternative, text: str) -> _Finding:
    """Decide about a change that is beyond its limit: is it more than chance?"""
    verdict = Verdict.WORSE if is_worse else Verdict.BETTER
    if change.repeats_exactly():
        return _Finding(verdict, f"{text}, and the backend is deterministic")
    runs, runs_then = len(change.now), len(change.then)
    if not can_be_significant(runs, runs_then):
        if not is_worse:
            return _Finding(
                Verdict.OK, f"{text}, but {runs} against {_runs(runs_then)} cannot show that it is"
            )
        return _Finding(Verdict.INCONCLUSIVE, f"{text}, but {_too_few(runs, runs_then)}")
    p = one_sided_p(change.now, change.then, alternative)
    text += f", p = {p:.2g} over {runs} and {_runs(runs_then)}"
    return _Finding(verdict, text) if is_significant(p) else _Finding(Verdict.OK, f"{text}, not significant")


def _too_few(runs: int, runs_then: int) -> str:
    needed = runs_needed(runs_then)
    advice = f"repeat with --runs {needed}"
    enough = runs_needed()
    if needed > enough:
        advice = f"save the baseline from {enough} runs and repeat with --runs {enough}"
    return f"{_runs(runs)} against {_runs(runs_then)} cannot show whether that is chance; {advice}"


def _coverage_text(now: GroupFigures, then: GroupFigures) -> str:
    median, median_then = 100 * np.median(now.coverage), 100 * np.median(then.coverage)
    text = f"coverage median {median:.1f} % against {median_then:.1f} %"
    if partial := now.count(Status.PARTIAL):
        text += f" ({partial} of {_runs(now.attempted)} partial)"
    return text


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"
