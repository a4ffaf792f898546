"""Rooms: clusters of places with narrow passages between them.

After the idea of Hydra (Hughes, Chang and Carlone, RSS 2022): as obstacles are dilated, doorways close and
the places fall apart into rooms. One dilation does not suit all rooms; so every passage is judged at the
dilation that closes it, by how long the two parts outlive it: the persistence of the components of the
filtered graph, as clustering uses it (Chazal, Guibas, Oudot and Skraba, "Persistence-based clustering in
Riemannian manifolds", JACM 2013).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapters.mono_hydra.scene_graph.clearance import ClearanceGrid
from adapters.mono_hydra.scene_graph.graphs import preferred_spanning_tree
from adapters.mono_hydra.scene_graph.options import SceneGraphOptions
from adapters.mono_hydra.scene_graph.places import Places


@dataclass(frozen=True)
class Rooms:
    """The rooms that places belong to.

    Attributes:
        of_place: int64 [P], the room of each place.
        centroids: float64 [R, 3], middle of the free space of each room, metres in the world.
        minima: float64 [R, 3], lowest corner of that free space.
        maxima: float64 [R, 3], highest corner.
        passages: int64 [D, 2], pairs of rooms that one may pass between; the lower number first, each once.
    """

    of_place: NDArray[np.int64]
    centroids: NDArray[np.float64]
    minima: NDArray[np.float64]
    maxima: NDArray[np.float64]
    passages: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.centroids)


def find_rooms(grid: ClearanceGrid, places: Places, options: SceneGraphOptions) -> Rooms:
    """Sort places into rooms and describe those; the room with most free space comes first.

    Args:
        grid: The grid that the places stand in.
        places: At least one.
        options: When a passage parts two rooms.
    """
    voxels = np.argwhere(grid.free)
    place_of_voxel = places.territory[grid.free]
    volumes = np.bincount(place_of_voxel, minlength=len(places)) * grid.size**3
    room_of_place = _cluster(places, volumes, options)
    room_of_voxel = room_of_place[place_of_voxel]
    count = int(room_of_place.max()) + 1
    inside = [grid.centres(voxels[room_of_voxel == room]) for room in range(count)]
    ends = np.sort(room_of_place[places.edges], axis=1)
    return Rooms(
        room_of_place,
        np.array([centres.mean(axis=0) for centres in inside]),
        np.array([centres.min(axis=0) for centres in inside]) - grid.size / 2,
        np.array([centres.max(axis=0) for centres in inside]) + grid.size / 2,
        np.unique(ends[ends[:, 0] != ends[:, 1]], axis=0),
    )


def _cluster(places: Places, volumes: NDArray[np.floating], options: SceneGraphOptions) -> NDArray[np.int64]:
    """The room of each place, int64 [P], numbered by falling volume.

    Args:
        places: At least one.
        volumes: float [P], of the free space around each place, m³.
        options: When a passage parts two rooms.
    """
    parts = _Parts(places.radii, volumes)
    # Where two ways are equally wide, the one towards more space.
    order = np.lexsort((-places.radii[places.edges].max(axis=1), -places.edge_radii))
    for edge in preferred_spanning_tree(places.edges, order, len(places)):
        first, second = (parts.part_of(place) for place in places.edges[edge].tolist())
        passage = float(places.edge_radii[edge])
        is_narrow = passage <= options.room_widest_passage / 2
        least_radius = max(options.room_least_width / 2, options.room_least_narrowing * passage)
        if not is_narrow or not all(
            parts.radius[part] >= least_radius and parts.volume[part] >= options.room_least_volume
            for part in (first, second)
        ):
            parts.join(first, second)
    roots = [parts.part_of(place) for place in range(len(places))]
    _, room = np.unique(roots, return_inverse=True)
    order = np.argsort(-np.bincount(room, weights=volumes), kind="stable")
    return np.argsort(order)[room]


class _Parts:
    """Which places have been joined so far, as disjoint sets.

    After Tarjan, "Efficiency of a good but not linear set union algorithm", JACM 1975.

    Attributes:
        radius: Of each part by the place that stands for it: largest radius, metres.
        volume: Free space of each part, m³.
    """

    def __init__(self, radii: NDArray[np.floating], volumes: NDArray[np.floating]):
        self.radius: list[float] = radii.tolist()
        self.volume: list[float] = volumes.tolist()
        self._above = list(range(len(radii)))

    def part_of(self, place: int) -> int:
        """The place that stands for the part that ``place`` is in."""
        while self._above[place] != place:
            self._above[place] = self._above[self._above[place]]
            place = self._above[place]
        return place

    def join(self, first: int, second: int) -> None:
        """Make one part of two, each named by the place that stands for it."""
        self._above[second] = first
        self.radius[first] = max(self.radius[first], self.radius[second])
        self.volume[first] += self.volume[second]
