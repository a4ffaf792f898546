"""Rooms and furniture of flat surfaces as labelled meshes, and a depth camera that looks around in them."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from adapters.backend import CameraIntrinsics
from adapters.label_space import LabelClass, LabelRole, LabelSpace
from adapters.labelled_mesh import LABEL_UNKNOWN, LabelledMesh
from adapters.mono_hydra.scene_graph.free_space import FreeSpace
from adapters.mono_hydra.scene_graph.options import SceneGraphOptions
from adapters.rgbd_odometry.patient_open3d import o3d

WALL, FLOOR, CHAIR, TABLE, PERSON = 1, 2, 5, 7, 31

LABEL_SPACE = LabelSpace(
    "boxes",
    (
        LabelClass(WALL, "wall", (200, 200, 200), LabelRole.STRUCTURE),
        LabelClass(FLOOR, "floor", (120, 90, 60), LabelRole.STRUCTURE),
        LabelClass(CHAIR, "chair", (236, 16, 156), LabelRole.OBJECT),
        LabelClass(TABLE, "table", (236, 216, 16), LabelRole.OBJECT),
        LabelClass(PERSON, "person", (236, 136, 96), LabelRole.DYNAMIC),
    ),
)
INTRINSICS = CameraIntrinsics(80.0, 80.0, 79.5, 59.5, 160, 120)
OPTIONS = SceneGraphOptions(free_ray_stride=4, free_voxel_size=0.1)

HEIGHT = 2.5
DOOR_HEIGHT = 2.05
WALL_THICKNESS = 0.14
SPACING = 0.05


def empty_mesh() -> LabelledMesh:
    return _joined([])


def rectangle(
    corner: Sequence[float], along: Sequence[float], up: Sequence[float], label: int
) -> LabelledMesh:
    """A grid of vertices; its normal is ``along × up``."""
    corner, along, up = (np.asarray(vector, float) for vector in (corner, along, up))
    columns, rows = (int(np.ceil(np.linalg.norm(side) / SPACING)) + 1 for side in (along, up))
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    vertices = corner + u.reshape(-1, 1) * along + v.reshape(-1, 1) * up
    normal = np.cross(along, up)
    numbers = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (n.ravel() for n in (numbers[:-1, :-1], numbers[:-1, 1:], numbers[1:, 1:], numbers[1:, :-1]))
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    count = len(vertices)
    return LabelledMesh(
        vertices.astype(np.float32),
        np.tile(normal / np.linalg.norm(normal), (count, 1)).astype(np.float32),
        np.full((count, 3), (10 + label, 100, 255 - label), np.uint8),
        np.full(count, label, np.uint8),
        triangles.astype(np.int32),
    )


def box(
    centre: Sequence[float], dimensions: Sequence[float], label: int, *, yaw: float = 0.0
) -> LabelledMesh:
    """A thing: the six sides of a box, turned about the vertical, seen from outside."""
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    sides = []
    for axis, sign in product(range(3), (-1, 1)):
        normal, first, second = (np.roll(np.eye(3), axis, axis=0)[i] for i in (0, 1, 2))
        first, second = (first, second) if sign > 0 else (second, first)
        size = np.asarray(dimensions)
        corner = (sign * normal - first - second) * size / 2
        sides.append(rectangle(turn @ corner + centre, turn @ (first * size), turn @ (second * size), label))
    return _joined(sides)


def room(
    minimum: Sequence[float],
    maximum: Sequence[float],
    *,
    east_door: tuple[float, float] | None = None,
    west_door: tuple[float, float] | None = None,
) -> LabelledMesh:
    """Floor, ceiling and walls of a room seen from inside, with doorways from y to y in two of the walls."""
    (x0, y0), (x1, y1) = minimum, maximum
    parts = [
        rectangle((x0, y0, 0), (x1 - x0, 0, 0), (0, y1 - y0, 0), FLOOR),
        rectangle((x0, y0, HEIGHT), (0, y1 - y0, 0), (x1 - x0, 0, 0), WALL),
        rectangle((x1, y0, 0), (x0 - x1, 0, 0), (0, 0, HEIGHT), WALL),
        rectangle((x0, y1, 0), (x1 - x0, 0, 0), (0, 0, HEIGHT), WALL),
    ]
    for x, door, towards in ((x0, west_door, 1), (x1, east_door, -1)):
        left, right = door or (y0, y0)
        panels = [(y0, left, 0.0), (right, y1, 0.0), *([(left, right, DOOR_HEIGHT)] if door else [])]
        for low, high, bottom in panels:
            if high - low > 0:
                along, up = (0, high - low, 0), (0, 0, HEIGHT - bottom)
                sides = (along, up) if towards > 0 else (up, along)
                parts.append(rectangle((x, low, bottom), *sides, WALL))
    return _joined(parts)


def door_frame(x: float, door: tuple[float, float]) -> LabelledMesh:
    """The inside of a doorway through a wall that begins at ``x``."""
    left, right = door
    through, up = (WALL_THICKNESS, 0, 0), (0, 0, DOOR_HEIGHT)
    return _joined(
        [
            rectangle((x, left, 0), up, through, WALL),
            rectangle((x, right, 0), through, up, WALL),
            rectangle((x, left, DOOR_HEIGHT), (0, right - left, 0), through, WALL),
            rectangle((x, left, 0), through, (0, right - left, 0), FLOOR),
        ]
    )


def _joined(parts: Sequence[LabelledMesh]) -> LabelledMesh:
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])[:-1]
    return LabelledMesh(
        np.concatenate([np.zeros((0, 3), np.float32), *(part.vertices for part in parts)]),
        np.concatenate([np.zeros((0, 3), np.float32), *(part.normals for part in parts)]),
        np.concatenate([np.zeros((0, 3), np.uint8), *(part.colours for part in parts)]),
        np.concatenate([np.zeros(0, np.uint8), *(part.labels for part in parts)]),
        np.concatenate(
            [
                np.zeros((0, 3), np.int32),
                *(part.triangles + np.int32(start) for part, start in zip(parts, starts, strict=True)),
            ]
        ),
    )


def together(*parts: LabelledMesh) -> LabelledMesh:
    return _joined(parts)


def without_labels(mesh: LabelledMesh) -> LabelledMesh:
    labels = np.full_like(mesh.labels, LABEL_UNKNOWN)
    return LabelledMesh(mesh.vertices, mesh.normals, mesh.colours, labels, mesh.triangles)


def two_rooms() -> LabelledMesh:
    """Two rooms of 4 m by 3.5 m side by side, with a doorway of 0.9 m between them."""
    door = (1.3, 2.2)
    return together(
        room((0, 0), (4, 3.5), east_door=door),
        door_frame(4.0, door),
        room((4 + WALL_THICKNESS, 0), (8 + WALL_THICKNESS, 3.5), west_door=door),
    )


def camera_poses(positions: Sequence[Sequence[float]], views: int = 6) -> NDArray[np.float64]:
    """Camera to world, float64 [N, 4, 4]: level looks all around from every position."""
    poses = []
    for position, heading in product(positions, np.arange(views) * 2 * np.pi / views):
        c, s = np.cos(heading), np.sin(heading)
        pose = np.eye(4)
        pose[:3, :3] = np.array([[s, 0, c], [-c, 0, s], [0, -1, 0]])
        pose[:3, 3] = position
        poses.append(pose)
    return np.array(poses)


def depth_images(mesh: LabelledMesh, poses: NDArray[np.float64]) -> NDArray[np.float32]:
    """What the camera measures at the poses, float32 [N, H, W]."""
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(o3d.core.Tensor(mesh.vertices), o3d.core.Tensor(mesh.triangles.astype(np.uint32)))
    rows, columns = np.mgrid[: INTRINSICS.height, : INTRINSICS.width]
    x = (columns - INTRINSICS.cx) / INTRINSICS.fx
    y = (rows - INTRINSICS.cy) / INTRINSICS.fy
    directions = np.stack([x, y, np.ones_like(x)], -1)
    images = []
    for pose in poses:
        outward = directions @ pose[:3, :3].T
        rays = np.concatenate([np.broadcast_to(pose[:3, 3], outward.shape), outward], -1)
        depth = scene.cast_rays(o3d.core.Tensor(rays.astype(np.float32)))["t_hit"].numpy()
        images.append(np.where(np.isfinite(depth), depth, 0).astype(np.float32))
    return np.array(images)


def look_around(
    mesh: LabelledMesh, poses: NDArray[np.float64], options: SceneGraphOptions = OPTIONS
) -> FreeSpace:
    """The free space that the camera sees from the poses."""
    space = FreeSpace(options, INTRINSICS)
    for depth, pose in zip(depth_images(mesh, poses), poses, strict=True):
        space.integrate(depth, pose)
    return space
