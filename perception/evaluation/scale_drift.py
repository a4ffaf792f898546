"""How the scale of predicted depth changes along a sequence: slowly, and from frame to frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import theilslopes

#: Between these percentiles a normal distribution spans two standard deviations.
_PERCENTILES = (15.87, 84.13)
#: Longer sequences are cut into so many runs of frames, and the medians of these stand for them.
_MOST_POINTS = 300
_FEWEST_POINTS = 3
#: In a shorter time, and on a shorter way, noise is all that a trend would show.
LEAST_SECONDS = 10.0
LEAST_PATH_M = 0.5


@dataclass(frozen=True)
class ScaleDrift:
    """How the ratio of predicted to true depth changes along one sequence.

    The ratio of a frame is the median over its pixels. Changes are those of its natural logarithm: 0.01 is
    one per cent.

    Attributes:
        frames: How many frames have a ratio.
        seconds: From the first to the last of them.
        path_m: How far the camera goes between those by ground truth; None without.
        ratio: Median over the frames: predicted depth is so many times the true one.
        spread: Robust standard deviation of the frames' ratios: half of what the middle 68 % of them span.
        frame_to_frame: The same of the change from a frame to the next one that was evaluated, which a
            steady drift is no part of; None where no two such neighbours have a ratio.
        frame_to_frame_rms: Root mean square of that change, in which single jumps and drift show as well.
        trend_per_minute: Slope over time by Theil and Sen, per minute; None in less than ten seconds.
        trend_per_metre: Slope over the way of the camera, per metre; None on less than half a metre.
    """

    frames: int
    seconds: float
    path_m: float | None
    ratio: float
    spread: float
    frame_to_frame: float | None
    frame_to_frame_rms: float | None
    trend_per_minute: float | None
    trend_per_metre: float | None


@dataclass(frozen=True)
class ScaleDriftSummary:
    """Drift over several sequences: medians of what the single ones have, trends without their signs.

    Attributes:
        sequences: How many have it.
        ratio_least: Smallest ratio of a sequence.
        ratio_greatest: Greatest.
        frame_to_frame: Median of theirs.
        trend_per_minute: Median of the trends' sizes.
        trend_per_metre: Median of the trends' sizes.
    """

    sequences: int
    ratio_least: float
    ratio_greatest: float
    frame_to_frame: float | None
    trend_per_minute: float | None
    trend_per_metre: float | None


def scale_drift(
    ratios: Sequence[float | None], seconds: Sequence[float], path_m: Sequence[float | None]
) -> ScaleDrift | None:
    """Look at the scale along a sequence; None where no frame has one.

    Args:
        ratios: Of predicted to true depth, for every frame that was evaluated, in order; None where a frame
            has none.
        seconds: When the frames were taken.
        path_m: How far the camera had gone then; None where a frame has no pose.
    """
    # None becomes NaN.
    every_log, every_way = np.log(np.array(ratios, np.float64)), np.array(path_m, np.float64)
    scaled = ~np.isnan(every_log)
    if not scaled.any():
        return None
    steps = np.diff(every_log)
    # Over a frame without a ratio there is no step from one frame to the next.
    steps = steps[~np.isnan(steps)]
    logs, times = every_log[scaled], np.array(seconds, np.float64)[scaled]
    posed = ~np.isnan(every_way[scaled])
    ways = every_way[scaled][posed]
    length = float(ways[-1] - ways[0]) if len(ways) > 1 else None
    duration = float(times[-1] - times[0])
    per_second = _trend(times, logs) if duration >= LEAST_SECONDS else None
    return ScaleDrift(
        frames=len(logs),
        seconds=duration,
        path_m=length,
        ratio=float(np.exp(np.median(logs))),
        spread=_robust_deviation(logs),
        frame_to_frame=_robust_deviation(steps) if len(steps) else None,
        frame_to_frame_rms=float(np.sqrt(np.mean(steps**2))) if len(steps) else None,
        trend_per_minute=None if per_second is None else 60 * per_second,
        trend_per_metre=_trend(ways, logs[posed]) if (length or 0.0) >= LEAST_PATH_M else None,
    )


def summarise_drift(drifts: Sequence[ScaleDrift]) -> ScaleDriftSummary | None:
    """Drift over several sequences; None without any."""
    if not drifts:
        return None
    ratios = [drift.ratio for drift in drifts]
    return ScaleDriftSummary(
        sequences=len(drifts),
        ratio_least=min(ratios),
        ratio_greatest=max(ratios),
        frame_to_frame=_median_size([drift.frame_to_frame for drift in drifts]),
        trend_per_minute=_median_size([drift.trend_per_minute for drift in drifts]),
        trend_per_metre=_median_size([drift.trend_per_metre for drift in drifts]),
    )


def _robust_deviation(values: NDArray[np.float64]) -> float:
    low, high = np.percentile(values, _PERCENTILES)
    return float(high - low) / 2


def _trend(positions: NDArray[np.float64], values: NDArray[np.float64]) -> float | None:
    """The median slope between any two points; of a long row, between the medians of its parts."""
    parts = min(len(values), _MOST_POINTS)
    if parts < _FEWEST_POINTS:
        return None
    x, y = (
        np.array([np.median(part) for part in np.array_split(each, parts)]) for each in (positions, values)
    )
    return float(theilslopes(y, x).slope)


def _median_size(values: Sequence[float | None]) -> float | None:
    present = [abs(value) for value in values if value is not None]
    return float(np.median(present)) if present else None
