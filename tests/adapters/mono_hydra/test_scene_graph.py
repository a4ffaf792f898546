"""The layers of the scene graph, and how they hang together."""

import numpy as np
import pytest
import spark_dsg
from box_world import (
    CHAIR,
    INTRINSICS,
    LABEL_SPACE,
    OPTIONS,
    TABLE,
    box,
    camera_poses,
    empty_mesh,
    look_around,
    together,
    two_rooms,
    without_labels,
)

from adapters.mono_hydra.scene_graph.build import SceneGraphResult, build_scene_graph
from adapters.mono_hydra.scene_graph.free_space import FreeSpace
from adapters.mono_hydra.scene_graph.options import SceneGraphOptions

# The table stands at the wall between the rooms, so that places beyond the wall are near, too.
FLAT = together(
    two_rooms(),
    box((1.0, 0.6, 0.4), (0.4, 0.4, 0.8), CHAIR, yaw=0.4),
    box((6.0, 3.0, 0.4), (0.4, 0.4, 0.8), CHAIR),
    box((3.65, 2.85, 0.35), (0.6, 1.0, 0.7), TABLE),
)
POSES = camera_poses([(1.0, 1.75, 1.4), (3.0, 1.75, 1.4), (5.2, 1.75, 1.4), (7.2, 1.75, 1.4)])
TIMES = np.arange(len(POSES)) * 200_000_000 + 1_700_000_000_000_000_000


def build(mesh=FLAT, space=None, options: SceneGraphOptions = OPTIONS) -> SceneGraphResult:
    space = space or look_around(mesh, POSES, options)
    return build_scene_graph(mesh, space, POSES, TIMES, LABEL_SPACE, options)


@pytest.fixture(scope="module")
def flat() -> SceneGraphResult:
    return build()


def nodes(result: SceneGraphResult, layer: str) -> list:
    return list(result.graph.get_layer(layer).nodes)


def parents(result: SceneGraphResult, node) -> list:
    return [result.graph.get_node(parent) for parent in node.parents()]


def test_the_counts_are_those_of_the_graph(flat: SceneGraphResult) -> None:
    assert (flat.objects, flat.rooms, flat.buildings, flat.keyframes) == (3, 2, 1, len(POSES))
    assert flat.objects_by_label == {"chair": 2, "table": 1}
    layers = ("OBJECTS", "PLACES", "ROOMS", "BUILDINGS", "AGENTS")
    counts = (flat.objects, flat.places, flat.rooms, flat.buildings, flat.keyframes)
    assert tuple(len(nodes(flat, layer)) for layer in layers) == counts


def test_every_node_has_exactly_one_parent_in_the_layer_above(flat: SceneGraphResult) -> None:
    above = {"OBJECTS": "p", "AGENTS": "p", "PLACES": "R", "ROOMS": "B"}
    for layer, kind in above.items():
        for node in nodes(flat, layer):
            assert [parent.id.category for parent in parents(flat, node)] == [kind]


def test_every_object_is_in_the_room_it_stands_in(flat: SceneGraphResult) -> None:
    for node in nodes(flat, "OBJECTS"):
        (place,) = parents(flat, node)
        (room,) = parents(flat, place)
        assert (room.attributes.position[0] < 4) == (node.attributes.position[0] < 4)


def test_objects_tell_what_and_where_they_are(flat: SceneGraphResult) -> None:
    chair, other, table = sorted(
        (node.attributes for node in nodes(flat, "OBJECTS")), key=lambda each: (each.name, each.position[0])
    )
    assert (chair.name, other.name, table.name) == ("chair", "chair", "table")
    assert (chair.semantic_label, table.semantic_label) == (CHAIR, TABLE)
    assert chair.color[:3].tolist() == [236, 16, 156]
    assert chair.bounding_box.world_P_center == pytest.approx([1.0, 0.6, 0.4], abs=0.01)
    assert chair.bounding_box.dimensions == pytest.approx([0.4, 0.4, 0.8], abs=0.01)
    assert table.position == pytest.approx([3.65, 2.85, 0.35], abs=0.05)
    assert {FLAT.labels[index] for index in table.mesh_connections} == {TABLE}


def test_turned_boxes_contain_the_vertices_of_their_object(flat: SceneGraphResult) -> None:
    for node in nodes(flat, "OBJECTS"):
        frame = node.attributes.bounding_box
        vertices = FLAT.vertices[node.attributes.mesh_connections]
        own = (vertices - frame.world_P_center) @ frame.world_R_center
        assert (np.abs(own) <= frame.dimensions / 2 + 1e-3).all()


def test_the_two_rooms_are_joined_by_a_doorway(flat: SceneGraphResult) -> None:
    (edge,) = flat.graph.get_layer("ROOMS").edges
    assert edge.source != edge.target
    assert {node.attributes.name for node in nodes(flat, "ROOMS")} == {"room 0", "room 1"}
    for node in nodes(flat, "ROOMS"):
        low, high = node.attributes.bounding_box.min, node.attributes.bounding_box.max
        assert (low <= node.attributes.position).all()
        assert (node.attributes.position <= high).all()
        assert high[0] - low[0] == pytest.approx(4.0, abs=0.3)


def test_places_know_their_clearance_and_edges_how_wide_they_are(flat: SceneGraphResult) -> None:
    clearances = np.array([node.attributes.distance for node in nodes(flat, "PLACES")])
    assert (clearances >= OPTIONS.place_least_clearance).all()
    edges = list(flat.graph.get_layer("PLACES").edges)
    assert all(edge.info.weighted for edge in edges)
    assert min(edge.info.weight for edge in edges) > 0


def test_keyframes_form_a_chain_with_poses_and_times(flat: SceneGraphResult) -> None:
    agents = nodes(flat, "AGENTS")
    assert len(list(flat.graph.get_layer("AGENTS").edges)) == len(POSES) - 1
    last = next(node.attributes for node in agents if node.attributes.external_key == len(POSES) - 1)
    assert last.position == pytest.approx(POSES[-1, :3, 3])
    assert last.timestamp.total_seconds() == pytest.approx(TIMES[-1] / 1e9)
    turn = last.world_R_body
    assert abs(turn.w) == pytest.approx(np.sqrt(max(0, 1 + np.trace(POSES[-1, :3, :3]))) / 2, abs=1e-6)


def test_keyframes_stand_in_their_room(flat: SceneGraphResult) -> None:
    for node in nodes(flat, "AGENTS"):
        (place,) = parents(flat, node)
        (room,) = parents(flat, place)
        assert (room.attributes.position[0] < 4) == (node.attributes.position[0] < 4)


def test_the_names_of_the_labels_are_in_the_graph(flat: SceneGraphResult) -> None:
    assert flat.graph.get_labelspace(2, 0).labels_to_names[TABLE] == "table"
    assert flat.graph.metadata.get()["label_space"] == "boxes"


def test_the_mesh_is_in_the_graph_with_colours_and_labels(flat: SceneGraphResult) -> None:
    mesh = flat.graph.mesh
    assert np.allclose(mesh.get_vertices()[:3].T, FLAT.vertices, atol=1e-6)
    assert np.array_equal(mesh.get_faces().T, FLAT.triangles)
    assert mesh.get_labels() == FLAT.labels.tolist()
    colours = np.rint(mesh.get_vertices()[3:6].T * 255)
    assert np.array_equal(colours, FLAT.colours)


def test_boxes_can_be_laid_along_the_axes() -> None:
    result = build(options=SceneGraphOptions(object_box="axis_aligned", free_ray_stride=4))
    for node in nodes(result, "OBJECTS"):
        vertices = FLAT.vertices[node.attributes.mesh_connections]
        assert node.attributes.bounding_box.min == pytest.approx(vertices.min(axis=0), abs=1e-3)
        assert node.attributes.bounding_box.max == pytest.approx(vertices.max(axis=0), abs=1e-3)


def test_without_labels_there_are_rooms_and_no_objects() -> None:
    result = build(without_labels(FLAT))
    assert (result.objects, result.objects_by_label, result.rooms) == (0, {}, 2)


def test_without_free_space_there_are_objects_and_no_rooms() -> None:
    result = build(space=FreeSpace(OPTIONS, INTRINSICS))
    assert (result.objects, result.places, result.rooms, result.buildings) == (3, 0, 0, 0)
    assert not any(node.has_parent() for node in nodes(result, "OBJECTS"))


def test_without_a_mesh_free_space_is_a_room() -> None:
    result = build(empty_mesh(), look_around(two_rooms(), POSES[:6]))
    assert result.rooms >= 1
    assert result.graph.mesh.num_vertices() == 0


def test_nothing_at_all_is_an_empty_graph() -> None:
    nothing = FreeSpace(OPTIONS, INTRINSICS)
    result = build_scene_graph(empty_mesh(), nothing, POSES[:0], TIMES[:0], LABEL_SPACE, OPTIONS)
    assert result.graph.num_nodes() == 0
    assert isinstance(result.graph, spark_dsg.DynamicSceneGraph)
