"""The file of a scene graph, read by spark-dsg and without it."""

import json
from pathlib import Path

import numpy as np
import pytest
import spark_dsg
from box_world import CHAIR, LABEL_SPACE, OPTIONS, box, camera_poses, look_around, room, together

from adapters.mono_hydra.scene_graph.build import build_scene_graph
from adapters.mono_hydra.scene_graph.scene_graph_file import SCENE_GRAPH_FILE, write_scene_graph

MESH = together(room((0, 0), (4, 3)), box((1.0, 0.6, 0.4), (0.4, 0.4, 0.8), CHAIR, yaw=0.4))


@pytest.fixture(scope="module")
def graph() -> spark_dsg.DynamicSceneGraph:
    poses = camera_poses([(2.0, 1.5, 1.3)])
    times = np.arange(len(poses)) * 100_000_000
    return build_scene_graph(MESH, look_around(MESH, poses), poses, times, LABEL_SPACE, OPTIONS).graph


@pytest.fixture
def path(graph: spark_dsg.DynamicSceneGraph, tmp_path: Path) -> Path:
    path = tmp_path / SCENE_GRAPH_FILE
    write_scene_graph(path, graph)
    return path


def test_spark_dsg_reads_back_what_was_written(graph: spark_dsg.DynamicSceneGraph, path: Path) -> None:
    loaded = spark_dsg.DynamicSceneGraph.load(path)
    assert loaded.num_nodes() == graph.num_nodes()
    assert loaded.num_edges() == graph.num_edges()
    for node in graph.nodes:
        other = loaded.get_node(node.id)
        assert type(other.attributes) is type(node.attributes)
        assert other.attributes.position == pytest.approx(node.attributes.position)
        assert other.parents() == node.parents()
    assert loaded.get_labelspace(2, 0).labels_to_names == graph.get_labelspace(2, 0).labels_to_names
    assert loaded.mesh.get_labels() == MESH.labels.tolist()
    assert np.array_equal(loaded.mesh.get_vertices(), graph.mesh.get_vertices())
    assert np.array_equal(loaded.mesh.get_faces(), graph.mesh.get_faces())


def test_the_file_can_be_read_without_spark_dsg(path: Path) -> None:
    content = json.loads(path.read_text())
    key = content["layer_names"]["OBJECTS"]
    (chair,) = (
        node
        for node in content["nodes"]
        if (node["layer"], node["partition"]) == (key["layer"], key["partition"])
    )
    attributes = chair["attributes"]
    assert (attributes["name"], attributes["semantic_label"]) == ("chair", CHAIR)
    assert attributes["bounding_box"]["world_P_center"] == pytest.approx([1.0, 0.6, 0.4], abs=0.01)
    assert any(chair["id"] in (edge["source"], edge["target"]) for edge in content["edges"])
    assert len(content["mesh"]["labels"]) == len(MESH.labels)


def test_an_older_file_is_replaced(graph: spark_dsg.DynamicSceneGraph, path: Path) -> None:
    path.write_text("older")
    write_scene_graph(path, graph)
    assert spark_dsg.DynamicSceneGraph.load(path).num_nodes() == graph.num_nodes()
    assert [entry.name for entry in path.parent.iterdir()] == [SCENE_GRAPH_FILE]


def test_a_folder_that_is_missing_is_an_error(graph: spark_dsg.DynamicSceneGraph, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="scene graph cannot be written"):
        write_scene_graph(tmp_path / "missing" / SCENE_GRAPH_FILE, graph)


def test_a_file_that_was_cut_short_replaces_nothing(path: Path) -> None:
    class FullDisk:
        def save(self, target: Path, include_mesh: bool) -> None:
            target.write_text('{"nodes": [')

    before = path.read_bytes()
    with pytest.raises(OSError, match="full"):
        write_scene_graph(path, FullDisk())
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [SCENE_GRAPH_FILE]
