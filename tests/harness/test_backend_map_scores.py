"""Scores of maps against the true scene, on made-up meshes whose scores can be counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_map import CHAIR, FLOOR, TABLE, UNKNOWN, WALL, joined, sheet
from scipy.spatial.transform import Rotation

from harness.errors import EvaluationError
from harness.evaluation import Similarity
from harness.evaluation.labelled_surface import LabelledSurface, nearest_labels
from harness.evaluation.scene_graph import Box, GraphNode, Layer, SceneGraph
from harness.evaluation.scene_objects import TrueObject, box_overlap, score_objects
from harness.evaluation.scene_rooms import TrueRoom, score_rooms
from harness.evaluation.seen_surface import SurfacePoints, seen_points, spread_points
from harness.evaluation.semantic_map import label_mapping, score_labels, score_surface
from sequences.label_spaces import LabelSpace, load_label_space
from sequences.model import Intrinsics

NYU = load_label_space("nyu40")
SAME = np.arange(256, dtype=np.uint8)
NAMES = {entry.id: entry.name for entry in NYU.classes}
CAMERA = Intrinsics(fx=100.0, fy=100.0, cx=99.5, cy=99.5, width=200, height=200)


def floor(label=FLOOR, x=0.0, width=2.0, z=0.0):
    return sheet(label, (x, 0, z), (width, 0, 0), (0, 2, 0))


def relabelled(mesh, labels):
    return LabelledSurface(mesh.surface, labels.astype(np.uint8))


def all_of(mesh):
    return spread_points(mesh)


def looking_down(x, y, z):
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = x, y, z
    return np.stack([pose, pose])


def test_a_perfect_map_has_every_score_at_its_best():
    truth = joined(floor(), sheet(WALL, (0, 2.05, 0), (2, 0, 0), (0, 0, 2)))
    scores = score_labels(truth, truth, all_of(truth), NYU, SAME)
    distances = score_surface(truth, truth, all_of(truth))
    assert scores.mean_iou == scores.accuracy == 1.0
    assert distances.accuracy_share == distances.completeness_share == 1.0
    assert distances.completeness_mean_m == pytest.approx(0.0, abs=1e-6)


def test_the_intersection_over_union_is_counted_over_vertices():
    truth = joined(floor(), floor(TABLE, x=2.05))
    # A fifth of the floor is taken for table.
    wrong = (truth.labels == FLOOR) & (truth.surface.vertices[:, 1] < 0.35)
    labels = np.where(wrong, TABLE, truth.labels)
    scores = score_labels(relabelled(truth, labels), truth, all_of(truth), NYU, SAME)
    by_name = {each.name: each for each in scores.classes}
    floors, tables, mistakes = (truth.labels == FLOOR).sum(), (truth.labels == TABLE).sum(), wrong.sum()
    assert by_name["floor"].iou == pytest.approx((floors - mistakes) / floors)
    assert by_name["table"].iou == pytest.approx(tables / (tables + mistakes))
    assert scores.mean_iou == pytest.approx((by_name["floor"].iou + by_name["table"].iou) / 2)
    assert scores.accuracy == pytest.approx(1 - mistakes / len(labels))


def test_a_class_that_was_seen_and_is_missing_in_the_map_counts_nothing():
    truth = joined(floor(), floor(TABLE, x=3.0))
    scores = score_labels(floor(), truth, all_of(truth), NYU, SAME)
    assert {each.name: each.iou for each in scores.classes} == {"floor": 1.0, "table": 0.0}
    assert scores.mean_iou == 0.5


def test_a_class_of_which_hardly_anything_was_seen_is_no_part_of_the_mean():
    truth = joined(floor(), sheet(TABLE, (3, 0, 0), (0.1, 0, 0), (0, 0.1, 0)))
    scores = score_labels(floor(), truth, all_of(truth), NYU, SAME)
    assert [each.counts for each in scores.classes] == [True, False]
    assert scores.mean_iou == 1.0


def test_vertices_without_a_label_are_wrong_and_vertices_far_from_the_truth_are_not_compared():
    unlabelled = relabelled(floor(), np.where(np.arange(441) % 2 == 0, FLOOR, UNKNOWN))
    estimate = joined(unlabelled, floor(TABLE, z=0.5))
    scores = score_labels(estimate, floor(), all_of(floor()), NYU, SAME)
    assert (scores.vertices, scores.right, scores.unlabelled) == (441, 221, 220)
    assert scores.classes[0].iou == pytest.approx(221 / 441)


def test_nothing_to_compare_gives_no_figure_rather_than_zero():
    truth = floor(UNKNOWN)
    scores = score_labels(truth, truth, all_of(truth), NYU, SAME)
    assert scores.mean_iou is None
    assert scores.accuracy is None


def test_labels_of_another_space_are_compared_after_the_truth_s_are_mapped():
    coarse = load_label_space("nyud20")
    truth = joined(floor(), floor(14, x=2.05))  # a desk, which is a table there
    mapping = label_mapping("nyu40", coarse)
    estimate = relabelled(truth, mapping[truth.labels])
    scores = score_labels(estimate, truth, all_of(truth), coarse, mapping)
    assert {each.name for each in scores.classes} == {"floor", "table"}
    assert scores.mean_iou == 1.0


@pytest.mark.parametrize(
    ("truth_space", "space", "said"),
    [
        ("nyu40", LabelSpace(name="own", classes=()), "unknown label space 'own'"),
        ("nyu40", LabelSpace(name="nyud20", classes=NYU.classes), "whose classes are others"),
        ("scannet20", load_label_space("nyud20"), "cannot be mapped"),
        ("nyu40", load_label_space("cityscapes19"), "does not say from_nyu40"),
    ],
)
def test_label_spaces_that_have_nothing_in_common_are_refused(truth_space, space, said):
    with pytest.raises(EvaluationError, match=said):
        label_mapping(truth_space, space)


def test_the_nearest_surface_gives_its_label_and_distance():
    found = nearest_labels(
        joined(floor(), floor(TABLE, z=1.0)), np.array([[1, 1, 0.2], [1, 1, 0.9]], np.float32)
    )
    assert found.labels.tolist() == [FLOOR, TABLE]
    assert found.distances == pytest.approx([0.2, 0.1], abs=1e-5)


def test_points_are_spread_as_densely_on_small_triangles_as_on_large_ones():
    fine, coarse = (
        sheet(1, (0, 0, 0), (1, 0, 0), (0, 1, 0), 0.05),
        sheet(2, (2, 0, 0), (1, 0, 0), (0, 1, 0), 1.0),
    )
    points = spread_points(joined(fine, coarse))
    counts = np.bincount(points.labels)
    assert counts[1] == pytest.approx(counts[2], abs=1)
    assert points.positions[points.labels == 2].std(axis=0)[:2] == pytest.approx([12**-0.5] * 2, rel=0.03)


def test_only_what_is_in_view_and_not_hidden_counts_as_seen():
    # Seen from above, the table hides a part of the floor; the rest of the floor lies outside of the image.
    scene = joined(floor(width=8.0), sheet(TABLE, (0.5, 0.5, 1), (1, 0, 0), (0, 1, 0)))
    seen = seen_points(scene, all_of(scene), CAMERA, looking_down(1, 1, 2))
    on_floor = seen.positions[seen.labels == FLOOR]
    assert on_floor[:, 0].max() == pytest.approx(3.0, abs=0.03)
    # The table's shadow on the floor is twice as large as the table.
    assert not ((np.abs(on_floor[:, :2] - 1) < 0.97).all(axis=1)).any()
    assert (seen.labels == TABLE).sum() == (all_of(scene).labels == TABLE).sum()


def test_what_is_beyond_the_range_or_seen_once_was_not_seen():
    poses = looking_down(1, 1, 2)
    assert len(seen_points(floor(), all_of(floor()), CAMERA, poses, within=1.9)) == 0
    assert len(seen_points(floor(), all_of(floor()), CAMERA, poses[:1])) == 0
    assert len(seen_points(floor(), all_of(floor()), CAMERA, poses, within=2.1)) == len(all_of(floor()))


def test_completeness_is_asked_of_the_seen_part_alone():
    truth = joined(floor(), floor(x=10.0))
    points = all_of(truth)
    seen = points.positions[:, 0] < 5
    distances = score_surface(floor(), truth, SurfacePoints(points.positions[seen], points.labels[seen]))
    assert distances.completeness_share == 1.0
    assert score_surface(floor(), truth, points).completeness_share == pytest.approx(0.5, abs=0.01)


def box(x, y, size=1.0, turned=0.0):
    rotation = Rotation.from_euler("z", turned, degrees=True).as_matrix()
    return Box(np.array([x, y, size / 2]), np.full(3, size), rotation)


def node(number, label, x, y, size: float | None = 1.0, turned=0.0):
    extent = None if size is None else box(x, y, size, turned)
    return GraphNode(number, Layer.OBJECTS, np.array([x, y, (size or 1) / 2]), "", label, extent)


def true(label, x, y, seen=True):
    return TrueObject(label, box(x, y), seen)


def matched(nodes, truth):
    scores = score_objects(tuple(nodes), tuple(truth), NAMES)
    return scores.matched, scores.found, scores.true


def test_objects_are_matched_by_label_and_place():
    truth = [true(CHAIR, 0, 0), true(CHAIR, 3, 0), true(TABLE, 6, 0)]
    found = [node(1, CHAIR, 0.2, 0), node(2, TABLE, 3, 0), node(3, TABLE, 6.3, 0.1), node(4, CHAIR, 20, 0)]
    scores = score_objects(tuple(found), tuple(truth), NAMES)
    assert {each.name: (each.true, each.found, each.matched) for each in scores.classes} == {
        "chair": (2, 2, 1),
        "table": (1, 2, 1),
    }
    assert scores.precision == pytest.approx(2 / 4)
    assert scores.recall == pytest.approx(2 / 3)


def test_one_object_found_twice_is_right_once():
    assert matched([node(1, CHAIR, 0, 0), node(2, CHAIR, 0.1, 0)], [true(CHAIR, 0, 0)]) == (1, 2, 1)


def test_two_objects_found_as_one_are_found_once():
    assert matched([node(1, CHAIR, 0.5, 0, size=2.0)], [true(CHAIR, 0, 0), true(CHAIR, 1, 0)]) == (1, 1, 2)


def test_the_way_to_match_that_finds_most_is_taken():
    # The first could be either chair and overlaps more with the second, which is all that the other can be.
    truth = [true(CHAIR, 0, 0), true(CHAIR, 1.0, 0)]
    found = [node(1, CHAIR, 0.6, 0, size=1.6), node(2, CHAIR, 1.3, 0, size=0.8)]
    assert matched(found, truth) == (2, 2, 2)


def test_an_object_without_a_box_is_where_it_stands():
    assert matched([node(1, CHAIR, 0.4, 0, size=None)], [true(CHAIR, 0, 0)]) == (1, 1, 1)
    assert matched([node(1, CHAIR, 0.7, 0, size=None)], [true(CHAIR, 0, 0)]) == (0, 1, 1)


def test_an_object_that_was_hardly_seen_is_neither_asked_for_nor_held_against_the_map():
    scores = score_objects((node(1, CHAIR, 0, 0),), (true(CHAIR, 0, 0, seen=False),), NAMES)
    assert (scores.matched, scores.found, scores.true, scores.ignored) == (0, 0, 0, 1)
    assert scores.precision is None
    assert scores.recall is None


def test_objects_without_a_label_are_found_and_wrong():
    scores = score_objects((node(1, None, 0, 0),), (true(CHAIR, 0, 0),), NAMES)
    assert (scores.precision, scores.recall) == (0.0, 0.0)
    assert {each.name for each in scores.classes} == {"chair", "unknown"}


@given(st.integers(0, 2**32 - 1))
def test_no_more_is_matched_than_there_is_and_order_does_not_matter(seed):
    random = np.random.default_rng(seed)
    places = random.uniform(0, 4, size=(9, 2))
    labels = random.choice([CHAIR, TABLE], size=9)
    truth = [true(int(labels[number]), *places[number], seen=random.random() < 0.8) for number in range(5)]
    found = [node(number, int(labels[number]), *places[number], size=0.8) for number in range(5, 9)]
    scores = score_objects(tuple(found), tuple(truth), NAMES)
    assert scores.matched <= min(scores.found, scores.true)
    assert scores.found + scores.ignored == len(found)
    assert matched(found[::-1], truth[::-1]) == (scores.matched, scores.found, scores.true)


@pytest.mark.parametrize(
    ("other", "overlap"),
    [
        (box(0, 0), 1.0),
        (box(0.5, 0), 1 / 3),
        (box(2, 0), 0.0),
        (box(0, 0, size=0.5), 1 / 8),
        (box(0, 0, turned=45), 0.707),
        (Box(np.zeros(3), np.array([1.0, 1.0, 0.0]), np.eye(3)), 0.0),
    ],
)
def test_overlap_of_boxes_in_any_orientation(other, overlap):
    assert box_overlap(box(0, 0), other) == pytest.approx(overlap, abs=0.03)


def test_a_box_moves_with_the_world():
    fit = Similarity(2.0, Rotation.from_euler("z", 90, degrees=True).as_matrix(), np.array([1.0, 0.0, 0.0]))
    own = Box(np.array([1.0, 2.0, 0.0]), np.array([2.0, 1.0, 1.0]), np.eye(3))
    corners = own.moved(fit).corners()
    np.testing.assert_allclose(
        np.sort(corners, axis=0), np.sort(fit.apply(own.corners()), axis=0), atol=1e-12
    )
    assert own.moved(fit).contains(fit.apply(np.array([[1.9, 2.4, 0.4]]))).all()


LEFT = TrueRoom("kitchen", np.array([0.0, 0, 0]), np.array([4.0, 4, 2.5]), visited=True)
RIGHT = TrueRoom("study", np.array([4.14, 0, 0]), np.array([8.0, 4, 2.5]), visited=True)


def graph_of(*rooms, loose=()):
    """A graph of rooms given by the positions of their places."""
    nodes, edges = {}, []
    for number, places in enumerate(rooms):
        room = GraphNode(1000 + number, Layer.ROOMS, np.append(np.mean(places, axis=0), 1.0))
        nodes[room.id] = room
        for place in places:
            each = GraphNode(len(nodes), Layer.PLACES, np.append(place, 1.0))
            nodes[each.id] = each
            edges.append((room.id, each.id))
    for place in loose:
        each = GraphNode(len(nodes), Layer.PLACES, np.append(place, 1.0))
        nodes[each.id] = each
    return SceneGraph(nodes, tuple(edges))


IN_LEFT = [(1, 1), (2, 1), (2, 2), (3, 3)]
IN_RIGHT = [(5, 1), (6, 1), (6, 2), (7, 3)]


def test_rooms_are_found_when_their_places_are_theirs():
    scores = score_rooms(graph_of(IN_RIGHT, IN_LEFT), (LEFT, RIGHT))
    assert (scores.found, scores.true, scores.matched) == (2, 2, 2)
    assert [(room.name, room.best, room.overlap) for room in scores.rooms] == [
        ("kitchen", 1001, 1.0),
        ("study", 1000, 1.0),
    ]


def test_one_room_for_two_is_one_of_them_at_most():
    scores = score_rooms(graph_of(IN_LEFT + IN_RIGHT), (LEFT, RIGHT))
    assert (scores.found, scores.matched, scores.mean_overlap) == (1, 1, 0.5)


def test_a_room_that_was_torn_apart_is_less_than_found():
    scores = score_rooms(graph_of(IN_LEFT[:3], IN_LEFT[3:]), (LEFT,))
    assert (scores.found, scores.true, scores.matched, scores.mean_overlap) == (2, 1, 1, 0.75)


def test_places_of_no_room_count_against_the_room_they_lie_in():
    assert score_rooms(graph_of(IN_LEFT[:2], loose=IN_LEFT[2:]), (LEFT,)).mean_overlap == 0.5


def test_a_room_without_places_is_where_it_stands():
    graph = SceneGraph({1: GraphNode(1, Layer.ROOMS, np.array([2.0, 2.0, 1.0]))}, ())
    assert score_rooms(graph, (LEFT, RIGHT)).matched == 1


def test_a_room_that_the_camera_was_not_in_is_not_asked_for():
    unvisited = TrueRoom("study", RIGHT.minimum, RIGHT.maximum, visited=False)
    scores = score_rooms(graph_of(IN_LEFT), (LEFT, unvisited))
    assert (scores.found, scores.true, scores.matched) == (1, 1, 1)


def test_a_graph_without_rooms_finds_none():
    scores = score_rooms(SceneGraph({}, ()), (LEFT,))
    assert (scores.found, scores.matched, scores.mean_overlap, scores.rooms[0].best) == (0, 0, 0.0, None)


def test_without_true_rooms_there_is_no_figure():
    assert score_rooms(graph_of(IN_LEFT), ()).mean_overlap is None
