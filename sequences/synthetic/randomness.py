"""Random number generators: one per part of the generator, so that a change in one leaves the others."""

from enum import IntEnum

import numpy as np


class Part(IntEnum):
    """Parts that draw random numbers. Numbers are never reused, or old seeds would change."""

    PLAN = 0
    PATH = 1
    MATERIALS = 2
    TEXTURE_PLACES = 3
    FURNITURE = 4
    IMU = 5
    EXPOSURE = 6
    IMAGE_NOISE = 7
    DEPTH = 8
    DEPTH_NETWORK = 9
    DEPTH_SCALE = 10
    LABELS = 11
    WALKERS = 12


def generator(seed: int, part: Part, index: int = 0) -> np.random.Generator:
    """The generator of one part; ``index`` tells frames apart."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(part, index))))
