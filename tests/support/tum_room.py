"""A recording in TUM layout of the room of ``seen_room``, for what needs images that agree with the poses."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from seen_room import CAMERA, camera_path, view
from tum_files import write_lines

DEPTH_SCALE = 5000
_PERIOD_S = 0.1


def write_tum_room(directory: Path, frames: int = 12, poses: NDArray[np.float64] | None = None) -> Path:
    """Write a recording; ``poses`` float64 [frames, 4, 4] are written in place of the true ones."""
    lines: dict[str, list[str]] = {"rgb": [], "depth": [], "groundtruth": []}
    path = camera_path(frames)
    written = path if poses is None else poses
    for folder in ("rgb", "depth"):
        (directory / folder).mkdir(parents=True)
    for number, pose in enumerate(path):
        rgb, depth, _ = view(pose)
        stamp = f"{1 + _PERIOD_S * number:.6f}"
        cv2.imwrite(str(directory / "rgb" / f"{stamp}.png"), rgb[..., ::-1])
        cv2.imwrite(
            str(directory / "depth" / f"{stamp}.png"), np.round(depth * DEPTH_SCALE).astype(np.uint16)
        )
        lines["rgb"].append(f"{stamp} rgb/{stamp}.png")
        lines["depth"].append(f"{stamp} depth/{stamp}.png")
        quaternion = Rotation.from_matrix(written[number, :3, :3]).as_quat()
        numbers = (*written[number, :3, 3], *quaternion)
        lines["groundtruth"].append(" ".join([stamp, *(f"{value:.9f}" for value in numbers)]))
    for kind, rows in lines.items():
        write_lines(directory / f"{kind}.txt", rows)
    camera = f"{CAMERA.fx} {CAMERA.fy} {CAMERA.cx} {CAMERA.cy} {CAMERA.width} {CAMERA.height} {DEPTH_SCALE}"
    write_lines(directory / "calibration.txt", ["# fx fy cx cy width height depth_scale", camera])
    return directory
