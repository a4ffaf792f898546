"""Handing the frames of a sequence to a backend: every one in turn, or at the rate of the sensor.

Where every frame takes its turn, three things go on beside each other: threads read, one thread predicts,
and the backend works on what has been predicted. A bounded number of frames is in memory, however long the
sequence is.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from adapters.backend import Mode, RgbdFrame, TrackingState
from adapters.client import BackendClient
from harness.configuration import Feed
from harness.prediction_thread import PredictionThread, within_limit
from perception.guarded import GuardedModule
from sequences.model import NANOSECONDS_PER_SECOND, Sequence
from sequences.read_ahead import ReadAhead, ReadFrame, read_frame

#: Frames that are read and predicted ahead of the backend.
FRAMES_AHEAD = 2
#: Frames that are read and wait for the module, and threads that read.
FRAMES_READ_AHEAD = 2
READING_THREADS = 2


@dataclass(frozen=True)
class FeedingPlan:
    """What is fed to a backend, and how.

    Attributes:
        sequence: Where frames come from; used from several threads at once.
        module: Predicts each of them; used from one thread.
        mode: Whether depth goes along.
        sends_labels: Whether labels go along: to backends that use them and know what they mean.
        sends_imu: Whether IMU samples go along: to backends that use them.
        frames: How many frames of the sequence take part, from the first.
        limit_s: How long reading and predicting one frame may take.
    """

    sequence: Sequence
    module: GuardedModule
    mode: Mode
    sends_labels: bool
    sends_imu: bool
    frames: int
    limit_s: float


@dataclass
class FeedingLog:
    """What happened while frames were fed: one entry per frame that was sent, unless said otherwise.

    Attributes:
        timestamps_ns: Stamps of the frames.
        states: The backend's tracking state after each.
        live_timestamps_ns: Stamps of the frames whose answer had a pose.
        live_poses: Those poses, camera to world, 4×4.
        reading_ms: Time to read each, in the thread that did.
        perception_ms: Time to predict each of those that were predicted.
        cached_frames: How many were not, since their prediction had been made before and kept.
        backend_ms: Time the backend says it spent on each.
        waited_s: Time it says it waited after each on purpose, for threads of its own.
        answer_ms: Time the harness waited for the answer to each, which it handed over at once.
        dropped: Frames that left while the pipeline was busy (feed ``realtime``).
    """

    timestamps_ns: list[int] = field(default_factory=list)
    states: list[TrackingState] = field(default_factory=list)
    live_timestamps_ns: list[int] = field(default_factory=list)
    live_poses: list[NDArray[np.float64]] = field(default_factory=list)
    reading_ms: list[float] = field(default_factory=list)
    perception_ms: list[float] = field(default_factory=list)
    cached_frames: int = 0
    backend_ms: list[float] = field(default_factory=list)
    waited_s: list[float] = field(default_factory=list)
    answer_ms: list[float] = field(default_factory=list)
    dropped: int = 0


@dataclass(frozen=True)
class _Predicted:
    frame: RgbdFrame
    reading_ms: float
    #: None for a prediction that was made before.
    perception_ms: float | None


#: A frame to hand over, and the one after it where that is known.
_Turn = tuple[_Predicted, RgbdFrame | None]


def feed(
    plan: FeedingPlan,
    client: BackendClient,
    how: Feed,
    log: FeedingLog,
    progress: Callable[[int, int], None],
) -> None:
    """Feed a backend that has been started.

    Args:
        plan: What to feed.
        client: The conversation with the backend.
        how: ``lockstep`` waits for every answer; ``realtime`` lets frames leave at the sensor's rate.
        log: Filled in as frames are fed, so that it says how far things went when they fail.
        progress: Called with the frames done and the frames there are.

    Raises:
        SequenceError: A frame cannot be read.
        PerceptionError: A frame cannot be predicted.
        AdapterError: The backend failed.
    """
    frames = (_frames_in_turn if how is Feed.LOCKSTEP else _frames_at_sensor_rate)(plan, log)
    with closing(frames):
        for predicted, upcoming in frames:
            _hand_over(predicted, upcoming, client, log)
            progress(predicted.frame.index + 1, plan.frames)


def _hand_over(
    predicted: _Predicted, upcoming: RgbdFrame | None, client: BackendClient, log: FeedingLog
) -> None:
    frame = predicted.frame
    sent = time.perf_counter()
    answer = client.track(frame, upcoming)
    log.answer_ms.append((time.perf_counter() - sent) * 1e3)
    log.reading_ms.append(predicted.reading_ms)
    if predicted.perception_ms is None:
        log.cached_frames += 1
    else:
        log.perception_ms.append(predicted.perception_ms)
    log.backend_ms.append(answer.milliseconds)
    log.waited_s.append(answer.result.waited_seconds)
    log.timestamps_ns.append(frame.timestamp_ns)
    log.states.append(answer.result.state)
    if answer.result.camera_to_world is not None:
        log.live_timestamps_ns.append(frame.timestamp_ns)
        # A copy, since the answer is a view into the whole received message.
        log.live_poses.append(answer.result.camera_to_world.copy())


def _predict(plan: FeedingPlan, read: ReadFrame, previous_ns: int | None) -> _Predicted:
    """Predict one frame; ``previous_ns`` is the stamp of the frame sent before it."""
    frame = read.frame
    timed = plan.module.predict_timed(frame)
    prediction = timed.prediction
    samples = None
    if plan.sends_imu and previous_ns is not None:
        samples = plan.sequence.imu_between(previous_ns, frame.timestamp_ns)
    rgbd = RgbdFrame(
        index=frame.index,
        timestamp_ns=frame.timestamp_ns,
        rgb=frame.rgb,
        depth=prediction.depth if plan.mode is Mode.RGBD else None,
        semantics=prediction.semantics if plan.sends_labels else None,
        imu=None if samples is None else np.hstack([samples.gyroscope, samples.accelerometer]),
        imu_timestamps_ns=None if samples is None else samples.timestamps_ns,
    )
    perception_ms = None if timed.seconds is None else timed.seconds * 1e3
    return _Predicted(rgbd, read.seconds * 1e3, perception_ms)


def _frames_in_turn(plan: FeedingPlan, log: FeedingLog) -> Generator[_Turn]:
    """Every frame, read and predicted by other threads while the backend works on those before."""
    stamps = plan.sequence.info.timestamps_ns
    ahead: deque[Future[_Predicted]] = deque()
    frames = ReadAhead(plan.sequence, range(plan.frames), READING_THREADS, FRAMES_READ_AHEAD)
    with frames, PredictionThread() as thread:
        for index in range(plan.frames):
            previous_ns = int(stamps[index - 1]) if index else None
            ahead.append(thread.submit(partial(_predict_next, plan, frames, previous_ns)))
            if len(ahead) > FRAMES_AHEAD:
                yield _result(ahead.popleft(), plan), _ready(ahead)
        while ahead:
            yield _result(ahead.popleft(), plan), _ready(ahead)


def _predict_next(plan: FeedingPlan, frames: ReadAhead, previous_ns: int | None) -> _Predicted:
    # A reader that hangs keeps the thread of the module waiting here, within the limit of the two together.
    return _predict(plan, next(frames), previous_ns)


def _ready(ahead: Iterable[Future[_Predicted]]) -> RgbdFrame | None:
    """The next frame, when it is there already."""
    upcoming = next(iter(ahead), None)
    if upcoming is None or not upcoming.done() or upcoming.exception() is not None:
        return None
    return upcoming.result().frame


def _frames_at_sensor_rate(plan: FeedingPlan, log: FeedingLog) -> Generator[_Turn]:
    """Always the newest frame that has left the sensor; those that left meanwhile are dropped and counted."""
    stamps = plan.sequence.info.timestamps_ns[: plan.frames]
    leaves_at_s = (stamps - stamps[0]) / NANOSECONDS_PER_SECOND
    started = time.monotonic()
    index, previous_ns = 0, None
    with PredictionThread() as thread:
        while index < plan.frames:
            elapsed = time.monotonic() - started
            if elapsed < leaves_at_s[index]:
                time.sleep(leaves_at_s[index] - elapsed)
            else:
                newest = int(np.searchsorted(leaves_at_s, elapsed, side="right")) - 1
                log.dropped += newest - index
                index = newest
            predicted = _result(thread.submit(partial(_read_and_predict, plan, index, previous_ns)), plan)
            previous_ns = predicted.frame.timestamp_ns
            index += 1
            yield predicted, None


def _read_and_predict(plan: FeedingPlan, index: int, previous_ns: int | None) -> _Predicted:
    return _predict(plan, read_frame(plan.sequence, index), previous_ns)


def _result(predicted: Future[_Predicted], plan: FeedingPlan) -> _Predicted:
    return within_limit(predicted, plan.limit_s, plan.module.name)
