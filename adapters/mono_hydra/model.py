"""What passes between the stages of the metric-semantic backend."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray


class Link(Enum):
    """What ties a keyframe to the one before."""

    TRACKED = "tracked"
    """Landmarks that both see."""
    COASTED = "coasted"
    """The IMU alone."""
    NONE = "none"
    """Nothing: tracking began somewhere else in between."""


@dataclass(frozen=True)
class Anchor:
    """Where a frame is, seen from a keyframe that it was recognised by.

    Attributes:
        keyframe: Number of the keyframe.
        camera_to_keyframe: float64 [4, 4], takes points of the frame's camera to the keyframe's.
        covariance: float64 [6, 6] of a small motion of the frame in its own frame: rotation, translation.
    """

    keyframe: int
    camera_to_keyframe: NDArray[np.float64]
    covariance: NDArray[np.float64]


@dataclass(frozen=True)
class RgbdLabels:
    """One image with depth and labels, as all stages behind tracking see it.

    Attributes:
        index: Of the frame in its sequence.
        timestamp_ns: When it was taken.
        rgb: uint8 [H, W, 3].
        depth: float32 [H, W], metres along the optical axis, 0 where unknown.
        labels: uint8 [H, W], 255 where unknown; None without labels.
    """

    index: int
    timestamp_ns: int
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    labels: NDArray[np.uint8] | None = None
