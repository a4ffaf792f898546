"""The backend's side of the conversation: one backend, one connection, one sequence.

Started as ``python -m adapters.server MODULE:CLASS --endpoint ipc:///path/to/socket``.
"""

import argparse
import faulthandler
import importlib
import logging
import resource
import time
from collections.abc import Sequence

import zmq

from adapters.backend import Backend, BackendInputError, StartRequest
from adapters.errors import ProtocolViolationError
from adapters.messages import (
    Acknowledgement,
    FinalAnswer,
    FrameStamp,
    acknowledgement_message,
    capabilities_message,
    parse_frame,
    parse_start,
    result_message,
)
from adapters.parent_death import die_with_parent
from adapters.protocol import Message, MessageType, decode, encode

_log = logging.getLogger(__name__)

#: How long an answer may wait for the harness to take it when the server ends.
_LINGER_MS = 5000


class Conversation:
    """Answers the messages of one harness in the order the protocol demands."""

    def __init__(self, backend: Backend):
        self._backend = backend
        self._capabilities = backend.capabilities()
        self._request: StartRequest | None = None
        self._previous: FrameStamp | None = None
        self.over = False

    def answer(self, parts: Sequence[bytes | memoryview]) -> Message:
        """Answer one message; whatever goes wrong becomes an ``error`` and ends the conversation."""
        try:
            message = decode(parts)
            answer = self._answer(message)
        except (ProtocolViolationError, BackendInputError) as error:
            _log.error("%s", error)
            answer = Message(MessageType.ERROR, {"message": str(error)})
        except Exception as error:  # noqa: BLE001 - the SLAM system may raise anything; the harness must be told
            _log.exception("the backend failed")
            answer = Message(MessageType.ERROR, {"message": f"{type(error).__name__}: {error}"})
        self.over = answer.kind in (MessageType.ERROR, MessageType.RESULT)
        return answer

    def _answer(self, message: Message) -> Message:
        if message.kind is MessageType.HELLO:
            return capabilities_message(self._capabilities)
        if message.kind is MessageType.START and self._request is None:
            request = parse_start(message, self._capabilities)
            self._backend.start(request)
            self._request = request
            return Message(MessageType.READY)
        if message.kind is MessageType.FRAME and self._request is not None:
            return self._track(message, self._request)
        if message.kind is MessageType.FINISH and self._request is not None:
            result = self._backend.finish()
            # ru_maxrss is in KiB on Linux.
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            return result_message(FinalAnswer(result, peak + result.other_processes_peak_bytes))
        raise ProtocolViolationError(f"'{message.kind.value}' was not expected at this point")

    def _track(self, message: Message, request: StartRequest) -> Message:
        frame = parse_frame(message, request, self._previous)
        started = time.perf_counter()
        result = self._backend.track(frame)
        milliseconds = (time.perf_counter() - started - result.waited_seconds) * 1e3
        self._previous = FrameStamp(frame.index, frame.timestamp_ns)
        return acknowledgement_message(Acknowledgement(frame.index, result, milliseconds))


def serve(backend: Backend, endpoint: str) -> None:
    """Answer the harness at ``endpoint`` until the conversation is over."""
    context = zmq.Context()
    socket = context.socket(zmq.PAIR)
    socket.setsockopt(zmq.LINGER, _LINGER_MS)
    try:
        socket.connect(endpoint)
        conversation = Conversation(backend)
        while not conversation.over:
            parts = [part.buffer for part in socket.recv_multipart(copy=False)]
            socket.send_multipart(encode(conversation.answer(parts)), copy=False)
    finally:
        backend.close()
        socket.close()
        context.term()


def load_backend(name: str) -> Backend:
    """Create the backend that ``MODULE:CLASS`` names."""
    module, _, attribute = name.partition(":")
    backend = getattr(importlib.import_module(module), attribute)()
    if not isinstance(backend, Backend):
        raise TypeError(f"{name} is no adapters.backend.Backend")
    return backend


def main() -> None:
    """Command line of the server side."""
    parser = argparse.ArgumentParser(prog="adapters.server", description=__doc__)
    parser.add_argument("backend", metavar="MODULE:CLASS")
    parser.add_argument("--endpoint", required=True, help="ZeroMQ endpoint that the harness has bound")
    parser.add_argument("--parent", type=int, metavar="PID", help="the starting process; end when it ends")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    faulthandler.enable()
    if arguments.parent is not None:
        die_with_parent(arguments.parent)
    serve(load_backend(arguments.backend), arguments.endpoint)


if __name__ == "__main__":
    main()
