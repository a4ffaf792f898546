"""Exact depth of walls, seen by a small camera."""

import numpy as np
from scipy.spatial.transform import Rotation

from adapters.backend import CameraIntrinsics
from adapters.label_space import LabelClass, LabelRole, LabelSpace
from adapters.mono_hydra.model import RgbdLabels

INTRINSICS = CameraIntrinsics(fx=300.0, fy=300.0, cx=159.5, cy=119.5, width=320, height=240)
FLOOR, WALL, CHAIR, PERSON = 2, 1, 5, 31
LABEL_SPACE = LabelSpace(
    "test",
    (
        LabelClass(WALL, "wall", (200, 200, 200), LabelRole.STRUCTURE),
        LabelClass(FLOOR, "floor", (120, 80, 40), LabelRole.STRUCTURE),
        LabelClass(CHAIR, "chair", (200, 0, 0), LabelRole.OBJECT),
        LabelClass(7, "table", (0, 200, 0), LabelRole.OBJECT),
        LabelClass(PERSON, "person", (0, 0, 200), LabelRole.DYNAMIC),
    ),
)
SHAPE = (INTRINSICS.height, INTRINSICS.width)


def rays() -> np.ndarray:
    """float64 [H, W, 3], through the centres of pixels, z is 1."""
    columns, rows = np.meshgrid(np.arange(INTRINSICS.width), np.arange(INTRINSICS.height))
    x, y = (columns - INTRINSICS.cx) / INTRINSICS.fx, (rows - INTRINSICS.cy) / INTRINSICS.fy
    return np.stack([x, y, np.ones(SHAPE)], axis=-1)


def pose(position=(0.0, 0.0, 0.0), yaw_deg=0.0, pitch_deg=0.0) -> np.ndarray:
    """float64 [4, 4], camera to world; not turned, it looks along z of the world."""
    camera_to_world = np.eye(4)
    camera_to_world[:3, :3] = Rotation.from_euler("yx", [yaw_deg, pitch_deg], degrees=True).as_matrix()
    camera_to_world[:3, 3] = position
    return camera_to_world


def depth_of_plane(normal, offset: float, camera_to_world: np.ndarray) -> np.ndarray:
    """float32 [H, W] of the plane normal · x = offset, 0 where it is not in front of the camera."""
    rate = rays() @ camera_to_world[:3, :3].T @ np.asarray(normal)
    with np.errstate(divide="ignore"):
        depth = (offset - camera_to_world[:3, 3] @ np.asarray(normal)) / rate
    return np.where((depth > 0.0) & (depth < 100.0), depth, 0.0).astype(np.float32)


def frame(depth, labels=None, rgb=(90, 120, 150), timestamp_s=0.0) -> RgbdLabels:
    """A frame with one colour; depth and labels are images or one value for all pixels."""
    return RgbdLabels(
        index=0,
        timestamp_ns=round(timestamp_s * 1e9),
        rgb=np.broadcast_to(np.array(rgb, np.uint8), (*SHAPE, 3)).copy(),
        depth=np.broadcast_to(np.asarray(depth, np.float32), SHAPE).copy(),
        labels=None if labels is None else np.broadcast_to(np.asarray(labels, np.uint8), SHAPE).copy(),
    )
