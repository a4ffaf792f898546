"""Small recordings as in the archives of ICL-NUIM, written from their description.

``rgb/0.png``, ``depth/0.png`` (16 bit, 5000 is one metre), ``associations.txt`` with lines
``0 depth/0.png 0 rgb/0.png``, and ``livingRoom0.gt.freiburg`` with lines ``number tx ty tz qx qy qz qw``.
Camera and world have a y axis that points up, and the first image has no pose.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from seen_room import view

from sequences.model import Intrinsics

#: The published camera seen with a y axis that points down; published is fy = -480.
CAMERA = Intrinsics(fx=481.2, fy=480.0, cx=319.5, cy=239.5, width=640, height=480)
GROUND_TRUTH_FILE = "livingRoom0.gt.freiburg"

_MIRROR = np.diag([1.0, -1.0, 1.0])


def write_icl_archive(directory: Path, poses: NDArray[np.float64], first: int = 0) -> Path:
    """Write what an archive holds and return the folder.

    Args:
        directory: The folder.
        poses: float64 [N, 4, 4], camera to world with y axes that point down.
        first: Number of the first image; 0 in the living room, 1 in the office.
    """
    (directory / "rgb").mkdir(parents=True)
    (directory / "depth").mkdir()
    for number, pose in enumerate(poses, start=first):
        colour, depth, _ = view(pose, CAMERA)
        cv2.imwrite(str(directory / f"rgb/{number}.png"), cv2.cvtColor(colour, cv2.COLOR_RGB2BGR))
        cv2.imwrite(str(directory / f"depth/{number}.png"), np.round(depth * 5000).astype(np.uint16))
    numbers = range(first, first + len(poses))
    write_associations(directory, [f"{n} depth/{n}.png {n} rgb/{n}.png" for n in numbers])
    write_icl_poses(directory, [(n, pose) for n, pose in zip(numbers, poses, strict=True)][1:])
    return directory


def write_associations(directory: Path, lines: list[str]) -> None:
    (directory / "associations.txt").write_text("".join(f"{line}\n" for line in lines))


def write_icl_poses(directory: Path, poses: list[tuple[int, NDArray[np.float64]]]) -> None:
    """Write numbered poses, camera to world with y axes that point down, as if y pointed up."""
    lines = []
    for number, pose in poses:
        position = _MIRROR @ pose[:3, 3]
        quaternion = Rotation.from_matrix(_MIRROR @ pose[:3, :3] @ _MIRROR).as_quat()
        lines.append(" ".join([str(number), *(f"{value:.9g}" for value in (*position, *quaternion))]))
    (directory / GROUND_TRUTH_FILE).write_text("".join(f"{line}\n" for line in lines))
