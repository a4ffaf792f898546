"""Registration of depth to colour: a depth image as the colour camera beside it would have seen it."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sequences.model import Intrinsics


class DepthRegistration:
    """Moves depth images from the camera that measured them into another one.

    The point of every pixel is moved and drawn at the pixel that it falls on; where several fall on one, the
    nearest stays. A pixel that none falls on is unknown: what the depth camera did not see, and, where the
    other camera has more pixels to the degree, gaps between neighbours.

    Args:
        depth_camera: The camera that measured.
        colour_camera: The camera to register to.
        depth_to_colour: float64 [4, 4], takes points of the depth camera to the colour camera, metres.
    """

    def __init__(
        self, depth_camera: Intrinsics, colour_camera: Intrinsics, depth_to_colour: NDArray[np.float64]
    ):
        self._depth_camera = depth_camera
        self._colour_camera = colour_camera
        self._depth_to_colour = depth_to_colour

    @cached_property
    def _rays(self) -> NDArray[np.float32]:
        """float32 [3, H*W]: for every depth pixel, what one metre of depth adds to where it lands."""
        camera = self._depth_camera
        rows, columns = np.indices((camera.height, camera.width))
        pixels = np.stack([columns, rows, np.ones_like(rows)]).reshape(3, -1)
        rotation = self._depth_to_colour[:3, :3]
        rays = self._colour_camera.matrix() @ rotation @ np.linalg.inv(camera.matrix()) @ pixels
        return rays.astype(np.float32)

    def to_colour(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Register one depth image.

        Args:
            depth: float32 [H, W] of the depth camera, metres, 0 where unknown.

        Returns:
            float32 [H, W] of the colour camera, metres along its own optical axis, 0 where unknown.
        """
        camera = self._colour_camera
        known = np.flatnonzero(depth > 0)
        offset = (camera.matrix() @ self._depth_to_colour[:3, 3]).astype(np.float32)
        landed = self._rays[:, known] * depth.reshape(-1)[known] + offset[:, None]
        landed = landed[:, landed[2] > 0]
        distances = landed[2]
        columns, rows = np.rint(landed[:2] / distances)
        # Compared as floats: a point beside the camera may land further out than integers reach.
        inside = (columns >= 0) & (columns < camera.width) & (rows >= 0) & (rows < camera.height)
        targets = rows[inside].astype(np.int64) * camera.width + columns[inside].astype(np.int64)
        nearest = np.full(camera.height * camera.width, np.inf, dtype=np.float32)
        np.minimum.at(nearest, targets, distances[inside])
        nearest[np.isinf(nearest)] = 0.0
        return nearest.reshape(camera.height, camera.width)
