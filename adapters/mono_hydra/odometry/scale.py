"""The scale of depth: how many units of the odometry make a metre, slowly varying, learned from the IMU.

A depth network is wrong as a whole: all its depths are a few per cent too long or too short. Vision and depth
alone cannot know, since a world 1.1 times as large looks the same; an IMU can. The odometry therefore works
in the unit that depth is given in, and what leaves it is divided by the scale of its time.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ScaleMeasurement:
    """What one stretch of odometry said.

    Attributes:
        time_s: Middle of the stretch.
        scale: Units of the odometry per metre.
        deviation: Its standard deviation.
    """

    time_s: float
    scale: float
    deviation: float


class ScaleFilter:
    """Whether the scale is one or something else, and what.

    A sensor's depth is metric, a network's often is not, and nobody says which it is. Both are kept in mind:
    that the scale is one, and that it walks about near one. Measurements decide how likely each is (by their
    marginal likelihood), and the scale is the mean over both. An uncertain measurement thus bends little.

    Args:
        prior: Standard deviation before the first measurement, around one, if the scale is not one.
        walk: Standard deviation of its change after one second.
    """

    def __init__(self, prior: float, walk: float) -> None:
        self._prior = prior
        self._walk = walk
        self._measurements: list[ScaleMeasurement] = []
        self._filtered: list[tuple[float, float]] = []
        # Logarithms of the likelihood of all measurements.
        self._if_one = 0.0
        self._if_walking = 0.0

    @property
    def scale(self) -> float:
        """The scale now."""
        if not self._filtered:
            return 1.0
        return 1.0 + self._chance_of_walking() * (self._filtered[-1][0] - 1.0)

    @property
    def deviation(self) -> float:
        """Standard deviation of the scale now if it is not one."""
        return float(np.sqrt(self._filtered[-1][1])) if self._filtered else self._prior

    def add(self, measurement: ScaleMeasurement) -> None:
        """Takes in a measurement of a stretch that shares no IMU sample with those before."""
        mean, variance = self._filtered[-1] if self._filtered else (1.0, self._prior**2)
        if self._measurements:
            elapsed = max(0.0, measurement.time_s - self._measurements[-1].time_s)
            variance += self._walk**2 * elapsed
        noise = measurement.deviation**2
        self._if_one += _log_normal(measurement.scale - 1.0, noise)
        self._if_walking += _log_normal(measurement.scale - mean, variance + noise)
        gain = variance / (variance + noise)
        self._filtered.append((mean + gain * (measurement.scale - mean), (1.0 - gain) * variance))
        self._measurements.append(measurement)

    def at(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scale at some times, seen from today: smoothed both ways (Rauch, Tung, Striebel, 1965)."""
        if not self._measurements:
            return np.ones(len(times_s))
        times = np.array([measurement.time_s for measurement in self._measurements])
        smooth = np.array([mean for mean, _ in self._filtered])
        for index in range(len(smooth) - 2, -1, -1):
            mean, variance = self._filtered[index]
            predicted = variance + self._walk**2 * (times[index + 1] - times[index])
            smooth[index] = mean + variance / predicted * (smooth[index + 1] - mean)
        return np.asarray(1.0 + self._chance_of_walking() * (np.interp(times_s, times, smooth) - 1.0))

    def _chance_of_walking(self) -> float:
        """Probability that the scale is not one; before any measurement one half."""
        return float(1.0 / (1.0 + np.exp(np.clip(self._if_one - self._if_walking, -50.0, 50.0))))


def _log_normal(error: float, variance: float) -> float:
    return float(-0.5 * (error**2 / variance + np.log(2.0 * np.pi * variance)))
