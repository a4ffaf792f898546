"""Maps of the report: fused from a room whose geometry is known, and absent for stated reasons."""

import re
import shutil
import sys

import experiments
import numpy as np
import pandas as pd
import pytest
from experiments import TrialRecipe, build_experiment
from room_sequence import CAMERA, FRAMES, room_poses, write_room_sequence

from harness.report import write_report
from harness.report.comparison import load_comparison
from harness.report.fusion import Surface, fuse, measure_distances
from harness.report.map_frames import pose_frames, read_map_frames
from harness.report.map_views import SurfaceRenderer, View, overview
from harness.report.tracks import load_tracks
from sequences.reader import ReaderContext


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    directory = tmp_path_factory.mktemp("recordings") / "room"
    write_room_sequence(directory)
    return directory


@pytest.fixture
def context(tmp_path):
    return ReaderContext(data_directory=None, cache_directory=tmp_path / "cache")


@pytest.fixture(autouse=True)
def _room_is_known(monkeypatch):
    monkeypatch.setitem(experiments.PATHS, "room", room_poses)


def in_room(directory, backend="a", perception="sensor", **fields):
    entry = {"name": "room", "reader": "tum", "parameters": {"directory": str(directory)}}
    return TrialRecipe(
        "room", perception, backend, record={"sequence": {"entry": entry, "frames": FRAMES}}, **fields
    )


def only_track(experiment):
    tracks, problems = load_tracks(load_comparison([experiment]).groups)
    assert not problems
    (track,) = tracks
    return track


def test_the_map_along_the_better_trajectory_lies_nearer(room, context, tmp_path):
    trials = [in_room(room, "near", noise=0.0005), in_room(room, "far", noise=0.0005, drift=0.3)]
    files = write_report([build_experiment(tmp_path / "runs", trials)], context=context)
    assert files.problems == ()
    table = pd.read_csv(next(path for path in files.tables if path.name == "maps.csv")).set_index("backend")
    assert table["accuracy_median_m"]["near"] < 0.002
    assert table["accuracy_median_m"]["far"] > 5 * table["accuracy_median_m"]["near"]
    assert table["completeness_share"]["near"] > table["completeness_share"]["far"]
    # Both were fused from the same frames, so that they share the map along ground truth.
    assert len(files.maps) == 3
    assert all(path.read_bytes().startswith(b"ply\nformat binary") for path in files.maps)
    assert sum(path.name.startswith("map-room") for path in files.figures) == 2


def test_the_fused_room_has_the_room_s_size(room, context, tmp_path):
    track = only_track(build_experiment(tmp_path / "runs", [in_room(room)]))
    frames = read_map_frames(track.trial.record, context)
    posed = pose_frames(frames, track)
    surface = fuse(frames.images, posed.ground_truth, frames.intrinsics, voxel=0.03)
    # The far wall stands at y = 3, the floor lies at z = 0; nothing is behind them.
    assert surface.vertices[:, 1].max() == pytest.approx(3.0, abs=0.02)
    assert surface.vertices[:, 2].min() == pytest.approx(0.0, abs=0.02)
    floor = surface.vertices[:, 2] < 0.02
    assert np.median(surface.normals[floor] @ [0, 0, 1]) > 0.99


def test_frames_without_an_estimate_are_in_neither_map(room, context, tmp_path):
    track = only_track(build_experiment(tmp_path / "runs", [in_room(room, lost_after=0.5)]))
    posed = pose_frames(read_map_frames(track.trial.record, context), track)
    assert posed.chosen == tuple(range(FRAMES // 2))
    assert len(posed.estimate) == len(posed.ground_truth) == FRAMES // 2


def test_an_exact_trajectory_is_brought_onto_ground_truth(room, context, tmp_path):
    track = only_track(build_experiment(tmp_path / "runs", [in_room(room, noise=0.0)]))
    posed = pose_frames(read_map_frames(track.trial.record, context), track)
    np.testing.assert_allclose(posed.estimate, posed.ground_truth, atol=1e-9)


def square(z, towards, side=2.0):
    """A square at height z whose front is seen from above or from below."""
    corners = np.array([[0, 0, z], [side, 0, z], [side, side, z], [0, side, z]], dtype=np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.uint32)
    return corners, triangles if towards == "up" else triangles[:, ::-1]


def floor_and_ceiling():
    floor, floor_triangles = square(0.0, "up")
    ceiling, ceiling_triangles = square(2.0, "down")
    normals = np.repeat(np.array([[0, 0, 1], [0, 0, -1]], dtype=np.float32), 4, axis=0)
    colours = np.repeat(np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32), 4, axis=0)
    return Surface(
        np.concatenate([floor, ceiling]),
        normals,
        colours,
        np.concatenate([floor_triangles, ceiling_triangles + 4]),
    )


def test_a_ceiling_does_not_hide_the_floor_from_above():
    surface = floor_and_ceiling()
    looking_down = np.array([[1, 0, 0, 1], [0, -1, 0, 1], [0, 0, -1, 5], [0, 0, 0, 1]], dtype=float)
    (picture,) = SurfaceRenderer(surface).render(View(CAMERA, looking_down), surface.colours)
    assert picture.shape == (CAMERA.height, CAMERA.width, 3)
    np.testing.assert_array_equal(picture[CAMERA.height // 2, CAMERA.width // 2], [255, 0, 0])


def test_the_overview_shows_the_whole_surface():
    surface = floor_and_ceiling()
    upright = np.tile(np.eye(4), (3, 1, 1))
    upright[:, :3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    view = overview(surface, upright, 200, 150)
    in_camera = (surface.vertices - view.camera_to_world[:3, 3]) @ view.camera_to_world[:3, :3]
    pixels = in_camera @ view.intrinsics.matrix().T
    columns, rows = (pixels[:, :2] / pixels[:, 2:]).T
    assert (in_camera[:, 2] > 0).all()
    assert columns.min() > 0
    assert columns.max() < 199
    assert rows.min() > 0
    assert rows.max() < 149
    assert view.camera_to_world[2, 3] > 2.0


def test_distances_of_parallel_planes_are_their_gap():
    floor, triangles = square(0.0, "up")
    normals = np.tile(np.array([0, 0, 1], dtype=np.float32), (4, 1))
    lower = Surface(floor, normals, normals, triangles)
    upper = Surface(floor + np.array([0, 0, 0.03], dtype=np.float32), normals, normals, triangles)
    distances = measure_distances(upper, lower)
    assert distances.accuracy_median_m == pytest.approx(0.03)
    assert distances.completeness_mean_m == pytest.approx(0.03)
    assert distances.accuracy_share == 1.0


def test_a_sequence_that_is_gone_is_named_and_the_rest_is_complete(room, context, tmp_path):
    elsewhere = tmp_path / "moved"
    shutil.copytree(room, elsewhere)
    experiment = build_experiment(tmp_path / "runs", [in_room(elsewhere)])
    shutil.rmtree(elsewhere)
    files = write_report([experiment], context=context)
    (problem,) = files.problems
    assert "sequence room with perception sensor cannot be read again" in problem
    assert str(elsewhere) in problem
    assert problem.split(":")[0] in files.markdown.read_text()
    assert not any(path.name.startswith("map-") for path in files.figures)


def test_a_module_that_is_gone_is_named(room, context, tmp_path):
    experiment = build_experiment(tmp_path / "runs", [in_room(room, perception="m9")])
    (problem,) = write_report([experiment], context=context).problems
    assert "unknown perception module 'm9'" in problem


def test_a_record_that_does_not_say_how_to_open_its_sequence_gives_no_map(context, tmp_path):
    experiment = build_experiment(tmp_path / "runs", [TrialRecipe("corridor", "sensor", "a")])
    (problem,) = write_report([experiment], context=context).problems
    assert "does not say how to open it" in problem


def test_mode_mono_has_no_map_and_says_so(room, context, tmp_path):
    experiment = build_experiment(tmp_path / "runs", [in_room(room, perception="none")])
    (problem,) = write_report([experiment], context=context).problems
    assert re.search(r"No map of room / none / a / run 0: .* mode mono", problem)


def test_without_open3d_the_report_says_how_to_get_maps(room, context, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("harness.report.map") or "fusion" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "open3d", None)
    files = write_report([build_experiment(tmp_path / "runs", [in_room(room)])], context=context)
    (problem,) = files.problems
    assert "pip install 'slam-harness[open3d]'" in problem
    assert len(files.figures) == 2
