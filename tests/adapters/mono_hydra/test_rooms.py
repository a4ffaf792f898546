"""How places fall into rooms."""

import numpy as np
import pytest
from voxel_world import Cuboid, free_voxels, grid_of, walls_around

from adapters.mono_hydra.scene_graph.clearance import build_clearance_grid
from adapters.mono_hydra.scene_graph.options import SceneGraphOptions
from adapters.mono_hydra.scene_graph.places import Places, find_places
from adapters.mono_hydra.scene_graph.rooms import Rooms, find_rooms

OPTIONS = SceneGraphOptions()
WEST = ((0, 0, 0), (4, 3.5, 2.4))
EAST = ((4.2, 0, 0), (8, 3.5, 2.4))


def doorway(width: float, x: float = 4.0, y: float = 1.2) -> Cuboid:
    return ((x, y, 0), (x + 0.2, y + width, 2.0))


def rooms_in(*cuboids: Cuboid, options: SceneGraphOptions = OPTIONS) -> tuple[Places, Rooms]:
    grid, _ = grid_of(*cuboids, options=options)
    places = find_places(grid, options)
    return places, find_rooms(grid, places, options)


def test_one_room_is_one() -> None:
    _, rooms = rooms_in(WEST)
    assert len(rooms) == 1
    assert len(rooms.passages) == 0
    assert rooms.centroids[0] == pytest.approx([2, 1.75, 1.2], abs=0.01)
    assert rooms.minima[0] == pytest.approx(WEST[0], abs=1e-6)
    assert rooms.maxima[0] == pytest.approx(WEST[1], abs=1e-6)


@pytest.mark.parametrize("width", [0.7, 0.9, 1.1])
def test_two_rooms_with_a_doorway_are_two(width: float) -> None:
    places, rooms = rooms_in(WEST, doorway(width), EAST)
    assert len(rooms) == 2
    assert rooms.passages.tolist() == [[0, 1]]
    in_doorway = np.abs(places.positions[:, 0] - 4.1) < 0.2
    expected = np.where(places.positions[:, 0] < 4.1, 0, 1)
    assert np.array_equal(rooms.of_place[~in_doorway], expected[~in_doorway])


def test_two_doorways_between_two_rooms_are_one_passage() -> None:
    _, rooms = rooms_in(WEST, doorway(0.9, y=0.5), doorway(0.9, y=2.0), EAST)
    assert len(rooms) == 2
    assert rooms.passages.tolist() == [[0, 1]]


def test_a_wide_opening_parts_no_rooms() -> None:
    assert len(rooms_in(WEST, ((4.0, 0.7, 0), (4.2, 2.9, 2.4)), EAST)[1]) == 1


def test_an_l_shaped_room_is_one() -> None:
    assert len(rooms_in(((0, 0, 0), (6, 2.8, 2.4)), ((0, 0, 0), (2.8, 6, 2.4)))[1]) == 1


def test_rooms_in_a_ring_have_four_passages() -> None:
    flat = (
        WEST,
        EAST,
        ((0, 3.7, 0), (4, 7, 2.4)),
        ((4.2, 3.7, 0), (8, 7, 2.4)),
        doorway(0.9),
        doorway(0.9, y=5.0),
        ((1.5, 3.5, 0), (2.4, 3.7, 2.0)),
        ((5.5, 3.5, 0), (6.4, 3.7, 2.0)),
    )
    _, rooms = rooms_in(*flat)
    assert len(rooms) == 4
    assert len(rooms.passages) == 4


def test_a_cupboard_is_no_room() -> None:
    assert len(rooms_in(WEST, doorway(0.8), ((4.2, 1.0, 0), (4.9, 2.2, 2.0)))[1]) == 1


def test_a_narrow_niche_is_no_room_however_long_it_is() -> None:
    niche = ((4.2, 0, 0), (5.0, 3.5, 2.4))
    assert len(rooms_in(WEST, doorway(0.3), niche)[1]) == 1
    options = SceneGraphOptions(room_least_width=0.5)
    assert len(rooms_in(WEST, doorway(0.3), niche, options=options)[1]) == 2


def test_rooms_that_do_not_meet_have_no_passage() -> None:
    _, rooms = rooms_in(WEST, EAST)
    assert len(rooms) == 2
    assert len(rooms.passages) == 0


def test_rooms_come_with_the_largest_first() -> None:
    _, rooms = rooms_in(((0, 0, 0), (4, 2.5, 2.4)), doorway(0.9), EAST)
    assert rooms.centroids[0, 0] > 4.2


def test_a_doorway_with_one_side_never_seen_still_parts_two_rooms() -> None:
    voxels = free_voxels(WEST, doorway(0.9), EAST)
    walls = walls_around(voxels)
    unseen = (np.abs(walls[:, 0] - 4.1) < 0.25) & (walls[:, 1] < 1.6)
    grid = build_clearance_grid(
        voxels, walls[~unseen], OPTIONS.room_widest_passage, OPTIONS.room_least_volume
    )
    assert grid is not None
    assert len(find_rooms(grid, find_places(grid, OPTIONS), OPTIONS)) == 2


def test_a_room_of_which_only_a_wedge_was_seen_is_one() -> None:
    voxels = free_voxels(WEST)
    walls = walls_around(voxels)
    x, y, _ = voxels.centres.T
    seen = np.abs(y - 1.75) < 0.35 + 0.4 * x
    partly = type(voxels)(voxels.size, voxels.indices[seen])
    grid = build_clearance_grid(partly, walls, OPTIONS.room_widest_passage, OPTIONS.room_least_volume)
    assert grid is not None
    assert len(find_rooms(grid, find_places(grid, OPTIONS), OPTIONS)) == 1


def test_what_counts_as_a_passage_can_be_set() -> None:
    options = SceneGraphOptions(room_widest_passage=0.6)
    assert len(rooms_in(WEST, doorway(0.9), EAST, options=options)[1]) == 1


def test_a_single_place_is_a_room() -> None:
    places, rooms = rooms_in(((0, 0, 0), (0.2, 0.2, 0.2)))
    assert len(places) == 1
    assert rooms.of_place.tolist() == [0]
