"""How good surface normals are: angles to those that true depth gives."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perception.errors import ModuleFailedError

_BINS_PER_DEGREE = 100
_BINS = 180 * _BINS_PER_DEGREE + 1
_LIMITS_DEG = (11.25, 22.5, 30.0)


@dataclass(frozen=True)
class NormalsFigures:
    """Figures of normals over all pixels of all frames at which true depth gives a normal.

    Attributes:
        mean_deg: Mean angle, degrees.
        median_deg: Median angle, degrees, to a hundredth.
        within_11_25: Share of the angles below 11.25 degrees.
        within_22_5: Below 22.5.
        within_30: Below 30.
        truth_pixels: How many pixels have a true normal.
        coverage: Share of them that have a predicted one. All figures above are of those alone.
        truth_share: Share of the pixels with true depth in the range that have a true normal.
    """

    mean_deg: float
    median_deg: float
    within_11_25: float
    within_22_5: float
    within_30: float
    truth_pixels: int
    coverage: float
    truth_share: float


class NormalsScore:
    """Collects angles in a histogram, whose size does not grow with the frames."""

    def __init__(self) -> None:
        self._counts, self._sums = np.zeros(_BINS, np.int64), np.zeros(_BINS)
        self._within = np.zeros(len(_LIMITS_DEG), np.int64)
        self._truth_pixels = self._depth_pixels = 0

    def add(
        self, truth: NDArray[np.float32], predicted: NDArray[np.float32], depth: NDArray[np.float32]
    ) -> None:
        """Compare one frame.

        Args:
            truth: float32 [H, W, 3], unit vectors, zero where there is none.
            predicted: The same of the prediction; brought to length 1 here.
            depth: float32 [H, W], the depth that ``truth`` was made of, 0 where unknown.

        Raises:
            ModuleFailedError: The prediction is not finite.
        """
        if not np.isfinite(predicted).all():
            raise ModuleFailedError("normals have NaN or infinite values")
        known = truth.any(axis=-1)
        both = known & predicted.any(axis=-1)
        angles = _angles_deg(truth[both].astype(np.float64), predicted[both].astype(np.float64))
        places = (angles * _BINS_PER_DEGREE).astype(np.int64)
        self._counts += np.bincount(places, minlength=_BINS)
        self._sums += np.bincount(places, angles, _BINS)
        self._within += [int((angles < limit).sum()) for limit in _LIMITS_DEG]
        self._truth_pixels += int(known.sum())
        self._depth_pixels += int((depth > 0).sum())

    def merge(self, other: "NormalsScore") -> None:
        """Add what another score has collected."""
        self._counts += other._counts
        self._sums += other._sums
        self._within += other._within
        self._truth_pixels += other._truth_pixels
        self._depth_pixels += other._depth_pixels

    def figures(self) -> NormalsFigures | None:
        """The figures; None where no pixel has a true and a predicted normal."""
        pixels = int(self._counts.sum())
        if not pixels:
            return None
        middle = int(np.searchsorted(np.cumsum(self._counts), pixels / 2))
        within = (self._within / pixels).tolist()
        return NormalsFigures(
            mean_deg=float(self._sums.sum() / pixels),
            median_deg=float(self._sums[middle] / self._counts[middle]),
            within_11_25=within[0],
            within_22_5=within[1],
            within_30=within[2],
            truth_pixels=self._truth_pixels,
            coverage=pixels / self._truth_pixels,
            truth_share=self._truth_pixels / self._depth_pixels,
        )


def _angles_deg(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles between vectors of any length, float64 [N, 3] each; exact for small angles as well."""
    first, second = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (first, second))
    apart, along = np.linalg.norm(first - second, axis=1), np.linalg.norm(first + second, axis=1)
    return np.degrees(2 * np.arctan2(apart, along))
