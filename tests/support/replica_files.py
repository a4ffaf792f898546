"""Small scenes in the layout of NICE-SLAM's renders of Replica, written from its description.

``results/frame000000.jpg``, ``results/depth000000.png`` (16 bit, 6553.5 is one metre), ``traj.txt`` with the
sixteen numbers of a camera-to-world matrix a line (x right, y down, z forward), ``cam_params.json`` beside
the folders of the scenes.
"""

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from seen_room import CAMERA, view

from sequences.model import Intrinsics

DEPTH_SCALE = 6553.5


def write_replica_scene(
    directory: Path, poses: NDArray[np.float64], camera: Intrinsics = CAMERA, beside: bool = True
) -> Path:
    """Write a scene and return its folder.

    Args:
        directory: The folder of the scene.
        poses: float64 [N, 4, 4], camera to world.
        camera: What renders the images.
        beside: Whether ``cam_params.json`` is written.
    """
    images = directory / "results"
    images.mkdir(parents=True)
    for number, pose in enumerate(poses):
        colour, depth, _ = view(pose, camera)
        cv2.imwrite(
            str(images / f"frame{number:06d}.jpg"),
            cv2.cvtColor(colour, cv2.COLOR_RGB2BGR),
            [cv2.IMWRITE_JPEG_QUALITY, 98, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111],
        )
        cv2.imwrite(str(images / f"depth{number:06d}.png"), np.round(depth * DEPTH_SCALE).astype(np.uint16))
    write_trajectory(directory, poses)
    if beside:
        write_camera(directory.parent, camera)
    return directory


def write_trajectory(directory: Path, poses: NDArray[np.float64]) -> None:
    lines = (" ".join(f"{number:.18e}" for number in pose.reshape(-1)) for pose in poses)
    (directory / "traj.txt").write_text("".join(f"{line}\n" for line in lines))


def write_camera(directory: Path, camera: Intrinsics) -> None:
    content = {
        "w": camera.width,
        "h": camera.height,
        "fx": camera.fx,
        "fy": camera.fy,
        "cx": camera.cx,
        "cy": camera.cy,
        "scale": DEPTH_SCALE,
    }
    (directory / "cam_params.json").write_text(json.dumps({"camera": content}, indent=4))
