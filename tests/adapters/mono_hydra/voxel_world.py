"""Free space made of boxes, with walls all around it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from adapters.mono_hydra.scene_graph.clearance import ClearanceGrid, build_clearance_grid
from adapters.mono_hydra.scene_graph.free_space import FreeVoxels
from adapters.mono_hydra.scene_graph.graphs import connected_pieces
from adapters.mono_hydra.scene_graph.options import SceneGraphOptions
from adapters.mono_hydra.scene_graph.places import Places

SIZE = 0.1
Cuboid = tuple[Sequence[float], Sequence[float]]


def free_voxels(*cuboids: Cuboid) -> FreeVoxels:
    """All voxels in any of the cuboids, each given by its lowest and its highest corner."""
    parts = [np.zeros((0, 3), np.int32)]
    for low, high in cuboids:
        ranges = [np.arange(round(a / SIZE), round(b / SIZE)) for a, b in zip(low, high, strict=True)]
        parts.append(np.stack(np.meshgrid(*ranges, indexing="ij"), -1).reshape(-1, 3).astype(np.int32))
    return FreeVoxels(SIZE, np.unique(np.concatenate(parts), axis=0))


def walls_around(voxels: FreeVoxels) -> NDArray[np.float64]:
    """A vertex in every voxel that touches free space from outside, on the side of the free space."""
    origin = voxels.indices.min(axis=0) - 2
    free = np.zeros(voxels.indices.max(axis=0) + 3 - origin, bool)
    free[tuple((voxels.indices - origin).T)] = True
    shell = np.argwhere(ndimage.binary_dilation(free) & ~free)
    nearest = ndimage.distance_transform_edt(~free, return_distances=False, return_indices=True)
    inward = np.stack([axis[tuple(shell.T)] for axis in nearest], -1) - shell
    return (shell + origin + 0.5 + 0.45 * inward) * SIZE


def grid_of(
    *cuboids: Cuboid, options: SceneGraphOptions | None = None
) -> tuple[ClearanceGrid, NDArray[np.float64]]:
    """The grid of free space between walls, and the vertices of the walls."""
    options = options or SceneGraphOptions()
    voxels = free_voxels(*cuboids)
    vertices = walls_around(voxels)
    grid = build_clearance_grid(voxels, vertices, options.room_widest_passage, options.room_least_volume)
    assert grid is not None
    return grid, vertices


def pieces_of(places: Places) -> int:
    """How many connected pieces the graph of places has."""
    return int(connected_pieces(places.edges, len(places)).max()) + 1
