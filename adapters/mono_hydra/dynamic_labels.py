"""Where things move by themselves: neither tracking nor the map trusts what is seen there."""

import cv2
import numpy as np
from numpy.typing import NDArray


def dynamic_mask(
    labels: NDArray[np.uint8] | None, dynamic: tuple[int, ...], margin: int
) -> NDArray[np.bool_] | None:
    """The pixels of dynamic classes and a margin around them.

    Args:
        labels: uint8 [H, W]; None without labels.
        dynamic: Ids of the dynamic classes.
        margin: Pixels.

    Returns:
        bool [H, W]; None where there are no such pixels.
    """
    if labels is None or not dynamic:
        return None
    table = np.zeros(256, np.uint8)
    table[list(dynamic)] = 1
    mask = cv2.LUT(np.ascontiguousarray(labels), table)
    if not mask.any():
        return None
    if margin:
        mask = cv2.dilate(mask, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))
    return mask.astype(bool)
