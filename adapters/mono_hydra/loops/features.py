"""What of a keyframe is kept to recognise it: ORB features with depth, and its depth at low resolution."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from adapters.backend import CameraIntrinsics
from adapters.mono_hydra.loops.options import LoopOptions
from adapters.mono_hydra.model import RgbdLabels
from adapters.mono_hydra.odometry.depth_reading import read_depth
from adapters.mono_hydra.odometry.options import OdometryOptions

_LEVELS = 8
_LEVEL_SCALE = 1.2
# So many times more corners are detected than are kept, so that there is a choice in every cell.
_CHOICE = 12
_DESCRIPTOR_BYTES = 32
#: Edge of the cells of the surface that is kept, pixels.
SURFACE_CELL = 20


@dataclass(frozen=True)
class KeyframeFeatures:
    """One keyframe as loop closing sees it.

    Attributes:
        keyframe: Its number, given by the caller.
        pixels: float32 [N, 2], column and row.
        descriptors: uint8 [N, 32], ORB.
        points: float32 [N, 3], in the camera's frame, metres; NaN where depth is unknown.
        scales: float32 [N], size of the pyramid level's pixels in pixels of the image, from 1.
        surface: float32 [R, C, 3], the points seen at the middle of square cells of ``SURFACE_CELL`` pixels,
            in the camera's frame, metres; NaN where depth is unknown or steps.
        inverse_depth_noise: Standard deviation of its inverse depth, 1/m.
    """

    keyframe: int
    pixels: NDArray[np.float32]
    descriptors: NDArray[np.uint8]
    points: NDArray[np.float32]
    scales: NDArray[np.float32]
    surface: NDArray[np.float32]
    inverse_depth_noise: float

    def __len__(self) -> int:
        return len(self.pixels)


def extract_features(
    frame: RgbdLabels,
    keyframe: int,
    intrinsics: CameraIntrinsics,
    options: LoopOptions,
    masked: NDArray[np.bool_] | None = None,
    depth_options: OdometryOptions | None = None,
    inverse_depth_noise: float = 0.0,
) -> KeyframeFeatures:
    """Finds the features of a keyframe, spread over the image.

    Rublee et al.: ORB: an efficient alternative to SIFT or SURF. ICCV 2011.

    Args:
        frame: Image and depth.
        keyframe: Its number.
        intrinsics: Of the camera.
        options: How many features.
        masked: bool [H, W], pixels of things that move; neither features nor surface are taken from there.
        depth_options: Which depth is to be trusted; the odometry's.
        inverse_depth_noise: Of the depth, 1/m; not less than ``loop_inverse_depth_noise`` is assumed.
    """
    gray = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)
    pixels, descriptors, scales = _detect(gray, options, masked)
    depth = frame.depth if masked is None else np.where(masked, np.float32(0.0), frame.depth)
    trusted = depth_options or OdometryOptions()
    points = _lift(depth, pixels, intrinsics, trusted)
    middles = _middles_of_cells(intrinsics)
    surface = _lift(depth, middles.reshape(-1, 2), intrinsics, trusted).reshape(*middles.shape[:2], 3)
    noise = max(inverse_depth_noise, options.loop_inverse_depth_noise)
    return KeyframeFeatures(keyframe, pixels, descriptors, points, scales, surface, noise)


def _detect(
    gray: NDArray[np.uint8], options: LoopOptions, masked: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
    """Pixels [N, 2], descriptors [N, 32] and scales [N] of ORB features."""
    orb = cv2.ORB.create(
        nfeatures=_CHOICE * options.loop_features,
        scaleFactor=_LEVEL_SCALE,
        nlevels=_LEVELS,
        fastThreshold=options.loop_corner_contrast,
    )
    allowed = None if masked is None else np.where(masked, 0, 255).astype(np.uint8)
    corners = orb.detect(gray, allowed)
    if corners:
        places = _places(corners)
        responses = np.array([corner.response for corner in corners])
        kept = _spread(places, responses, options)
        corners, descriptors = orb.compute(gray, [corners[index] for index in kept])
    if not corners:
        return (
            np.zeros((0, 2), np.float32),
            np.zeros((0, _DESCRIPTOR_BYTES), np.uint8),
            np.zeros(0, np.float32),
        )
    levels = np.array([corner.octave for corner in corners])
    return _places(corners), descriptors, np.asarray(_LEVEL_SCALE**levels, dtype=np.float32)


def _places(corners: Sequence[cv2.KeyPoint]) -> NDArray[np.float32]:
    """float32 [N, 2], column and row."""
    return np.asarray(cv2.KeyPoint.convert(corners), dtype=np.float32)


def _spread(
    places: NDArray[np.float32], responses: NDArray[np.float64], options: LoopOptions
) -> NDArray[np.intp]:
    """Indices of the corners to keep: first the strongest of every cell, then the second, and so on."""
    columns, rows = (places // options.loop_cell).astype(np.intp).T
    cells = rows * (columns.max() + 1) + columns
    by_cell = np.lexsort((-responses, cells))
    sorted_cells = cells[by_cell]
    rank = np.empty(len(places), np.intp)
    rank[by_cell] = np.arange(len(places)) - np.searchsorted(sorted_cells, sorted_cells)
    return np.lexsort((-responses, rank))[: options.loop_features]


def _middles_of_cells(intrinsics: CameraIntrinsics) -> NDArray[np.float32]:
    """float32 [R, C, 2], pixels."""
    half = SURFACE_CELL // 2
    columns = np.arange(half, intrinsics.width, SURFACE_CELL, dtype=np.float32)
    rows = np.arange(half, intrinsics.height, SURFACE_CELL, dtype=np.float32)
    return np.stack(np.meshgrid(columns, rows), axis=-1)


def _lift(
    depth: NDArray[np.float32],
    pixels: NDArray[np.float32],
    intrinsics: CameraIntrinsics,
    trusted: OdometryOptions,
) -> NDArray[np.float32]:
    """float32 [N, 3], the points seen at pixels, NaN where depth is unknown."""
    if not len(pixels):
        return np.zeros((0, 3), np.float32)
    z = read_depth(depth, pixels, trusted)
    x = (pixels[:, 0] - intrinsics.cx) / intrinsics.fx * z
    y = (pixels[:, 1] - intrinsics.cy) / intrinsics.fy * z
    return np.stack([x, y, z], axis=1).astype(np.float32)
