"""What is read back of a run of GO-SLAM: poses and mesh, whole or damaged."""

import numpy as np
import pytest
from plyfile import PlyData, PlyElement

from adapters.backend import BackendInputError
from adapters.go_slam.results import read_trajectory
from adapters.go_slam.surface import MeshError, read_mesh, write_map
from adapters.labelled_mesh import LABEL_UNKNOWN

VERTEX = [(name, "f4") for name in "xyz"]
COLOURS = [(name, "u1") for name in ("red", "green", "blue")]
ABOVE = np.array([[0.3, 0.3, 2.0]])


def stamps(count):
    return np.arange(count, dtype=np.int64)


def test_poses_in_float64_are_read_as_well(tmp_path):
    path = tmp_path / "est_poses.npy"
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, :3, 3] = np.arange(9).reshape(3, 3)
    np.save(path, poses)
    np.testing.assert_array_equal(read_trajectory(path, stamps(3)).poses[:, :3], np.arange(9).reshape(3, 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"no array", "cannot be read"),
        (np.array([{"pickled": 1}], dtype=object), "cannot be read"),
        (np.eye(4), r"float64 of shape \(4, 4\)"),
        (np.zeros((2, 4, 4), dtype=int), "int64 of shape"),
        (np.zeros((3, 4, 4)), "3 poses for 2 frames"),
        (np.zeros((2, 4, 4)), "pose 0 is no rotation and translation, and so it is with 2 of 2 poses"),
        (np.full((2, 4, 4), np.inf), "pose 0 has NaN or infinite values"),
    ],
)
def test_a_file_that_holds_no_poses_is_refused_in_a_sentence(tmp_path, content, message):
    path = tmp_path / "est_poses.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(BackendInputError, match=message):
        read_trajectory(path, stamps(2))


def write_ply(
    path, faces, vertices=((0, 0, 0), (1, 0, 0), (0, 1, 0)), dtype=VERTEX, text=False, name="vertex_indices"
):
    """A PLY file of triangles."""
    points = np.array([tuple(vertex) for vertex in vertices], dtype=dtype)
    rows = np.empty(len(faces), dtype=[(name, object)])
    rows[name] = [np.array(face, dtype="i4") for face in faces]
    types = {"val_types": {name: "i4"}, "len_types": {name: "u1"}}
    PlyData(
        [PlyElement.describe(points, "vertex"), PlyElement.describe(rows, "face", **types)], text=text
    ).write(path)
    return path


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("name", ["vertex_indices", "vertex_index"])
@pytest.mark.parametrize("face", [(0, 1, 2), (2, 1, 0)])
def test_normals_look_to_where_the_cameras_were_however_the_mesh_was_written(tmp_path, text, name, face):
    path = write_ply(tmp_path / "mesh.ply", [face], text=text, name=name)
    mesh = read_mesh(path, ABOVE)
    np.testing.assert_allclose(mesh.normals, [[0, 0, 1]] * 3)
    first, second, third = mesh.vertices[mesh.triangles[0]]
    np.testing.assert_allclose(np.cross(second - first, third - first), [0, 0, 1])
    below = read_mesh(path, -ABOVE)
    np.testing.assert_allclose(below.normals, [[0, 0, -1]] * 3)


def test_the_nearest_camera_decides_and_not_the_many(tmp_path):
    far = np.tile([0.0, 0.0, -50.0], (20, 1))
    mesh = read_mesh(write_ply(tmp_path / "mesh.ply", [(0, 1, 2)]), np.vstack([far, ABOVE]))
    assert (mesh.normals[:, 2] > 0).all()


def test_a_mesh_without_colours_is_grey_and_labels_are_unknown(tmp_path):
    mesh = read_mesh(write_ply(tmp_path / "mesh.ply", [(0, 1, 2)]), ABOVE)
    assert (mesh.colours == 128).all()
    assert (mesh.labels == LABEL_UNKNOWN).all()


def test_colours_are_kept(tmp_path):
    vertices = [(0, 0, 0, 1, 2, 3), (1, 0, 0, 4, 5, 6), (0, 1, 0, 7, 8, 9)]
    path = write_ply(tmp_path / "mesh.ply", [(0, 1, 2)], vertices, VERTEX + COLOURS)
    np.testing.assert_array_equal(read_mesh(path, ABOVE).colours, np.arange(1, 10).reshape(3, 3))


def test_a_vertex_without_a_triangle_has_no_normal_and_does_no_harm(tmp_path):
    path = write_ply(tmp_path / "mesh.ply", [(0, 1, 2)], [(0, 0, 0), (1, 0, 0), (0, 1, 0), (5, 5, 5)])
    np.testing.assert_array_equal(read_mesh(path, ABOVE).normals[3], [0, 0, 0])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "wrote no mesh/final_raw_mesh.ply"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:-3]), "cannot be read"),
        (lambda path: path.write_bytes(b"solid of another kind"), "cannot be read"),
        (lambda path: write_ply(path, []), "has no triangles"),
        (lambda path: write_ply(path, [(0, 1, 2, 0)]), "cannot be read"),
        (lambda path: write_ply(path, [(0, 1, 3)]), "triangles of vertices that it does not have"),
        (lambda path: write_ply(path, [(0, 1, 2)], [(np.nan, 0, 0)] * 3), "NaN or infinite"),
        (lambda path: write_ply(path, [(0, 1, 2)], dtype=[(name, "f4") for name in "abc"]), "cannot be read"),
    ],
)
def test_a_damaged_mesh_is_no_map_and_the_reason_is_told(tmp_path, damage, message):
    path = write_ply(tmp_path / "final_raw_mesh.ply", [(0, 1, 2)])
    damage(path)
    with pytest.raises(MeshError, match=message):
        read_mesh(path, ABOVE)
    made = write_map(path, tmp_path, ABOVE)
    assert made.files == ()
    assert not (tmp_path / "map.json").exists()
    assert message in made.statistics["no_mesh_because"]
