"""Association for scoring: one to one, nearest first, within the tolerance."""

import numpy as np
import pytest
from evo.core import sync
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.evaluation import associate

TOLERANCE_NS = 50


def increasing(most: int) -> st.SearchStrategy:
    values = st.lists(st.integers(0, 2000), max_size=most, unique=True)
    return values.map(lambda chosen: np.array(sorted(chosen), dtype=np.int64))


timestamps = increasing(most=40)
few_timestamps = increasing(most=6)


@given(timestamps, timestamps)
def test_no_time_stamp_is_used_twice_and_time_never_runs_backwards(first, second):
    pairs = associate(first, second, TOLERANCE_NS)

    assert (np.diff(pairs, axis=0) > 0).all()


@given(timestamps, timestamps)
def test_no_pair_is_further_apart_than_the_tolerance(first, second):
    pairs = associate(first, second, TOLERANCE_NS)

    assert (np.abs(first[pairs[:, 0]] - second[pairs[:, 1]]) <= TOLERANCE_NS).all()


@given(timestamps, timestamps)
def test_nothing_that_could_be_paired_is_left_over(first, second):
    pairs = associate(first, second, TOLERANCE_NS)

    free_first = np.delete(first, pairs[:, 0])
    free_second = np.delete(second, pairs[:, 1])
    assert (np.abs(free_first[:, None] - free_second[None, :]) > TOLERANCE_NS).all()


@given(st.lists(st.integers(2 * TOLERANCE_NS + 1, 200), max_size=20), timestamps)
def test_with_half_a_frame_period_every_frame_gets_the_row_nearest_to_it(gaps, ground_truth):
    frames = np.cumsum(np.array(gaps, dtype=np.int64))
    distances = np.abs(frames[:, None] - ground_truth[None, :])
    nearest = distances.min(axis=1, initial=TOLERANCE_NS + 1)

    pairs = associate(frames, ground_truth, TOLERANCE_NS)

    assert pairs[:, 0].tolist() == np.flatnonzero(nearest <= TOLERANCE_NS).tolist()
    assert distances[pairs[:, 0], pairs[:, 1]].tolist() == nearest[pairs[:, 0]].tolist()


@given(few_timestamps, few_timestamps)
def test_without_ties_it_does_not_matter_which_side_comes_first(first, second):
    distances = np.abs(first[:, None] - second[None, :])
    near = distances[distances <= TOLERANCE_NS]
    assume(len(np.unique(near)) == len(near))

    forwards = associate(first, second, TOLERANCE_NS)

    assert forwards.tolist() == associate(second, first, TOLERANCE_NS)[:, ::-1].tolist()


def test_the_nearest_of_several_rows_of_ground_truth_is_taken():
    frames = np.array([1000, 2000], dtype=np.int64)
    ground_truth = np.array([700, 980, 1100, 1800, 1950, 2049], dtype=np.int64)

    assert associate(frames, ground_truth, 500).tolist() == [[0, 1], [1, 5]]


def test_the_tolerance_itself_is_near_enough_and_one_nanosecond_more_is_not():
    assert len(associate(np.array([100]), np.array([150]), 50)) == 1
    assert len(associate(np.array([100]), np.array([151]), 50)) == 0


def test_evo_uses_one_row_of_ground_truth_twice_where_we_do_not():
    estimate = np.array([0, 30, 60, 90], dtype=np.int64)
    sparse_ground_truth = np.array([35, 62, 500, 600, 700], dtype=np.int64)

    _, by_evo = sync.matching_time_indices(estimate.astype(float), sparse_ground_truth.astype(float), 40.0)
    ours = associate(estimate, sparse_ground_truth, 40)

    assert by_evo == [0, 0, 1, 1]
    assert ours.tolist() == [[1, 0], [2, 1]]


def test_a_tie_goes_to_the_row_that_evo_takes():
    # Motion capture every 10 ms, frames exactly between two of its rows, on the clock of the TUM benchmark.
    ground_truth = 1_311_868_226_309_300_000 + 10_000_000 * np.arange(300, dtype=np.int64)
    frames = ground_truth[1:-1:3] + 5_000_000

    _, by_evo = sync.matching_time_indices(
        np.array([int(t) / 10**9 for t in frames]), np.array([int(t) / 10**9 for t in ground_truth]), 0.016
    )
    ours = associate(frames, ground_truth, 16_000_000)

    assert ours[:, 1].tolist() == by_evo
    assert {row % 3 for row in by_evo} == {1, 2}, "rounding decides both ways among these ties"


@pytest.mark.parametrize(("first", "second"), [([], []), ([1], []), ([], [1])])
def test_nothing_to_pair_gives_no_pairs(first, second):
    pairs = associate(np.array(first, dtype=np.int64), np.array(second, dtype=np.int64), 10)

    assert pairs.shape == (0, 2)
