"""A room that any pinhole camera can look at from anywhere: what recordings made by tests show.

Conventions are those of the product: poses are camera to world, the camera looks along z, x points right, y
points down, the centre of the first pixel is (0, 0). Who writes a format that has others converts by hand.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sequences.model import Intrinsics

CAMERA = Intrinsics(fx=140.0, fy=138.0, cx=79.0, cy=60.5, width=160, height=120)

#: The room and the cupboard in it: least and greatest corner, metres. Nothing about them is symmetric.
_ROOM = np.array([[-2.0, -1.3, -1.5], [2.4, 1.2, 3.0]])
_CUPBOARD = np.array([[0.3, -0.4, 1.2], [1.1, 1.2, 1.9]])
#: NYU-40 ids of what lies at the least and greatest x, y and z of the room, and of the cupboard.
_SURFACE_LABELS = np.array([1, 9, 22, 2, 1, 8, 3], dtype=np.uint8)


def camera_path(count: int, motion: float = 1.0) -> NDArray[np.float64]:
    """float64 [count, 4, 4], camera to world: forward, sideways and down while turning about all axes."""
    along = np.linspace(0.0, motion, count)
    poses = np.tile(np.eye(4), (count, 1, 1))
    turns = np.column_stack([0.10 * along, -0.22 * along, 0.08 * along])
    poses[:, :3, :3] = Rotation.from_rotvec(turns).as_matrix()
    poses[:, :3, 3] = np.column_stack([-0.3 + 0.5 * along, 0.1 + 0.2 * along, -0.8 + 0.6 * along])
    return poses


def view(
    camera_to_world: NDArray[np.float64], camera: Intrinsics = CAMERA
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8]]:
    """What a camera sees.

    Returns:
        RGB uint8 [H, W, 3], depth along z float32 [H, W] in metres, and NYU-40 labels uint8 [H, W].
    """
    rows, columns = np.indices((camera.height, camera.width))
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    # A ray has z = 1 in the camera, so that the distance along it is the depth.
    rays = pixels @ np.linalg.inv(camera.matrix()).T @ camera_to_world[:3, :3].T
    eye = camera_to_world[:3, 3]
    _, leaving, wall = _crossings(eye, rays, _ROOM)
    entering, behind, _ = _crossings(eye, rays, _CUPBOARD)
    hits_cupboard = (entering > 0) & (entering < behind)
    depth = np.where(hits_cupboard, entering, leaving)
    surface = np.where(hits_cupboard, 6, wall)
    return _paint(eye + rays * depth[..., None], surface), depth.astype(np.float32), _SURFACE_LABELS[surface]


def _crossings(
    eye: NDArray[np.float64], rays: NDArray[np.float64], box: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Where rays enter a box, where they leave it, and through which of its six sides."""
    with np.errstate(divide="ignore"):
        distances = (box[:, None, None, :] - eye) / rays
    entering = distances.min(axis=0).max(axis=-1)
    far = distances.max(axis=0)
    axis = far.argmin(axis=-1)
    side = 2 * axis + (np.take_along_axis(rays, axis[..., None], axis=-1)[..., 0] > 0)
    return entering, far.min(axis=-1), side


def _paint(points: NDArray[np.float64], surface: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A smooth pattern that does not repeat within the room, in another mixture on every surface."""
    phases = np.array([[3.1, 5.3, 7.7], [11.0, 4.1, 6.1], [5.7, 13.0, 3.7]])
    waves = np.sin(points @ phases.T + surface[..., None])
    return np.round(127.5 + 120 * waves).astype(np.uint8)
