"""Association of two clocks: one to one, nearest first, within the tolerance."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sequences.association import associate

clocks = st.lists(st.integers(0, 400), max_size=25, unique=True).map(
    lambda times: np.array(sorted(times), dtype=np.int64)
)


@given(clocks, clocks, st.integers(0, 50))
def test_no_time_is_used_twice_and_no_pair_is_wider_than_the_tolerance(first, second, tolerance):
    pairs = associate(first, second, tolerance)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    assert (np.abs(first[pairs[:, 0]] - second[pairs[:, 1]]) <= tolerance).all()
    assert (np.diff(pairs[:, 0]) > 0).all()


@given(clocks, clocks, st.integers(0, 50))
def test_whatever_could_be_closer_is_taken_by_something_closer_still(first, second, tolerance):
    """Of every two times within the tolerance that are no pair, one has a partner at most that far away."""
    partner = {(0, i): j for i, j in associate(first, second, tolerance).tolist()}
    partner |= {(1, j): i for (_, i), j in partner.items()}
    for i, j in np.argwhere(np.abs(first[:, None] - second[None]) <= tolerance).tolist():
        gap = abs(first[i] - second[j])
        own = [abs(first[i] - second[partner[0, i]])] if (0, i) in partner else []
        other = [abs(first[partner[1, j]] - second[j])] if (1, j) in partner else []
        assert any(taken <= gap for taken in own + other)


def test_the_closer_of_two_claims_wins_and_the_other_takes_what_is_left():
    first, second = np.array([100, 108]), np.array([90, 106])
    assert associate(first, second, 10).tolist() == [[0, 0], [1, 1]]
    assert associate(first, second, 8).tolist() == [[1, 1]]
