"""How long a module takes for a frame, and on what it ran."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np


@dataclass(frozen=True)
class LatencyFigures:
    """Time from handing a frame to the module until its prediction is there, milliseconds.

    Attributes:
        frames: How many frames it is of.
        warm_up_frames: How many others were left out at the beginnings of sequences.
        median_ms: The median.
        p95_ms: The 95th percentile, interpolated linearly between frames.
        p99_ms: The 99th. With fewer than a hundred frames it says little more than the slowest one.
    """

    frames: int
    warm_up_frames: int
    median_ms: float
    p95_ms: float
    p99_ms: float


def latency_figures(milliseconds: Sequence[float], warm_up_frames: int) -> LatencyFigures | None:
    """Figures of the frames behind the warm-up; None where there are none."""
    if not len(milliseconds):
        return None
    median, p95, p99 = np.percentile(milliseconds, (50, 95, 99)).tolist()
    return LatencyFigures(len(milliseconds), warm_up_frames, median, p95, p99)


def execution(details: Mapping[str, Any]) -> dict[str, Any]:
    """Device and threads, as far as they can be told from here.

    Args:
        details: What the module says of itself: ``device`` and ``device_name``, or ``providers``.
    """
    torch = sys.modules.get("torch")
    return {
        "device": details.get("device_name") or details.get("device") or details.get("providers"),
        "cores": len(os.sched_getaffinity(0)),
        "torch_threads": torch.get_num_threads() if torch is not None else None,
        "opencv_threads": cv2.getNumThreads(),
    }
