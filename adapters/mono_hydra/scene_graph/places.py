"""Places: a sparse graph of points in free space that one may walk between in straight lines.

After the idea of the places layer of Hydra (Hughes, Chang and Carlone, RSS 2022): nodes stand where the
clearance is large, and each knows its clearance.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from adapters.mono_hydra.scene_graph.clearance import ClearanceGrid
from adapters.mono_hydra.scene_graph.graphs import connected_pieces, preferred_spanning_tree
from adapters.mono_hydra.scene_graph.options import SceneGraphOptions

# Two places nearer to each other than this part of the spacing are one, unless the graph needs both.
_LEAST_APART = 0.6
# Places up to so many spacings apart may be joined.
_FARTHEST_JOINED = 2.2
# Bounds the memory for the ways between them.
_PAIRS_AT_A_TIME = 20_000


@dataclass(frozen=True)
class Places:
    """A graph in free space; within each connected piece of free space it is connected.

    Attributes:
        voxels: int64 [P, 3], where the places are in the grid.
        positions: float64 [P, 3], metres in the world.
        clearances: float32 [P], distance to what is not known to be free, metres.
        radii: float32 [P], probable distance to the nearest obstacle, metres.
        edges: int64 [E, 2], pairs of places with nothing in between; the lower number first. They join
            places whose territories touch, and what would not hang together otherwise.
        edge_radii: float32 [E], smallest radius along the edge, metres.
        territory: int64 [X, Y, Z], the place that is nearest to each free voxel on a way through free
            space; -1 elsewhere.
    """

    voxels: NDArray[np.int64]
    positions: NDArray[np.float64]
    clearances: NDArray[np.float32]
    radii: NDArray[np.float32]
    edges: NDArray[np.int64]
    edge_radii: NDArray[np.float32]
    territory: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.positions)


def find_places(grid: ClearanceGrid, options: SceneGraphOptions) -> Places:
    """Sample places in free space and join them.

    There is at most one place in a cube with ``place_spacing`` as its edge, apart from those that hold the
    graph together in narrow bends.
    """
    seeds = _first_seeds(grid, options)
    network = _VoxelNetwork(grid)
    while True:
        edges, radii = _free_edges(grid, seeds, options)
        territory = network.territory(seeds)
        bridges = network.bridges(territory, connected_pieces(edges, len(seeds)))
        if len(bridges) == 0:
            break
        # Neighbouring voxels always see each other: every round has at least one more seed, and it ends.
        seeds = np.unique(np.concatenate([seeds, bridges]), axis=0)
    edges, radii = _sparse_edges(edges, radii, network.neighbours(territory), len(seeds))
    where = tuple(seeds.T)
    return Places(
        seeds,
        grid.centres(seeds),
        grid.clearance[where],
        grid.radius[where],
        edges,
        radii,
        territory,
    )


def _first_seeds(grid: ClearanceGrid, options: SceneGraphOptions) -> NDArray[np.int64]:
    """The voxels with most clearance in their cubes, not too near to each other, int64 [N, 3].

    Every connected piece of free space has at least one.
    """
    pieces, count = ndimage.label(grid.free)
    voxels = np.argwhere(grid.free & (grid.clearance >= options.place_least_clearance))
    poor = np.setdiff1d(np.arange(1, count + 1), pieces[tuple(voxels.T)])
    if len(poor):
        best = ndimage.maximum_position(grid.clearance, pieces, poor)
        voxels = np.concatenate([voxels, np.array(best, np.int64)])
    voxels = voxels[np.argsort(-grid.clearance[tuple(voxels.T)], kind="stable")]
    piece = pieces[tuple(voxels.T)]
    cubes = voxels // max(1, round(options.place_spacing / grid.size))
    _, first = np.unique(np.column_stack([cubes, piece]), axis=0, return_index=True)
    first.sort()
    voxels, piece = voxels[first], piece[first]
    # Pieces lie far apart in the fourth dimension.
    radius = _LEAST_APART * options.place_spacing / grid.size
    points = np.column_stack([voxels, piece * 2 * radius])
    near = cKDTree(points).query_ball_point(points, radius)
    is_kept = np.zeros(len(voxels), bool)
    for index, neighbours in enumerate(near):
        is_kept[index] = not is_kept[neighbours].any()
    return voxels[is_kept]


def _free_edges(
    grid: ClearanceGrid, voxels: NDArray[np.int64], options: SceneGraphOptions
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Pairs of voxels with nothing in between, int64 [E, 2], and the least radius on the way, [E]."""
    radius = _FARTHEST_JOINED * options.place_spacing / grid.size
    pairs = cKDTree(voxels).query_pairs(radius, output_type="ndarray").astype(np.int64)
    # A line may slip through where voxels of two pieces share an edge or a corner.
    piece = ndimage.label(grid.free)[0][tuple(voxels.T)]
    pairs = pairs[piece[pairs[:, 0]] == piece[pairs[:, 1]]]
    steps = np.linspace(0.0, 1.0, 2 * int(np.ceil(radius)) + 1)[:, None]
    is_free = np.zeros(len(pairs), bool)
    radii = np.zeros(len(pairs), np.float32)
    for first in range(0, len(pairs), _PAIRS_AT_A_TIME):
        part = slice(first, first + _PAIRS_AT_A_TIME)
        starts, ends = voxels[pairs[part].T][:, :, None]
        ways = np.rint(starts + steps * (ends - starts)).astype(np.int64)
        where = tuple(np.moveaxis(ways, -1, 0))
        is_free[part] = grid.free[where].all(axis=1)
        radii[part] = grid.radius[where].min(axis=1)
    return pairs[is_free], radii[is_free]


def _sparse_edges(
    edges: NDArray[np.int64], radii: NDArray[np.float32], neighbours: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The edges between neighbours, and those that join all of ``count`` places along the widest ways."""
    is_kept = np.isin(edges @ (count, 1), neighbours @ (count, 1))
    is_kept[preferred_spanning_tree(edges, np.argsort(-radii, kind="stable"), count)] = True
    return edges[is_kept], radii[is_kept]


class _VoxelNetwork:
    """Free voxels joined with those that share a face."""

    def __init__(self, grid: ClearanceGrid):
        self._grid = grid
        self._voxels = np.argwhere(grid.free)
        numbers = np.full(grid.free.shape, -1)
        numbers[grid.free] = np.arange(len(self._voxels))
        self._numbers = numbers
        pairs = []
        for axis in range(3):
            low = numbers[tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))]
            high = numbers[tuple(slice(1, None) if a == axis else slice(None) for a in range(3))]
            both = (low >= 0) & (high >= 0)
            pairs.append(np.stack([low[both], high[both]], axis=-1))
        self._pairs = np.concatenate(pairs)
        count = len(self._voxels)
        self._graph = coo_array((np.ones(len(self._pairs)), self._pairs.T), shape=(count, count)).tocsr()

    def territory(self, seeds: NDArray[np.int64]) -> NDArray[np.int64]:
        """The seed nearest to each free voxel on a way through free space, int64 [X, Y, Z], else -1."""
        numbers = self._numbers[tuple(seeds.T)]
        _, _, sources = dijkstra(
            self._graph, directed=False, indices=numbers, min_only=True, return_predecessors=True
        )
        seed_of_number = np.full(len(self._voxels), -1)
        seed_of_number[numbers] = np.arange(len(seeds))
        territory = np.full(self._grid.free.shape, -1)
        territory[self._grid.free] = np.where(sources >= 0, seed_of_number[sources], -1)
        return territory

    def neighbours(self, territory: NDArray[np.int64]) -> NDArray[np.int64]:
        """Pairs of seeds whose territories touch, int64 [N, 2], the lower number first, each once."""
        owners = np.sort(territory[self._grid.free][self._pairs], axis=1)
        return np.unique(owners[owners[:, 0] != owners[:, 1]], axis=0)

    def bridges(self, territory: NDArray[np.int64], pieces: NDArray[np.int64]) -> NDArray[np.int64]:
        """Voxels at the roomiest borders between seeds that no edges join, int64 [N, 3].

        Args:
            territory: The seed of each voxel.
            pieces: int64 [P], which seeds are joined.
        """
        piece = pieces[territory[self._grid.free]]
        sides = piece[self._pairs]
        pairs = self._pairs[sides[:, 0] != sides[:, 1]]
        if len(pairs) == 0:
            return np.zeros((0, 3), np.int64)
        sides = np.sort(piece[pairs], axis=1)
        clearance = self._grid.clearance[self._grid.free][pairs].min(axis=1)
        order = np.lexsort((-clearance, *sides.T))
        is_first = np.ones(len(order), bool)
        is_first[1:] = (np.diff(sides[order], axis=0) != 0).any(axis=1)
        return self._voxels[pairs[order[is_first]].ravel()]
