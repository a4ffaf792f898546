"""One ZeroMQ connection between harness and backend: parts go out and come in, with limits on silence."""

import time
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Protocol

import zmq

from adapters.errors import AdapterError, BackendTimeoutError

#: How often a silent backend is looked after, milliseconds. Answers are seen at once.
_LOOK_AFTER_MS = 100

#: More than any trajectory takes. A backend that sends more loses its connection, and is then silent.
_LARGEST_PART_BYTES = 256 * 1024**2
#: Answers that nobody has asked for wait in the backend's memory, not here.
_WAITING_MESSAGES = 2

Parts = Sequence[bytes | memoryview]


class Watched(Protocol):
    """What must be known of the backend at the other end."""

    def failure(self) -> AdapterError | None:
        """Why it can answer no more; None while it can."""


class Connection:
    """The harness's end of the socket. A context manager.

    Args:
        socket_path: Unix socket to bind; the backend connects to it.
    """

    def __init__(self, socket_path: Path):
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PAIR)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, _WAITING_MESSAGES)
        self._socket.setsockopt(zmq.MAXMSGSIZE, _LARGEST_PART_BYTES)
        self._socket.bind(f"ipc://{socket_path}")
        self._backend: Watched | None = None

    def watch(self, backend: Watched) -> None:
        """Say which backend is at the other end, so that its death is noticed at once."""
        self._backend = backend

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()
        self._context.term()

    def send(self, parts: Parts, limit_s: float, phase: str) -> None:
        """Send one message.

        Args:
            parts: Its parts; large ones are not copied and must not change afterwards.
            limit_s: How long the backend may take to be ready for it.
            phase: Where in the conversation this is, for messages.

        Raises:
            BackendTimeoutError: Nobody takes it.
            AdapterError: What the backend died of.
        """
        deadline = time.monotonic() + limit_s
        # Nothing can be sent before the backend has connected or after it is gone. Words that it left are
        # for whoever receives next.
        while not self._send_if_taken(parts):
            if self._socket.poll(0):
                return
            self._raise_failure(phase)
            if time.monotonic() > deadline:
                raise silence(limit_s, phase)

    def _send_if_taken(self, parts: Parts) -> bool:
        if not self._socket.poll(_LOOK_AFTER_MS, zmq.POLLOUT):
            return False
        try:
            self._socket.send_multipart(parts, flags=zmq.DONTWAIT, copy=False)
        except zmq.Again:  # it was there a moment ago and is gone
            return False
        return True

    def receive(self, until: float, phase: str) -> Parts | None:
        """Wait for a message up to a moment of the monotonic clock; None when none has come by then.

        Raises:
            AdapterError: What the backend died of.
        """
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
            raise type(failure)(f"{phase}: {failure}")


def silence(limit_s: float, phase: str) -> BackendTimeoutError:
    """The error for a backend that does not answer."""
    return BackendTimeoutError(f"{phase}: the backend was silent for {limit_s:g} s, which is the limit")
