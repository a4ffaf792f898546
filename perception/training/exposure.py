"""Exposure and white balance of an image as screens show it."""

import numpy as np
from numpy.typing import NDArray

#: Exponent that screens show colours with: a stop of light is a factor of 2 ** (1 / 2.2) of a colour.
_DISPLAY_GAMMA = 2.2


def colour_gains(stops: float, white_balance: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """What red, green and blue are multiplied with, float32 [3].

    Args:
        stops: Change of exposure.
        white_balance: Greatest change of the ratio of red to green, and of blue to green, part of it.
        rng: Decides the white balance.
    """
    red, blue = 1 + white_balance * rng.uniform(-1, 1, 2)
    gains = 2 ** (stops / _DISPLAY_GAMMA) * np.array([red, 1.0, blue])
    return gains.astype(np.float32)
