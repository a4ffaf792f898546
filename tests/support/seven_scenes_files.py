"""Small sequences in the layout of 7-Scenes, written from the description on its page.

``frame-000000.color.png``, ``frame-000000.depth.png`` (16 bit, millimetres, 65535 is invalid) and
``frame-000000.pose.txt`` (four rows of four, camera to world), one of each a frame. Depth and poses are of
the depth camera; colour is of a camera beside it.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from seen_room import view

from sequences.model import Intrinsics

#: The depth camera that the page states, and a colour camera as a Kinect might have.
DEPTH_CAMERA = Intrinsics(fx=585.0, fy=585.0, cx=320.0, cy=240.0, width=640, height=480)
COLOUR_CAMERA = Intrinsics(fx=525.0, fy=525.0, cx=318.0, cy=243.0, width=640, height=480)
#: Takes points of the depth camera to the colour camera, 6 cm to its right and turned by 0.01 rad.
DEPTH_TO_COLOUR = np.array(
    [
        [np.cos(0.01), 0.0, np.sin(0.01), -0.06],
        [0.0, 1.0, 0.0, 0.004],
        [-np.sin(0.01), 0.0, np.cos(0.01), 0.002],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


def write_seven_scenes_sequence(directory: Path, poses: NDArray[np.float64]) -> Path:
    """Write a sequence and return its folder.

    Args:
        directory: The folder of the sequence.
        poses: float64 [N, 4, 4], the depth camera's, camera to world.
    """
    directory.mkdir(parents=True)
    for number, pose in enumerate(poses):
        _, depth, _ = view(pose, DEPTH_CAMERA)
        colour, _, _ = view(colour_pose(pose), COLOUR_CAMERA)
        stored = np.round(depth * 1000).astype(np.uint16)
        stored[:4], stored[4:8] = 0, 65535
        name = f"{directory}/frame-{number:06d}"
        cv2.imwrite(f"{name}.color.png", cv2.cvtColor(colour, cv2.COLOR_RGB2BGR))
        cv2.imwrite(f"{name}.depth.png", stored)
        write_pose(directory, number, pose)
    return directory


def write_pose(directory: Path, number: int, pose: NDArray[np.float64]) -> None:
    rows = ("\t ".join(f"{entry:.7e}" for entry in row) + "\t \n" for row in pose)
    (directory / f"frame-{number:06d}.pose.txt").write_text("".join(rows))


def colour_pose(depth_pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the colour camera is when the depth camera is at ``depth_pose``, camera to world."""
    rotation, translation = DEPTH_TO_COLOUR[:3, :3], DEPTH_TO_COLOUR[:3, 3]
    pose = np.eye(4)
    pose[:3, :3] = depth_pose[:3, :3] @ rotation.T
    # The centre of the colour camera, seen from the depth camera.
    pose[:3, 3] = depth_pose[:3, :3] @ (-rotation.T @ translation) + depth_pose[:3, 3]
    return pose
