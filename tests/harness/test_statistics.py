"""Statistics over runs: honest intervals, exact significance, and no significance from too few runs."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics import (
    Alternative,
    can_be_significant,
    is_significant,
    one_sided_p,
    runs_needed,
    summarise,
)

few_values = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=4)


def test_a_summary_says_how_many_runs_it_rests_on():
    summary = summarise([0.03, 0.01, 0.02])

    assert (summary.n, summary.median, summary.minimum, summary.maximum) == (3, 0.02, 0.01, 0.03)


def test_a_single_run_has_no_interval():
    assert summarise([0.01]).interval is None


@given(st.lists(st.floats(0.001, 10.0), min_size=2, max_size=12))
def test_the_interval_holds_the_median_and_stays_within_the_runs(values):
    summary = summarise(values)

    low, high = summary.interval
    rounding = 1e-12 * summary.maximum
    bounds = [summary.minimum, low, summary.median, high, summary.maximum]
    assert all(smaller <= larger + rounding for smaller, larger in pairwise(bounds))


def test_the_same_runs_and_seed_give_the_same_interval():
    values = [0.011, 0.014, 0.010, 0.019, 0.013, 0.012]

    assert summarise(values, seed=1) == summarise(values, seed=1)


def test_more_runs_narrow_the_interval():
    values = [0.010, 0.012, 0.014, 0.016, 0.018]

    low, high = summarise(values).interval
    low_of_many, high_of_many = summarise(values * 8).interval

    assert high_of_many - low_of_many < high - low


@pytest.mark.parametrize("values", [[], [0.01, float("nan")], [float("inf")]])
def test_runs_without_a_figure_are_not_summarised(values):
    with pytest.raises(ValueError, match="every one has a finite figure"):
        summarise(values)


def test_three_runs_all_above_three_others_are_just_significant():
    p = one_sided_p([0.04, 0.05, 0.06], [0.01, 0.02, 0.03], Alternative.GREATER)

    assert p == pytest.approx(0.05, abs=1e-15)
    assert is_significant(p)


def test_three_runs_that_overlap_with_three_others_are_not_significant():
    assert not is_significant(one_sided_p([0.025, 0.05, 0.06], [0.01, 0.02, 0.03], Alternative.GREATER))


def test_a_difference_to_the_other_side_is_not_significant():
    assert one_sided_p([0.01, 0.02, 0.03], [0.04, 0.05, 0.06], Alternative.GREATER) == pytest.approx(1.0)
    assert is_significant(one_sided_p([0.01, 0.02, 0.03], [0.04, 0.05, 0.06], Alternative.LESS))


@given(few_values, few_values)
def test_the_probability_is_that_of_counting_every_division_of_the_runs(sample, other):
    pooled = [*sample, *other]

    def u_statistic(chosen):
        rest = [index for index in range(len(pooled)) if index not in chosen]
        wins = [(pooled[i] > pooled[j]) + 0.5 * (pooled[i] == pooled[j]) for i in chosen for j in rest]
        return sum(wins)

    divisions = [u_statistic(chosen) for chosen in combinations(range(len(pooled)), len(sample))]
    expected = sum(u >= u_statistic(range(len(sample))) for u in divisions) / len(divisions)

    assert one_sided_p(sample, other, Alternative.GREATER) == pytest.approx(expected)


def test_equal_runs_are_never_different():
    assert one_sided_p([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], Alternative.GREATER) == 1.0


@pytest.mark.parametrize(
    ("runs", "others", "possible"),
    [(1, 1, False), (2, 2, False), (2, 3, False), (2, 4, False), (3, 3, True), (2, 5, True), (1, 19, True)],
)
def test_too_few_runs_cannot_be_significant_however_far_apart(runs, others, possible):
    p = one_sided_p([100.0 + i for i in range(runs)], [float(i) for i in range(others)], Alternative.GREATER)

    assert can_be_significant(runs, others) is possible
    assert is_significant(p) is possible


def test_the_runs_needed_are_the_fewest_that_suffice():
    assert runs_needed() == 3
    assert runs_needed(3) == 3
    assert runs_needed(2) == 5
    assert runs_needed(1) == 19
    with pytest.raises(ValueError, match="no runs at all"):
        runs_needed(0)
