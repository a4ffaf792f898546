"""Surface normals from true depth: a plane is fitted around every pixel, and kept where one is seen."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sequences.model import Intrinsics

#: The window reaches this part of the image's width to all sides of its pixel, and this many pixels at least.
_REACH = 1 / 128
_LEAST_REACH_PX = 2
#: So much of the window must have depth,
_LEAST_KNOWN = 0.75
#: and its depth must leave the plane by no more than this part of the distance (root mean square).
_LARGEST_RESIDUAL = 0.01


def window_reach(width: int) -> int:
    """How many pixels the window reaches to every side, for images of a width."""
    return max(_LEAST_REACH_PX, round(width * _REACH))


def true_normals(depth: NDArray[np.float32], intrinsics: Intrinsics) -> NDArray[np.float32]:
    """Normals of the surfaces that a depth image shows.

    A plane ``n·X = 1`` has inverse depth ``n·(x, y, 1)`` at normalised coordinates (x, y), an affine function
    of the pixel. That function is fitted by least squares to the inverse depth of a square window; the noise
    of sensors that measure disparity is the same near and far there.

    Args:
        depth: float32 [H, W], metres along the optical axis, 0 where unknown.
        intrinsics: Of the image.

    Returns:
        float32 [H, W, 3], unit vectors in the camera's frame that point towards the camera. Zero where the
        pixel or a quarter of its window has no depth, and where the window shows no plane: at edges, corners
        and strongly curved surfaces.
    """
    reach = window_reach(depth.shape[1])
    known = depth > 0
    inverse = np.divide(1.0, depth, out=np.zeros(depth.shape), where=known)
    slope_u, slope_v, centre, residual, count = _affine_fit(known.astype(np.float64), inverse, reach)
    # The value at the optical axis of the affine function that has `centre` at its pixel.
    rows, columns = np.indices(depth.shape)
    at_axis = centre + slope_u * (intrinsics.cx - columns) + slope_v * (intrinsics.cy - rows)
    away = np.stack([slope_u * intrinsics.fx, slope_v * intrinsics.fy, at_axis], axis=-1)
    length = np.linalg.norm(away, axis=-1)
    plane = known & (count >= _LEAST_KNOWN * (2 * reach + 1) ** 2) & (length > 0)
    plane &= residual <= _LARGEST_RESIDUAL * np.abs(centre)
    normals = np.zeros(away.shape, np.float32)
    normals[plane] = -away[plane] / length[plane, None]
    return normals


def _affine_fit(
    known: NDArray[np.float64], values: NDArray[np.float64], reach: int
) -> tuple[NDArray[np.float64], ...]:
    """Fit ``c + a u + b v`` to the known values of every window, u and v being offsets from its centre.

    Returns:
        a, b, c, the root mean square of what is left, and how many values are known; float64 [H, W] each.
    """
    ones = np.ones(2 * reach + 1)
    offsets = np.arange(-reach, reach + 1, dtype=np.float64)

    def window_sum(
        image: NDArray[np.float64], along_u: NDArray[np.float64], along_v: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        summed = cv2.sepFilter2D(image, cv2.CV_64F, along_u, along_v, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(summed, dtype=np.float64)

    count = window_sum(known, ones, ones)
    n = np.maximum(count, 1.0)
    mean_u, mean_v = window_sum(known, offsets, ones) / n, window_sum(known, ones, offsets) / n
    mean = window_sum(values, ones, ones) / n
    uu = window_sum(known, offsets**2, ones) / n - mean_u**2
    vv = window_sum(known, ones, offsets**2) / n - mean_v**2
    uv = window_sum(known, offsets, offsets) / n - mean_u * mean_v
    uw = window_sum(values, offsets, ones) / n - mean_u * mean
    vw = window_sum(values, ones, offsets) / n - mean_v * mean
    ww = window_sum(values**2, ones, ones) / n - mean**2
    determinant = uu * vv - uv**2
    solvable = determinant > 1e-9
    safe = np.where(solvable, determinant, 1.0)
    a, b = (uw * vv - vw * uv) / safe, (vw * uu - uw * uv) / safe
    left = np.sqrt(np.maximum(ww - a * uw - b * vw, 0.0))
    # A line of pixels fixes no plane: as if nothing were known.
    return a, b, mean - a * mean_u - b * mean_v, left, np.where(solvable, count, 0.0)
