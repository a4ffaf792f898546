"""What every backend must do, checked by really running it: the suite behind ``harness backends check``.

Half of the checks send something to the backend; the other half do something to it, or to its answers, and
look at what the harness makes of that.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from adapters.adapter import Adapter
from adapters.backend import CameraIntrinsics, Mode, RgbdFrame, StartRequest, TrackingState
from adapters.client import BackendClient, PhaseLimits
from adapters.connection import Connection, Parts
from adapters.errors import (
    AdapterError,
    BackendDiedError,
    BackendReportedError,
    BackendTimeoutError,
    ProtocolViolationError,
)
from adapters.messages import FinalAnswer, frame_message
from adapters.protocol import PROTOCOL_VERSION, Message, MessageType, decode, encode
from adapters.runtimes.runtime import LaunchRequest, RunningBackend, Runtime, socket_directory

_WIDTH, _HEIGHT = 320, 240
_FRAME_PERIOD_NS = 100_000_000
_FRAMES = 8
_INTRINSICS = CameraIntrinsics(260.0, 260.0, (_WIDTH - 1) / 2, (_HEIGHT - 1) / 2, _WIDTH, _HEIGHT)
#: How long a frozen backend may be silent before that has to be noticed.
_SHORT_SILENCE_S = 2.0


class CheckFailedError(Exception):
    """The backend, or what the harness makes of it, is not as it must be."""


class CheckState(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class CheckOutcome:
    """The outcome of one check.

    Attributes:
        name: The check.
        state: How it ended.
        detail: Why, when it did not pass.
        seconds: How long it took.
    """

    name: str
    state: CheckState
    detail: str
    seconds: float


class _NotApplicableError(Exception):
    """The check makes no sense for this backend."""


@dataclass(frozen=True)
class Bench:
    """A backend and the means to start it as often as a check wants.

    Attributes:
        adapter: The backend.
        runtime: What starts it.
        options: Its options, prepared.
        directory: Where it may write.
    """

    adapter: Adapter
    runtime: Runtime
    options: dict[str, object]
    directory: Path

    @contextmanager
    def running(self) -> Iterator[tuple[Connection, RunningBackend]]:
        """A freshly started backend and the connection to it."""
        with socket_directory() as directory:
            request = LaunchRequest(
                self.adapter,
                directory / "s",
                self.output_directory,
                self.directory / "backend.log",
                self.adapter.needs.memory_bytes,
            )
            with Connection(request.socket_path) as connection, self.runtime.start(request) as running:
                connection.watch(running)
                yield connection, running
                # A conversation that a check leaves open gives the backend nothing to end for.
                running.stop()

    @property
    def output_directory(self) -> Path:
        """Where the backend may write."""
        return self.directory / "output"

    @property
    def mode(self) -> Mode:
        """``rgbd`` where the backend can, since that sends more."""
        modes = self.adapter.capabilities().modes
        return Mode.RGBD if Mode.RGBD in modes else modes[0]

    def start_request(self) -> StartRequest:
        """The camera of :func:`frames`."""
        rate = 1e9 / _FRAME_PERIOD_NS
        return StartRequest(_INTRINSICS, self.mode, 0, rate, dict(self.options), self.output_directory)

    def frames(self, count: int = _FRAMES) -> Iterator[RgbdFrame]:
        """A camera that moves sideways along a textured wall two metres away."""
        wall = np.random.default_rng(0).integers(0, 255, (_HEIGHT, _WIDTH + 4 * count, 3), dtype=np.uint8)
        wall = np.repeat(np.repeat(wall[::4, ::4], 4, axis=0), 4, axis=1)
        depth = np.full((_HEIGHT, _WIDTH), 2.0, dtype=np.float32)
        for index in range(count):
            rgb = np.ascontiguousarray(wall[:, 2 * index : 2 * index + _WIDTH])
            yield RgbdFrame(
                index,
                1_000_000_000 + index * _FRAME_PERIOD_NS,
                rgb,
                depth if self.mode is Mode.RGBD else None,
            )

    def client(self, connection: Connection, limits: PhaseLimits | None = None) -> BackendClient:
        """A conversation that has been started."""
        client = BackendClient(connection, limits or PhaseLimits())
        client.hello()
        client.start(self.start_request())
        return client


class _Tampered(Connection):
    """Hands on every answer but one kind, which it changes."""

    def __init__(self, inner: Connection, kind: MessageType, change: Callable[[Message], Parts]):
        self._inner, self._kind, self._change = inner, kind, change
        self.changed_something = False

    def send(self, parts: Parts, limit_s: float, phase: str) -> None:
        self._inner.send(parts, limit_s, phase)

    def receive(self, until: float, phase: str) -> Parts | None:
        parts = self._inner.receive(until, phase)
        if parts is None:
            return None
        message = decode(parts)
        if message.kind is not self._kind:
            return parts
        self.changed_something = True
        return self._change(message)


@contextmanager
def _must_raise(*errors: type[AdapterError], because: str) -> Iterator[None]:
    try:
        yield
    except errors:
        return
    except AdapterError as error:
        raise CheckFailedError(f"{because}: ended with {type(error).__name__}: {error}") from error
    raise CheckFailedError(f"{because}: went through")


def _run(bench: Bench, frames: Iterator[RgbdFrame]) -> FinalAnswer:
    with bench.running() as (connection, _):
        client = bench.client(connection)
        for frame in frames:
            client.track(frame)
        return client.finish()


def check_introduces_itself_as_its_adapter_declares(bench: Bench) -> None:
    """``hello`` is answered with the capabilities that the adapter declares."""
    with bench.running() as (connection, _):
        announced = BackendClient(connection, PhaseLimits()).hello()
    if announced != bench.adapter.capabilities():
        raise CheckFailedError(f"announces {announced}, its adapter declares {bench.adapter.capabilities()}")


def check_runs_a_sequence_to_its_end(bench: Bench) -> None:
    """Every frame is answered and a trajectory comes back that passes all checks."""
    _run(bench, bench.frames())


def check_ends_clearly_after_a_single_frame(bench: Bench) -> None:
    """One frame is too few for most systems; the result may be empty, a crash it may not be."""
    _run(bench, bench.frames(1))


def check_ends_clearly_on_black_frames_without_depth(bench: Bench) -> None:
    """Nothing can be seen: in the end tracking may not be reported as ok."""
    black = (
        replace(frame, rgb=np.zeros_like(frame.rgb), depth=None if frame.depth is None else frame.depth * 0)
        for frame in bench.frames()
    )
    with bench.running() as (connection, _):
        client = bench.client(connection)
        states = [client.track(frame).result.state for frame in black]
        client.finish()
    if states[-1] is TrackingState.OK:
        raise CheckFailedError("reports tracking as ok on black frames without depth")


def check_gives_live_poses_when_it_says_so(bench: Bench) -> None:
    """Frames that are tracked get a pose at once from a backend that declares live poses, from no other."""
    with bench.running() as (connection, _):
        client = bench.client(connection)
        results = [client.track(frame).result for frame in bench.frames()]
    posed = sum(result.camera_to_world is not None for result in results)
    if not bench.adapter.capabilities().live_poses:
        if posed:
            raise CheckFailedError(f"declares no live poses and gave {posed} in {len(results)} frames")
        return
    tracked = [result for result in results if result.state is TrackingState.OK]
    if not tracked:
        raise _NotApplicableError(f"none of {len(results)} frames was tracked")
    if all(result.camera_to_world is None for result in tracked):
        raise CheckFailedError(f"declares live poses and gave none with {len(tracked)} tracked frames")


def check_takes_frames_while_it_works_on_the_one_before(bench: Bench) -> None:
    """Every frame is answered in turn when it was sent before the answer to the one before it."""
    frames = list(bench.frames())
    with bench.running() as (connection, _):
        client = bench.client(connection)
        for frame, upcoming in zip(frames, [*frames[1:], None], strict=True):
            client.track(frame, upcoming)
        client.finish()


def check_repeats_itself_when_it_says_so(bench: Bench) -> None:
    """A backend that calls itself deterministic gives the same bits twice."""
    if not bench.adapter.capabilities().deterministic:
        raise _NotApplicableError("it does not claim to be deterministic")
    first, second = (_run(bench, bench.frames()).result.trajectory for _ in range(2))
    if not np.array_equal(first.poses, second.poses):
        raise CheckFailedError("claims to be deterministic and gave two trajectories for the same frames")


def check_refuses_another_protocol_version(bench: Bench) -> None:
    """A message of another version is answered with an error, not worked with."""
    hello = encode(Message(MessageType.HELLO), version=PROTOCOL_VERSION + 1)
    _must_answer_with_error(bench, hello, "a 'hello' of another protocol version")


def check_refuses_garbage_bytes(bench: Bench) -> None:
    """Bytes that are no message are answered with an error."""
    garbage = np.random.default_rng(0).bytes(1000)
    _must_answer_with_error(bench, [garbage, garbage], "a thousand random bytes")


def check_refuses_a_frame_before_start(bench: Bench) -> None:
    """The order of the conversation is kept."""
    frame = encode(frame_message(next(bench.frames())))
    _must_answer_with_error(bench, frame, "a frame before 'start'")


def check_refuses_images_of_another_size(bench: Bench) -> None:
    """Frames must have the size that was announced."""
    *whole, frame = bench.frames()
    small = replace(
        frame,
        rgb=np.ascontiguousarray(frame.rgb[::2, ::2]),
        depth=None if frame.depth is None else np.ascontiguousarray(frame.depth[::2, ::2]),
    )
    _must_refuse_frame(bench, whole, small, "an image of half the size")


def check_refuses_nan_depth(bench: Bench) -> None:
    """Depth with NaN never reaches the SLAM system."""
    _needs_depth(bench)
    *whole, frame = bench.frames()
    broken = replace(frame, depth=np.full_like(frame.depth, np.nan))
    _must_refuse_frame(bench, whole, broken, "depth that is NaN")


def check_refuses_frames_out_of_order(bench: Bench) -> None:
    """Frames whose stamps go backwards never reach the SLAM system."""
    first, second, third, fourth = bench.frames(4)
    _must_refuse_frame(bench, [first, second, fourth], third, "a frame out of order")


def check_its_death_in_mid_sequence_is_noticed(bench: Bench) -> None:
    """When it is killed the harness knows at once and says so."""
    with bench.running() as (connection, running):
        client = bench.client(connection)
        frames = bench.frames()
        client.track(next(frames))
        running.kill()
        with _must_raise(BackendDiedError, because="killed in mid-sequence"):
            client.track(next(frames))


def check_its_silence_is_noticed(bench: Bench) -> None:
    """When it hangs the harness stops waiting at the limit, and what hangs is gone afterwards."""
    limits = PhaseLimits(frame_s=_SHORT_SILENCE_S)
    with bench.running() as (connection, running):
        client = bench.client(connection, limits)
        running.freeze()
        with _must_raise(BackendTimeoutError, because="frozen in mid-sequence"):
            client.track(next(bench.frames()))
    if running.failure() is None:
        raise CheckFailedError("still runs after it was stopped")


def check_garbage_from_it_is_refused(bench: Bench) -> None:
    """An answer that is no message fails the trial."""
    _must_refuse_answer(bench, MessageType.ACK, lambda _: [b"\x00garbage"], "garbage instead of an answer")


def check_an_answer_for_the_wrong_frame_is_refused(bench: Bench) -> None:
    """An answer that names another frame fails the trial."""

    def change(message: Message) -> Parts:
        fields = message.fields | {"index": message.fields["index"] + 1}
        return encode(replace(message, fields=fields))

    _must_refuse_answer(bench, MessageType.ACK, change, "an answer for the wrong frame")


def check_a_trajectory_with_nan_is_refused(bench: Bench) -> None:
    """A trajectory with NaN fails the trial instead of being scored."""

    def change(message: Message) -> Parts:
        poses = message.arrays["poses"].copy()
        if not len(poses):
            raise _NotApplicableError(f"it gave none of {_FRAMES} frames a pose")
        # Of the position alone: a quaternion with NaN would be refused for its length, too.
        poses[-1, 0] = np.nan
        return encode(replace(message, arrays=message.arrays | {"poses": poses}))

    _must_refuse_answer(bench, MessageType.RESULT, change, "a trajectory with NaN")


def check_a_trajectory_of_frames_never_sent_is_refused(bench: Bench) -> None:
    """Poses for frames that were never sent fail the trial."""

    def change(message: Message) -> Parts:
        # The pose itself is the identity, with which nothing is wrong.
        never_sent = {"timestamps_ns": np.zeros(1, dtype=np.int64), "poses": np.eye(7)[-1:]}
        return encode(replace(message, arrays=never_sent))

    _must_refuse_answer(bench, MessageType.RESULT, change, "a trajectory of frames never sent")


def _needs_depth(bench: Bench) -> None:
    if bench.mode is not Mode.RGBD:
        raise _NotApplicableError("it takes no depth")


def _must_answer_with_error(bench: Bench, parts: Parts, what: str) -> None:
    limits = PhaseLimits()
    with bench.running() as (connection, _):
        connection.send(parts, limits.hello_s, what)
        answer = connection.receive(time.monotonic() + limits.hello_s, what)
    if answer is None or decode(answer).kind is not MessageType.ERROR:
        raise CheckFailedError(f"{what} is not answered with an error")


def _must_refuse_frame(bench: Bench, good: Sequence[RgbdFrame], bad: RgbdFrame, what: str) -> None:
    """Frames that are as they must be go through; the one after them must not."""
    with bench.running() as (connection, _):
        client = bench.client(connection)
        for frame in good:
            client.track(frame)
        with _must_raise(BackendReportedError, because=what):
            client.track(bad)


def _must_refuse_answer(
    bench: Bench, kind: MessageType, change: Callable[[Message], Parts], what: str
) -> None:
    with bench.running() as (connection, _):
        tampered = _Tampered(connection, kind, change)
        client = bench.client(tampered)
        with _must_raise(ProtocolViolationError, because=what):
            for frame in bench.frames():
                client.track(frame)
            client.finish()
    if not tampered.changed_something:
        raise CheckFailedError(f"{what}: the backend broke the protocol by itself before it came to that")


Check = Callable[[Bench], None]

CHECKS: tuple[Check, ...] = (
    check_introduces_itself_as_its_adapter_declares,
    check_runs_a_sequence_to_its_end,
    check_ends_clearly_after_a_single_frame,
    check_ends_clearly_on_black_frames_without_depth,
    check_gives_live_poses_when_it_says_so,
    check_takes_frames_while_it_works_on_the_one_before,
    check_repeats_itself_when_it_says_so,
    check_refuses_another_protocol_version,
    check_refuses_garbage_bytes,
    check_refuses_a_frame_before_start,
    check_refuses_images_of_another_size,
    check_refuses_nan_depth,
    check_refuses_frames_out_of_order,
    check_its_death_in_mid_sequence_is_noticed,
    check_its_silence_is_noticed,
    check_garbage_from_it_is_refused,
    check_an_answer_for_the_wrong_frame_is_refused,
    check_a_trajectory_with_nan_is_refused,
    check_a_trajectory_of_frames_never_sent_is_refused,
)


def check_name(check: Check) -> str:
    """The sentence a check is shown as."""
    return check.__name__.removeprefix("check_").replace("_", " ")


def run_check(check: Check, bench: Bench) -> CheckOutcome:
    """Run one check."""
    started = time.monotonic()
    state, detail = CheckState.PASSED, ""
    try:
        check(bench)
    except _NotApplicableError as reason:
        state, detail = CheckState.NOT_APPLICABLE, str(reason)
    except CheckFailedError as failure:
        state, detail = CheckState.FAILED, str(failure)
    except Exception as error:  # noqa: BLE001 - one check that breaks must not hide the others
        state, detail = CheckState.FAILED, f"{type(error).__name__}: {error}"
    return CheckOutcome(check_name(check), state, detail, time.monotonic() - started)


def run_suite(adapter: Adapter, runtime: Runtime, options: dict[str, object]) -> Iterator[CheckOutcome]:
    """Run every check against a backend, one after the other."""
    with TemporaryDirectory(prefix="conformance-") as directory:
        bench = Bench(adapter, runtime, options, Path(directory))
        for check in CHECKS:
            yield run_check(check, bench)
