"""Small recordings along the curve that the test backend knows."""

from pathlib import Path

import numpy as np
from slam_test_curve import curve_positions
from tum_files import write_tum_sequence

PERIOD_S = 0.1


def record_curve(directory: Path, frames: int = 12) -> Path:
    """Write a recording with exact poses."""
    seconds = PERIOD_S * (1 + np.arange(frames))
    stamps = [f"{second:.6f}" for second in seconds]
    rows = zip(stamps, curve_positions(seconds).tolist(), strict=True)
    poses = [f"{stamp} {x!r} {y!r} {z!r} 0 0 0 1" for stamp, (x, y, z) in rows]
    return write_tum_sequence(directory, rgb_stamps=stamps, depth_stamps=stamps, poses=poses)
