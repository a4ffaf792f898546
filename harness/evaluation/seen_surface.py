"""The part of a scene's surface that the camera saw: no map can be asked for more."""

from dataclasses import dataclass

import numpy as np
import open3d
from numpy.typing import NDArray

from harness.evaluation.labelled_surface import LabelledSurface
from harness.evaluation.surfaces import raycasting_scene
from sequences.model import Intrinsics

#: Surfaces further away than this are not asked for, metres: what depth sensors measure well.
SEEN_WITHIN = 5.0

#: A point counts as seen from so many of the poses that are looked at; a glimpse makes no surface.
LEAST_VIEWS = 2

# Surfaces are sampled about so densely, or as densely as the largest number of points allows.
_SPACING = 0.02
_MOST_POINTS = 150_000

# A ray that ends so much before a point has met something else, metres.
_IN_FRONT = 0.01


@dataclass(frozen=True)
class SurfacePoints:
    """Points spread evenly over a labelled surface.

    Attributes:
        positions: float32 [N, 3], metres.
        labels: uint8 [N].
    """

    positions: NDArray[np.float32]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.positions)


def spread_points(labelled: LabelledSurface) -> SurfacePoints:
    """Spread points over a surface, the same each time: as many per area everywhere."""
    surface = labelled.surface
    corners = surface.vertices[surface.triangles].astype(np.float64)
    edges = corners[:, 1:] - corners[:, :1]
    areas = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1) / 2
    count = int(np.clip(areas.sum() / _SPACING**2, 1, _MOST_POINTS))
    random = np.random.default_rng(0)
    # One draw in each of as many equal parts of the whole area.
    drawn = (np.arange(count) + random.random(count)) / count * areas.sum()
    triangles = np.searchsorted(np.cumsum(areas), drawn).clip(max=len(areas) - 1)
    u, v = random.random((2, count))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    weights = np.stack([1 - u - v, u, v], axis=1)
    positions = np.einsum("nc,ncx->nx", weights, corners[triangles]).astype(np.float32)
    nearest = surface.triangles[triangles, weights.argmax(axis=1)]
    return SurfacePoints(positions, labelled.labels[nearest])


def seen_points(
    labelled: LabelledSurface,
    points: SurfacePoints,
    intrinsics: Intrinsics,
    camera_to_world: NDArray[np.float64],
    within: float = SEEN_WITHIN,
) -> SurfacePoints:
    """The points that lie in view of at least ``LEAST_VIEWS`` poses with nothing of the scene before them.

    Args:
        labelled: The whole scene.
        points: On its surface.
        intrinsics: Of the camera.
        camera_to_world: float64 [K, 4, 4], ground-truth poses of some frames.
        within: Largest depth, metres.
    """
    scene = raycasting_scene(labelled.surface)
    views = np.zeros(len(points), dtype=np.int64)
    for pose in camera_to_world:
        wanted = np.flatnonzero(views < LEAST_VIEWS)
        in_view = wanted[_in_view(points.positions[wanted], intrinsics, pose, within)]
        views[in_view[_unhidden(scene, pose[:3, 3], points.positions[in_view])]] += 1
    seen = views >= LEAST_VIEWS
    return SurfacePoints(points.positions[seen], points.labels[seen])


def _in_view(
    positions: NDArray[np.float32], intrinsics: Intrinsics, pose: NDArray[np.float64], within: float
) -> NDArray[np.bool_]:
    offsets = positions - pose[:3, 3].astype(np.float32)
    depth = offsets @ pose[:3, 2].astype(np.float32)
    in_view = (depth > 0) & (depth <= within)
    offsets, depth = offsets[in_view], depth[in_view]
    across, down = (offsets @ pose[:3, axis].astype(np.float32) / depth for axis in (0, 1))
    columns, rows = (
        intrinsics.fx * across + intrinsics.cx + 0.5,
        intrinsics.fy * down + intrinsics.cy + 0.5,
    )
    in_view[in_view] = (
        (columns >= 0) & (columns <= intrinsics.width) & (rows >= 0) & (rows <= intrinsics.height)
    )
    return in_view


def _unhidden(
    scene: open3d.t.geometry.RaycastingScene, eye: NDArray[np.float64], positions: NDArray[np.float32]
) -> NDArray[np.bool_]:
    directions = positions - eye
    rays = np.concatenate([np.broadcast_to(eye, directions.shape), directions], axis=1).astype(np.float32)
    # Directions are as long as the way to the point, so that it lies at 1.
    reached = scene.cast_rays(open3d.core.Tensor(rays))["t_hit"].numpy()
    return (1 - reached) * np.linalg.norm(directions, axis=1) < _IN_FRONT
