"""Frames reach a backend in order, few of them at a time, with what belongs to each."""

import threading
import time
import weakref
from contextlib import contextmanager

import numpy as np
import pytest
from slam_test_backends import CurveAdapter

from adapters.backend import CameraIntrinsics, Mode, StartRequest, TrackingResult, TrackingState
from adapters.client import BackendClient, PhaseLimits
from adapters.connection import Connection
from adapters.messages import Acknowledgement
from adapters.runtimes.process import ProcessRuntime
from adapters.runtimes.runtime import LaunchRequest, socket_directory
from harness.configuration import Feed
from harness.feeding import (
    FRAMES_AHEAD,
    FRAMES_READ_AHEAD,
    READING_THREADS,
    FeedingLog,
    FeedingPlan,
    feed,
)
from perception.errors import ModuleFailedError, PerceptionError
from perception.guarded import GuardedModule
from perception.module import PerceptionModule, Prediction
from perception.none import NoneModule
from perception.sensor import SensorModule
from sequences.errors import SequenceError
from sequences.model import Frame, ImuSamples, Intrinsics, Sequence, SequenceInfo

PERIOD_NS = 10_000_000
WIDTH, HEIGHT = 32, 24


class CountedSequence(Sequence):
    """Makes its frames up and knows how many of them are alive."""

    def __init__(self, frames, period_ns=PERIOD_NS, begins_ns=0):
        self._info = SequenceInfo(
            name="counted",
            intrinsics=Intrinsics(30, 30, 15.5, 11.5, WIDTH, HEIGHT),
            timestamps_ns=begins_ns + period_ns * np.arange(1, frames + 1),
            has_depth=True,
        )
        self.alive = 0
        self.most_alive = 0
        self._counting = threading.RLock()
        stamps = begins_ns + np.arange(0, frames * PERIOD_NS + 1, PERIOD_NS // 4)
        self._imu = ImuSamples(stamps, np.zeros((len(stamps), 3)), np.ones((len(stamps), 3)))

    @property
    def info(self):
        return self._info

    def frame(self, index):
        rgb = np.full((HEIGHT, WIDTH, 3), index % 250, dtype=np.uint8)
        rgb[0, 0] = 255
        with self._counting:
            self.alive += 1
            self.most_alive = max(self.most_alive, self.alive)
        weakref.finalize(rgb, self._gone)
        depth = np.full((HEIGHT, WIDTH), 2, dtype=np.float32)
        return Frame(index, int(self._info.timestamps_ns[index]), rgb, depth)

    def _gone(self):
        with self._counting:
            self.alive -= 1

    def ground_truth(self):
        return None

    def imu_between(self, after_ns, until_ns):
        return self._imu.between(after_ns, until_ns)


class ListeningClient:
    """Keeps what it is sent, and waits a while with every answer."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds
        self.frames, self.upcoming = [], []

    def track(self, frame, upcoming=None):
        self.frames.append(frame)
        self.upcoming.append(upcoming)
        time.sleep(self.seconds)
        return Acknowledgement(frame.index, TrackingResult(TrackingState.OK), 1.0)


@contextmanager
def curve_client(tmp_path):
    with socket_directory() as directory:
        adapter = CurveAdapter()
        request = LaunchRequest(adapter, directory / "s", tmp_path, tmp_path / "log", 2**30)
        with Connection(request.socket_path) as connection, ProcessRuntime().start(request) as running:
            connection.watch(running)
            client = BackendClient(connection, PhaseLimits())
            client.hello()
            camera = CameraIntrinsics(30, 30, 15.5, 11.5, WIDTH, HEIGHT)
            client.start(StartRequest(camera, Mode.RGBD, 0, 100.0, adapter.default_options, tmp_path))
            yield client


def fed(sequence, client, module=None, mode=Mode.RGBD, how=Feed.LOCKSTEP):
    log = FeedingLog()
    guarded = GuardedModule("module", module or SensorModule())
    guarded.outputs(sequence.info)
    plan = FeedingPlan(sequence, guarded, mode, True, True, len(sequence), limit_s=1.0)
    feed(plan, client, how, log, lambda done, total: None)
    return log


def test_few_frames_are_in_memory_however_long_the_sequence_is(tmp_path):
    sequence = CountedSequence(5000)
    with curve_client(tmp_path) as client:
        log = fed(sequence, client)
    assert len(log.timestamps_ns) == 5000
    # Those read and those being read, those predicted, the one being predicted, the one under way, and what
    # ZeroMQ has not let go of yet.
    assert sequence.most_alive <= FRAMES_READ_AHEAD + READING_THREADS + FRAMES_AHEAD + 5


def test_frames_arrive_in_order_with_depth_and_imu():
    client = ListeningClient()
    fed(CountedSequence(10), client)
    assert [frame.index for frame in client.frames] == list(range(10))
    assert client.frames[0].imu is None, "before the first frame there is nothing to integrate from"
    for before, frame in zip(client.frames, client.frames[1:], strict=False):
        assert frame.imu_timestamps_ns[0] == before.timestamp_ns + PERIOD_NS // 4
        assert frame.imu_timestamps_ns[-1] == frame.timestamp_ns
        np.testing.assert_array_equal(frame.imu, 4 * [[0, 0, 0, 1, 1, 1]])
        assert frame.depth is not None


def test_imu_samples_keep_every_nanosecond_of_their_stamps():
    now_ns = 1_700_000_000_123_456_789
    client = ListeningClient()
    fed(CountedSequence(3, begins_ns=now_ns), client)
    (_, frame, _) = client.frames
    assert (frame.imu_timestamps_ns - now_ns).tolist() == [
        PERIOD_NS * quarters // 4 for quarters in (5, 6, 7, 8)
    ]


class WaitingModule(SensorModule):
    """Predicts a frame when those after it have been read."""

    def __init__(self, sequence):
        self._sequence = sequence

    def predict(self, frame):
        last = min(frame.index + FRAMES_READ_AHEAD, len(self._sequence) - 1)
        assert self._sequence.read[last].wait(10)
        return super().predict(frame)


class SlowSequence(CountedSequence):
    """Takes a while to read a frame, says which are read, and cannot read ``broken``."""

    def __init__(self, frames, seconds=0.0, broken=None):
        super().__init__(frames)
        self.seconds, self.broken = seconds, broken
        self.read = [threading.Event() for _ in range(frames)]

    def frame(self, index):
        time.sleep(self.seconds)
        if index == self.broken:
            raise SequenceError(f"frame {index}: no image")
        self.read[index].set()
        return super().frame(index)


def test_frames_are_read_while_the_module_predicts_those_before():
    sequence, client = SlowSequence(6), ListeningClient()
    fed(sequence, client, WaitingModule(sequence))
    assert [frame.index for frame in client.frames] == list(range(6))


def test_the_time_to_read_a_frame_is_counted_as_reading_and_not_as_predicting():
    log = fed(SlowSequence(8, seconds=0.06), ListeningClient())
    assert min(log.reading_ms) >= 60
    assert np.median(log.perception_ms) < 30


@pytest.mark.parametrize("how", list(Feed))
def test_a_frame_that_cannot_be_read_ends_the_feeding_after_all_frames_before_it(how):
    client = ListeningClient()
    with pytest.raises(SequenceError, match="frame 2: no image"):
        fed(SlowSequence(6, broken=2), client, how=how)
    assert [frame.index for frame in client.frames] == [0, 1]


@pytest.mark.parametrize("how", list(Feed))
def test_a_reader_that_hangs_is_waited_for_within_the_limit(how):
    with pytest.raises(ModuleFailedError, match="no prediction came within 1 s"):
        fed(SlowSequence(3, seconds=3), ListeningClient(), how=how)


def test_frames_that_were_dropped_leave_their_imu_samples_to_the_next_one_sent():
    client = ListeningClient(seconds=0.05)
    log = fed(CountedSequence(30), client, how=Feed.REALTIME)
    assert log.dropped > 0
    received = np.concatenate([frame.imu_timestamps_ns for frame in client.frames[1:]])
    first, last = client.frames[0].timestamp_ns, client.frames[-1].timestamp_ns
    step = PERIOD_NS // 4
    np.testing.assert_array_equal(received, np.arange(first + step, last + 1, step))


def test_a_slow_backend_is_handed_the_next_frame_ahead():
    client = ListeningClient(seconds=0.05)
    fed(CountedSequence(10), client)
    assert client.upcoming[-1] is None
    for upcoming, frame in zip(client.upcoming[1:-1], client.frames[2:], strict=True):
        assert upcoming is frame


def test_at_sensor_rate_no_frame_is_sent_ahead():
    client = ListeningClient()
    fed(CountedSequence(5), client, how=Feed.REALTIME)
    assert client.upcoming == [None] * len(client.frames)


def test_mono_mode_sends_no_depth():
    client = ListeningClient()
    fed(CountedSequence(3), client, mode=Mode.MONO)
    assert all(frame.depth is None for frame in client.frames)


def test_at_sensor_rate_every_frame_of_a_fast_pipeline_is_sent_and_none_too_early():
    client = ListeningClient()
    started = time.monotonic()
    log = fed(CountedSequence(8, period_ns=200_000_000), client, NoneModule(), Mode.MONO, Feed.REALTIME)
    assert time.monotonic() - started >= 7 * 0.2
    assert log.dropped + len(client.frames) == 8
    assert len(client.frames) >= 6


class BrokenModule(PerceptionModule):
    """Gives depth of another size."""

    def outputs(self, sequence):
        return frozenset({"depth"})

    def predict(self, frame):
        return Prediction(depth=np.ones((2, 2), dtype=np.float32))


@pytest.mark.parametrize("how", list(Feed))
def test_a_wrong_prediction_ends_the_feeding_and_names_the_frame(how):
    with pytest.raises(
        PerceptionError, match=r"frame 0: depth must be float32 \(24, 32\), got float32 \(2, 2\)"
    ):
        fed(CountedSequence(5), ListeningClient(), BrokenModule(), how=how)


class FailingModule(PerceptionModule):
    """Does what ``how`` says instead of predicting."""

    def __init__(self, how):
        self.how = how

    def outputs(self, sequence):
        return frozenset({"depth"})

    def predict(self, frame):
        match self.how:
            case "raise":
                raise RuntimeError("CUDA out of memory")
            case "hang":
                time.sleep(3)
            case "no array":
                return Prediction(depth=[[1.0]])
            case "no depth":
                return Prediction()
        return None


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raise", "frame 0: module: RuntimeError: CUDA out of memory"),
        ("hang", "module: no prediction came within 1 s, which is the limit"),
        ("nothing", "frame 0: a NoneType is no Prediction"),
        ("no array", r"frame 0: depth must be float32 \(24, 32\), got list"),
        ("no depth", r"frame 0: depth is missing, which outputs\(\) promised"),
    ],
)
def test_a_module_that_fails_is_named_and_the_backend_is_not_blamed(how, message):
    with pytest.raises(ModuleFailedError, match=message):
        fed(CountedSequence(5), ListeningClient(), FailingModule(how))


def test_labels_and_imu_go_to_backends_that_take_them_alone():
    client = ListeningClient()
    sequence = CountedSequence(3)
    module = GuardedModule("sensor", SensorModule())
    module.outputs(sequence.info)
    plan = FeedingPlan(sequence, module, Mode.RGBD, False, False, len(sequence), limit_s=1.0)
    feed(plan, client, Feed.LOCKSTEP, FeedingLog(), lambda done, total: None)
    assert all(frame.imu is None and frame.semantics is None for frame in client.frames)
