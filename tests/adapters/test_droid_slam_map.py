"""The mesh of DROID-SLAM's keyframes: where it lies, what stays out of it, and that a report can read it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from upstream_doubles.droid_slam.droid_slam_runs import run, use_the_double, wall_frames
from upstream_doubles.droid_slam.painted_wall import BLUE, DISTANCE_M, places

from adapters.backend import CameraIntrinsics, Mode
from adapters.droid_slam.keyframe_mesh import keyframe_mesh
from adapters.droid_slam.keyframes import on_grid, read_keyframes

GRID_CAMERA = on_grid(CameraIntrinsics(200.0, 200.0, 92.0, 68.0, 184, 136))
ROWS, COLUMNS = 17, 23
TOLERANCE = 0.005


def rotation_about_y(angle):
    return np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])


def depth_of_plane(camera_to_world, distance=2.0):
    """float64 [h, w]: depth of the plane z = distance in the world."""
    columns, rows = np.meshgrid(np.arange(COLUMNS), np.arange(ROWS))
    rays = np.stack(
        [
            (columns - GRID_CAMERA.cx) / GRID_CAMERA.fx,
            (rows - GRID_CAMERA.cy) / GRID_CAMERA.fy,
            np.ones((ROWS, COLUMNS)),
        ],
        axis=-1,
    )
    return (distance - camera_to_world[2, 3]) / (rays @ camera_to_world[2, :3])


def video_of_plane(count=5, counter=None, images=True):
    """Upstream's buffer with room to spare, of cameras that move and turn before a plane."""
    slots = count + 3
    video = SimpleNamespace(
        counter=count if counter is None else counter,
        tstamp=torch.zeros(slots),
        poses=torch.zeros(slots, 7, dtype=torch.float64),
        disps=torch.ones(slots, ROWS, COLUMNS, dtype=torch.float64),
    )
    if images:
        video.images = torch.zeros(slots, 3, 8 * ROWS, 8 * COLUMNS, dtype=torch.uint8)
        video.images[:, 0], video.images[:, 1], video.images[:, 2] = 30, 20, 10
    for slot in range(count):
        angle = 0.04 * slot
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation_about_y(angle), (0.05 * slot, -0.02 * slot, 0.03 * slot)
        inverse = np.linalg.inv(pose)
        # Turning the world the other way; 1.001: upstream does not keep quaternions at length one.
        turn = 1.001 * np.array([0, np.sin(-angle / 2), 0, np.cos(-angle / 2)])
        video.tstamp[slot] = 4 * slot
        video.poses[slot] = torch.tensor([*inverse[:3, 3], *turn])
        video.disps[slot] = torch.tensor(1.0 / depth_of_plane(pose))
    return video


def mesh_of(video):
    return keyframe_mesh(read_keyframes(video), GRID_CAMERA, TOLERANCE)


def test_points_lie_on_the_surface_whatever_the_camera_did():
    mesh = mesh_of(video_of_plane())
    assert len(mesh.vertices) > 3 * ROWS * COLUMNS
    np.testing.assert_allclose(mesh.vertices[:, 2], 2.0, atol=1e-5)
    assert np.abs(mesh.normals[np.unique(mesh.triangles)] - [0, 0, -1]).max() < 1e-4
    assert (mesh.labels == 255).all()


def test_triangles_show_their_front_to_the_camera():
    mesh = mesh_of(video_of_plane())
    corners = mesh.vertices[mesh.triangles].astype(float)
    fronts = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (fronts[:, 2] < 0).all()


def test_colours_are_red_green_blue_again():
    assert np.unique(mesh_of(video_of_plane()).colours, axis=0).tolist() == [[10, 20, 30]]


def test_without_images_the_mesh_is_grey():
    assert np.unique(mesh_of(video_of_plane(images=False)).colours).tolist() == [128]


def test_the_count_may_be_a_number_or_shared_between_processes():
    plain = read_keyframes(video_of_plane())
    shared = read_keyframes(video_of_plane(counter=SimpleNamespace(value=5)))
    assert len(plain) == len(shared) == 5
    assert plain.stamps.tolist() == shared.stamps.tolist() == [0, 4, 8, 12, 16]


def test_a_point_that_only_one_keyframe_sees_there_stays_out():
    video = video_of_plane()
    video.disps[2, 5:9, 5:9] *= 1.2
    before, after = mesh_of(video_of_plane()), mesh_of(video)
    assert len(after.vertices) == len(before.vertices) - 16
    np.testing.assert_allclose(after.vertices[:, 2], 2.0, atol=1e-5)


def test_a_point_without_neighbours_faces_the_camera():
    video = video_of_plane()
    # Of the first keyframe one point is left that others agree on.
    alone = video.disps[0, 8, 11].clone()
    video.disps[0] *= 1.5
    video.disps[0, 8, 11] = alone
    mesh = mesh_of(video)
    assert 0 not in mesh.triangles
    np.testing.assert_allclose(
        mesh.normals[0], -mesh.vertices[0] / np.linalg.norm(mesh.vertices[0]), atol=1e-6
    )


def test_surfaces_far_apart_are_not_joined():
    # The camera stands still, so that every keyframe agrees on the step between the surfaces.
    video = video_of_plane(1)
    video.counter = 4
    video.poses[:] = video.poses[0]
    video.disps[:], video.disps[:, 9:] = 1 / 2.0, 1 / 1.5
    mesh = mesh_of(video)
    depths = mesh.vertices[mesh.triangles][..., 2]
    assert np.ptp(depths, axis=1).max() < 1e-6
    assert np.unique(depths.round(6)).tolist() == [1.5, 2.0]


@pytest.mark.parametrize("spoil", ["pose", "depth"])
def test_a_keyframe_with_nan_stays_out_and_the_others_do_not(spoil):
    video = video_of_plane()
    if spoil == "pose":
        video.poses[2, 4] = float("nan")
    else:
        video.disps[2, 3, 3] = float("nan")
    mesh = mesh_of(video)
    assert len(mesh.triangles)
    assert np.isfinite(mesh.vertices).all()
    assert np.isfinite(mesh.normals).all()


def test_no_agreement_at_all_is_an_empty_mesh():
    mesh = mesh_of(video_of_plane(2))
    assert len(mesh.vertices) == len(mesh.triangles) == 0


def test_the_backend_writes_a_map_that_the_report_reads(tmp_path, monkeypatch):
    pytest.importorskip("open3d")
    from harness.report.backend_map_files import read_backend_map

    use_the_double(monkeypatch)
    _, result = run(tmp_path, wall_frames())
    assert result.files == ("mesh.ply", "map.json")
    written = json.loads((tmp_path / "output" / "map.json").read_text())
    assert written == {
        "schema_version": 1,
        "mesh": "mesh.ply",
        "scene_graph": None,
        "label_space": None,
        "world": "trajectory",
    }
    found = read_backend_map(tmp_path / "output")
    surface = found.mesh.surface
    assert len(surface.vertices) == result.statistics["mesh_vertices"] > 1000
    assert len(surface.triangles) == result.statistics["mesh_triangles"]
    # The world is that of the first camera, which faces the wall.
    assert np.abs(surface.vertices[:, 2] - (DISTANCE_M - places(1)[0].z)).max() < 0.01
    assert np.unique(np.round(surface.colours[:, 2] * 255)).tolist() == [BLUE]


def test_the_map_of_a_monocular_run_is_in_the_unit_of_its_trajectory(tmp_path, monkeypatch):
    pytest.importorskip("open3d")
    from harness.report.backend_map_files import read_backend_map

    use_the_double(monkeypatch)
    run(tmp_path, wall_frames(mode=Mode.MONO), Mode.MONO)
    depths = read_backend_map(tmp_path / "output").mesh.surface.vertices[:, 2]
    assert np.median(depths) * 4.0 == pytest.approx(DISTANCE_M - places(1)[0].z, abs=0.01)


def test_no_map_is_written_when_none_is_wanted(tmp_path, monkeypatch):
    use_the_double(monkeypatch)
    _, result = run(tmp_path, wall_frames(), write_map=False)
    assert result.files == ()
    assert not (tmp_path / "output" / "mesh.ply").exists()
