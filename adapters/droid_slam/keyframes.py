"""Reads the keyframes out of upstream's buffer."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adapters.backend import CameraIntrinsics
from adapters.droid_slam.preprocessing import GRID
from adapters.droid_slam.upstream import keyframe_count

#: Upstream takes sensor depth at this row and column of every cell, and so does the colour of a map.
_SAMPLE = 3


@dataclass(frozen=True)
class Keyframes:
    """All keyframes at the end of a run, on the network's grid.

    Attributes:
        stamps: int64 [N], indices of frames. The classic upstream leaves a slot the stamp of a keyframe that
            it dropped when the next one takes its place, so that a stamp may be that of a neighbour.
        world_to_camera: float64 [N, 4, 4]; NaN where upstream has no pose that is one.
        inverse_depths: float64 [N, h, w], in the inverse unit of the poses.
        colours: uint8 [N, h, w, 3], red, green, blue; None where upstream keeps no images.
    """

    stamps: NDArray[np.int64]
    world_to_camera: NDArray[np.float64]
    inverse_depths: NDArray[np.float64]
    colours: NDArray[np.uint8] | None

    def __len__(self) -> int:
        return len(self.stamps)


def read_keyframes(video: Any) -> Keyframes:
    """Copy what upstream holds of its keyframes.

    Args:
        video: Upstream's buffer: ``counter``, ``tstamp`` [B], ``poses`` [B, 7], ``disps`` [B, h, w], and
            maybe ``images`` uint8 [B, 3, 8h, 8w] in blue, green, red.
    """
    count = keyframe_count(video)
    inverse_depths = _array(video.disps[:count])
    _, rows, columns = inverse_depths.shape
    colours = None
    images = getattr(video, "images", None)
    if images is not None and tuple(images.shape[1:]) == (3, rows * GRID, columns * GRID):
        cells = images[:count, :, _SAMPLE::GRID, _SAMPLE::GRID].cpu().numpy()
        colours = np.ascontiguousarray(cells[:, ::-1].transpose(0, 2, 3, 1).astype(np.uint8))
    return Keyframes(
        np.round(_array(video.tstamp[:count])).astype(np.int64),
        rigid_matrices(_array(video.poses[:count])),
        inverse_depths,
        colours,
    )


def rigid_matrices(poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [N, 4, 4] of rows x y z qx qy qz qw, float64 [N, 7]; quaternions of any length but zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y, z, w = (poses[:, 3:] / np.linalg.norm(poses[:, 3:], axis=1, keepdims=True)).T
    matrices = np.tile(np.eye(4), (len(poses), 1, 1))
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrices[:, :3, :3] = np.moveaxis(np.array(rows), -1, 0)
    matrices[:, :3, 3] = poses[:, :3]
    return matrices


def on_grid(camera: CameraIntrinsics) -> CameraIntrinsics:
    """The camera of the network's grid, as upstream has it: every number divided by eight."""
    return CameraIntrinsics(
        camera.fx / GRID,
        camera.fy / GRID,
        camera.cx / GRID,
        camera.cy / GRID,
        camera.width // GRID,
        camera.height // GRID,
    )


def _array(tensor: torch.Tensor) -> NDArray[np.float64]:
    return np.asarray(tensor.detach().cpu().double().numpy())
