"""Small recordings in TUM layout along the curve that the test backend knows."""

from pathlib import Path

import cv2
import numpy as np
from slam_test_curve import curve_positions

WIDTH, HEIGHT = 32, 24
PERIOD_S = 0.1


def record_curve(directory: Path, frames: int = 12, with_depth: bool = True, with_poses: bool = True) -> Path:
    """Write a recording of random images, a constant depth of two metres, and exact poses."""
    seconds = PERIOD_S * (1 + np.arange(frames))
    stamps = [f"{second:.6f}" for second in seconds]
    kinds = ["rgb", "depth"] if with_depth else ["rgb"]
    for kind in kinds:
        (directory / kind).mkdir(parents=True)
        lines = "".join(f"{stamp} {kind}/{stamp}.png\n" for stamp in stamps)
        (directory / f"{kind}.txt").write_text(f"# timestamp filename\n{lines}")
    random = np.random.default_rng(0)
    for stamp in stamps:
        rgb = random.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        cv2.imwrite(str(directory / "rgb" / f"{stamp}.png"), rgb)
        if with_depth:
            depth = np.full((HEIGHT, WIDTH), 10_000, dtype=np.uint16)
            cv2.imwrite(str(directory / "depth" / f"{stamp}.png"), depth)
    (directory / "calibration.txt").write_text(
        f"# fx fy cx cy width height depth_scale\n30 30 15.5 11.5 {WIDTH} {HEIGHT} 5000\n"
    )
    if with_poses:
        rows = zip(stamps, curve_positions(seconds).tolist(), strict=True)
        lines = "".join(f"{stamp} {x!r} {y!r} {z!r} 0 0 0 1\n" for stamp, (x, y, z) in rows)
        (directory / "groundtruth.txt").write_text(lines)
    return directory
