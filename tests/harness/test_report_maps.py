"""Maps of the report: fused from a room whose geometry is known, and absent for stated reasons."""

import re
import shutil
import sys
from functools import partial

import experiments
import numpy as np
import pandas as pd
import pytest
from experiments import TrialRecipe, build_experiment
from room_sequence import CAMERA, DEPTH_SCALE, FRAMES, room_poses, write_room_sequence

from harness import report
from harness.evaluation.surfaces import Surface, measure_distances
from harness.report.comparison import load_comparison
from harness.report.fusion import DEPTH_LIMIT, DepthImage, fuse, voxel_length
from harness.report.map_frames import pose_frames, read_map_frames
from harness.report.map_views import SurfaceRenderer, View, overview
from harness.report.tracks import load_tracks
from sequences.reader import ReaderContext

# What perception modules predict is not looked at here.
write_report = partial(report.write_report, perception=False)


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


def wall_at(metres, index=0):
    depth = np.full((CAMERA.height, CAMERA.width), metres, dtype=np.float32)
    return DepthImage(index, index, np.zeros((*depth.shape, 3), dtype=np.uint8), depth)


def speck():
    """The only depth is in a pixel that Open3D does not look at."""
    image = wall_at(0.0)
    image.depth[1, 1] = 2.0
    return image


def fused(*images):
    return fuse(images, np.tile(np.eye(4), (len(images), 1, 1)), CAMERA, voxel=0.03)


@pytest.mark.parametrize(
    "useless",
    [wall_at(7.0), wall_at(DEPTH_LIMIT), wall_at(0.0), speck()],
    ids=["beyond the limit", "at the limit", "without depth", "a speck"],
)
def test_an_image_without_depth_within_the_limit_adds_nothing(useless):
    seen = [wall_at(2.0)] * 5
    surface = fused(*seen, useless)
    assert len(surface) == len(fused(*seen)) > 0
    np.testing.assert_allclose(surface.vertices[:, 2], 2.0, atol=0.01)


@pytest.mark.parametrize("metres", [0.0, 7.0])
def test_without_any_depth_within_the_limit_the_surface_is_empty(metres):
    surface = fused(*[wall_at(metres)] * 6)
    assert len(surface) == len(surface.vertices) == 0


def test_voxels_are_as_long_as_the_depth_that_is_fused_asks_for():
    still = np.zeros((2, 3))
    lengths = [voxel_length(still, [wall_at(5.0), wall_at(metres)]) for metres in (5.0, 100.0)]
    assert lengths[0] == lengths[1]


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


def with_depth_scale(room, directory, scale):
    """The room recorded in other units, so that everything is further away, or nearer."""
    shutil.copytree(room, directory)
    file = directory / "calibration.txt"
    file.write_text(file.read_text().replace(f" {DEPTH_SCALE}\n", f" {scale}\n"))
    return directory


def test_a_room_beyond_the_limit_has_no_map_and_the_rest_is_complete(room, context, tmp_path):
    far = with_depth_scale(room, tmp_path / "far", DEPTH_SCALE / 10)
    files = write_report([build_experiment(tmp_path / "runs", [in_room(far)])], context=context)
    (problem,) = files.problems
    assert "no surface was seen by two frames; the depth may be empty or beyond the limit" in problem
    assert problem in files.html.read_text()
    assert len(files.figures) == 2


def test_a_module_that_predicts_nan_gives_no_map_and_the_report_says_so(room, context, tmp_path):
    experiment = build_experiment(tmp_path / "runs", [in_room(room, perception="nan-depth")])
    files = write_report([experiment], context=context)
    (problem,) = files.problems
    assert "frame 3: depth has NaN, infinite or negative values" in problem
    assert problem in files.html.read_text()


def test_a_module_that_cannot_be_made_again_gives_no_map_and_the_report_says_so(room, context, tmp_path):
    experiment = build_experiment(tmp_path / "runs", [in_room(room, perception="constant")])
    (problem,) = write_report([experiment], context=context).problems
    assert problem.endswith("perception 'constant': it needs a distance, as in constant:2")


def test_a_module_that_hangs_gives_no_map_after_the_limit_of_its_trial(room, context, tmp_path):
    trial = in_room(room, perception="hanging")
    trial.record["configuration"] = {"coverage_floor": 0.9, "predict_limit_s": 0.2}
    files = write_report([build_experiment(tmp_path / "runs", [trial])], context=context)
    (problem,) = files.problems
    assert "hanging: no prediction came within 0.2 s, which is the limit" in problem
    assert files.html.is_file()


def test_a_map_that_fails_leaves_the_others_and_names_the_cause(room, context, tmp_path, monkeypatch):
    def fail_once(surface, reference, calls=[]):  # noqa: B006 - it shall remember
        calls.append(surface)
        if len(calls) == 1:
            raise RuntimeError("\x1b[1;31m[Open3D Error] no luck\n\x1b[0;m")
        return measure_distances(surface, reference)

    monkeypatch.setattr("harness.report.maps.measure_distances", fail_once)
    trials = [in_room(room, "a"), in_room(room, "b")]
    files = write_report([build_experiment(tmp_path / "runs", trials)], context=context)
    assert files.problems == (
        "No map of room / sensor / a / run 0: it cannot be made: RuntimeError: [Open3D Error] no luck",
    )
    assert [path.name for path in files.figures if path.name.startswith("map-")] == ["map-room-sensor-b.png"]


def test_surfaces_that_cannot_be_written_are_named_and_the_rest_is_complete(
    room, context, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    files = write_report([build_experiment(tmp_path / "runs", [in_room(room)])], context=context)
    (problem,) = files.problems
    assert problem.startswith("The surface of room / sensor / a / run 0 was not written: ")
    assert any(path.name.startswith("map-") for path in files.figures)


def test_a_record_that_does_not_say_how_to_open_its_sequence_gives_no_map(context, tmp_path):
    experiment = build_experiment(tmp_path / "runs", [TrialRecipe("corridor", "sensor", "a")])
    (problem,) = write_report([experiment], context=context).problems
    assert "does not say how to open it" in problem


def test_mode_mono_has_no_map_and_says_so(room, context, tmp_path):
    experiment = build_experiment(tmp_path / "runs", [in_room(room, perception="none")])
    (problem,) = write_report([experiment], context=context).problems
    assert re.search(r"No map of room / none / a / run 0: .* mode mono", problem)


def test_without_open3d_the_report_says_how_to_get_maps(room, context, tmp_path, monkeypatch):
    ours = ("harness.report.map", "harness.report.fusion", "harness.evaluation.surfaces")
    for name in [name for name in sys.modules if name.startswith(ours)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "open3d", None)
    files = write_report([build_experiment(tmp_path / "runs", [in_room(room)])], context=context)
    (problem,) = files.problems
    assert "pip install 'slam-harness[open3d]'" in problem
    assert len(files.figures) == 2
