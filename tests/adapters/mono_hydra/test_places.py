"""Places in free space, and the straight ways between them."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial import cKDTree
from voxel_world import free_voxels, grid_of, pieces_of

from adapters.mono_hydra.scene_graph.clearance import ClearanceGrid, build_clearance_grid
from adapters.mono_hydra.scene_graph.options import SceneGraphOptions
from adapters.mono_hydra.scene_graph.places import find_places

OPTIONS = SceneGraphOptions()
ROOM = ((0, 0, 0), (4, 3, 2.4))


def is_straight_way_free(grid: ClearanceGrid, start: np.ndarray, end: np.ndarray) -> bool:
    # Halves are rounded to one side or the other of a voxel's face.
    points = start + np.linspace(0, 1, 50)[1:-1, None] * (end - start)
    return grid.free[tuple(grid.voxels_at(points).T)].mean() > 0.9


def test_places_lie_in_free_space_with_the_clearance_they_tell() -> None:
    grid, vertices = grid_of(ROOM)
    places = find_places(grid, OPTIONS)
    assert (places.clearances >= OPTIONS.place_least_clearance).all()
    nearest = cKDTree(vertices).query(places.positions)[0]
    assert places.clearances == pytest.approx(nearest, abs=grid.size)


def test_the_roomiest_place_stands_in_the_middle() -> None:
    grid, _ = grid_of(ROOM)
    places = find_places(grid, OPTIONS)
    best = places.positions[places.clearances.argmax()]
    assert best[2] == pytest.approx(1.2, abs=0.15)
    assert places.clearances.max() == pytest.approx(1.2, abs=0.1)


def test_what_was_never_seen_limits_the_clearance_like_a_wall() -> None:
    grid = build_clearance_grid(free_voxels(ROOM), np.zeros((0, 3)), 1.3, 2.0)
    assert grid is not None
    assert find_places(grid, OPTIONS).clearances.max() == pytest.approx(1.2, abs=0.1)


def test_nothing_stands_between_two_places_with_an_edge() -> None:
    grid, _ = grid_of(((0, 0, 0), (4, 1.5, 2.4)), ((0, 0, 0), (1.5, 4, 2.4)))
    places = find_places(grid, OPTIONS)
    assert len(places.edges) >= len(places) - 1
    assert all(
        is_straight_way_free(grid, places.positions[first], places.positions[second])
        for first, second in places.edges
    )


def test_the_number_of_places_is_bounded_by_the_volume() -> None:
    grid, _ = grid_of(ROOM)
    cubes = np.prod(np.ceil(np.subtract(*ROOM[::-1]) / OPTIONS.place_spacing) + 1)
    assert 20 <= len(find_places(grid, OPTIONS)) <= cubes


def test_places_hang_together_around_narrow_bends() -> None:
    tunnel = (
        ((0, 0, 0), (2.0, 0.2, 0.2)),
        ((1.8, 0, 0), (2.0, 1.4, 0.2)),
        ((1.8, 1.2, 0), (2.0, 1.4, 1.5)),
        ((0.2, 1.2, 1.3), (2.0, 1.4, 1.5)),
    )
    grid, _ = grid_of(*tunnel)
    places = find_places(grid, OPTIONS)
    assert pieces_of(places) == 1


def test_ways_that_do_not_meet_stay_apart() -> None:
    grid, _ = grid_of(ROOM, ((4.2, 0, 0), (7, 3, 2.4)))
    assert pieces_of(find_places(grid, OPTIONS)) == 2


def test_splinters_of_free_space_have_no_places() -> None:
    grid, _ = grid_of(ROOM, ((5, 1, 1), (5.5, 1.5, 1.5)))
    assert find_places(grid, OPTIONS).positions[:, 0].max() < 4


def test_a_splinter_is_kept_when_there_is_nothing_else() -> None:
    grid, _ = grid_of(((0, 0, 0), (0.1, 0.1, 0.1)))
    places = find_places(grid, OPTIONS)
    assert places.positions == pytest.approx(np.array([[0.05, 0.05, 0.05]]))
    assert len(places.edges) == 0


def test_without_free_space_there_is_no_grid() -> None:
    assert build_clearance_grid(free_voxels(), np.zeros((0, 3)), 1.3, 2.0) is None


def test_free_space_that_is_full_of_vertices_is_no_grid() -> None:
    voxels = free_voxels(((0, 0, 0), (0.3, 0.3, 0.3)))
    assert build_clearance_grid(voxels, voxels.centres, 1.3, 2.0) is None


@settings(max_examples=25)
@example([(0, 0, 0, 1, 1, 1), (0, 1, 1, 1, 1, 1)])
@given(
    st.lists(
        st.tuples(*[st.integers(0, 25)] * 3, *[st.integers(1, 12)] * 3),
        min_size=1,
        max_size=6,
    )
)
def test_each_connected_piece_of_free_space_has_a_connected_graph(boxes: list[tuple[int, ...]]) -> None:
    cuboids = [(np.array(each[:3]) * 0.1, (np.array(each[:3]) + np.array(each[3:])) * 0.1) for each in boxes]
    options = SceneGraphOptions(room_least_volume=1e-6)
    grid, _ = grid_of(*cuboids, options=options)
    places = find_places(grid, options)
    owners = places.territory[grid.free]
    assert (owners >= 0).all()
    assert pieces_of(places) == pieces_of_voxels(grid)


def pieces_of_voxels(grid: ClearanceGrid) -> int:
    return int(ndimage.label(grid.free)[1])
