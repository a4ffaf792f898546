"""The harness's side of the conversation with one backend: asks, waits with limits, checks every answer."""

import time
from dataclasses import dataclass, fields
from math import inf

import numpy as np

from adapters.backend import Capabilities, RgbdFrame, StartRequest
from adapters.connection import Connection, Parts, silence
from adapters.errors import BackendReportedError, ProtocolViolationError
from adapters.messages import (
    Acknowledgement,
    FinalAnswer,
    frame_message,
    parse_acknowledgement,
    parse_capabilities,
    parse_result,
    start_message,
)
from adapters.printable import printable
from adapters.protocol import Message, MessageType, decode, encode


@dataclass(frozen=True)
class PhaseLimits:
    """Seconds of silence after which a phase of the conversation has failed."""

    hello_s: float = 60.0
    start_s: float = 300.0
    frame_s: float = 60.0
    finish_s: float = 600.0

    def __post_init__(self) -> None:
        for limit in fields(self):
            if not 0 < getattr(self, limit.name) < inf:
                raise ValueError(f"{limit.name} must be positive and finite")


class BackendClient:
    """A conversation with one running backend.

    Args:
        connection: Leads to the backend.
        limits: How long each phase may be silent.

    Every method raises ``BackendTimeoutError`` (silence), ``BackendReportedError`` (the backend's own words),
    ``ProtocolViolationError`` (an answer that breaks the protocol), or whatever the backend died of.
    """

    def __init__(self, connection: Connection, limits: PhaseLimits):
        self._connection = connection
        self._limits = limits
        self._sent_indices: list[int] = []
        self._sent_timestamps_ns: list[int] = []
        self._under_way: RgbdFrame | None = None

    def hello(self) -> Capabilities:
        """Ask who is there."""
        answer = self._ask(Message(MessageType.HELLO), MessageType.CAPABILITIES, self._limits.hello_s)
        return parse_capabilities(answer)

    def start(self, request: StartRequest) -> None:
        """Have the backend load everything."""
        self._ask(start_message(request), MessageType.READY, self._limits.start_s)

    def track(self, frame: RgbdFrame, upcoming: RgbdFrame | None = None) -> Acknowledgement:
        """Have a frame tracked and wait for its answer.

        Args:
            frame: The frame.
            upcoming: The frame that will be tracked next, where it is known already: it travels while the
                backend works on this one.
        """
        phase = f"on frame {frame.index}"
        if frame is not self._under_way:
            self._send_frame(frame, phase)
        if upcoming is not None:
            self._send_frame(upcoming, phase)
        self._under_way = upcoming
        answer = self._receive(MessageType.ACK, self._limits.frame_s, phase)
        return parse_acknowledgement(answer, frame.index)

    def _send_frame(self, frame: RgbdFrame, phase: str) -> None:
        self._sent_indices.append(frame.index)
        self._sent_timestamps_ns.append(frame.timestamp_ns)
        self._connection.send(encode(frame_message(frame)), self._limits.frame_s, phase)

    def finish(self) -> FinalAnswer:
        """Have the backend finish and hand over its trajectory."""
        answer = self._ask(Message(MessageType.FINISH), MessageType.RESULT, self._limits.finish_s)
        return parse_result(answer, self._sent_indices, np.asarray(self._sent_timestamps_ns, dtype=np.int64))

    def _ask(self, message: Message, expected: MessageType, limit_s: float) -> Message:
        phase = f"after '{message.kind.value}'"
        self._connection.send(encode(message), limit_s, phase)
        return self._receive(expected, limit_s, phase)

    def _receive(self, expected: MessageType, limit_s: float, phase: str) -> Message:
        parts = self._connection.receive(time.monotonic() + limit_s, phase)
        if parts is None:
            raise silence(limit_s, phase)
        return _expect(parts, expected)


def _expect(parts: Parts, expected: MessageType) -> Message:
    message = decode(parts)
    if message.kind is MessageType.ERROR:
        raise BackendReportedError(f"the backend reports: {printable(message.value('message', str))}")
    if message.kind is not expected:
        raise ProtocolViolationError(
            f"the backend answered '{message.kind.value}' where '{expected.value}' was due"
        )
    return message
