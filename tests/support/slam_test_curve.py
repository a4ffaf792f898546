"""The path that test sequences are recorded along and that the test backend gives back."""

import numpy as np
from numpy.typing import NDArray


def curve_positions(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions on a Lissajous curve of about a metre, float64 [N, 3], metres."""
    return np.column_stack([np.sin(0.7 * seconds), np.cos(0.9 * seconds), 0.3 * np.sin(1.3 * seconds)])
