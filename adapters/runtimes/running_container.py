"""A backend that runs in a container: how it ended, its log on the disk, and its removal."""

import contextlib
import logging
import os
import signal
import threading
from typing import Any

from adapters.errors import AdapterError, BackendDiedError, ResourceLimitError
from adapters.runtimes.engine import EngineError, engine, engine_errors, require_answer
from adapters.runtimes.output_limit import OutputWatch
from adapters.runtimes.ownership import hand_over, start_ticks
from adapters.runtimes.reaper import Reaper
from adapters.runtimes.runtime import (
    LaunchRequest,
    RunningBackend,
    exit_error,
    in_gibibytes,
    too_much_output,
)

_log = logging.getLogger(__name__)

#: How long the engine may take to tell that a container that was killed has ended.
_END_S = 20.0
#: How long what a container printed last may take to arrive.
_LAST_WORDS_S = 3.0
#: Shells and engines count from here for processes that a signal ended.
_SIGNAL_EXIT = 128


class RunningContainer(RunningBackend):
    """A container that has been started.

    Args:
        container: A ``docker.models.containers.Container``.
        request: What was asked for.
        reaper: Removes it when this process cannot.
    """

    def __init__(self, container: Any, request: LaunchRequest, reaper: Reaper):
        self._container = container
        self._request = request
        self._reaper = reaper
        self._written_bytes: int | None = None
        self._lost: EngineError | None = None
        self._state: dict[str, Any] = {}
        self._ended = threading.Event()
        self._stopped = False
        self._pid, self._pid_ticks = self._process()
        self._waiter = self._thread("container-wait", self._wait)
        self._logger = self._thread("container-log", self._copy_log)
        self._output_watch = OutputWatch(
            [request.output_directory, request.log_file], request.output_limit_bytes, self._end_for_output
        )

    def failure(self) -> AdapterError | None:
        """The engine, a limit, a signal or the exit code, with the last lines of the log."""
        if not self._ended.is_set():
            return None
        self._logger.join(_LAST_WORDS_S)
        if self._written_bytes is not None:
            return too_much_output(self._written_bytes, self._request.output_limit_bytes)
        if self._lost is not None:
            return BackendDiedError(f"the container was lost: {self._lost}")
        if self._state.get("OOMKilled"):
            return self._out_of_memory("the backend was killed")
        code = int(self._state.get("ExitCode", 0))
        return exit_error(_SIGNAL_EXIT - code if code > _SIGNAL_EXIT else code, self._request.log_file)

    def account_for(self, error: AdapterError) -> AdapterError:
        """A limit that one process met, and of which another, or the same, complains in words of its own."""
        if isinstance(error, ResourceLimitError):
            return error
        # The conversation is over, and engines tell of memory only when all of the container has ended.
        self.kill()
        self._ended.wait(_END_S)
        if self._state.get("OOMKilled"):
            return self._out_of_memory(f"a process of the backend was killed, and then: {error}")
        # The kernel refuses to let a single file grow beyond the limit.
        written, limit = self._output_watch.taken(), self._request.output_limit_bytes
        return too_much_output(written, limit) if written >= limit else error

    def stop(self, grace_s: float = 0.0) -> None:
        """Let it end, or kill it; then remove it."""
        if self._stopped:
            return
        self._stopped = True
        self._ended.wait(grace_s)
        self._output_watch.stop()
        self.kill()
        if not self._ended.wait(_END_S):
            _log.warning("container %s does not end", self._container.short_id)
        self._logger.join(_LAST_WORDS_S)
        try:
            with engine_errors("cannot remove the container"):
                self._container.remove(force=True, v=True)
        except EngineError as error:
            _log.warning("%s; the next harness that finds the engine removes it", error)
            self._kill_without_engine()
            return
        finally:
            self._give_back_output()
        self._reaper.dismiss()

    def kill(self) -> None:
        """SIGKILL to everything in it."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP to its first process."""
        self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        if self._ended.is_set():
            return
        with contextlib.suppress(EngineError), engine_errors("cannot signal the container"):
            self._container.kill(signal=number.name)

    def _end_for_output(self, written_bytes: int) -> None:
        self._written_bytes = written_bytes
        self.kill()

    def _wait(self) -> None:
        try:
            with engine_errors("the engine went away while the container ran"):
                # Waits as long as it takes: the conversation has its own limits.
                self._container.wait(timeout=None)
                self._container.reload()
                self._state = self._container.attrs["State"]
            if self._state.get("ExitCode") == _SIGNAL_EXIT + signal.SIGKILL:
                # So ends what an engine is running while it is itself being stopped.
                require_answer(engine().address)
        except EngineError as error:
            self._lost = error
        finally:
            self._ended.set()

    def _look_at_state(self) -> dict[str, Any]:
        """The container's state as the engine tells it; the last one known when it tells no more."""
        with contextlib.suppress(EngineError), engine_errors("asking for the container's state"):
            self._container.reload()
            self._state = self._container.attrs["State"]
        return self._state

    def _copy_log(self) -> None:
        with (
            contextlib.suppress(EngineError, OSError),
            self._request.log_file.open("wb", buffering=0) as file,
            engine_errors("reading the container's log"),
        ):
            for piece in self._container.logs(stream=True, follow=True):
                file.write(piece)

    def _process(self) -> tuple[int, int | None]:
        """Its first process as this machine counts, for the case that the engine dies."""
        pid = int(self._look_at_state().get("Pid", 0))
        return pid, start_ticks(pid) if pid else None

    def _kill_without_engine(self) -> None:
        """Kill the first process of the container, which takes all others with it, where this user may."""
        if self._pid_ticks is not None and start_ticks(self._pid) == self._pid_ticks:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._pid, signal.SIGKILL)

    def _give_back_output(self) -> None:
        """What the container wrote belongs to whom the harness runs as."""
        if os.geteuid() == 0:
            hand_over(self._request.output_directory, os.geteuid(), os.getegid())

    def _out_of_memory(self, what: str) -> ResourceLimitError:
        return ResourceLimitError(
            f"out of memory: {what}; the container's limit is "
            f"{in_gibibytes(self._request.memory_limit_bytes)}, raise it with --memory-limit"
        )

    def _thread(self, name: str, work: Any) -> threading.Thread:
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        return thread
