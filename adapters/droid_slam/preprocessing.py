"""Scales frames to the size that the network works at, and the camera with them."""

from dataclasses import dataclass
from math import sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from adapters.backend import BackendInputError, CameraIntrinsics

#: The network's grid has a cell for so many pixels a side.
GRID = 8
#: Upstream halves the grid four times and needs something to be left.
_LEAST_SIDE = 128


@dataclass(frozen=True)
class InputScaling:
    """How frames of one camera become upstream's input: resized, then cut at the right and the bottom.

    Attributes:
        resized: Width and height after resizing, pixels.
        camera: The camera of what is left after the cut, sides multiples of ``GRID``.
    """

    resized: tuple[int, int]
    camera: CameraIntrinsics

    @classmethod
    def of(cls, camera: CameraIntrinsics, pixels: int) -> "InputScaling":
        """Keeps the aspect of a camera's image to half a pixel.

        Args:
            camera: Of the frames.
            pixels: About how many pixels an image is to have.

        Raises:
            BackendInputError: What is left is too small for the network.
        """
        scale = sqrt(pixels / (camera.width * camera.height))
        width, height = round(camera.width * scale), round(camera.height * scale)
        cut_width, cut_height = width - width % GRID, height - height % GRID
        if min(cut_width, cut_height) < _LEAST_SIDE:
            raise BackendInputError(
                f"images of {camera.width}×{camera.height} become {cut_width}×{cut_height} at image_pixels "
                f"{pixels}; DROID-SLAM needs at least {_LEAST_SIDE} pixels a side: set image_pixels higher"
            )
        across, down = width / camera.width, height / camera.height
        # The centre of the first pixel is (0, 0), and resizing keeps the corner of the image where it is.
        return cls(
            (width, height),
            CameraIntrinsics(
                camera.fx * across,
                camera.fy * down,
                (camera.cx + 0.5) * across - 0.5,
                (camera.cy + 0.5) * down - 0.5,
                cut_width,
                cut_height,
            ),
        )

    def image(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image as upstream takes it.

        Args:
            rgb: uint8 [H, W, 3].

        Returns:
            uint8 [3, h, w], blue, green, red, contiguous.
        """
        # Exact: OpenCV's fast bilinear resizing of bytes rounds down by a tenth of a grey level on average.
        resized = cv2.resize(rgb, self.resized, interpolation=cv2.INTER_LINEAR_EXACT)
        cut = resized[: self.camera.height, : self.camera.width, ::-1]
        return np.ascontiguousarray(cut.transpose(2, 0, 1))

    def depth(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Depth of the same pixels, each that of the nearest pixel: a mean over an edge is nobody's depth.

        Args:
            depth: float32 [H, W], metres, 0 where unknown.

        Returns:
            float32 [h, w], contiguous.
        """
        resized = cv2.resize(depth, self.resized, interpolation=cv2.INTER_NEAREST_EXACT)
        return np.ascontiguousarray(resized[: self.camera.height, : self.camera.width])
