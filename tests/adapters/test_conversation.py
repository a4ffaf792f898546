"""The harness and a backend in its own process: what works, and what every kind of failure looks like."""

import os
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import psutil
import pytest
import zmq
from slam_test_backends import CurveAdapter, FaultyAdapter

from adapters.backend import CameraIntrinsics, Mode, RgbdFrame, StartRequest, TrackingState
from adapters.client import BackendClient, PhaseLimits
from adapters.connection import Connection
from adapters.errors import (
    BackendDiedError,
    BackendReportedError,
    BackendTimeoutError,
    ProtocolViolationError,
    ResourceLimitError,
)
from adapters.runtimes.process import ProcessRuntime
from adapters.runtimes.runtime import LaunchRequest, socket_directory

LIMITS = PhaseLimits(hello_s=30, start_s=10, frame_s=2, finish_s=2)


@contextmanager
def conversation(tmp_path, adapter, limits=LIMITS, **options):
    """A client of a backend that has been started, and the running backend."""
    with socket_directory() as directory:
        request = LaunchRequest(
            adapter, directory / "s", tmp_path / "output", tmp_path / "log", adapter.needs.memory_bytes
        )
        with Connection(request.socket_path) as connection, ProcessRuntime().start(request) as running:
            connection.watch(running)
            client = BackendClient(connection, limits)
            client.hello()
            camera = CameraIntrinsics(30, 30, 15.5, 11.5, 32, 24)
            client.start(
                StartRequest(camera, Mode.MONO, 0, 10.0, adapter.default_options | options, tmp_path)
            )
            yield client, running


def frames(count=10):
    rgb = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    return [RgbdFrame(index, index * 100_000_000, rgb) for index in range(count)]


def test_every_frame_is_answered_and_the_trajectory_has_them_all(tmp_path):
    with conversation(tmp_path, CurveAdapter()) as (client, _):
        answers = [client.track(frame) for frame in frames()]
        final = client.finish()
    assert [answer.index for answer in answers] == list(range(10))
    assert all(answer.result.state is TrackingState.OK for answer in answers)
    assert final.result.trajectory.timestamps_ns.tolist() == [frame.timestamp_ns for frame in frames()]
    assert final.peak_memory_bytes > 1024**2


def track_all_one_ahead(client, frames):
    return [client.track(*pair) for pair in zip(frames, [*frames[1:], None], strict=True)]


def test_frames_sent_while_the_one_before_is_worked_on_are_tracked_in_turn(tmp_path):
    with conversation(tmp_path, CurveAdapter()) as (client, _):
        answers = track_all_one_ahead(client, frames())
        ahead = client.finish().result
    with conversation(tmp_path, CurveAdapter()) as (client, _):
        for frame in frames():
            client.track(frame)
        together = client.finish().result
    assert [answer.index for answer in answers] == list(range(10))
    np.testing.assert_array_equal(ahead.trajectory.poses, together.trajectory.poses)


def test_a_frame_that_was_not_the_upcoming_one_is_noticed(tmp_path):
    first, second, third = frames(3)
    with conversation(tmp_path, CurveAdapter()) as (client, _):
        client.track(first, upcoming=second)
        with pytest.raises(ProtocolViolationError, match="the answer to frame 2 is for frame 1"):
            client.track(third)


def test_a_bad_frame_fails_in_its_own_turn_and_not_in_that_of_the_one_before(tmp_path):
    first, second = frames(2)
    small = replace(second, rgb=second.rgb[:12])
    with conversation(tmp_path, CurveAdapter()) as (client, _):
        assert client.track(first, upcoming=small).index == 0
        with pytest.raises(BackendReportedError, match="'rgb' of 'frame' must be uint8 24×32×3"):
            client.track(small)


def test_a_death_is_noticed_when_the_next_frame_is_under_way(tmp_path):
    with (
        pytest.raises(BackendDiedError, match="signal SIGSEGV"),
        conversation(tmp_path, FaultyAdapter(), fault="die") as (client, _),
    ):
        track_all_one_ahead(client, frames())


def test_a_backend_ends_with_the_conversation(tmp_path):
    with conversation(tmp_path, CurveAdapter()) as (client, running):
        client.track(frames()[0])
        client.finish()
    assert "exit code 0" in str(running.failure())


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("die", BackendDiedError, "on frame 5: the backend died with signal SIGSEGV"),
        ("exit", BackendDiedError, "exit code 3; its log ends: licence server not reached"),
        ("hang", BackendTimeoutError, "on frame 5: the backend was silent for 2 s"),
        ("eat memory", ResourceLimitError, "its limit is 0.39 GiB"),
        ("raise", BackendReportedError, "RuntimeError: CUDA out of memory"),
        ("nan pose", ProtocolViolationError, "live pose of frame 5 is not rigid"),
        ("nan trajectory", ProtocolViolationError, "pose 1 of the trajectory has NaN"),
        ("foreign timestamps", ProtocolViolationError, "10 timestamps that were never sent"),
        ("unsorted trajectory", ProtocolViolationError, "repeated or not in order"),
        ("file elsewhere", ProtocolViolationError, "not below the output directory"),
    ],
)
def test_a_fault_is_told_for_what_it_is(tmp_path, fault, error, message):
    with (
        pytest.raises(error, match=f"(?s){message}"),
        conversation(tmp_path, FaultyAdapter(), fault=fault) as (client, _),
    ):
        for frame in frames():
            client.track(frame)
        client.finish()


def test_a_backend_that_refuses_to_start_says_why(tmp_path):
    with (
        pytest.raises(BackendReportedError, match="this camera cannot be worked with"),
        conversation(tmp_path, FaultyAdapter(), fault="refuse start"),
    ):
        pass


def first_children(process):
    while not (children := process.children()):
        time.sleep(0.05)
    return children


def test_what_a_hanging_backend_started_is_killed_with_it(tmp_path):
    children = []
    with (
        pytest.raises(BackendTimeoutError),
        conversation(tmp_path, FaultyAdapter(), fault="hang with a child") as (client, _),
    ):
        leader = psutil.Process().children()[-1]
        watcher = threading.Thread(target=lambda: children.extend(first_children(leader)))
        watcher.start()
        for frame in frames(6):
            client.track(frame)
    watcher.join()
    assert children
    _, alive = psutil.wait_procs([leader, *children], timeout=5)
    assert not alive


def test_a_child_that_left_the_group_is_killed_too(tmp_path):
    with (
        pytest.raises(BackendTimeoutError),
        conversation(tmp_path, FaultyAdapter(), fault="hang with a child of its own session") as (client, _),
    ):
        for frame in frames():
            client.track(frame)
    pid = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5
    # The signal has been sent; on a busy machine the process may need a moment to die of it.
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(pid)


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_backend_is_not_told_where_the_ground_truth_is(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA", "/somewhere")
    with conversation(tmp_path, CurveAdapter()) as (client, _):
        client.track(frames()[0])
        assert "HARNESS_DATA" not in psutil.Process().children()[-1].environ()


def test_two_harnesses_do_not_share_sockets_and_leave_none_behind(tmp_path):
    with socket_directory() as first, socket_directory() as second:
        assert first != second
    assert not first.exists()
    assert not second.exists()


def test_sockets_of_a_harness_that_was_killed_are_swept(tmp_path):
    with socket_directory() as path:
        orphan = path.with_name("slam-harness-orphan")
        orphan.mkdir()
        (orphan / "lock").touch()
        os.utime(orphan, (0, 0))
    with socket_directory():
        assert not orphan.exists()


def test_a_limit_that_is_no_time_is_refused():
    with pytest.raises(ValueError, match="frame_s must be positive"):
        PhaseLimits(frame_s=0)


def test_an_answer_larger_than_any_trajectory_is_never_taken_into_memory(tmp_path):
    with (
        Connection(tmp_path / "s") as connection,
        zmq.Context() as context,
        context.socket(zmq.PAIR) as backend,
    ):
        backend.setsockopt(zmq.LINGER, 0)
        backend.connect(f"ipc://{tmp_path / 's'}")
        backend.send(bytes(1000))
        assert connection.receive(time.monotonic() + 10, "a small answer") is not None
        backend.send(bytes(257 * 1024**2))
        assert connection.receive(time.monotonic() + 2, "a huge answer") is None
