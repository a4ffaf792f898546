"""The metric-semantic map through its public door."""

import numpy as np
import pytest

pytest.importorskip("open3d")

from plane_views import (
    CHAIR,
    FLOOR,
    INTRINSICS,
    LABEL_SPACE,
    PERSON,
    SHAPE,
    WALL,
    depth_of_plane,
    frame,
    pose,
)

from adapters.label_space import LabelClass, LabelRole, LabelSpace
from adapters.labelled_mesh import LABEL_UNKNOWN
from adapters.mono_hydra.mapping.map_options import MapOptions
from adapters.mono_hydra.mapping.semantic_map import SemanticMap

# Every pixel of the small camera, and every surface however far it was seen from.
OPTIONS = {"map_stride": 1, "map_least_weight": 0.0}


def new_map(label_space=LABEL_SPACE, **options):
    return SemanticMap(MapOptions(**{**OPTIONS, **options}), INTRINSICS, label_space)


def random_poses(count, yaw_deg=0.0):
    random = np.random.default_rng(1)
    return [
        pose(random.uniform(-0.3, 0.3, 3), yaw_deg + random.uniform(-6, 6), random.uniform(-6, 6))
        for _ in range(count)
    ]


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("angle_deg", [0.0, 40.0, -65.0])
def test_a_wall_seen_from_several_poses_is_where_it_is(angle_deg, stride):
    semantic_map = new_map(map_stride=stride, map_farthest_depth=4.0)
    normal = np.array([0.0, 0.0, 1.0])
    for camera_to_world in random_poses(8, angle_deg):
        semantic_map.integrate(frame(depth_of_plane(normal, 2.03, camera_to_world)), camera_to_world)
    mesh = semantic_map.mesh()
    errors = mesh.vertices @ normal - 2.03
    assert len(errors) > 200
    assert abs(errors.mean()) < 0.0015
    # A pixel of an oblique wall is as deep as half its footprint, unevenly.
    assert np.percentile(np.abs(errors), 95) < 0.004 * stride


def test_the_edges_of_what_an_image_shows_are_where_they_are():
    labels = np.full(SHAPE, WALL)
    labels[:, INTRINSICS.width // 2 :] = CHAIR
    labels[: INTRINSICS.height // 2] = FLOOR
    semantic_map = new_map()
    semantic_map.integrate(frame(2.0, labels), pose())
    mesh = semantic_map.mesh()
    # The middle of the image, between two pixels, is on the optical axis.
    x, y = mesh.vertices[:, 0], mesh.vertices[:, 1]
    expected = np.where(y < 0.0, FLOOR, np.where(x < 0.0, WALL, CHAIR))
    clear = (np.abs(x) > 0.03) & (np.abs(y) > 0.03)
    assert np.array_equal(mesh.labels[clear], expected[clear])


def test_normals_point_into_free_space_and_triangles_turn_with_them():
    semantic_map = new_map()
    camera_to_world = pose()
    semantic_map.integrate(frame(depth_of_plane([0.3, 0.0, 1.0], 2.0, camera_to_world)), camera_to_world)
    mesh = semantic_map.mesh()
    to_camera = camera_to_world[:3, 3] - mesh.vertices
    assert np.mean((mesh.normals * to_camera).sum(axis=1) > 0.0) > 0.99
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1.0, atol=1e-5)
    corners = mesh.vertices[mesh.triangles]
    turned = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.mean((turned * mesh.normals[mesh.triangles[:, 0]]).sum(axis=1) > 0.0) > 0.99


def test_labels_that_are_wrong_in_a_fifth_of_all_pixels_come_out_right():
    random = np.random.default_rng(2)
    semantic_map = new_map()
    for camera_to_world in random_poses(15):
        labels = np.where(random.random(SHAPE) < 0.2, random.choice([FLOOR, CHAIR, 7], SHAPE), WALL)
        semantic_map.integrate(
            frame(depth_of_plane([0.0, 0.0, 1.0], 2.0, camera_to_world), labels), camera_to_world
        )
    mesh = semantic_map.mesh()
    seen_by_all = np.abs(mesh.vertices[:, :2]).max(axis=1) < 0.4
    assert set(mesh.labels[seen_by_all]) == {WALL}


def test_a_class_that_as_many_sights_speak_against_as_for_is_unknown():
    semantic_map = new_map()
    for label in (WALL, CHAIR):
        semantic_map.integrate(frame(2.0, label), pose())
    assert set(semantic_map.mesh().labels) == {LABEL_UNKNOWN}
    semantic_map.integrate(frame(2.0, CHAIR), pose())
    assert set(semantic_map.mesh().labels) == {CHAIR}


@pytest.mark.parametrize("label", [LABEL_UNKNOWN, 77])
def test_what_is_no_class_stays_unknown_and_takes_nothing_away(label):
    semantic_map = new_map()
    semantic_map.integrate(frame(2.0, label), pose())
    assert set(semantic_map.mesh().labels) == {LABEL_UNKNOWN}
    semantic_map.integrate(frame(2.0, WALL), pose())
    for _ in range(5):
        semantic_map.integrate(frame(2.0, label), pose())
    assert set(semantic_map.mesh().labels) == {WALL}


def test_a_person_who_walks_through_leaves_nothing_behind():
    semantic_map = new_map()
    for step in range(6):
        depth, labels = np.full(SHAPE, 3.0), np.full(SHAPE, WALL)
        first = 40 * step
        # The mask is narrower than the person, as masks of networks are.
        depth[60:, first : first + 60], labels[64:, first + 5 : first + 55] = 1.5, PERSON
        semantic_map.integrate(frame(depth, labels), pose())
    mesh = semantic_map.mesh()
    assert mesh.vertices[:, 2].min() > 2.9
    assert set(mesh.labels) == {WALL}


def test_what_is_later_seen_through_goes_away():
    semantic_map = new_map()
    depth = np.full(SHAPE, 3.0)
    depth[80:160, 120:200] = 1.0
    semantic_map.integrate(frame(depth), pose())
    assert semantic_map.mesh().vertices[:, 2].min() < 1.1
    for _ in range(12):
        semantic_map.integrate(frame(3.0), pose())
    assert semantic_map.mesh().vertices[:, 2].min() > 2.9


def test_the_weight_of_the_past_is_limited_so_that_the_map_can_change():
    semantic_map = new_map(map_most_weight=4.0)
    for _ in range(30):
        semantic_map.integrate(frame(1.0), pose())
    for _ in range(30):
        semantic_map.integrate(frame(1.2), pose())
    assert np.median(semantic_map.mesh().vertices[:, 2]) == pytest.approx(1.2, abs=0.01)


def test_two_depths_that_differ_are_averaged():
    semantic_map = new_map(map_full_weight_depth=5.0)
    for depth in (2.0, 2.1):
        semantic_map.integrate(frame(depth), pose())
    assert np.median(semantic_map.mesh().vertices[:, 2]) == pytest.approx(2.05, abs=0.003)


def test_depth_counts_by_the_square_of_its_distance():
    semantic_map = new_map(map_full_weight_depth=1.0)
    # The same wall at z = 4, from 2 m away and, wrong by 10 cm, from 4 m away.
    semantic_map.integrate(frame(2.0), pose((0.0, 0.0, 2.0)))
    semantic_map.integrate(frame(4.1), pose())
    middle = np.linalg.norm(semantic_map.mesh().vertices[:, :2], axis=1) < 0.5
    assert np.median(semantic_map.mesh().vertices[middle, 2]) == pytest.approx(4.02, abs=0.003)


def test_colours_are_averaged():
    semantic_map = new_map()
    for rgb in ((100, 0, 40), (140, 0, 255)):
        semantic_map.integrate(frame(2.0, rgb=rgb), pose())
    colours = semantic_map.mesh().colours.astype(int)
    assert np.abs(colours - [120, 0, 148]).max() <= 1


def test_depth_out_of_range_is_not_mapped():
    semantic_map = new_map()
    depth = np.full(SHAPE, 9.0)
    depth[:, :100], depth[:, 200:] = 2.0, 0.03
    semantic_map.integrate(frame(depth, WALL), pose())
    assert set(np.rint(semantic_map.mesh().vertices[:, 2] * 10)) == {20.0}


@pytest.mark.parametrize("depth", [0.0, np.nan, np.inf, 8.5])
def test_a_frame_without_depth_changes_nothing(depth):
    semantic_map = new_map()
    semantic_map.integrate(frame(depth, WALL), pose())
    assert len(semantic_map.mesh().vertices) == 0
    semantic_map.integrate(frame(2.0, WALL), pose())
    before = semantic_map.mesh()
    semantic_map.integrate(frame(depth, CHAIR), pose())
    after = semantic_map.mesh()
    assert np.array_equal(before.vertices, after.vertices)
    assert np.array_equal(before.labels, after.labels)


def test_an_empty_map_has_an_empty_mesh():
    mesh = new_map().mesh()
    assert mesh.vertices.shape == mesh.normals.shape == mesh.colours.shape == mesh.triangles.shape == (0, 3)
    assert mesh.labels.shape == (0,)


def test_a_surface_with_too_little_weight_is_left_out():
    semantic_map = new_map(map_least_weight=0.4)
    semantic_map.integrate(frame(2.0), pose())
    assert len(semantic_map.mesh().vertices) == 0
    semantic_map.integrate(frame(2.0), pose())
    assert len(semantic_map.mesh().vertices) > 0


@pytest.mark.parametrize("label_space", [None, LABEL_SPACE])
def test_without_labels_or_their_meaning_all_is_unknown(label_space):
    semantic_map = new_map(label_space)
    # Without a label space 31 is no person.
    semantic_map.integrate(frame(2.0, PERSON if label_space is None else None), pose())
    mesh = semantic_map.mesh()
    assert len(mesh.vertices) > 0
    assert set(mesh.labels) == {LABEL_UNKNOWN}


def test_clear_forgets_everything():
    semantic_map = new_map()
    semantic_map.integrate(frame(1.0, CHAIR, rgb=(255, 0, 0)), pose())
    semantic_map.clear()
    assert len(semantic_map.mesh().vertices) == 0
    semantic_map.integrate(frame(2.0, WALL, rgb=(0, 0, 255)), pose())
    anew = new_map()
    anew.integrate(frame(2.0, WALL, rgb=(0, 0, 255)), pose())
    for name in ("vertices", "normals", "colours", "labels", "triangles"):
        assert np.array_equal(getattr(semantic_map.mesh(), name), getattr(anew.mesh(), name))


def test_the_map_grows_with_what_is_seen():
    semantic_map = new_map(map_block_count=1)
    memory = [semantic_map.nbytes]
    for yaw_deg in range(0, 360, 90):
        semantic_map.integrate(frame(6.0, WALL if yaw_deg < 180 else CHAIR), pose(yaw_deg=yaw_deg))
        memory.append(semantic_map.nbytes)
    assert memory[0] < 100_000 < 5_000_000 < memory[-1]
    assert memory == sorted(memory)
    # Growing loses nothing.
    mesh = semantic_map.mesh()
    first = np.abs(mesh.vertices - [0.0, 0.0, 6.0]).max(axis=1) < 1.0
    assert set(mesh.labels[first]) == {WALL}
    assert {WALL, CHAIR} == set(mesh.labels)


def test_more_classes_than_had_room_at_first_are_told_apart():
    classes = tuple(LabelClass(id, f"class{id}", (0, 0, 0), LabelRole.OBJECT) for id in range(30))
    semantic_map = new_map(LabelSpace("many", classes))
    for label in range(30):
        semantic_map.integrate(frame(1.0, label), pose((3.0 * label, 0.0, 0.0)))
    mesh = semantic_map.mesh()
    assert np.array_equal(mesh.labels, np.rint(mesh.vertices[:, 0] / 3.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"voxel_size": 0.0}, "voxel_size must be above 0"),
        ({"truncation_distance": 0.1}, "truncation_distance must be from 2 to 12 voxels"),
        ({"truncation_distance": 1.3}, "truncation_distance must be from 2 to 12 voxels"),
        ({"map_farthest_depth": 0.01}, "map_nearest_depth must be at least 0 and below map_farthest_depth"),
        ({"map_farthest_depth": float("nan")}, "map_farthest_depth"),
        ({"map_stride": 0}, "map_stride must be from 1 to 8"),
        ({"map_full_weight_depth": -1.0}, "map_full_weight_depth must be above 0"),
        ({"map_least_weight": 65.0}, "map_least_weight must be at least 0 and below map_most_weight"),
        ({"dynamic_margin": -1}, "dynamic_margin must be at least 0"),
        ({"map_block_count": 0}, "map_block_count must be at least 1"),
        ({"label_match_probability": 1.0}, "label_match_probability must be between 0.5 and 1"),
        ({"label_least_probability": 1.5}, "label_least_probability must be from 0 to 1"),
        ({"alignment_most_frames": 0}, "alignment_most_frames must be from 1 to 20"),
        ({"alignment_longest_s": 0.0}, "alignment_longest_s must be above 0"),
        ({"alignment_gate_m": -0.1}, "alignment_gate_m must be at least 0"),
    ],
)
def test_options_that_cannot_work_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        MapOptions(**options)
