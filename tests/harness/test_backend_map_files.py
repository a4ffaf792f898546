"""Reading the maps that backends write, and what is said of files that cannot be read."""

import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from made_up_map import CHAIR, FLOOR, graph_json, graph_node, ply, sheet, write_map

from harness.errors import EvaluationError
from harness.evaluation.labelled_surface import read_labelled_ply
from harness.evaluation.scene_graph import Layer
from harness.report.backend_map_files import read_backend_map, read_scene_graph

MESH = sheet(FLOOR, (0, 0, 0), (1, 0, 0), (0, 1, 0), 0.5)
NODES = [
    graph_node(1, "OBJECTS", (0.5, 0.5, 0.2), "chair", CHAIR, (0.4, 0.4, 0.4)),
    graph_node(2, "PLACES", (0.2, 0.2, 0.5)),
    graph_node(3, "PLACES", (0.8, 0.2, 0.5)),
    graph_node(4, "ROOMS", (0.5, 0.2, 0.5), "room 0"),
    graph_node(5, "BUILDINGS", (0.5, 0.2, 0.5), "building"),
]
EDGES = [(5, 4), (4, 2), (4, 3), (2, 3), (2, 1)]


@pytest.fixture
def written(tmp_path):
    write_map(tmp_path, MESH, NODES, EDGES)
    return tmp_path


def change(directory, name, **values):
    file = directory / name
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def refused(directory):
    with pytest.raises(EvaluationError) as refusal:
        read_backend_map(directory)
    return str(refusal.value)


def test_a_map_is_read_as_it_was_written(written):
    found = read_backend_map(written)
    np.testing.assert_array_equal(found.mesh.surface.vertices, MESH.surface.vertices)
    np.testing.assert_array_equal(found.mesh.surface.normals, MESH.surface.normals)
    np.testing.assert_array_equal(found.mesh.surface.triangles, MESH.surface.triangles)
    np.testing.assert_array_equal(found.mesh.labels, MESH.labels)
    np.testing.assert_allclose(found.mesh.surface.colours, MESH.surface.colours, atol=1 / 255)
    (chair,) = found.graph.layer(Layer.OBJECTS)
    assert (chair.name, chair.label, chair.box.size.tolist()) == ("chair", CHAIR, [0.4, 0.4, 0.4])
    (room,) = found.graph.layer(Layer.ROOMS)
    assert [place.id for place in found.graph.neighbours(room, Layer.PLACES)] == [2, 3]
    assert room.label is None
    assert room.box is None
    assert found.label_space.name == "nyu40"


def test_graph_and_labels_may_be_left_out(written):
    change(written, "map.json", scene_graph=None, label_space=None)
    found = read_backend_map(written)
    assert found.graph is None
    assert found.label_space is None


def test_a_label_space_without_classes_is_none(written):
    (written / "labels.json").write_text('{"name": "none", "classes": []}')
    assert read_backend_map(written).label_space is None


def test_nodes_of_other_layers_are_passed_over_with_their_edges(written):
    agent = graph_node(9, "OBJECTS", (0, 0, 1)) | {"partition": 97}
    (written / "graph.json").write_text(graph_json([*NODES, agent], [*EDGES, (2, 9)]))
    graph = read_backend_map(written).graph
    assert len(graph.nodes) == len(NODES)
    assert len(graph.edges) == len(EDGES)


def test_a_graph_of_spark_dsg_is_read(tmp_path):
    spark_dsg = pytest.importorskip("spark_dsg")
    graph = spark_dsg.DynamicSceneGraph()
    chair = spark_dsg.ObjectNodeAttributes()
    chair.position, chair.name, chair.semantic_label = np.array([1.0, 2.0, 0.5]), "chair", CHAIR
    chair.bounding_box = spark_dsg.BoundingBox(np.array([0.5, 0.25, 1.0]), np.array([1.0, 2.0, 0.4]))
    place = spark_dsg.PlaceNodeAttributes()
    place.position = np.array([1.0, 1.0, 1.0])
    graph.add_node(spark_dsg.DsgLayers.OBJECTS, spark_dsg.NodeSymbol("O", 0).value, chair)
    graph.add_node(spark_dsg.DsgLayers.PLACES, spark_dsg.NodeSymbol("p", 0).value, place)
    graph.insert_edge(spark_dsg.NodeSymbol("p", 0).value, spark_dsg.NodeSymbol("O", 0).value)
    graph.save(str(tmp_path / "graph.json"), False)

    read = read_scene_graph(tmp_path / "graph.json")

    (node,) = read.layer(Layer.OBJECTS)
    assert (node.label, node.name, node.position.tolist()) == (CHAIR, "chair", [1.0, 2.0, 0.5])
    np.testing.assert_allclose(node.box.corners().max(axis=0), [1.25, 2.125, 0.9], atol=1e-6)
    assert [each.layer for each in read.neighbours(node, Layer.PLACES)] == [Layer.PLACES]
    assert read.layer(Layer.PLACES)[0].label is None


@pytest.mark.parametrize("name", ["map.json", "mesh.ply", "graph.json", "labels.json"])
def test_a_missing_file_is_named(written, name):
    (written / name).unlink()
    assert refused(written) == f"{written / name} cannot be read: No such file or directory"


@pytest.mark.parametrize("name", ["map.json", "graph.json", "labels.json"])
def test_a_file_that_is_no_json_is_named(written, name):
    file = written / name
    file.write_text(file.read_text()[:-20])
    assert refused(written).startswith(f"{file} is not valid: Invalid JSON")


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("map.json", {"schema_version": 2}, "schema_version"),
        ("map.json", {"mesh": "../mesh.ply"}, "which leads elsewhere"),
        ("graph.json", {"layer_names": 3}, "layer_names"),
        ("graph.json", {"nodes": [graph_node(1, "PLACES", (0, 0, float("nan")))]}, "position"),
        ("graph.json", {"nodes": [{"id": number} for number in range(50)]}, "and 97 more"),
        ("labels.json", {"classes": [{"id": 1}]}, "colour"),
    ],
)
def test_a_file_of_another_layout_is_named_with_what_is_wrong(written, name, values, said):
    change(written, name, **values)
    message = refused(written)
    assert message.startswith(str(written / name))
    assert said in message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"ply\n", b"PLY\n", "no PLY file"),
        (b"binary_little_endian", b"ascii", "not in the format"),
        (b"property uchar label\n", b"", "missing: label"),
        (b"property float x\n", b"property float y\n", "missing: x"),
        (b"property uchar label", b"property float label", "label must be a whole number"),
        (b"property uchar red", b"property ushort red", "red must be uchar"),
        (b"property float x", b"property list uchar int x", "not understood"),
        (b"vertex_indices", b"texture_indices", "vertex_indices and nothing else"),
        (b"element face", b"element edge", "vertices and then faces"),
        (b"element face 8", b"element face 0", "holds no triangle"),
        (b"element face 8", b"element face 9", "is truncated"),
        (b"element vertex 9", b"element vertex 4000000000", "is truncated"),
        (b"element vertex 9", b"element vertex nine", "vertices and then faces"),
    ],
)
def test_a_mesh_of_another_layout_is_refused(tmp_path, old, new, said):
    content = ply(MESH)
    assert old in content
    (tmp_path / "mesh.ply").write_bytes(content.replace(old, new, 1))
    with pytest.raises(EvaluationError, match=said):
        read_labelled_ply(tmp_path / "mesh.ply")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_mesh_that_is_cut_off_is_refused(tmp_path, share):
    content = ply(MESH)
    (tmp_path / "mesh.ply").write_bytes(content[: int(share * len(content))])
    with pytest.raises(EvaluationError, match=r"truncated|cut off"):
        read_labelled_ply(tmp_path / "mesh.ply")


def scannet_mesh(labels):
    """As ScanNet writes its annotated meshes: no normals, an alpha, labels of 16 bits."""
    layout = [*((name, "<f4") for name in "xyz"), *((name, "u1") for name in "rgba"), ("label", "<u2")]
    corners = [(0, 0, 0), (2, 0, 0), (0, 1, 0), (0, 0, 1)]
    vertices = np.array(
        [(*corner, 10, 20, 30, 255, label) for corner, label in zip(corners, labels, strict=True)], layout
    )
    faces = np.array([(3, (0, 1, 2)), (3, (0, 3, 1))], np.dtype([("count", "u1"), ("corners", "<i4", (3,))]))
    properties = [*(f"float {name}" for name in "xyz")]
    properties += [f"uchar {name}" for name in ("red", "green", "blue", "alpha")] + ["ushort label"]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}"]
    header += [f"property {each}" for each in properties]
    header += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header\n"]
    return "\n".join(header).encode() + vertices.tobytes() + faces.tobytes()


def test_a_mesh_as_scannet_annotates_them_is_read(tmp_path):
    (tmp_path / "scene_vh_clean_2.labels.ply").write_bytes(scannet_mesh([3, 40, 1163, 255]))
    found = read_labelled_ply(tmp_path / "scene_vh_clean_2.labels.ply")
    assert found.labels.tolist() == [3, 40, 255, 255]
    half = np.sqrt(0.5)
    # Two triangles of equal area meet at the first two corners: one in the plane z = 0, one in y = 0.
    np.testing.assert_allclose(
        found.surface.normals, [[0, half, half], [0, half, half], [0, 0, 1], [0, 1, 0]], atol=1e-6
    )


def test_triangles_of_vertices_that_are_not_there_are_refused(tmp_path):
    surface = replace(MESH.surface, triangles=MESH.surface.triangles + np.uint32(1))
    (tmp_path / "mesh.ply").write_bytes(ply(replace(MESH, surface=surface)))
    with pytest.raises(EvaluationError, match="vertices that it does not have"):
        read_labelled_ply(tmp_path / "mesh.ply")


def test_a_vertex_that_is_nan_is_refused(tmp_path):
    content = ply(MESH)
    start = content.index(b"end_header\n") + len(b"end_header\n")
    nan = np.float32("nan").tobytes()
    (tmp_path / "mesh.ply").write_bytes(content[:start] + nan + content[start + 4 :])
    with pytest.raises(EvaluationError, match=re.escape("NaN or infinite")):
        read_labelled_ply(tmp_path / "mesh.ply")


@pytest.mark.parametrize("name", ["map.json", "mesh.ply", "graph.json"])
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(written, name):
    (written / name).unlink()
    os.mkfifo(written / name)
    with pytest.raises(EvaluationError, match="is no file"):
        read_backend_map(written)
