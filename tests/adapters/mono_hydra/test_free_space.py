"""Which space is known to be free."""

import numpy as np
from box_world import INTRINSICS, OPTIONS, camera_poses, depth_images, look_around, room
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.mono_hydra.scene_graph.free_space import FreeSpace
from adapters.mono_hydra.scene_graph.options import SceneGraphOptions

ROOM = room((0, 0), (4, 3))
FORWARD = camera_poses([(0.55, 0.55, 0.55)], views=1)[0]


def wall_ahead(depth: float) -> np.ndarray:
    return np.full((INTRINSICS.height, INTRINSICS.width), depth, np.float32)


def test_the_free_space_of_a_room_is_the_room() -> None:
    poses = camera_poses([(1.0, 0.7, 1.2), (3.0, 0.7, 1.2), (1.0, 2.3, 1.2), (3.0, 2.3, 1.2)], views=8)
    voxels = look_around(ROOM, poses).voxels()
    assert (voxels.bounds[0] >= 0).all()
    assert (voxels.bounds[1] <= (4, 3, 2.5)).all()
    # All of the room but for the margin in front of the walls.
    assert len(voxels) * voxels.size**3 > 0.75 * 3.7 * 2.7 * 2.2


def test_rays_end_before_the_surface() -> None:
    space = FreeSpace(OPTIONS, INTRINSICS)
    space.integrate(wall_ahead(3.0), FORWARD)
    reached = space.voxels().bounds[1, 0] - 0.55
    assert 3.0 - OPTIONS.free_surface_margin - 0.1 <= reached <= 3.0


def test_rays_are_not_followed_beyond_their_limit() -> None:
    space = FreeSpace(SceneGraphOptions(free_ray_limit=2.0, free_voxel_size=0.1), INTRINSICS)
    space.integrate(wall_ahead(4.0), FORWARD)
    assert 1.8 <= space.voxels().bounds[1, 0] - 0.55 <= 2.1


def test_unknown_depth_frees_nothing() -> None:
    space = FreeSpace(OPTIONS, INTRINSICS)
    space.integrate(wall_ahead(0.0), FORWARD)
    assert len(space.voxels()) == 0
    assert space.voxels().centres.shape == (0, 3)


def test_a_surface_nearer_than_the_margin_frees_nothing() -> None:
    space = FreeSpace(OPTIONS, INTRINSICS)
    space.integrate(wall_ahead(0.1), FORWARD)
    assert len(space.voxels()) == 0


def test_cleared_space_is_empty_and_can_be_filled_again() -> None:
    poses = camera_poses([(1.5, 1.5, 1.2)])
    space = look_around(ROOM, poses)
    before = np.unique(space.voxels().indices, axis=0)
    space.clear()
    assert len(space.voxels()) == 0
    for depth, pose in zip(depth_images(ROOM, poses), poses, strict=True):
        space.integrate(depth, pose)
    assert np.array_equal(np.unique(space.voxels().indices, axis=0), before)


def test_every_voxel_is_listed_once() -> None:
    indices = look_around(ROOM, camera_poses([(1.5, 1.5, 1.2), (2.5, 1.5, 1.2)])).voxels().indices
    assert len(np.unique(indices, axis=0)) == len(indices)


def test_an_image_smaller_than_the_stride_still_has_a_ray() -> None:
    space = FreeSpace(SceneGraphOptions(free_ray_stride=500, free_voxel_size=0.1), INTRINSICS)
    space.integrate(wall_ahead(2.0), FORWARD)
    assert len(space.voxels()) >= 15


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(st.floats(-30, 30), st.floats(-30, 30), st.floats(0, 3), st.floats(0.3, 6.0)),
        min_size=2,
        max_size=4,
    )
)
def test_the_order_of_keyframes_does_not_matter(views: list[tuple[float, float, float, float]]) -> None:
    found = []
    for order in (views, views[::-1]):
        space = FreeSpace(SceneGraphOptions(free_voxel_size=0.2), INTRINSICS)
        for x, y, z, depth in order:
            space.integrate(wall_ahead(depth), camera_poses([(x, y, z)], views=1)[0])
        found.append(np.unique(space.voxels().indices, axis=0))
    assert np.array_equal(*found)
