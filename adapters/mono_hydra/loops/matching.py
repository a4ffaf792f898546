"""Which features of two keyframes are the same, by their descriptors."""

import numpy as np
from numpy.typing import NDArray


def descriptor_distances(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Hamming distances of all descriptors of one keyframe from all of another.

    Args:
        first: uint8 [N, 32].
        second: uint8 [M, 32].

    Returns:
        uint16 [N, M], bits.
    """
    words, others = first.view(np.uint64), second.view(np.uint64)
    distances = np.zeros((len(first), len(second)), np.uint16)
    # Word by word, so that no array is larger than the result.
    for word in range(words.shape[1]):
        distances += np.bitwise_count(words[:, None, word] ^ others[None, :, word])
    return distances


def mutual_matches(
    distances: NDArray[np.uint16], most: int, ratio: float | None = None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs that are nearest to each other.

    Args:
        distances: uint16 [N, M].
        most: Bits in which a pair may differ.
        ratio: A pair must be nearer than this part of the distance to the second best on either side; None
            for any.

    Returns:
        Indices of rows and of columns, intp [P] each.
    """
    if not distances.size:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    columns = distances.argmin(axis=1)
    rows = np.arange(len(distances))
    best = distances[rows, columns]
    keep = (distances.argmin(axis=0)[columns] == rows) & (best <= most)
    if ratio is not None:
        keep &= best < ratio * np.minimum(_second(distances, 1), _second(distances, 0)[columns])
    return rows[keep], columns[keep]


def _second(distances: NDArray[np.uint16], axis: int) -> NDArray[np.uint16]:
    """The second smallest along an axis; the largest number where there is but one."""
    if distances.shape[axis] < 2:
        return np.full(distances.shape[1 - axis], np.iinfo(np.uint16).max, np.uint16)
    return np.take(np.partition(distances, 1, axis=axis), 1, axis=axis)
