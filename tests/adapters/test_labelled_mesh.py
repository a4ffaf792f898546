"""Files of labelled meshes, read back by others."""

import os
from dataclasses import replace

import numpy as np
import pytest

from adapters.labelled_mesh import LabelledMesh, write_mesh

MESH = LabelledMesh(
    vertices=np.array([[0, 0, 0], [1.5, 0, 0], [0, -2.25, 0], [0, 0, 1e-3]], np.float32),
    normals=np.array([[0, 0, 1], [0, 0, -1], [1, 0, 0], [0, 1, 0]], np.float32),
    colours=np.array([[0, 128, 255], [255, 0, 0], [1, 2, 3], [9, 9, 9]], np.uint8),
    labels=np.array([1, 40, 255, 0], np.uint8),
    triangles=np.array([[0, 1, 2], [3, 2, 1]], np.int32),
)
EMPTY = LabelledMesh(
    *(np.zeros((0, 3), kind) for kind in (np.float32, np.float32, np.uint8)),
    labels=np.zeros(0, np.uint8),
    triangles=np.zeros((0, 3), np.int32),
)


def test_open3d_reads_vertices_normals_colours_and_triangles(tmp_path):
    open3d = pytest.importorskip("open3d")
    write_mesh(tmp_path / "mesh.ply", MESH, "metres")
    read = open3d.io.read_triangle_mesh(str(tmp_path / "mesh.ply"))
    np.testing.assert_array_equal(np.asarray(read.vertices, np.float32), MESH.vertices)
    np.testing.assert_array_equal(np.asarray(read.vertex_normals, np.float32), MESH.normals)
    np.testing.assert_array_equal(np.rint(np.asarray(read.vertex_colors) * 255), MESH.colours)
    np.testing.assert_array_equal(np.asarray(read.triangles), MESH.triangles)


def test_open3d_reads_the_labels_of_the_vertices(tmp_path):
    open3d = pytest.importorskip("open3d")
    write_mesh(tmp_path / "mesh.ply", MESH, "metres")
    read = open3d.t.io.read_point_cloud(str(tmp_path / "mesh.ply"))
    np.testing.assert_array_equal(read.point["label"].numpy().reshape(-1), MESH.labels)


def test_an_empty_mesh_is_a_file_too(tmp_path):
    write_mesh(tmp_path / "mesh.ply", EMPTY, "metres")
    assert b"element vertex 0\n" in (tmp_path / "mesh.ply").read_bytes()


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    write_mesh(tmp_path / "mesh.ply", MESH, "metres")
    write_mesh(tmp_path / "mesh.ply", EMPTY, "metres")
    assert b"element vertex 0\n" in (tmp_path / "mesh.ply").read_bytes()
    assert os.listdir(tmp_path) == ["mesh.ply"]


def test_a_disk_that_is_full_leaves_the_old_file(tmp_path, monkeypatch):
    write_mesh(tmp_path / "mesh.ply", MESH, "metres")
    before = (tmp_path / "mesh.ply").read_bytes()

    def full(path, content):
        with open(path, "wb") as stream:
            stream.write(content[:50])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_mesh(tmp_path / "mesh.ply", replace(MESH, labels=MESH.labels[::-1]), "metres")
    assert (tmp_path / "mesh.ply").read_bytes() == before
    assert os.listdir(tmp_path) == ["mesh.ply"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_mesh(tmp_path / "nowhere" / "mesh.ply", MESH, "metres")
