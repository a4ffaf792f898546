"""Statistics over repeated runs: summaries with honest intervals, and whether two sets of runs differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import stats

SIGNIFICANCE_LEVEL = 0.05

_CONFIDENCE_LEVEL = 0.95
_RESAMPLES = 9999
# 3 runs against 3 give p = 1/20 exactly; rounding must not push it above the level.
_ROUNDING = 1e-12


class Alternative(StrEnum):
    """What a one-sided test looks for in its first sample, compared with its second."""

    GREATER = "greater"
    LESS = "less"


@dataclass(frozen=True)
class Summary:
    """One figure over repeated runs, in the unit of the figure.

    Attributes:
        n: How many runs there were.
        median: Their median.
        minimum: The smallest.
        maximum: The largest.
        interval: 95 % bootstrap interval of the median; None for a single run, which says nothing of spread.
    """

    n: int
    median: float
    minimum: float
    maximum: float
    interval: tuple[float, float] | None


def summarise(values: Sequence[float], seed: int = 0) -> Summary:
    """Summarise runs.

    The interval is the percentile bootstrap of the median (Efron, "Bootstrap Methods", Annals of Statistics
    7(1), 1979). With fewer than about five runs it is little more than the range of the values.

    Args:
        values: One finite figure per run.
        seed: Of the resampling; the same values and seed give the same interval.

    Raises:
        ValueError: There are no values, or one is NaN or infinite.
    """
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(
            f"runs can only be summarised when every one has a finite figure, got {list(values)}"
        )
    interval = None
    if len(values) > 1:
        low, high = stats.bootstrap(
            (values,),
            np.median,
            n_resamples=_RESAMPLES,
            confidence_level=_CONFIDENCE_LEVEL,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).confidence_interval
        interval = (float(low), float(high))
    return Summary(len(values), float(np.median(values)), min(values), max(values), interval)


def one_sided_p(sample: Sequence[float], other: Sequence[float], alternative: Alternative) -> float:
    """Probability of a difference this large or larger between runs that do not differ.

    The Mann-Whitney U test asks for no distribution, which so few runs could not show anyway. All ways to
    divide the runs between the two samples are counted by their sum of ranks (the shift algorithm of
    Streitberg and Röhmel, 1986), so that p is exact, with ties as well; scipy's exact method knows no ties.

    Args:
        sample: One figure per run.
        other: The figures to compare with.
        alternative: Whether ``sample`` is suspected to be greater or less.
    """
    # Tied values share the mean of their ranks, a multiple of one half.
    doubled_ranks = np.rint(2 * stats.rankdata([*sample, *other])).astype(int)
    # ways[k, s]: how many choices of k runs have the doubled sum of ranks s.
    ways = np.zeros((len(sample) + 1, doubled_ranks.sum() + 1))
    ways[0, 0] = 1
    for rank in doubled_ranks:
        ways[1:, rank:] += ways[:-1, :-rank]
    choices, observed = ways[len(sample)], doubled_ranks[: len(sample)].sum()
    extreme = choices[observed:] if alternative is Alternative.GREATER else choices[: observed + 1]
    return float(extreme.sum() / choices.sum())


def is_significant(p: float) -> bool:
    """Whether a probability is at or below the level of significance."""
    return p <= SIGNIFICANCE_LEVEL + _ROUNDING


def can_be_significant(runs: int, other_runs: int) -> bool:
    """Whether so many runs could show any difference at all, however large it is.

    Two samples without overlap are one of all the ways to divide the runs, so no p can be smaller than one
    over the number of ways.
    """
    return is_significant(1 / math.comb(runs + other_runs, runs))


def runs_needed(other_runs: int | None = None) -> int:
    """The fewest runs that can show a difference.

    Args:
        other_runs: How many runs they are compared with, at least one; None for as many as there are.

    Raises:
        ValueError: There is nothing to compare with.
    """
    if other_runs is not None and other_runs < 1:
        raise ValueError("nothing can be shown against no runs at all")
    runs = 1
    while not can_be_significant(runs, other_runs or runs):
        runs += 1
    return runs
