"""The back end in a process of its own, so that tracking never waits for mapping."""

import logging
import multiprocessing
import os
import queue
import threading
import time
from collections import deque
from multiprocessing.connection import Connection
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from adapters.backend import BackendInputError
from adapters.mono_hydra.back_end_messages import (
    Answer,
    BackEndFailed,
    BackEndSetup,
    Finish,
    Finished,
    KeyframeDone,
    Locate,
    Located,
    NewKeyframe,
    Ready,
    Request,
)
from adapters.mono_hydra.model import RgbdLabels
from adapters.parent_death import die_with_parent

_log = logging.getLogger(__name__)

_Kind = TypeVar("_Kind", Ready, Located, Finished)
_POLL_SECONDS = 0.2
_GOODBYE_SECONDS = 5.0
# So long nothing has to be asked before the map is made anew.
_IDLE_SECONDS = 0.05


class BackEndProcess:
    """Starts the process and keeps account of what it has not answered yet.

    Every method may raise :class:`BackendInputError` when the process has failed.

    Args:
        setup: What it is told.
    """

    def __init__(self, setup: BackEndSetup) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._connection: Connection = ours
        self._process = context.Process(
            target=_serve, args=(theirs, setup, os.getpid()), name="back-end", daemon=True
        )
        self._process.start()
        theirs.close()
        self._outbox: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        # Images travel when the process takes them; that must not hold up tracking.
        self._sender = threading.Thread(target=self._send, name="back-end-sender", daemon=True)
        self._sender.start()
        self._waiting = 0
        self._correction = np.eye(4)
        self._connected = True
        self._answers: deque[Answer] = deque()
        self._answer(Ready)

    @property
    def waiting_keyframes(self) -> int:
        """Keyframes that it has not worked through."""
        self._receive(0.0)
        return self._waiting

    @property
    def correction(self) -> NDArray[np.float64]:
        """float64 [4, 4], takes the odometry's world to that of the closed loops, as far as is known."""
        self._receive(0.0)
        return self._correction

    @property
    def connected(self) -> bool:
        """Whether anything ties the newest keyframe that was worked through to the first one."""
        self._receive(0.0)
        return self._connected

    def send_keyframe(self, message: NewKeyframe) -> None:
        """Hands over a keyframe; returns at once."""
        self._waiting += 1
        self._outbox.put(message)

    def wait_for_keyframes(self, most: int) -> float:
        """Waits until at most so many keyframes are left to work through; returns the seconds that took."""
        started = time.perf_counter()
        while self._waiting > most:
            self._receive(_POLL_SECONDS)
        return time.perf_counter() - started

    def locate(self, frame: RgbdLabels) -> Located:
        """Finds a frame among the keyframes sent so far, when those have been worked through."""
        self._outbox.put(Locate(frame))
        return self._answer(Located)

    def finish(self, message: Finish) -> Finished:
        """Has everything finished and written."""
        self._outbox.put(message)
        return self._answer(Finished)

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        self._outbox.put(None)
        self._process.terminate()
        self._process.join(_GOODBYE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()

    def _send(self) -> None:
        while (message := self._outbox.get()) is not None:
            try:
                self._connection.send(message)
            except (OSError, ValueError):
                # It has died or was closed; whoever waits for an answer finds out.
                return
            except Exception:  # noqa: BLE001 - it would end this thread, and somebody would wait for ever
                _log.exception("a message to the mapping process could not be sent")
                self._process.terminate()
                return

    def _answer(self, kind: type[_Kind]) -> _Kind:
        while True:
            while self._answers:
                answer = self._answers.popleft()
                if isinstance(answer, kind):
                    return answer
            self._receive(_POLL_SECONDS)

    def _receive(self, seconds: float) -> None:
        """Takes in what it has answered, waiting so long for the first answer."""
        try:
            while self._connection.poll(seconds):
                self._take(self._connection.recv())
                seconds = 0.0
        except (EOFError, OSError) as error:
            raise BackendInputError(f"the mapping process has ended ({self._ending()})") from error
        if not self._process.is_alive() and not self._connection.poll(0.0):
            raise BackendInputError(f"the mapping process has ended ({self._ending()})")

    def _ending(self) -> str:
        self._process.join(_GOODBYE_SECONDS)
        return f"exit code {self._process.exitcode}"

    def _take(self, answer: Answer) -> None:
        if isinstance(answer, KeyframeDone):
            self._waiting -= 1
            self._connected = answer.connected
            if answer.correction is not None:
                self._correction = answer.correction
        elif isinstance(answer, BackEndFailed):
            raise BackendInputError(f"the mapping process failed: {answer.message}")
        else:
            self._answers.append(answer)


def _serve(connection: Connection, setup: BackEndSetup, parent: int) -> None:
    """Runs in the process: answers until the other side is gone."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    die_with_parent(parent)
    try:
        # Open3D and gtsam take seconds to import, and here alone are they needed together.
        from adapters.mono_hydra.back_end import BackEnd

        back_end = BackEnd(setup)
        connection.send(Ready())
        while True:
            if not connection.poll(_IDLE_SECONDS):
                back_end.idle()
            message = connection.recv()
            if isinstance(message, NewKeyframe):
                connection.send(back_end.take_keyframe(message))
            elif isinstance(message, Locate):
                connection.send(back_end.locate(message.frame))
            elif isinstance(message, Finish):
                connection.send(back_end.finish(message))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, the other side must be told
        _log.exception("the mapping process failed")
        connection.send(BackEndFailed(f"{type(error).__name__}: {error}"))
