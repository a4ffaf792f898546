"""Ratios of predicted to true depth of any number of pixels, in bounded memory and at a fine resolution.

What a scale that is not known before the last frame would do to a figure can be told from the distribution of
the ratios alone, so that no frame is predicted twice.
"""

import math

import numpy as np
from numpy.typing import NDArray

#: Logarithms of ratios that are told apart; ratios beyond e^8 (about 3000) share the outermost bins.
_LARGEST_LOG = 8.0
_BINS_PER_UNIT = 4096
_BINS = int(2 * _LARGEST_LOG * _BINS_PER_UNIT)

DELTA_BASE = 1.25


class RatioHistogram:
    """Weights of ratios in bins of their logarithm, and in every bin the sums of ratios and logarithms.

    Means are exact but for the one bin in which the sign of a difference changes; so are medians where all
    ratios of a bin are equal.
    """

    def __init__(self) -> None:
        self._weights, self._ratios, self._logs = np.zeros((3, _BINS))

    def add(self, log_ratios: NDArray[np.float64], *, normalise: bool) -> None:
        """Add the pixels of one frame.

        Args:
            log_ratios: float64 [N], natural logarithms of predicted over true depth.
            normalise: Let the frame weigh one in all, instead of one per pixel.
        """
        if not len(log_ratios):
            return
        bins = np.floor((log_ratios + _LARGEST_LOG) * _BINS_PER_UNIT)
        places = np.clip(bins, 0, _BINS - 1).astype(np.int64)
        weight = 1 / len(log_ratios) if normalise else 1.0
        self._weights += weight * np.bincount(places, minlength=_BINS)
        self._ratios += weight * np.bincount(places, np.exp(log_ratios), _BINS)
        self._logs += weight * np.bincount(places, log_ratios, _BINS)

    def merge(self, other: "RatioHistogram") -> None:
        """Add what another histogram holds."""
        self._weights += other._weights
        self._ratios += other._ratios
        self._logs += other._logs

    def median(self) -> float:
        """The median ratio. There must be pixels."""
        place = int(np.searchsorted(np.cumsum(self._weights), self._weights.sum() / 2))
        return math.exp(self._logs[place] / self._weights[place])

    def abs_rel(self, scale: float) -> float:
        """Mean of ``|scale · ratio - 1|``."""
        return float(np.abs(scale * self._ratios - self._weights).sum() / self._weights.sum())

    def abs_log(self, scale: float) -> float:
        """Mean of ``|ln(scale · ratio)|``."""
        shifted = np.abs(self._logs + self._weights * math.log(scale))
        return float(shifted.sum() / self._weights.sum())

    def deltas(self, scale: float) -> tuple[float, float, float]:
        """Weight of the ratios that, times ``scale``, are within a factor of 1.25, 1.25² and 1.25³."""
        filled = self._weights > 0
        weights = self._weights[filled]
        distances = np.abs(self._logs[filled] / weights + math.log(scale)) / math.log(DELTA_BASE)
        one, two, three = (float(weights[distances < power].sum() / weights.sum()) for power in (1, 2, 3))
        return one, two, three
