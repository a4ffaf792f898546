"""Which poses belong together: one to one, nearest first, in order of time on both sides."""

import numpy as np
from numpy.typing import NDArray

from sequences.association import associate as associate_nearest
from sequences.model import NANOSECONDS_PER_SECOND


def associate(
    timestamps_ns: NDArray[np.int64], reference_timestamps_ns: NDArray[np.int64], tolerance_ns: int
) -> NDArray[np.int64]:
    """Pair two lists of time stamps for scoring.

    evo's own association gives one pose of ground truth to several estimated poses when the tolerance is
    wide; here no time stamp is used twice.

    Args:
        timestamps_ns: int64 [N], strictly increasing, nanoseconds.
        reference_timestamps_ns: int64 [M], strictly increasing, nanoseconds.
        tolerance_ns: Pairs further apart than this are not made.

    Returns:
        int64 [P, 2], positions in the first and in the second list, both columns strictly increasing.
    """
    pairs = associate_nearest(timestamps_ns, reference_timestamps_ns, tolerance_ns)
    # Time stamps closer together than the tolerance can be paired crosswise, which would turn motion
    # backwards. Sorting each column undoes that, and no pair ends up further apart than the widest was.
    pairs = np.sort(pairs, axis=0)
    _decide_ties_as_evo(timestamps_ns, reference_timestamps_ns, pairs)
    return pairs


def _decide_ties_as_evo(
    timestamps_ns: NDArray[np.int64], reference_timestamps_ns: NDArray[np.int64], pairs: NDArray[np.int64]
) -> None:
    """Where a time stamp lies exactly between two rows of the reference, take the row that evo takes.

    So far the earlier one was taken. evo computes in float seconds, whose steps are 240 ns for a present-day
    clock, so that rounding decides. One other row shows in the eighth decimal of an error.
    """
    has_next = np.flatnonzero(pairs[:, 1] + 1 < len(reference_timestamps_ns))
    time = timestamps_ns[pairs[has_next, 0]]
    earlier, later = (reference_timestamps_ns[pairs[has_next, 1] + step] for step in (0, 1))
    taken = np.isin(pairs[has_next, 1] + 1, pairs[:, 1])
    for tie in np.flatnonzero((later - time == time - earlier) & ~taken):
        before, middle, after = (_seconds(int(instants[tie])) for instants in (earlier, time, later))
        if after - middle < middle - before:
            pairs[has_next[tie], 1] += 1


def _seconds(timestamp_ns: int) -> float:
    # Division of Python integers rounds once, as reading the decimal text does.
    return timestamp_ns / NANOSECONDS_PER_SECOND
