"""GO-SLAM's backend through the protocol, with a double of upstream's program that checks what it gets."""

import json
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from PIL import Image
from scipy.spatial.transform import Rotation

from adapters.backend import BackendInputError, CameraIntrinsics, Mode, RgbdFrame, StartRequest, TrackingState
from adapters.client import BackendClient, PhaseLimits
from adapters.connection import Connection
from adapters.digest import file_digest
from adapters.errors import AdapterError, BackendDiedError, BackendReportedError, BackendTimeoutError
from adapters.go_slam import GoSlamAdapter
from adapters.runtimes.process import ProcessRuntime
from adapters.runtimes.runtime import LaunchRequest, socket_directory
from harness.conformance import CHECKS, Bench, CheckState, check_name, run_check

DOUBLE = Path(__file__).parents[1] / "support" / "upstream_doubles" / "go_slam"
LIMITS = PhaseLimits(hello_s=30, start_s=30, frame_s=30, finish_s=60)
CAMERA = CameraIntrinsics(60.0, 61.0, 31.5, 23.5, 64, 48)
#: Files of an input folder, its own links to them left aside.
FRAME_FILES = ("color/*", "depth/*", "pose/*")


@pytest.fixture(autouse=True)
def double(monkeypatch):
    """The double in the place of upstream."""
    monkeypatch.setenv("GO_SLAM_HOME", str(DOUBLE))
    monkeypatch.delenv("GO_SLAM_PYTHON", raising=False)
    monkeypatch.delenv("GO_SLAM_DOUBLE_FAULT", raising=False)


@pytest.fixture
def goes_wrong(monkeypatch):
    """Has the double fail in the way that is named."""
    return lambda fault: monkeypatch.setenv("GO_SLAM_DOUBLE_FAULT", fault)


@contextmanager
def conversation(output, mode=Mode.RGBD, limits=LIMITS, **options):
    """A client of a backend that has been started, and the running backend."""
    adapter = GoSlamAdapter()
    output.mkdir(parents=True, exist_ok=True)
    with socket_directory() as directory:
        request = LaunchRequest(
            adapter, directory / "s", output, output.parent / "log", adapter.needs.memory_bytes
        )
        with Connection(request.socket_path) as connection, ProcessRuntime().start(request) as running:
            connection.watch(running)
            client = BackendClient(connection, limits)
            client.hello()
            prepared = adapter.prepare(options, output)
            client.start(StartRequest(CAMERA, mode, 0, 10.0, prepared, output))
            yield client, running


def frames(count=12, mode=Mode.RGBD):
    """Plain images, each with a red, a blue and a depth of its own; indices have gaps."""
    shape = (CAMERA.height, CAMERA.width)
    for number in range(count):
        rgb = np.zeros((*shape, 3), dtype=np.uint8)
        rgb[..., 0], rgb[..., 2] = 10 * number, 250 - 10 * number
        depth = np.full(shape, 0.5 * number, dtype=np.float32) if mode is Mode.RGBD else None
        yield RgbdFrame(2 * number, 1_000_000_000 + number * 100_000_000, rgb, depth)


def run(output, mode=Mode.RGBD, count=12, images=None, **options):
    """What comes back of a whole run."""
    with conversation(output, mode, **options) as (client, _):
        for frame in images or frames(count, mode):
            client.track(frame)
        return client.finish()


@pytest.mark.parametrize("mode", list(Mode))
def test_every_frame_gets_the_pose_that_was_estimated_from_it(tmp_path, mode):
    answer = run(tmp_path / "output", mode).result
    sent = list(frames(mode=mode))
    assert answer.trajectory.timestamps_ns.tolist() == [frame.timestamp_ns for frame in sent]
    red = [frame.rgb[0, 0, 0] / 255 for frame in sent]
    blue = [frame.rgb[0, 0, 2] / 255 for frame in sent]
    depth = [0.0 if frame.depth is None else frame.depth[0, 0] for frame in sent]
    # Colours pass through JPEG.
    np.testing.assert_allclose(answer.trajectory.poses[:, [0, 2]], np.stack([red, blue], axis=1), atol=0.01)
    np.testing.assert_allclose(answer.trajectory.poses[:, 1], depth, atol=1e-6)


def test_rotations_come_back_as_quaternions_of_the_same_rotation(tmp_path):
    poses = run(tmp_path / "output").result.trajectory.poses
    expected = Rotation.from_rotvec([[0.0, 0.1 * number, 0.0] for number in range(len(poses))])
    assert (Rotation.from_quat(poses[:, 3:]).inv() * expected).magnitude().max() < 1e-6


def test_nothing_is_said_of_a_frame_before_the_end(tmp_path):
    with conversation(tmp_path / "output") as (client, _):
        answers = [client.track(frame).result for frame in frames()]
        client.finish()
    assert {answer.state for answer in answers} == {TrackingState.INITIALISING}
    assert {answer.camera_to_world is None for answer in answers} == {True}


def test_only_what_is_of_use_is_left_of_a_run(tmp_path):
    files = run(tmp_path / "output").result.files
    assert sorted(files) == ["go_slam.log", "go_slam.yaml", "map.json", "mesh.ply"]
    assert sorted(path.name for path in (tmp_path / "output").iterdir()) == sorted(files)
    assert (tmp_path / "output" / "go_slam.log").read_text() == "12 frames done\n"


def test_frames_are_kept_when_that_is_asked_for(tmp_path):
    run(tmp_path / "output", keep_input=True)
    folder = tmp_path / "output" / "go_slam_input"
    assert {name: len(list(folder.glob(name))) for name in FRAME_FILES} == dict.fromkeys(FRAME_FILES, 12)


@pytest.mark.parametrize("mode", list(Mode))
def test_no_truth_can_be_in_the_folder_since_all_poses_are_the_identity(tmp_path, mode):
    run(tmp_path / "output", mode, keep_input=True)
    folder = tmp_path / "output" / "go_slam_input"
    written = {
        path.relative_to(folder).parts[0]
        for path in folder.rglob("*")
        if path.is_file() and "frames" not in path.parts
    }
    assert written == {"color", "depth", "pose"}
    for path in folder.glob("pose/*"):
        np.testing.assert_array_equal(np.loadtxt(path), np.eye(4))
    if mode is Mode.MONO:
        assert not any(np.array(Image.open(path)).any() for path in folder.glob("depth/*"))


def test_depth_that_cannot_be_written_becomes_unknown_and_is_counted(tmp_path):
    images = list(frames(12))
    images[5].depth[:2, :3] = 65.536
    images[6].depth[0, 0] = 65.535
    answer = run(tmp_path / "output", images=images, keep_input=True).result
    assert answer.statistics["depth_pixels_out_of_range"] == 2 * 3
    fifth, sixth = (
        np.array(Image.open(tmp_path / "output" / "go_slam_input" / "depth" / f"{number}.png"))
        for number in (5, 6)
    )
    assert (fifth[:2, :3] == 0).all()
    assert (fifth[2:] == 2500).all(), "millimetres"
    assert sixth[0, 0] == 65535


def test_upstream_is_told_the_camera_as_it_is_and_the_image_of_the_preset(tmp_path):
    run(tmp_path / "output", preset="scannet", scene_half_extent=3)
    written = yaml.safe_load((tmp_path / "output" / "go_slam.yaml").read_text())
    assert written["cam"] == {
        "H": 48,
        "W": 64,
        "fx": 60.0,
        "fy": 61.0,
        "cx": 31.5,
        "cy": 23.5,
        "png_depth_scale": 1000.0,
        "H_out": 240,
        "W_out": 320,
        "H_edge": 8,
        "W_edge": 16,
    }
    assert written["mapping"]["bound"] == [[-3.0, 3.0]] * 3


def test_a_mesh_comes_back_as_a_map_in_the_world_of_the_trajectory(tmp_path):
    answer = run(tmp_path / "output").result
    description = json.loads((tmp_path / "output" / "map.json").read_text())
    assert description["mesh"] == "mesh.ply"
    assert description["world"] == "trajectory"
    assert (answer.statistics["mesh_vertices"], answer.statistics["mesh_triangles"]) == (4, 2)


def test_a_report_can_read_the_map(tmp_path):
    pytest.importorskip("open3d")
    from harness.report.backend_map_files import read_backend_map

    run(tmp_path / "output")
    made = read_backend_map(tmp_path / "output").mesh
    assert (made.labels == 255).all()
    np.testing.assert_allclose(made.surface.colours * 255, [[200, 100, 50]] * 4, atol=0.5)


@pytest.mark.parametrize(
    ("fault", "reason"), [("no mesh", "wrote no mesh/final_raw_mesh.ply"), ("mesh cut off", "cannot be read")]
)
def test_without_a_mesh_the_trajectory_counts_all_the_same(tmp_path, goes_wrong, fault, reason):
    goes_wrong(fault)
    answer = run(tmp_path / "output").result
    assert len(answer.trajectory) == 12
    assert reason in answer.statistics["no_mesh_because"]
    assert "map.json" not in answer.files


def test_poses_count_when_upstream_fails_only_in_comparing_them_with_the_identity(tmp_path, goes_wrong):
    goes_wrong("scoring")
    answer = run(tmp_path / "output").result
    assert len(answer.trajectory) == 12
    assert answer.statistics["upstream_scoring_failed"] is True
    assert "GeometryException" in (tmp_path / "output" / "go_slam.log").read_text()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            "out of memory",
            r"ran out of GPU memory \(exit code 1\).*take a larger GPU.*Tried to allocate 2.00",
        ),
        ("exit code", "failed: exit code 3; its log ends: the licence server was not reached"),
        ("killed", "was killed, most often by the kernel because memory ran short"),
        ("no poses", "without having written checkpoints/est_poses.npy; its log ends: 12 frames done"),
        ("fewer poses", "holds 10 poses for 12 frames, and nothing says which frames"),
        ("wrong shape", r"must hold a 4×4 matrix per frame, it holds float32 of shape \(12, 3, 4\)"),
        ("nan", "pose 3 has NaN or infinite values, and so it is with 1 of 12 poses"),
        ("no rotation", "pose 3 is no rotation and translation"),
        ("mirrored", "pose 3 is no rotation and translation"),
    ],
)
def test_a_failure_of_upstream_is_told_for_what_it_is(tmp_path, goes_wrong, fault, message):
    goes_wrong(fault)
    with pytest.raises(BackendReportedError, match=message):
        run(tmp_path / "output")


def ids_of_hanging_processes(output):
    return [int(word) for word in (output / "go_slam_output" / "processes").read_text().split()]


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def must_be_gone(pids):
    """A signal has been sent; on a busy machine a process may need a moment to die of it."""
    deadline = time.monotonic() + 5
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, pids))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("hang", "stopped because it took longer than .* raise the option time_limit_s"),
        ("out of memory in a child", r"ran out of GPU memory \(stopped after"),
    ],
)
def test_upstream_is_stopped_at_its_limit_with_its_children(tmp_path, goes_wrong, fault, message):
    goes_wrong(fault)
    with pytest.raises(BackendReportedError, match=message):
        run(tmp_path / "output", time_limit_s=5)
    must_be_gone(ids_of_hanging_processes(tmp_path / "output"))


def test_upstream_does_not_outlive_a_harness_that_waits_no_longer(tmp_path, goes_wrong):
    goes_wrong("hang")
    limits = PhaseLimits(hello_s=30, start_s=30, frame_s=30, finish_s=8)
    with (
        pytest.raises(BackendTimeoutError),
        conversation(tmp_path / "output", limits=limits) as (client, _),
    ):
        for frame in frames():
            client.track(frame)
        client.finish()
    must_be_gone(ids_of_hanging_processes(tmp_path / "output"))


def finish_in_background(client):
    """The error that finishing ends with, once the thread has been joined."""
    errors = []

    def finish():
        try:
            client.finish()
        except AdapterError as error:
            errors.append(error)

    thread = threading.Thread(target=finish)
    thread.start()
    return thread, errors


def test_upstream_dies_with_a_server_that_is_killed_alone(tmp_path, goes_wrong):
    goes_wrong("hang")
    output = tmp_path / "output"
    with conversation(output) as (client, _):
        for frame in frames():
            client.track(frame)
        finishing, errors = finish_in_background(client)
        while finishing.is_alive() and not (output / "go_slam_output" / "processes").exists():
            time.sleep(0.05)
        upstream, _ = ids_of_hanging_processes(output)
        os.kill(psutil.Process(upstream).ppid(), signal.SIGKILL)
        finishing.join()
        must_be_gone([upstream])
    assert isinstance(errors[0], BackendDiedError)


def test_frames_stay_after_a_failure_and_are_gone_before_the_next_run(tmp_path, goes_wrong):
    goes_wrong("exit code")
    with pytest.raises(BackendReportedError):
        run(tmp_path / "output", count=20)
    assert len(list((tmp_path / "output" / "go_slam_input" / "color").iterdir())) == 20
    goes_wrong("")
    assert len(run(tmp_path / "output").result.trajectory) == 12


@pytest.mark.parametrize(("mode", "least"), [(Mode.RGBD, 8), (Mode.MONO, 12)])
def test_fewer_frames_than_upstream_begins_with_have_no_pose(tmp_path, mode, least):
    answer = run(tmp_path / "short", mode, count=least - 1).result
    assert len(answer.trajectory) == 0
    assert answer.statistics["not_run_because"] == f"GO-SLAM begins with {least} keyframes"
    assert len(run(tmp_path / "long", mode, count=least).result.trajectory) == least


def test_memory_of_upstream_counts_beside_that_of_the_server(tmp_path):
    alone = run(tmp_path / "short", count=1).peak_memory_bytes
    assert run(tmp_path / "long").peak_memory_bytes > alone + 20 * 1024**2


def test_weights_of_the_user_take_the_place_of_those_in_the_image(tmp_path):
    weights = tmp_path / "droid.pth"
    weights.write_bytes(b"other weights")
    digest = file_digest(weights)
    answer = run(tmp_path / "output", weights=str(weights), weights_sha256=digest).result
    assert answer.statistics["weights_sha256"] == digest
    written = yaml.safe_load((tmp_path / "output" / "go_slam.yaml").read_text())
    assert written["tracking"]["weights_of_the_double"] == str(weights)


def test_the_checksum_of_the_weights_in_the_image_is_recorded_and_can_be_demanded(tmp_path):
    digest = file_digest(DOUBLE / "pretrained" / "droid.pth")
    assert run(tmp_path / "one").result.statistics["weights_sha256"] == digest
    assert run(tmp_path / "two", weights_sha256=digest).result.statistics["weights_sha256"] == digest
    with pytest.raises(BackendReportedError, match=f"have the SHA-256 {digest} instead of {'0' * 64}"):
        run(tmp_path / "three", weights_sha256="0" * 64)


def test_weights_that_are_damaged_are_refused_before_anything_starts(tmp_path):
    weights = tmp_path / "droid.pth"
    weights.write_bytes(b"half of it")
    with pytest.raises(BackendInputError, match="damaged or another file"):
        GoSlamAdapter().prepare({"weights": str(weights), "weights_sha256": "0" * 64}, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"weights": "/nowhere.pth", "weights_sha256": "0" * 64},
            "option weights: there is no file /nowhere",
        ),
        ({"config": "/nowhere.yaml"}, "option config: there is no file /nowhere.yaml"),
    ],
)
def test_files_that_are_not_there_are_named_before_anything_starts(tmp_path, options, message):
    with pytest.raises(BackendInputError, match=message):
        GoSlamAdapter().prepare(options, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "kitti"}, "preset must be one of generic, scannet"),
        ({"weights": "droid.pth"}, "weights needs weights_sha256"),
        ({"weights_sha256": "abc"}, "64 hexadecimal digits"),
        ({"time_limit_s": 0}, "time_limit_s must be above 0"),
        ({"scene_half_extent": -1.0}, "scene_half_extent must be above 0"),
        ({"jpeg_quality": 101}, "jpeg_quality must be from 1 to 100"),
        ({"seed": 1}, "unknown option seed"),
    ],
)
def test_options_that_cannot_work_are_refused(options, message):
    with pytest.raises(BackendInputError, match=message):
        GoSlamAdapter().check_options(options)


def test_where_upstream_is_not_installed_one_sentence_says_how_to_get_it(monkeypatch, tmp_path):
    assert GoSlamAdapter().missing() is None
    monkeypatch.setenv("GO_SLAM_PYTHON", str(tmp_path / "python"))
    assert "which is no program" in GoSlamAdapter().missing()
    monkeypatch.setenv("GO_SLAM_HOME", str(tmp_path))
    assert "there is no run.py" in GoSlamAdapter().missing()
    monkeypatch.delenv("GO_SLAM_HOME")
    assert "harness backends build go-slam" in GoSlamAdapter().missing()


def test_upstream_is_run_with_a_python_of_its_own(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho a python of its own\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("GO_SLAM_PYTHON", str(python))
    run(tmp_path / "output")
    assert (tmp_path / "output" / "go_slam.log").read_text().startswith("a python of its own\n")


@pytest.mark.parametrize("check", CHECKS, ids=check_name)
def test_the_conformance_suite_is_passed(check, tmp_path):
    adapter = GoSlamAdapter()
    outcome = run_check(check, Bench(adapter, ProcessRuntime(), adapter.prepare({}, tmp_path), tmp_path))
    assert outcome.state is not CheckState.FAILED, outcome.detail
