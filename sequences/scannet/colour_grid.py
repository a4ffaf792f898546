"""Brings colour and label images onto the pixels of the depth camera.

The frames of a scene are those of its depth camera: resampling noisy depth would invent distances, and of
colour there is four times as much as there is depth to go with it.

Colour is resized to the depth image's size by areas, and then warped by what is left between the two
cameras. That is the homography K_c R K_d⁻¹ of two cameras at one place (Hartley and Zisserman, "Multiple
View Geometry", section 13.4), with R the rotation from the depth camera to the colour camera. In ScanNet
both extrinsic matrices should be identities: its authors registered depth to colour before they wrote the
.sens files. A translation cannot be undone without the depth itself, and is only said.

JPEG can be decoded straight to half its size. Decoding and resizing 1296×968 then takes 3.5 ms in place of
6.0 ms on one core, but what comes out, resized once more from 648×484, has 15 to 40 % less fine detail
(variance of the Laplacian) and is 42 to 48 dB away from what the whole image gives. The whole image is
decoded.
"""

from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sequences.model import Intrinsics
from sequences.scannet.scene import ScannedCamera

#: A warp that moves no pixel further than this is not worth the blur of another resampling, pixels.
_LEAST_SHIFT_PX = 0.05
#: Cameras closer together than this count as being at one place, metres.
_LEAST_DISTANCE_M = 0.001
_LEAST_ANGLE_RAD = 1e-4


class ColourGrid:
    """Resamples the images of one colour camera for one depth camera. Used from several threads at once.

    Args:
        colour: The camera of colour and label images.
        depth: The camera whose pixels they are brought to.
    """

    def __init__(self, colour: ScannedCamera, depth: ScannedCamera):
        self._colour, self._depth = colour, depth
        self._depth_to_colour = np.linalg.inv(colour.to_rig) @ depth.to_rig

    @property
    def intrinsics(self) -> Intrinsics:
        """Of the resampled images, which are the depth camera's."""
        matrix = self._depth.matrix
        fx, fy, cx, cy = (float(matrix[row, column]) for row, column in ((0, 0), (1, 1), (0, 2), (1, 2)))
        return Intrinsics(fx, fy, cx, cy, self._depth.width, self._depth.height)

    @cached_property
    def largest_shift_px(self) -> float:
        """How far the warp moves the pixel that it moves furthest, pixels of the depth image."""
        columns, rows = self._sources_in_resized
        own_rows, own_columns = np.indices(columns.shape)
        return float(np.hypot(columns - own_columns, rows - own_rows).max())

    def notes(self) -> tuple[str, ...]:
        """What was done to colour images, and what could not be."""
        colour, depth = self._colour, self._depth
        notes = []
        if colour.size != depth.size:
            notes.append(
                f"Colour images were resized from {colour.width}×{colour.height} to the depth images' "
                f"{depth.width}×{depth.height}."
            )
        if self._warps:
            notes.append(
                f"Colour images were warped by up to {self.largest_shift_px:.2g} pixels to the intrinsics of "
                "the depth camera."
            )
        angle = float(np.linalg.norm(cv2.Rodrigues(self._depth_to_colour[:3, :3])[0]))
        if angle > _LEAST_ANGLE_RAD:
            notes.append(
                f"The extrinsic matrices turn the colour camera by {np.degrees(angle):.2g}° against the "
                "depth camera; they were taken as camera to rig."
            )
        distance = float(np.linalg.norm(self._depth_to_colour[:3, 3]))
        if distance > _LEAST_DISTANCE_M:
            notes.append(
                f"The extrinsic matrices put the colour camera {distance * 1000:.3g} mm away from the depth "
                "camera; this was not undone, so colour is displaced by more the nearer a surface is."
            )
        return tuple(notes)

    def colour(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring a colour image, uint8 [H, W, 3], to uint8 [h, w, 3]; black where the camera saw nothing."""
        if self._colour.size != self._depth.size:
            image = _uint8(cv2.resize(image, self._depth.size, interpolation=cv2.INTER_AREA))
        if self._warps:
            image = _uint8(cv2.remap(image, *self._fixed_point_map, cv2.INTER_LINEAR))
        return image

    def labels(self, image: NDArray[Any], outside: int) -> NDArray[Any]:
        """Bring an image of ids, [H, W], to [h, w] by nearest neighbour.

        Args:
            image: Of any type of whole numbers.
            outside: What pixels get at which the colour camera saw nothing.
        """
        positions, is_outside = self._nearest_sources
        resampled = image.reshape(-1)[positions]
        resampled[is_outside] = outside
        return resampled

    def __reduce__(self) -> tuple[Any, ...]:
        # What is computed from the cameras is computed again rather than sent to other processes.
        return ColourGrid, (self._colour, self._depth)

    @property
    def _warps(self) -> bool:
        return self.largest_shift_px > _LEAST_SHIFT_PX

    @cached_property
    def _sources(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Column and row in the colour image of every pixel of the depth image, float64 [h, w] each."""
        homography = self._colour.matrix @ self._depth_to_colour[:3, :3] @ np.linalg.inv(self._depth.matrix)
        rows, columns = np.indices((self._depth.height, self._depth.width))
        x, y, z = homography @ np.stack([columns, rows, np.ones_like(rows)]).reshape(3, -1)
        z = np.where(z > 0, z, np.nan)
        outside = -float(max(self._colour.size))
        return tuple(np.nan_to_num(part / z, nan=outside).reshape(rows.shape) for part in (x, y))

    @cached_property
    def _sources_in_resized(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The same in the resized colour image; resizing keeps the corners, not the centres, of pixels."""
        columns, rows = self._sources
        return (
            (columns + 0.5) * (self._depth.width / self._colour.width) - 0.5,
            (rows + 0.5) * (self._depth.height / self._colour.height) - 0.5,
        )

    @cached_property
    def _fixed_point_map(self) -> tuple[NDArray[Any], NDArray[Any]]:
        columns, rows = (part.astype(np.float32) for part in self._sources_in_resized)
        return cv2.convertMaps(columns, rows, cv2.CV_16SC2)

    @cached_property
    def _nearest_sources(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Position in a flattened colour image of every pixel of the depth image, and where there is none."""
        width, height = self._colour.size
        columns, rows = (np.rint(part).astype(np.int64) for part in self._sources)
        is_outside = (columns < 0) | (columns >= width) | (rows < 0) | (rows >= height)
        return np.where(is_outside, 0, rows * width + columns), is_outside


def _uint8(image: NDArray[Any]) -> NDArray[np.uint8]:
    return image.astype(np.uint8, copy=False)
