"""How far free space is from obstacles and from what was never seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from adapters.mono_hydra.scene_graph.free_space import FreeVoxels


@dataclass(frozen=True)
class ClearanceGrid:
    """Free space as a dense grid with distances.

    Attributes:
        size: Edge of a voxel, metres.
        origin: int64 [3], index of the first voxel of the grid in the world's grid.
        free: bool [X, Y, Z], seen as free, without a vertex in it and not part of a splinter. The outermost
            voxels never are.
        clearance: float32 [X, Y, Z], distance from a free voxel's centre to what is not known to be free,
            metres.
        radius: float32 [X, Y, Z], what the distance from a free voxel's centre to the nearest obstacle
            probably is, metres. At least it is ``clearance``, as if all that was not seen were walls; at most
            the distance to the mesh, as if all that were empty. This is the middle of the two.
    """

    size: float
    origin: NDArray[np.int64]
    free: NDArray[np.bool_]
    clearance: NDArray[np.float32]
    radius: NDArray[np.float32]

    def centres(self, voxels: NDArray[np.integer]) -> NDArray[np.float64]:
        """Middles of voxels, int [N, 3], float64 [N, 3], metres in the world."""
        return (voxels + self.origin).astype(np.float64) * self.size + self.size / 2

    def voxels_at(self, points: NDArray[np.floating]) -> NDArray[np.int64]:
        """Indices of the voxels around points, float [..., 3], int64 [..., 3]; may lie outside."""
        return np.floor(points / self.size).astype(np.int64) - self.origin


def build_clearance_grid(
    free: FreeVoxels, vertices: NDArray[np.floating], reach: float, least_volume: float
) -> ClearanceGrid | None:
    """Lay free space and obstacles into one grid and measure distances.

    Args:
        free: What rays have passed through.
        vertices: float [V, 3], of the mesh, metres in the world, less than a voxel apart on every surface.
        reach: Distances to obstacles are measured up to here, metres.
        least_volume: Connected free space of less volume is dropped, m³, unless nothing larger is there.

    Returns:
        None when nothing is free.
    """
    if len(free) == 0:
        return None
    padding = max(1, int(np.ceil(reach / free.size)))
    origin = free.indices.min(axis=0).astype(np.int64) - padding
    shape = free.indices.max(axis=0) + padding + 1 - origin
    is_free = np.zeros(shape, bool)
    is_free[tuple((free.indices - origin).T)] = True
    is_obstacle = np.zeros(shape, bool)
    cells = np.floor(vertices / free.size).astype(np.int64) - origin
    inside = ((cells >= 0) & (cells < shape)).all(axis=1)
    cells = cells[inside]
    is_obstacle[tuple(cells.T)] = True
    is_free = _without_splinters(is_free & ~is_obstacle, least_volume / free.size**3)
    if not is_free.any():
        return None
    # From the centre of a voxel to the face of the nearest other one.
    clearance = ndimage.distance_transform_edt(is_free) * free.size - free.size / 2
    distance = _obstacle_distance(cells, vertices[inside] / free.size - origin, is_obstacle)
    return ClearanceGrid(
        free.size,
        origin,
        is_free,
        clearance.astype(np.float32),
        ((clearance + np.minimum(distance * free.size, reach)) / 2).astype(np.float32),
    )


def _without_splinters(free: NDArray[np.bool_], least_voxels: float) -> NDArray[np.bool_]:
    """Free space without the small pieces that stray rays cut out behind surfaces."""
    # Voxels are joined through faces: what touches at an edge alone is not passable.
    pieces, count = ndimage.label(free)
    if count == 0:
        return free
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.isin(pieces, np.flatnonzero(sizes >= min(least_voxels, sizes.max()))) & free


def _obstacle_distance(
    cells: NDArray[np.int64], points: NDArray[np.floating], is_obstacle: NDArray[np.bool_]
) -> NDArray[np.floating]:
    """Distance of every voxel's centre to the vertices in the nearest voxel that has any.

    Whole voxels are too coarse to measure a doorway with.

    Args:
        cells: int64 [V, 3], voxels of the vertices.
        points: float [V, 3], the vertices, in voxels from the corner of the grid.
        is_obstacle: bool [X, Y, Z], which voxels have vertices.

    Returns:
        float [X, Y, Z], in voxels; infinite without vertices.
    """
    shape = is_obstacle.shape
    if len(cells) == 0:
        return np.full(shape, np.inf)
    flat = np.ravel_multi_index(tuple(cells.T), shape)
    counts = np.maximum(np.bincount(flat, minlength=is_obstacle.size), 1)
    nearest = ndimage.distance_transform_edt(~is_obstacle, return_distances=False, return_indices=True)
    nearest = np.ravel_multi_index(tuple(nearest), shape)
    squares = np.zeros(shape)
    for axis in range(3):
        middle = np.bincount(flat, weights=points[:, axis], minlength=is_obstacle.size) / counts
        along = np.arange(shape[axis]).reshape([-1 if a == axis else 1 for a in range(3)]) + 0.5
        squares += (middle[nearest] - along) ** 2
    return np.sqrt(squares)
