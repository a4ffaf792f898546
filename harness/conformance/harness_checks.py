"""Checks of what the harness makes of a backend that dies, hangs, or whose answers are wrong."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from adapters.client import PhaseLimits
from adapters.connection import Connection, Parts
from adapters.errors import BackendDiedError, BackendTimeoutError, ProtocolViolationError
from adapters.protocol import Message, MessageType, decode, encode
from harness.conformance.bench import FRAMES, Bench
from harness.conformance.outcome import CheckFailedError, NotApplicableError, must_raise

#: How long a frozen backend may be silent before that has to be noticed.
_SHORT_SILENCE_S = 2.0


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


def check_its_death_in_mid_sequence_is_noticed(bench: Bench) -> None:
    """When it is killed the harness knows at once and says so."""
    with bench.running() as (connection, running):
        client = bench.client(connection)
        frames = bench.frames()
        client.track(next(frames))
        running.kill()
        with must_raise(BackendDiedError, because="killed in mid-sequence"):
            client.track(next(frames))


def check_its_silence_is_noticed(bench: Bench) -> None:
    """When it hangs the harness stops waiting at the limit, and what hangs is gone afterwards."""
    limits = PhaseLimits(frame_s=_SHORT_SILENCE_S)
    with bench.running() as (connection, running):
        client = bench.client(connection, limits)
        running.freeze()
        with must_raise(BackendTimeoutError, because="frozen in mid-sequence"):
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
            raise NotApplicableError(f"it gave none of {FRAMES} frames a pose")
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


def _must_refuse_answer(
    bench: Bench, kind: MessageType, change: Callable[[Message], Parts], what: str
) -> None:
    with bench.running() as (connection, _):
        tampered = _Tampered(connection, kind, change)
        client = bench.client(tampered)
        with must_raise(ProtocolViolationError, because=what):
            for frame in bench.frames():
                client.track(frame)
            client.finish()
    if not tampered.changed_something:
        raise CheckFailedError(f"{what}: the backend broke the protocol by itself before it came to that")
