"""People who walk about in synthetic scenes: where they go, how they move, how they are seen."""

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

pytest.importorskip("open3d", reason="synthetic sequences are ray cast with Open3D")
pytest.importorskip("skimage", reason="synthetic sequences use the photographs of scikit-image")

from dataclasses import replace

from sequences.errors import SequenceError
from sequences.synthetic.labels import Nyu40
from sequences.synthetic.parameters import parameters_from_mapping
from sequences.synthetic.ray_casting import ray_casting_scene
from sequences.synthetic.render import Renderer
from sequences.synthetic.scene import build_route_and_path, build_scene
from sequences.synthetic.walkers import plan_walks

PARAMETERS = parameters_from_mapping(
    "walkers",
    {
        "seed": 4,
        "frames": 180,
        "rooms": 1,
        "path": "orbit",
        "laps": 0.6,
        "walkers": 2,
        "width": 160,
        "height": 120,
    },
)
TIMES = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)


@pytest.fixture(scope="module")
def scene():
    return build_scene(PARAMETERS)


@pytest.fixture(scope="module")
def views(scene):
    """At each of some times: the pose, what is seen, and what would be seen without the people."""
    renderer = Renderer(scene, PARAMETERS.intrinsics())
    empty = Renderer(replace(scene, crowd=None), PARAMETERS.intrinsics())
    poses = scene.path.motion(np.array(TIMES)).camera_to_world()
    return [
        (pose, renderer.render(pose, time), empty.render(pose))
        for pose, time in zip(poses, TIMES, strict=True)
    ]


def walks_of(seed, **mapping):
    """Floor plan, camera path and walks of a sequence, without building its scene."""
    parameters = parameters_from_mapping("walk", {"seed": seed, "frames": 240, **mapping})
    plan, _, path = build_route_and_path(parameters)
    return plan, path, plan_walks(np.random.default_rng(seed), plan, path, parameters)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["tour", "orbit", "sweep"]))
def test_walkers_keep_away_from_walls_from_the_camera_and_from_each_other(seed, kind):
    try:
        plan, path, walks = walks_of(seed, path=kind, walkers=2, rooms=2 if kind == "tour" else 1)
    except SequenceError:
        # In some rooms there is no space for two beside the camera; a test below is about these.
        reject()
    times = np.linspace(0, path.duration, 300)
    camera = path.motion(times).positions[:, :2]
    places = [walk.positions(times) for walk in walks]
    for place in places:
        assert np.linalg.norm(place - camera, axis=1).min() > 0.7
        assert any(((place > room.minimum + 0.5) & (place < room.maximum - 0.5)).all() for room in plan.rooms)
    assert np.linalg.norm(places[0] - places[1], axis=1).min() > 0.6


def test_a_walk_is_closed_and_even():
    _, _, (walk,) = walks_of(2, rooms=1, path="sweep", walkers=1)
    lap = walk.length / walk.speed
    start, end = walk.positions(np.array([0.0, lap]))
    np.testing.assert_allclose(start, end, atol=1e-6)
    steps = np.linalg.norm(np.diff(walk.positions(np.linspace(0, lap, 200)), axis=0), axis=1)
    np.testing.assert_allclose(steps, walk.length / 199, rtol=0.02)


def test_more_people_than_fit_are_refused_with_how_many_do():
    with pytest.raises(SequenceError, match=r"there is space for [0-5] people to walk about, not for 6"):
        walks_of(3, rooms=1, path="sweep", walkers=6)


def test_people_walk_on_the_floor_at_the_height_of_people(scene):
    for time in np.linspace(0, 10, 40):
        mesh, _ = scene.crowd.at(float(time))
        people = np.split(mesh.vertices, 2)
        for vertices in people:
            assert vertices[:, 2].min() == pytest.approx(0, abs=1e-5)
            assert 1.5 < vertices[:, 2].max() < 2.0
            assert (np.ptp(vertices[:, :2], axis=0) < 1.3).all()


def test_feet_hardly_slide(scene):
    times = np.arange(0, 4, 1 / 60)
    both = np.stack([scene.crowd.at(float(time))[0].vertices for time in times])
    for vertices in np.split(both, 2, axis=1):
        low = vertices[..., 2] < 0.01
        # What touches the floor now and in the next instant stays nearly where it is.
        speed = np.linalg.norm(np.diff(vertices[..., :2], axis=0), axis=-1) * 60
        body = np.linalg.norm(np.diff(vertices[..., :2].mean(axis=1), axis=0), axis=-1) * 60
        assert np.median(speed[low[1:] & low[:-1]]) < 0.6 * np.median(body)


def test_people_walk_through_no_furniture(scene):
    import open3d as o3d

    furniture = ~np.isin(scene.mesh.labels, [Nyu40.FLOOR, Nyu40.FLOOR_MAT])
    solid = ray_casting_scene(scene.mesh.vertices, scene.mesh.triangles[furniture])
    for time in np.linspace(0, 11, 12):
        vertices = scene.crowd.at(float(time))[0].vertices
        chest = vertices[vertices[:, 2] > 0.1]
        assert solid.compute_distance(o3d.core.Tensor(chest)).numpy().min() > 0.01


def test_people_hide_what_is_behind_them_and_change_nothing_else(views):
    shares = []
    for _, seen, empty in views:
        person = seen.labels == Nyu40.PERSON
        shares.append(person.mean())
        assert (seen.depth[person] < empty.depth[person]).all()
        assert (seen.depth[person] > 0.3).all()
        assert (seen.things[person] == -1).all()
        np.testing.assert_array_equal(seen.depth[~person], empty.depth[~person])
        np.testing.assert_array_equal(seen.labels[~person], empty.labels[~person])
        np.testing.assert_array_equal(seen.things[~person], empty.things[~person])
        changed = (seen.rgb != empty.rgb).any(axis=-1)
        # Beside an edge of a person colours are mixed with it.
        beside = np.zeros_like(person)
        beside[1:-1, 1:-1] = np.max(
            [person[1 + i : 119 + i, 1 + j : 159 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)], axis=0
        )
        inside = np.s_[1:-1, 1:-1]
        assert not (changed & ~beside)[inside].any()
    assert max(shares) > 0.2


def test_the_depth_of_a_person_is_where_the_person_is(scene, views):
    import open3d as o3d

    camera = PARAMETERS.intrinsics()
    for time, (pose, seen, _) in zip(TIMES, views, strict=True):
        rows, columns = np.nonzero(seen.labels == Nyu40.PERSON)
        z = seen.depth[rows, columns]
        points = np.stack([(columns - camera.cx) / camera.fx * z, (rows - camera.cy) / camera.fy * z, z], -1)
        world = points @ pose[:3, :3].T + pose[:3, 3]
        mesh, _ = scene.crowd.at(time)
        distance = ray_casting_scene(mesh.vertices, mesh.triangles).compute_distance(
            o3d.core.Tensor(world.astype(np.float32))
        )
        assert distance.numpy().max() < 1e-3


def test_people_move_between_frames(scene):
    first, later = (scene.crowd.at(time)[0].vertices for time in (1.0, 1.0 + 1 / 15))
    moved = np.linalg.norm(later - first, axis=1)
    assert 0.02 < np.median(moved) < 0.08


def test_a_person_has_more_texture_than_its_share_of_the_image(scene):
    import cv2

    camera = parameters_from_mapping("large", {"seed": 4}).intrinsics()
    renderer = Renderer(scene, camera)
    shares, corner_shares = [], []
    for time in TIMES:
        view = renderer.render(scene.path.motion(np.array([time])).camera_to_world()[0], time)
        grey = cv2.cvtColor(np.clip(view.rgb, 0, 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
        inside = cv2.erode((view.labels == Nyu40.PERSON).astype(np.uint8), np.ones((9, 9)))
        corners = cv2.goodFeaturesToTrack(grey, 800, 0.01, 7).reshape(-1, 2).astype(int)
        shares.append(inside.mean())
        corner_shares.append(inside[corners[:, 1], corners[:, 0]].mean())
    assert np.mean(corner_shares) > 0.7 * np.mean(shares)
