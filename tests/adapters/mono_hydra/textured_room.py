"""A room of textured walls, rendered exactly from any pose, and features of what is seen in it."""

from functools import cache

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from adapters.backend import CameraIntrinsics
from adapters.mono_hydra.loops.features import KeyframeFeatures, extract_features
from adapters.mono_hydra.loops.options import LoopOptions
from adapters.mono_hydra.model import RgbdLabels

INTRINSICS = CameraIntrinsics(fx=400.0, fy=400.0, cx=239.5, cy=179.5, width=480, height=360)
OPTIONS = LoopOptions()
_HALF_SIZE = np.array([2.5, 1.4, 2.5])
_TEXELS_PER_M = 160


def pose(x: float = 0.0, y: float = 0.0, z: float = 0.0, turn_deg: float = 0.0) -> np.ndarray:
    """float64 [4, 4], camera to world, at x, y, z, turned about the vertical axis, which is y."""
    camera_to_world = np.eye(4)
    camera_to_world[:3, :3] = Rotation.from_euler("y", turn_deg, degrees=True).as_matrix()
    camera_to_world[:3, 3] = [x, y, z]
    return camera_to_world


def view(camera_to_world: np.ndarray) -> RgbdLabels:
    """The image and depth of a camera in the room; the room's middle is the origin."""
    columns, rows = np.meshgrid(np.arange(INTRINSICS.width), np.arange(INTRINSICS.height))
    rays = np.stack(
        [
            (columns - INTRINSICS.cx) / INTRINSICS.fx,
            (rows - INTRINSICS.cy) / INTRINSICS.fy,
            np.ones(columns.shape),
        ],
        axis=-1,
    )
    directions = rays @ camera_to_world[:3, :3].T
    away = np.where(np.abs(directions) < 1e-9, 1e-9, directions)
    depths = (np.sign(away) * _HALF_SIZE - camera_to_world[:3, 3]) / away
    axis = depths.argmin(axis=-1)
    depth = np.take_along_axis(depths, axis[..., None], axis=-1)[..., 0]
    points = camera_to_world[:3, 3] + directions * depth[..., None]
    wall = 2 * axis + (np.take_along_axis(directions, axis[..., None], axis=-1)[..., 0] > 0)
    first = np.where(axis == 0, points[..., 1], points[..., 0])
    second = np.where(axis == 2, points[..., 1], points[..., 2])
    rgb = cv2.remap(
        texture(0),
        ((first + 3.0) * _TEXELS_PER_M + 157 * wall).astype(np.float32),
        ((second + 3.0) * _TEXELS_PER_M + 211 * wall).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    return RgbdLabels(0, 0, rgb, depth.astype(np.float32))


def seen_from(camera_to_world: np.ndarray, keyframe: int = 0) -> KeyframeFeatures:
    """The features of a camera in the room."""
    return extract_features(view(camera_to_world), keyframe, INTRINSICS, OPTIONS)


def without_depth(frame: RgbdLabels) -> RgbdLabels:
    """The same image, nothing known of depth."""
    return RgbdLabels(frame.index, frame.timestamp_ns, frame.rgb, np.zeros_like(frame.depth))


@cache
def texture(seed: int) -> np.ndarray:
    """uint8 [2400, 2400, 3], random patches of several sizes, none of them like another."""
    random = np.random.default_rng(seed)
    layers = [
        cv2.resize(random.integers(0, 256, (size, size, 3), dtype=np.uint8), (2400, 2400), interpolation=kind)
        for size, kind in ((150, cv2.INTER_NEAREST), (500, cv2.INTER_CUBIC))
    ]
    return cv2.GaussianBlur(cv2.addWeighted(layers[0], 0.7, layers[1], 0.3, 0.0), (3, 3), 0.0)
