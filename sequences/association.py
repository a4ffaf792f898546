"""Pairs of time stamps from two clocks that belong together: one to one, nearest first."""

import numpy as np
from numpy.typing import NDArray


def associate(
    first_ns: NDArray[np.int64], second_ns: NDArray[np.int64], tolerance_ns: int
) -> NDArray[np.int64]:
    """Pair two lists of time stamps.

    The closest pair of all is taken first, then the closest among what is left, and so on, as the TUM RGB-D
    benchmark's own association does. No time stamp is used twice.

    Args:
        first_ns: int64 [N], strictly increasing, nanoseconds.
        second_ns: int64 [M], strictly increasing, nanoseconds.
        tolerance_ns: Pairs further apart than this are not made.

    Returns:
        int64 [P, 2], positions in ``first_ns`` and ``second_ns``, in order of the first.
    """
    lowest = np.searchsorted(second_ns, first_ns - tolerance_ns, side="left")
    highest = np.searchsorted(second_ns, first_ns + tolerance_ns, side="right")
    candidates = highest - lowest
    first = np.repeat(np.arange(len(first_ns)), candidates)
    # Position of every candidate within its own run of neighbours.
    within = np.arange(len(first)) - np.repeat(np.cumsum(candidates) - candidates, candidates)
    second = np.repeat(lowest, candidates) + within
    order = np.lexsort((second, first, np.abs(first_ns[first] - second_ns[second])))

    first_is_free = np.ones(len(first_ns), dtype=bool)
    second_is_free = np.ones(len(second_ns), dtype=bool)
    pairs = []
    for i, j in zip(first[order].tolist(), second[order].tolist(), strict=True):
        if first_is_free[i] and second_is_free[j]:
            first_is_free[i] = second_is_free[j] = False
            pairs.append((i, j))
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
