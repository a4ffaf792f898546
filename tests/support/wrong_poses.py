"""What is left of the agreement between depth and poses when the poses are wrong on purpose."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sequences.consistency import depth_reprojection_error
from sequences.errors import SequenceError
from sequences.model import Sequence
from sequences.pose_conventions import Mistake, Reinterpreted

#: Ways to read poses wrongly, by name; each changes float64 [N, 4, 4], camera to world.
WRONG_POSES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "inverted": np.linalg.inv,
    "axes of OpenGL": lambda poses: poses @ np.diag([1.0, -1.0, -1.0, 1.0]),
    "mirrored": lambda poses: np.diag([1.0, -1.0, 1.0, 1.0]) @ poses @ np.diag([1.0, -1.0, 1.0, 1.0]),
    "transposed": lambda poses: np.concatenate(
        [
            np.concatenate([poses[:, :3, :3].swapaxes(1, 2), poses[:, :3, 3:]], axis=2),
            poses[:, 3:],
        ],
        axis=1,
    ),
    "of the frame before": lambda poses: np.roll(poses, 1, axis=0),
    "of the frame after": lambda poses: np.roll(poses, -1, axis=0),
}


def depth_error_with(sequence: Sequence, wrong: str, first: int, second: int) -> float:
    """``moved`` of two frames whose poses are wrong in one way; infinite where nothing is in common."""
    mistaken = Reinterpreted(sequence, Mistake(wrong, WRONG_POSES[wrong]), {})
    try:
        return depth_reprojection_error(mistaken, first, second).moved
    except SequenceError as error:
        if "nothing in common" not in str(error):
            raise
        return np.inf
