"""Rendered synthetic scenes: geometry, labels, textures, and what sensors do to the images."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("open3d", reason="synthetic sequences are ray cast with Open3D")
pytest.importorskip("skimage", reason="synthetic sequences use the photographs of scikit-image")

from sequences.model import LABEL_UNKNOWN
from sequences.synthetic import sensor_effects
from sequences.synthetic.labels import Nyu40
from sequences.synthetic.parameters import SensorEffects, parameters_from_mapping
from sequences.synthetic.ray_casting import ray_casting_scene
from sequences.synthetic.render import Renderer
from sequences.synthetic.scene import build_scene
from sequences.synthetic.scene_truth import scene_truth
from sequences.synthetic.texture_atlas import TextureAtlas

PARAMETERS = parameters_from_mapping(
    "scene", {"seed": 3, "frames": 300, "rooms": 2, "width": 160, "height": 120}
)


@pytest.fixture(scope="module")
def scene():
    return build_scene(PARAMETERS)


@pytest.fixture(scope="module")
def views(scene):
    """Poses along the whole path and what is seen from them."""
    poses = scene.path.motion(np.linspace(0, scene.path.duration, 16)).camera_to_world()
    renderer = Renderer(scene, PARAMETERS.intrinsics())
    return [(pose, renderer.render(pose)) for pose in poses]


def points_in_camera(depth, camera):
    rows, columns = np.indices(depth.shape)
    x, y = (columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy
    return np.stack([x, y, np.ones_like(x)], -1) * depth[..., None].astype(np.float64)


def test_depth_moved_by_the_poses_agrees_with_the_depth_of_the_next_view(scene):
    camera = PARAMETERS.intrinsics()
    poses = scene.path.motion(np.array([4.0, 4.4])).camera_to_world()
    renderer = Renderer(scene, camera)
    first, second = (renderer.render(pose) for pose in poses)
    points = points_in_camera(first.depth, camera).reshape(-1, 3)
    first_to_second = np.linalg.inv(poses[1]) @ poses[0]
    moved = points @ first_to_second[:3, :3].T + first_to_second[:3, 3]
    column = np.rint(moved[:, 0] / moved[:, 2] * camera.fx + camera.cx).astype(int)
    row = np.rint(moved[:, 1] / moved[:, 2] * camera.fy + camera.cy).astype(int)
    seen = (moved[:, 2] > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    assert seen.mean() > 0.6
    error = np.abs(second.depth[row[seen], column[seen]] - moved[seen, 2]) / moved[seen, 2]
    # Rounding to whole pixels and occlusion leave a rest.
    assert np.median(error) < 0.004
    assert np.mean(error < 0.03) > 0.9


def test_rooms_are_closed_and_show_many_classes(views):
    labels = np.stack([view.labels for _, view in views])
    assert not (labels == LABEL_UNKNOWN).any()
    present = {int(label) for label in np.unique(labels)}
    assert {Nyu40.WALL, Nyu40.FLOOR, Nyu40.CEILING, Nyu40.DOOR, Nyu40.WINDOW, Nyu40.PICTURE} <= present
    assert len(present) >= 13


def test_every_visible_surface_shows_its_outside(scene):
    positions = scene.path.motion(np.linspace(0, scene.path.duration, 20)).positions
    mesh = scene.mesh
    directions = np.random.default_rng(0).standard_normal((20, 4000, 3))
    rays = np.concatenate([np.broadcast_to(positions[:, None], directions.shape), directions], -1)
    import open3d as o3d

    hits = ray_casting_scene(mesh.vertices, mesh.triangles).cast_rays(
        o3d.core.Tensor(rays.astype(np.float32))
    )
    triangles = hits["primitive_ids"].numpy()
    assert (triangles < len(mesh.triangles)).all(), "a ray escaped through a gap in the walls"
    corners = mesh.vertices[mesh.triangles[triangles]]
    outward = np.cross(corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :])
    # The rest are insides of open lamp shades and vases.
    assert (np.einsum("...i,...i", outward, directions) < 0).mean() > 0.999


def test_the_camera_keeps_away_from_everything(scene):
    import open3d as o3d

    positions = scene.path.motion(np.linspace(0, scene.path.duration, 400)).positions.astype(np.float32)
    distance = ray_casting_scene(scene.mesh.vertices, scene.mesh.triangles).compute_distance(
        o3d.core.Tensor(positions)
    )
    assert distance.numpy().min() > 0.25


def test_images_are_well_exposed_and_full_of_texture(views):
    rgb = np.stack([view.rgb for _, view in views])
    assert 70 < rgb.mean() < 170
    assert (rgb > 254).mean() < 0.05
    contrast = np.abs(np.diff(rgb.mean(axis=-1), axis=2))
    assert (contrast > 8).mean() > 0.1


def test_normals_are_unit_vectors_that_face_the_camera_and_fit_the_depth(views):
    camera = PARAMETERS.intrinsics()
    _, view = views[0]
    np.testing.assert_allclose(np.linalg.norm(view.normals, axis=-1), 1, atol=1e-4)
    points = points_in_camera(view.depth, camera)
    assert (np.einsum("ijk,ijk->ij", points, view.normals) <= 1e-4).all()
    across = points[1:-1, 2:] - points[1:-1, :-2]
    down = points[2:, 1:-1] - points[:-2, 1:-1]
    estimated = np.cross(down, across)
    estimated /= np.linalg.norm(estimated, axis=-1, keepdims=True)
    agreement = np.abs(np.einsum("ijk,ijk->ij", estimated, view.normals[1:-1, 1:-1]))
    assert np.median(agreement) > 0.999


def test_everything_but_floors_walls_and_ceilings_belongs_to_a_thing_of_its_label(scene):
    mesh = scene.mesh
    building = np.isin(mesh.labels, [Nyu40.WALL, Nyu40.FLOOR, Nyu40.CEILING])
    np.testing.assert_array_equal(mesh.things < 0, building)
    np.testing.assert_array_equal(np.array(mesh.thing_labels)[mesh.things[~building]], mesh.labels[~building])
    assert set(mesh.things[~building]) == set(range(len(mesh.thing_labels)))


def test_things_are_counted_and_measured_as_a_person_would(scene):
    truth = scene_truth(scene, Path("mesh.ply"), np.zeros((1, len(scene.mesh.thing_labels)), np.int64))
    count = Counter(entry.name for entry in truth.objects)
    # Two doorways and the closed door of the first room; a ceiling lamp in each room, at least.
    assert count["door"] == 3
    assert count["lamp"] >= 2
    assert count["window"] == count["curtain"]
    sizes = {entry.name: np.sort((entry.maximum - entry.minimum)[:2]) for entry in truth.objects}
    # One of each in this flat: a table with its legs, a chair with its back, a sofa with its cushions.
    for name, size in {"table": (0.5, 0.9), "chair": (0.44, 0.44), "sofa": (0.9, 1.95)}.items():
        assert count[name] == 1
        np.testing.assert_allclose(sizes[name], size, atol=0.01)
    assert sizes["pillow"].max() < 0.5
    books = [entry for entry in truth.objects if entry.name == "books"]
    for shelf in (entry for entry in truth.objects if entry.name == "bookshelf"):
        assert 2 <= sum(_inside(row, shelf) for row in books) <= 6


def _inside(entry, other):
    return (entry.minimum >= other.minimum - 0.01).all() and (entry.maximum <= other.maximum + 0.01).all()


def test_things_lie_in_their_rooms(scene):
    truth = scene_truth(scene, Path("mesh.ply"), np.zeros((1, len(scene.mesh.thing_labels)), np.int64))
    assert len(truth.rooms) == 2
    # Doors and windows lie in the walls.
    for entry in (entry for entry in truth.objects if entry.name not in ("door", "window")):
        room = truth.rooms[entry.room]
        assert (entry.minimum >= room.minimum - 0.02).all()
        assert (entry.maximum <= room.maximum + 0.02).all()


def test_effects_that_are_off_leave_images_as_they_are(views):
    _, view = views[0]
    image = sensor_effects.camera_image(view.rgb, SensorEffects(), 1, 0, 0.0)
    np.testing.assert_array_equal(image, np.clip(np.rint(view.rgb), 0, 255))
    depth = sensor_effects.depth_image(view, PARAMETERS.intrinsics(), SensorEffects(), 1, 0)
    np.testing.assert_array_equal(depth, view.depth)


def test_depth_noise_grows_with_the_square_of_depth(views):
    effects = SensorEffects(depth_noise_px=0.1)
    camera = PARAMETERS.intrinsics()
    exact = np.concatenate([view.depth.ravel() for _, view in views])
    noisy = np.concatenate(
        [sensor_effects.depth_image(view, camera, effects, 1, k).ravel() for k, (_, view) in enumerate(views)]
    )
    focal_baseline = camera.fx * 640 / camera.width * effects.depth_baseline_m
    for near, far in ((1.0, 1.5), (2.0, 2.5), (3.5, 4.0)):
        band = (exact > near) & (exact < far)
        relative = (noisy - exact)[band] / exact[band] ** 2
        assert relative.std() == pytest.approx(0.1 / focal_baseline, rel=0.1)


def test_depth_steps_are_even_in_disparity(views):
    effects = SensorEffects(depth_step_px=0.125)
    camera = PARAMETERS.intrinsics()
    depth = sensor_effects.depth_image(views[0][1], camera, effects, 1, 0)
    disparity = camera.fx * 640 / camera.width * effects.depth_baseline_m / depth.astype(np.float64)
    np.testing.assert_allclose(disparity * 8, np.rint(disparity * 8), atol=1e-3)


def test_holes_appear_where_a_structured_light_sensor_is_blind(views):
    effects = SensorEffects(depth_holes=True, depth_maximum_m=4.0)
    camera = PARAMETERS.intrinsics()
    for index, (_, view) in enumerate(views):
        depth = sensor_effects.depth_image(view, camera, effects, 1, index)
        blind = view.shining | (view.depth > 4.0) | (view.cosine < 0.08)
        assert (depth[blind] == 0).all()
        kept = depth > 0
        np.testing.assert_array_equal(depth[kept], view.depth[kept])
        assert kept.mean() > 0.3


def test_a_projector_at_the_left_leaves_a_shadow_at_the_right_of_near_things(views):
    _, view = views[0]
    depth = np.full_like(view.depth, 3.0)
    depth[40:80, 60:100] = 1.0
    plain = type(view)(
        **{
            **vars(view),
            "depth": depth,
            "cosine": np.ones_like(depth),
            "shining": np.zeros(depth.shape, bool),
        }
    )
    camera = PARAMETERS.intrinsics()
    holes = sensor_effects.depth_image(plain, camera, SensorEffects(depth_holes=True), 1, 0) == 0
    expected = camera.fx * 0.075 * (1 / 1.0 - 1 / 3.0)
    assert abs(holes[60].sum() - expected) <= 1.5
    assert holes[60, 100]
    assert not holes[20].any()


def test_exposure_drifts_within_its_limit_and_without_jumps():
    effects = SensorEffects(exposure_drift_stops=0.5)
    factors = np.array([sensor_effects.exposure_factor(effects, 4, t) for t in np.arange(0, 30, 1 / 15)])
    stops = 2.2 * np.log2(factors)
    assert 0.1 < np.abs(stops).max() <= 0.5
    assert np.abs(np.diff(stops)).max() < 0.06


def test_an_atlas_gives_back_texels_repeats_its_textures_and_blurs_with_the_footprint():
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, (40, 60, 3), dtype=np.uint8),
        rng.integers(0, 256, (33, 17, 3), dtype=np.uint8),
    ]
    atlas = TextureAtlas.pack(images)
    for texture, image in enumerate(images):
        rows, columns = (axis.ravel() for axis in np.indices(image.shape[:2]))
        count = len(rows)
        textures = np.full(count, texture, np.int32)
        centres = np.stack([columns + 0.5, rows + 0.5], -1).astype(np.float32)
        nothing, sharp = np.zeros((count, 2), np.float32), np.zeros(count, np.float32)
        there = atlas.sample(textures, centres, nothing, sharp)
        np.testing.assert_allclose(there, image.reshape(-1, 3), atol=1)
        repeated = atlas.sample(textures, centres + np.float32([image.shape[1], 0]), nothing, sharp)
        np.testing.assert_allclose(repeated, there, atol=1)
        wide = atlas.sample(textures, centres, nothing, np.full(count, 16, np.float32))
        assert wide.std() < 0.3 * there.std()
        assert wide.mean() == pytest.approx(there.mean(), abs=6)
