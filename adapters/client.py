"""The harness's side of the conversation with one backend: asks, waits with limits, checks every answer."""

import time
from dataclasses import dataclass, fields
from math import ceil
from pathlib import Path
from typing import Protocol

import numpy as np
import zmq

from adapters.backend import Capabilities, RgbdFrame, StartRequest
from adapters.errors import (
    AdapterError,
    BackendReportedError,
    BackendTimeoutError,
    ProtocolViolationError,
)
from adapters.messages import (
    Acknowledgement,
    FinalAnswer,
    frame_message,
    parse_acknowledgement,
    parse_capabilities,
    parse_result,
    start_message,
)
from adapters.protocol import Message, MessageType, decode, encode

#: How often a silent backend is looked after, milliseconds. Answers are seen at once.
_LOOK_AFTER_MS = 100


@dataclass(frozen=True)
class PhaseLimits:
    """Seconds of silence after which a phase of the conversation has failed."""

    hello_s: float = 60.0
    start_s: float = 300.0
    frame_s: float = 60.0
    finish_s: float = 600.0

    def __post_init__(self) -> None:
        for limit in fields(self):
            if not getattr(self, limit.name) > 0:
                raise ValueError(f"{limit.name} must be positive")


class Watched(Protocol):
    """What the client must know of the backend it talks to."""

    def failure(self) -> AdapterError | None:
        """Why the backend can answer no more; None while it can."""


class BackendClient:
    """A conversation with one running backend. A context manager.

    Args:
        socket_path: Unix socket to bind; the backend connects to it.
        limits: How long each phase may be silent.

    Every method raises ``BackendTimeoutError`` (silence), ``BackendReportedError`` (the backend's own words),
    ``ProtocolViolationError`` (an answer that breaks the protocol), or whatever the watched backend says it
    died of.
    """

    def __init__(self, socket_path: Path, limits: PhaseLimits):
        self._limits = limits
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PAIR)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(f"ipc://{socket_path}")
        self._sent_timestamps_ns: list[int] = []
        self._awaited_index: int | None = None
        self._sent_at = 0.0
        self._backend: Watched | None = None

    def watch(self, backend: Watched) -> None:
        """Tell the client which backend will connect, so that its death is noticed at once."""
        self._backend = backend

    def __enter__(self) -> "BackendClient":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the conversation."""
        self._socket.close()
        self._context.term()

    def hello(self) -> Capabilities:
        """Ask who is there."""
        answer = self._ask(Message(MessageType.HELLO), MessageType.CAPABILITIES, self._limits.hello_s)
        return parse_capabilities(answer)

    def start(self, request: StartRequest) -> None:
        """Have the backend load everything."""
        self._ask(start_message(request), MessageType.READY, self._limits.start_s)

    def track(self, frame: RgbdFrame) -> Acknowledgement:
        """Send a frame and wait for its answer."""
        self.send(frame)
        acknowledgement = self.receive()
        assert acknowledgement is not None, "waiting without a time-out ends with an answer or an error"
        return acknowledgement

    def send(self, frame: RgbdFrame) -> None:
        """Send a frame without waiting; one at a time may be under way."""
        assert self._awaited_index is None, "the answer to the frame before has not been taken yet"
        self._awaited_index = frame.index
        self._sent_timestamps_ns.append(frame.timestamp_ns)
        self._sent_at = time.monotonic()
        self._send(encode(frame_message(frame)), self._limits.frame_s, f"on frame {frame.index}")

    def receive(self, wait_s: float | None = None) -> Acknowledgement | None:
        """Take the answer to the frame under way.

        Args:
            wait_s: Look for it this long and return None when it has not come; None waits up to the limit.
        """
        assert self._awaited_index is not None, "no frame is under way"
        deadline = self._sent_at + self._limits.frame_s
        until = deadline if wait_s is None else min(deadline, time.monotonic() + wait_s)
        phase = f"on frame {self._awaited_index}"
        parts = self._receive(until, phase)
        if parts is None:
            if until < deadline:
                return None
            raise self._silence(phase, self._limits.frame_s)
        acknowledgement = parse_acknowledgement(_expect(parts, MessageType.ACK), self._awaited_index)
        self._awaited_index = None
        return acknowledgement

    def finish(self) -> FinalAnswer:
        """Have the backend finish and hand over its trajectory."""
        answer = self._ask(Message(MessageType.FINISH), MessageType.RESULT, self._limits.finish_s)
        return parse_result(answer, np.asarray(self._sent_timestamps_ns, dtype=np.int64))

    def _ask(self, message: Message, expected: MessageType, limit_s: float) -> Message:
        phase = f"after '{message.kind.value}'"
        self._send(encode(message), limit_s, phase)
        parts = self._receive(time.monotonic() + limit_s, phase)
        if parts is None:
            raise self._silence(phase, limit_s)
        return _expect(parts, expected)

    def _silence(self, phase: str, limit_s: float) -> BackendTimeoutError:
        return BackendTimeoutError(f"the backend was silent for {limit_s:g} s {phase}, which is the limit")

    def _send(self, parts: list[bytes | memoryview], limit_s: float, phase: str) -> None:
        deadline = time.monotonic() + limit_s
        # Nothing can be sent before the backend has connected or after it is gone. Words that it left are
        # for whoever receives next.
        while not self._socket.poll(_LOOK_AFTER_MS, zmq.POLLOUT):
            if self._socket.poll(0):
                return
            self._raise_failure(phase)
            if time.monotonic() > deadline:
                raise self._silence(phase, limit_s)
        self._socket.send_multipart(parts, copy=False)

    def _receive(self, until: float, phase: str) -> list[bytes | memoryview] | None:
        """Wait for a message until a moment of the monotonic clock; None when none has come by then."""
        while True:
            remaining_ms = max(0.0, (until - time.monotonic()) * 1e3)
            if self._socket.poll(min(_LOOK_AFTER_MS, ceil(remaining_ms))):
                return [part.buffer for part in self._socket.recv_multipart(copy=False)]
            self._raise_failure(phase)
            if remaining_ms == 0.0:
                return None

    def _raise_failure(self, phase: str) -> None:
        failure = self._backend.failure() if self._backend is not None else None
        # Its last words may have arrived between the poll and its death.
        if failure is not None and not self._socket.poll(0):
            raise type(failure)(f"{failure} ({phase})")


def _expect(parts: list[bytes | memoryview], expected: MessageType) -> Message:
    message = decode(parts)
    if message.kind is MessageType.ERROR:
        raise BackendReportedError(f"the backend reports: {message.value('message', str)}")
    if message.kind is not expected:
        raise ProtocolViolationError(
            f"the backend answered '{message.kind.value}' where '{expected.value}' was due"
        )
    return message
