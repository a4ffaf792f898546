"""Makes a mesh of the keyframes' depth: every keyframe is a patch of surface; patches are not fused."""

import numpy as np
from numpy.typing import NDArray

from adapters.backend import CameraIntrinsics
from adapters.droid_slam.keyframes import Keyframes
from adapters.labelled_mesh import LABEL_UNKNOWN, LabelledMesh

#: Neighbours in time on either side that are asked whether they see the same depth ...
_NEIGHBOURS = 3
#: ... and how many of them must.
_LEAST_AGREEING = 2
#: A point nearer than this share of the frame's mean inverse depth is far away and not trusted.
_LEAST_NEARNESS = 0.5
#: Neighbouring points with depths further apart than this ratio lie on two surfaces.
_LARGEST_DEPTH_RATIO = 1.1
_GREY = 128
_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


def keyframe_mesh(keyframes: Keyframes, camera: CameraIntrinsics, tolerance: float) -> LabelledMesh:
    """The points that several keyframes agree on, joined to triangles where they are neighbours.

    Args:
        keyframes: With poses and inverse depth.
        camera: Of the grid that inverse depth is given on.
        tolerance: Depth on which keyframes must agree, in the unit of the poses.

    Returns:
        The mesh in the world of the poses, grey where there are no colours; its points are its vertices,
        also those that are part of no triangle.
    """
    rays = _rays(camera)
    patches = []
    for number in range(len(keyframes)):
        keep = _trustworthy(keyframes, number, rays, camera, tolerance)
        if keep.any():
            patches.append(_patch(keyframes, number, rays, keep))
    return _joined(patches or [_no_patch()])


def agreement(
    keyframes: Keyframes,
    number: int,
    rays: NDArray[np.float64],
    camera: CameraIntrinsics,
    tolerance: float,
) -> NDArray[np.int64]:
    """How many neighbours in time see a keyframe's points where it sees them.

    This is how upstream picks the points that it shows, done here anew on the CPU: a neighbour agrees when
    one of the four cells around the projected point has a depth that differs from the point's by less than
    the tolerance.

    Returns:
        int64 [h, w].
    """
    inverse_depth = keyframes.inverse_depths[number]
    rows, columns = inverse_depth.shape
    counts = np.zeros((rows, columns), np.int64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        points = rays / inverse_depth[..., None]
        for other in _neighbours(number, len(keyframes)):
            relative = keyframes.world_to_camera[other] @ np.linalg.inv(keyframes.world_to_camera[number])
            seen = points @ relative[:3, :3].T + relative[:3, 3]
            depth = seen[..., 2]
            left = np.floor(camera.fx * seen[..., 0] / depth + camera.cx)
            top = np.floor(camera.fy * seen[..., 1] / depth + camera.cy)
            inside = (depth > 0) & (left >= 0) & (left < columns - 1) & (top >= 0) & (top < rows - 1)
            row, column = top[inside].astype(int), left[inside].astype(int)
            around = np.stack(
                [keyframes.inverse_depths[other][row + down, column + right] for down, right in _CORNERS]
            )
            counts[inside] += (np.abs(1.0 / around - depth[inside]) < tolerance).any(axis=0)
    return counts


def _rays(camera: CameraIntrinsics) -> NDArray[np.float64]:
    """float64 [h, w, 3], of every cell, one unit long along the optical axis."""
    columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    across, down = (columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy
    return np.stack([across, down, np.ones_like(across)], axis=-1)


def _neighbours(number: int, count: int) -> list[int]:
    nearby = range(max(0, number - _NEIGHBOURS), min(count, number + _NEIGHBOURS + 1))
    return [other for other in nearby if other != number]


def _trustworthy(
    keyframes: Keyframes, number: int, rays: NDArray[np.float64], camera: CameraIntrinsics, tolerance: float
) -> NDArray[np.bool_]:
    """Which points are near enough, and seen at the same depth by others; bool [h, w]."""
    inverse_depth = keyframes.inverse_depths[number]
    if not (np.isfinite(inverse_depth).all() and np.isfinite(keyframes.world_to_camera[number]).all()):
        return np.zeros(inverse_depth.shape, bool)
    near = (inverse_depth > 0) & (inverse_depth > _LEAST_NEARNESS * inverse_depth.mean())
    counts = agreement(keyframes, number, rays, camera, tolerance)
    return np.asarray(near & (counts >= _LEAST_AGREEING))


def _patch(
    keyframes: Keyframes, number: int, rays: NDArray[np.float64], keep: NDArray[np.bool_]
) -> LabelledMesh:
    depth = 1.0 / np.where(keep, keyframes.inverse_depths[number], 1.0)
    camera_to_world = np.linalg.inv(keyframes.world_to_camera[number])
    centre = camera_to_world[:3, 3]
    points = (rays * depth[..., None])[keep] @ camera_to_world[:3, :3].T + centre
    triangles = _triangles(depth, keep)
    colours = np.full((len(points), 3), _GREY, np.uint8)
    if keyframes.colours is not None:
        colours = keyframes.colours[number][keep]
    return LabelledMesh(
        points.astype(np.float32),
        _normals(points, triangles, centre).astype(np.float32),
        colours,
        np.full(len(points), LABEL_UNKNOWN, np.uint8),
        triangles,
    )


def _triangles(depth: NDArray[np.float64], keep: NDArray[np.bool_]) -> NDArray[np.int32]:
    """int32 [T, 3], of the points that are kept, numbered row by row; their front is towards the camera."""
    numbers = np.full(keep.shape, -1, np.int32)
    numbers[keep] = np.arange(np.count_nonzero(keep))
    cells = {
        "top left": np.s_[:-1, :-1],
        "top right": np.s_[:-1, 1:],
        "bottom left": np.s_[1:, :-1],
        "bottom right": np.s_[1:, 1:],
    }
    # Rows go down, so that this order is anticlockwise for somebody at the camera.
    halves = (("top left", "bottom left", "top right"), ("top right", "bottom left", "bottom right"))
    found = []
    for half in halves:
        corners = np.stack([numbers[cells[corner]] for corner in half], axis=-1)
        depths = np.stack([depth[cells[corner]] for corner in half], axis=-1)
        one_surface = depths.max(axis=-1) < _LARGEST_DEPTH_RATIO * depths.min(axis=-1)
        found.append(corners[(corners >= 0).all(axis=-1) & one_surface])
    return np.concatenate(found)


def _normals(
    points: NDArray[np.float64], triangles: NDArray[np.int32], centre: NDArray[np.float64]
) -> NDArray[np.float64]:
    """float64 [V, 3], unit: of the triangles around a point, or towards the camera where there are none."""
    corners = points[triangles]
    normals = np.zeros_like(points)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], across)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    backwards = centre - points
    backwards /= np.linalg.norm(backwards, axis=1, keepdims=True)
    return np.where(lengths > 0, normals / np.where(lengths > 0, lengths, 1.0), backwards)


def _joined(patches: list[LabelledMesh]) -> LabelledMesh:
    starts = np.cumsum([0, *(len(patch.vertices) for patch in patches)])
    return LabelledMesh(
        np.concatenate([patch.vertices for patch in patches]),
        np.concatenate([patch.normals for patch in patches]),
        np.concatenate([patch.colours for patch in patches]),
        np.concatenate([patch.labels for patch in patches]),
        np.concatenate(
            [patch.triangles + np.int32(start) for patch, start in zip(patches, starts[:-1], strict=True)]
        ),
    )


def _no_patch() -> LabelledMesh:
    return LabelledMesh(
        np.zeros((0, 3), np.float32),
        np.zeros((0, 3), np.float32),
        np.zeros((0, 3), np.uint8),
        np.zeros(0, np.uint8),
        np.zeros((0, 3), np.int32),
    )
