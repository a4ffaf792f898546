"""How good depth is: the figures of Eigen et al. (NeurIPS 2014), pooled over pixels and as means over frames.

Both ways of pooling are in use for the same names. Papers that predict several tasks at once pool over all
pixels of all frames; those on depth alone mostly take the figure of every image and print the mean.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from perception.evaluation.ratio_histogram import DELTA_BASE, RatioHistogram


@dataclass(frozen=True)
class DepthMetrics:
    """Errors of predicted depth ``p`` against true depth ``t``, over pixels that have both.

    Attributes:
        rmse: Root of the mean of ``(p - t)²``, metres.
        abs_rel: Mean of ``|p - t| / t``.
        log10: Mean of ``|log10 p - log10 t|``.
        rmse_log: Root of the mean of ``(ln p - ln t)²``.
        delta1: Share with ``max(p/t, t/p) < 1.25``.
        delta2: The same with 1.25².
        delta3: The same with 1.25³.
    """

    rmse: float
    abs_rel: float
    log10: float
    rmse_log: float
    delta1: float
    delta2: float
    delta3: float


@dataclass(frozen=True)
class DepthFigures:
    """Figures of depth over all pixels whose true depth is known and within the range.

    Attributes:
        truth_pixels: How many there are.
        coverage: Share of them that have predicted depth. All other figures are of those alone.
        frames: How many frames took part.
        frames_without_truth: How many of them have no true depth in the range: part of no figure.
        frames_without_prediction: How many others have no predicted depth where the true one is: they lower
            coverage, and are no part of the means over frames.
        pooled: Over all pixels of all frames: every pixel counts alike.
        mean_over_frames: Means of the figures of single frames: every frame counts alike.
        scale: The median of true over predicted depth over all pixels: what the predictions would have to be
            multiplied with.
        pooled_after_scaling: ``pooled`` with all predictions multiplied with ``scale``.
        mean_over_frames_after_scaling: ``mean_over_frames`` with all predictions multiplied with ``scale``.
    """

    truth_pixels: int
    coverage: float
    frames: int
    frames_without_truth: int
    frames_without_prediction: int
    pooled: DepthMetrics
    mean_over_frames: DepthMetrics
    scale: float
    pooled_after_scaling: DepthMetrics
    mean_over_frames_after_scaling: DepthMetrics


@dataclass(frozen=True)
class FrameDepth:
    """What is kept of one frame: counts and sums over its pixels, ``r`` being ``p / t``.

    Attributes:
        truth_pixels: With true depth in the range.
        pixels: Those of them with predicted depth.
        squares: Sum of ``(p - t)²``.
        relative: Sum of ``|r - 1|``.
        abs_log: Sum of ``|ln r|``.
        log: Sum of ``ln r``.
        log_squares: Sum of ``(ln r)²``.
        within1, within2, within3: How many are within a factor of 1.25, 1.25² and 1.25³.
        predicted_squares: Sum of ``p²``.
        products: Sum of ``p t``.
        true_squares: Sum of ``t²``.
        median_ratio: Median of ``r``; None without pixels.
    """

    truth_pixels: int
    pixels: int
    squares: float
    relative: float
    abs_log: float
    log: float
    log_squares: float
    within1: int
    within2: int
    within3: int
    predicted_squares: float
    products: float
    true_squares: float
    median_ratio: float | None

    def metrics(self) -> DepthMetrics | None:
        """The figures over these pixels; None without any."""
        n = self.pixels
        if not n:
            return None
        return DepthMetrics(
            rmse=math.sqrt(self.squares / n),
            abs_rel=self.relative / n,
            log10=self.abs_log / n / math.log(10),
            rmse_log=math.sqrt(self.log_squares / n),
            delta1=self.within1 / n,
            delta2=self.within2 / n,
            delta3=self.within3 / n,
        )

    def scaled_rmse(self, scale: float) -> float:
        """The RMSE with predictions multiplied with ``scale``, metres."""
        squares = scale**2 * self.predicted_squares - 2 * scale * self.products + self.true_squares
        return math.sqrt(max(squares, 0.0) / self.pixels)

    def scaled_rmse_log(self, scale: float) -> float:
        """The RMSE of logarithms with predictions multiplied with ``scale``."""
        shift = math.log(scale)
        squares = self.log_squares + 2 * shift * self.log + self.pixels * shift**2
        return math.sqrt(max(squares, 0.0) / self.pixels)


class DepthScore:
    """Collects the depth of frames; keeps a row of sums per frame and two histograms, and no pixels.

    Args:
        min_depth: Truth that is nearer is not compared with, metres, greater than 0.
        max_depth: Neither is truth that is farther away, metres.
    """

    def __init__(self, min_depth: float, max_depth: float):
        self._min_depth, self._max_depth = min_depth, max_depth
        self._frames: list[FrameDepth] = []
        self._by_pixel, self._by_frame = RatioHistogram(), RatioHistogram()

    def add(self, truth: NDArray[np.float32], predicted: NDArray[np.float32]) -> FrameDepth:
        """Compare one frame.

        Args:
            truth: float32 [H, W], metres, 0 where unknown.
            predicted: The same of the prediction.
        """
        known = (truth >= self._min_depth) & (truth <= self._max_depth)
        both = known & (predicted > 0)
        t, p = truth[both].astype(np.float64), predicted[both].astype(np.float64)
        ratios = p / t
        logs = np.log(ratios)
        distances = np.abs(logs)
        frame = FrameDepth(
            truth_pixels=int(known.sum()),
            pixels=len(t),
            squares=float(np.square(p - t).sum()),
            relative=float(np.abs(ratios - 1).sum()),
            abs_log=float(distances.sum()),
            log=float(logs.sum()),
            log_squares=float(logs @ logs),
            within1=int((distances < math.log(DELTA_BASE)).sum()),
            within2=int((distances < 2 * math.log(DELTA_BASE)).sum()),
            within3=int((distances < 3 * math.log(DELTA_BASE)).sum()),
            predicted_squares=float(p @ p),
            products=float(p @ t),
            true_squares=float(t @ t),
            median_ratio=float(np.median(ratios)) if len(ratios) else None,
        )
        self._frames.append(frame)
        self._by_pixel.add(logs, normalise=False)
        self._by_frame.add(logs, normalise=True)
        return frame

    def merge(self, other: "DepthScore") -> None:
        """Add the frames of another score."""
        self._frames += other._frames
        self._by_pixel.merge(other._by_pixel)
        self._by_frame.merge(other._by_frame)

    @property
    def truth_pixels(self) -> int:
        """How many pixels have true depth in the range."""
        return sum(frame.truth_pixels for frame in self._frames)

    def figures(self) -> DepthFigures | None:
        """The figures; None where no pixel has both true depth in the range and predicted depth."""
        compared = [frame for frame in self._frames if frame.pixels]
        if not compared:
            return None
        together = _sum_of(self._frames)
        pooled = together.metrics()
        single = [metrics for frame in compared if (metrics := frame.metrics()) is not None]
        assert pooled is not None, "there are frames with pixels"
        scale = 1 / self._by_pixel.median()
        return DepthFigures(
            truth_pixels=together.truth_pixels,
            coverage=together.pixels / together.truth_pixels,
            frames=len(self._frames),
            frames_without_truth=sum(not frame.truth_pixels for frame in self._frames),
            frames_without_prediction=sum(
                bool(frame.truth_pixels) and not frame.pixels for frame in self._frames
            ),
            pooled=pooled,
            mean_over_frames=DepthMetrics(
                *(_mean(getattr(each, field.name) for each in single) for field in fields(DepthMetrics))
            ),
            scale=scale,
            pooled_after_scaling=_scaled(self._by_pixel, [together], scale),
            mean_over_frames_after_scaling=_scaled(self._by_frame, compared, scale),
        )


def _scaled(ratios: RatioHistogram, frames: Sequence[FrameDepth], scale: float) -> DepthMetrics:
    """Figures after scaling: means over ``frames`` of what is no mean over pixels, the rest from ratios."""
    return DepthMetrics(
        _mean(frame.scaled_rmse(scale) for frame in frames),
        ratios.abs_rel(scale),
        ratios.abs_log(scale) / math.log(10),
        _mean(frame.scaled_rmse_log(scale) for frame in frames),
        *ratios.deltas(scale),
    )


def _sum_of(frames: Iterable[FrameDepth]) -> FrameDepth:
    names = [field.name for field in fields(FrameDepth) if field.name != "median_ratio"]
    rows = [[getattr(frame, name) for name in names] for frame in frames]
    sums = dict(zip(names, map(sum, zip(*rows, strict=True)), strict=True))
    return FrameDepth(**sums, median_ratio=None)


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)
