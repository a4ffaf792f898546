"""Backend ``trajectory``: its options, the frames that poses belong to, the camera of a body, conformance."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from adapters.adapter import TrialNames
from adapters.backend import BackendInputError, CameraIntrinsics, Mode, RgbdFrame, StartRequest, TrackingState
from adapters.errors import BackendUnavailableError
from adapters.runtimes.process import ProcessRuntime
from adapters.trajectory import TrajectoryAdapter
from adapters.trajectory.backend import TrajectoryBackend
from adapters.trajectory.frames import pair_by_time
from adapters.trajectory.options import TrajectoryOptions, parse_trajectory_options
from harness.conformance import CHECKS, Bench, CheckState, check_name, run_check

PERIOD_NS = 100_000_000
FIRST_NS = 1_403_636_580_000_000_001
IMAGE = np.zeros((2, 3, 3), np.uint8)
TRIAL = TrialNames("room", "sensor", 0)


def run(tmp_path, rows, frames=4, indices=None, **options):
    """The answer to frames from ``FIRST_NS`` on, ten a second, about a file of these rows."""
    file = tmp_path / "trajectory.txt"
    file.write_text("\n".join(rows))
    backend = TrajectoryBackend()
    camera = CameraIntrinsics(1.0, 1.0, 1.0, 0.5, 3, 2)
    start = StartRequest(camera, Mode.MONO, 0, 1e9 / PERIOD_NS, {"file": str(file), **options}, tmp_path)
    backend.start(start)
    for index in indices if indices is not None else range(frames):
        result = backend.track(RgbdFrame(index, FIRST_NS + index * PERIOD_NS, IMAGE))
        assert (result.state, result.camera_to_world) == (TrackingState.INITIALISING, None)
    return backend.finish()


def tum_row(offset_ns, x=0.0, turn="0 0 0 1"):
    """A pose that long after the first frame."""
    seconds, nanoseconds = divmod(FIRST_NS + offset_ns, 10**9)
    return f"{seconds}.{nanoseconds:09d} {x} 0 0 {turn}"


def frames_of(result):
    return ((result.trajectory.timestamps_ns - FIRST_NS) // PERIOD_NS).tolist()


def positions_of(result):
    return result.trajectory.poses[:, 0].tolist()


def test_poses_go_to_the_nearest_frames_at_most_half_a_period_away(tmp_path):
    offsets = [-50_000_001, -50_000_000, 120_000_000, 249_999_999, 350_000_001]
    result = run(tmp_path, [tum_row(offset, x) for x, offset in enumerate(offsets)])
    assert frames_of(result) == [0, 1, 2]
    assert positions_of(result) == [1, 2, 3]
    assert result.trajectory.timestamps_ns.tolist() == [FIRST_NS + index * PERIOD_NS for index in (0, 1, 2)]
    assert result.statistics == result.statistics | {
        "format": "tum",
        "poses_in_file": 5,
        "poses_not_finite": 0,
        "poses_without_frame": 2,
        "largest_time_difference_s": 0.05,
    }


def test_of_several_poses_at_one_frame_the_nearest_counts(tmp_path):
    offsets = [60_000_000, 90_000_000, 105_000_000, 140_000_000]
    result = run(tmp_path, [tum_row(offset, x) for x, offset in enumerate(offsets)])
    assert (frames_of(result), positions_of(result)) == ([1], [2])
    assert result.statistics["poses_without_frame"] == 3


def test_an_offset_brings_another_clock_to_the_frames(tmp_path):
    rows = [tum_row(index * PERIOD_NS - 1_500_000_000, index) for index in range(4)]
    result = run(tmp_path, rows, time_offset_s=1.5)
    assert (frames_of(result), positions_of(result)) == ([0, 1, 2, 3], [0, 1, 2, 3])
    assert result.statistics["largest_time_difference_s"] == 0


def test_two_clocks_that_never_meet_are_told_apart_in_words(tmp_path):
    message = r"trajectory\.txt: none of its 2 poses is within 50 ms .* 1403636680\.0.* time_offset_s"
    with pytest.raises(BackendInputError, match=message):
        run(tmp_path, [tum_row(10**11), tum_row(10**11 + 1)])


def test_rows_with_nan_are_counted_in_the_statistics(tmp_path):
    result = run(tmp_path, [tum_row(0), tum_row(PERIOD_NS, "nan"), tum_row(2 * PERIOD_NS)])
    assert frames_of(result) == [0, 2]
    assert (result.statistics["poses_in_file"], result.statistics["poses_not_finite"]) == (3, 1)


def test_lines_without_time_are_frames_by_their_number(tmp_path):
    rows = [f"1 0 0 {index} 0 1 0 0 0 0 1 0" for index in range(4)]
    rows[2] = " ".join(["nan"] * 12)
    result = run(tmp_path, rows)
    assert (frames_of(result), positions_of(result)) == ([0, 1, 3], [0, 1, 3])
    # Frames that were dropped in feed realtime.
    assert positions_of(run(tmp_path, rows, indices=[1, 3])) == [1, 3]


@pytest.mark.parametrize("frames", [0, 3, 5])
def test_lines_without_time_must_be_as_many_as_frames(tmp_path, frames):
    rows = ["1 0 0 0 0 1 0 0 0 0 1 0"] * 4
    with pytest.raises(
        BackendInputError, match=rf"trajectory\.txt: has 4 poses and there are {frames} frames"
    ):
        run(tmp_path, rows, frames)


def test_an_offset_to_lines_without_time_is_refused(tmp_path):
    with pytest.raises(BackendInputError, match="has no time stamps"):
        run(tmp_path, ["1 0 0 0 0 1 0 0 0 0 1 0"], time_offset_s=1.0)


def test_poses_of_a_body_become_those_of_its_camera(tmp_path):
    camera_to_body = np.eye(4)
    camera_to_body[:3, :3] = Rotation.from_euler("xyz", [80, -20, 130], degrees=True).as_matrix()
    camera_to_body[:3, 3] = [0.1, -0.2, 0.3]
    body_to_world = np.eye(4)
    body_to_world[:3, :3] = Rotation.from_quat([0.5, 0.1, -0.3, 0.7]).as_matrix()
    body_to_world[0, 3] = 4.0
    turn = " ".join(map(repr, Rotation.from_matrix(body_to_world[:3, :3]).as_quat().tolist()))
    rows = [tum_row(0, 4.0, turn)]

    result = run(tmp_path, rows, camera_to_body=camera_to_body.ravel().tolist())

    (pose,) = result.trajectory.poses
    expected = body_to_world @ camera_to_body
    np.testing.assert_allclose(pose[:3], expected[:3, 3], atol=1e-12)
    np.testing.assert_allclose(Rotation.from_quat(pose[3:]).as_matrix(), expected[:3, :3], atol=1e-12)
    assert positions_of(run(tmp_path, rows)) == [4.0]


instants = st.lists(st.integers(0, 1000), unique=True, max_size=30).map(sorted)


@given(poses=instants, frames=instants, tolerance=st.integers(0, 60))
def test_pairs_are_one_to_one_in_order_and_nearest(poses, frames, tolerance):
    pose_ns, frame_ns = (np.array(times, dtype=np.int64) for times in (poses, frames))
    found = pair_by_time(pose_ns, frame_ns, tolerance)
    paired = dict(zip(found.poses.tolist(), found.frames.tolist(), strict=True))
    assert (np.diff(found.poses) > 0).all()
    assert (np.diff(found.frames) > 0).all()
    gaps = np.abs(pose_ns[found.poses] - frame_ns[found.frames])
    assert found.largest_difference_ns == max(gaps, default=0) <= tolerance
    for pose, time in enumerate(poses):
        nearest = min((abs(frame - time), index) for index, frame in enumerate(frames)) if frames else None
        if pose in paired:
            assert (abs(frames[paired[pose]] - time), paired[pose]) == nearest
        elif nearest and nearest[0] <= tolerance:
            (rival,) = (other for other, frame in paired.items() if frame == nearest[1])
            assert abs(poses[rival] - frames[nearest[1]]) <= nearest[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "csv"}, "format must be one of auto, tum, kitti, euroc, hydra, bag"),
        ({"file": "{name}.tum"}, r"file '{name}\.tum': there is no {name}; there are {sequence}, {perc"),
        ({"file": "{}.tum"}, "there is no {}"),
        ({"file": "{run.tum"}, "file '{run.tum': .* a brace itself is written twice"),
        ({"file": "{sequence:d}.tum"}, "file '{sequence:d}.tum'"),
        ({"file": "{sequence.__class__}"}, "there is no {sequence.__class__}"),
        ({"file": "{run:{width}}"}, "file '{run:{width}}'"),
        ({"file": 3}, "file must be of type str"),
        ({"exported": "{session}"}, "exported '{session}'"),
        ({"time_offset_s": float("nan")}, "time_offset_s"),
        ({"camera_to_body": [1, 2, 3]}, "camera_to_body must be the 16 numbers"),
        ({"camera_to_body": "identity"}, "camera_to_body must be a list of 16 numbers"),
        ({"camera_to_body": [2 * x for x in range(16)]}, "rigid"),
        ({"camera_to_body": np.diag([1, 1, -1, 1]).ravel().tolist()}, "rigid"),
        ({"ground_truth_is_input": "no"}, "ground_truth_is_input must be of type bool"),
        ({"offset": 1}, "unknown option offset"),
    ],
)
def test_an_option_that_cannot_work_is_refused_by_name(options, message):
    with pytest.raises(BackendInputError, match=message):
        TrajectoryAdapter().check_options(options)


def test_the_default_options_are_those_a_user_may_write():
    defaults = json.loads(json.dumps(TrajectoryAdapter.default_options))
    assert parse_trajectory_options(defaults) == TrajectoryOptions()
    assert TrajectoryOptions().camera_to_body_matrix() is None


def for_trial(options, trial=TRIAL):
    adapter = TrajectoryAdapter()
    filled = adapter.options_for_trial(adapter.prepare(options, None), trial)
    assert adapter.ground_truth_is_input(filled) == filled["ground_truth_is_input"]
    return filled


def test_names_of_the_trial_stand_for_placeholders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "room" / "sensor-{3}-002.tum"
    file.parent.mkdir()
    file.touch()
    option = "{sequence}/{perception}-{{3}}-{run:03d}.tum"
    filled = for_trial({"file": option}, replace(TRIAL, run=2))
    assert filled == TrajectoryAdapter.default_options | {"file": str(file)}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BackendInputError, match=f"there is no {tmp_path}/room.tum"):
        for_trial({"file": f"{tmp_path}/{{sequence}}.tum"})


def test_without_a_file_there_is_nothing_to_run():
    with pytest.raises(BackendUnavailableError, match=r"--set trajectory\.file=PATH"):
        for_trial({})


def test_one_result_is_not_scored_as_if_it_were_several_runs(tmp_path):
    (tmp_path / "room.tum").touch()
    option = {"file": f"{tmp_path}/{{sequence}}.tum"}
    for_trial(option)
    with pytest.raises(BackendUnavailableError, match=r"is the result of run 0 already; put {run} into"):
        for_trial(option, replace(TRIAL, run=1))


def write_export(directory, **changes):
    record = {"sequence": {"name": "room"}, "perception": {"name": "sensor"}, "ground_truth_is_input": False}
    directory.mkdir()
    (directory / "export.json").write_text(json.dumps(record | changes))
    return str(directory)


@pytest.mark.parametrize(
    ("exported", "said", "marked"),
    [
        (False, False, False),
        (True, False, True),
        (False, True, True),
        (None, True, True),
        (None, False, False),
    ],
)
def test_ground_truth_in_the_input_marks_the_trial(tmp_path, exported, said, marked):
    (tmp_path / "a.tum").touch()
    options = {"file": str(tmp_path / "a.tum"), "ground_truth_is_input": said}
    if exported is not None:
        write_export(tmp_path / "room", ground_truth_is_input=exported)
        options["exported"] = f"{tmp_path}/{{sequence}}"
    filled = for_trial(options)
    assert filled["ground_truth_is_input"] is marked
    assert filled["exported"] == ("" if exported is None else str(tmp_path / "room"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sequence": {"name": "hall"}}, "exported with sequence 'hall', and the trial has sequence 'room'"),
        ({"perception": {"name": "m2hmx:a"}}, "perception 'm2hmx:a', and the trial has perception 'sensor'"),
        ({"perception": {}}, r"export\.json is no record of an export"),
        ({"sequence": None}, r"export\.json is no record of an export"),
        ({"ground_truth_is_input": "no"}, "does not say whether ground truth was put in"),
    ],
)
def test_an_export_of_something_else_is_refused(tmp_path, changes, message):
    (tmp_path / "a.tum").touch()
    exported = write_export(tmp_path / "export", **changes)
    with pytest.raises(BackendInputError, match=message):
        for_trial({"file": str(tmp_path / "a.tum"), "exported": exported})


def test_an_export_that_was_not_finished_is_refused(tmp_path):
    (tmp_path / "a.tum").touch()
    with pytest.raises(BackendInputError, match=r"export/export\.json cannot be read"):
        for_trial({"file": str(tmp_path / "a.tum"), "exported": str(tmp_path / "export")})


@pytest.fixture(scope="module")
def scored_file(tmp_path_factory):
    """A pose for every frame of the conformance suite's camera."""
    path = tmp_path_factory.mktemp("conformance") / "trajectory.tum"
    path.write_text("".join(f"{1 + index / 10:.1f} {index} 0 0 0 0 0 1\n" for index in range(8)))
    return {"file": str(path)}


@pytest.mark.parametrize("with_file", [True, False], ids=["with a file", "without"])
@pytest.mark.parametrize("check", CHECKS, ids=check_name)
def test_it_keeps_to_the_protocol(check, with_file, scored_file, tmp_path):
    adapter = TrajectoryAdapter()
    options = adapter.prepare(scored_file if with_file else {}, tmp_path)
    outcome = run_check(check, Bench(adapter, ProcessRuntime(), options, tmp_path))
    assert outcome.state in (CheckState.PASSED, CheckState.NOT_APPLICABLE), outcome.detail


def test_the_suite_sees_the_poses_of_the_file(scored_file, tmp_path):
    adapter = TrajectoryAdapter()
    bench = Bench(adapter, ProcessRuntime(), adapter.prepare(scored_file, tmp_path), tmp_path)
    _, answer = bench.run(bench.frames())
    assert answer.result.trajectory.poses[:, 0].tolist() == list(range(8))
