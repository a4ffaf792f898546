"""The room of ``seen_room`` with a texture that feature detectors find something on."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from seen_room import view

from sequences.model import Intrinsics

#: Large enough for features to be found again.
CAMERA = Intrinsics(fx=280.0, fy=276.0, cx=158.0, cy=121.0, width=320, height=240)

_CELLS_PER_M = 12.0
_CELLS = 80


def speckled_view(
    camera_to_world: NDArray[np.float64], camera: Intrinsics = CAMERA
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Grey image uint8 [H, W] and depth float32 [H, W] in metres; every place has its own shade."""
    _, depth, _ = view(camera_to_world, camera)
    rows, columns = np.indices(depth.shape)
    rays = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ np.linalg.inv(camera.matrix()).T
    points = (rays * depth[..., None]) @ camera_to_world[:3, :3].T + camera_to_world[:3, 3]
    shades = np.random.default_rng(5).uniform(0, 255, (_CELLS, _CELLS, _CELLS))
    cells = np.moveaxis(points * _CELLS_PER_M, -1, 0)
    return np.round(map_coordinates(shades, cells, order=1, mode="grid-wrap")).astype(np.uint8), depth
