"""Runtime ``process``: the backend in its own process group, with its own directory, watched for memory.

This keeps a crash, a leak or a hang of a SLAM system away from the harness and from other trials. It is no
sandbox: a process may read what its user may read.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from importlib import metadata
from typing import Any, ClassVar

import psutil

from adapters.adapter import Adapter
from adapters.errors import AdapterError, BackendUnavailableError, ResourceLimitError
from adapters.parent_death import adopt_orphans
from adapters.runtimes.output_limit import OutputWatch
from adapters.runtimes.runtime import (
    LaunchRequest,
    RunningBackend,
    Runtime,
    exit_error,
    in_gibibytes,
    too_much_output,
)

#: How often memory is looked at, seconds.
_MEMORY_PERIOD_S = 0.1
#: Never handed to a backend: it leads to the ground truth.
_HIDDEN_VARIABLES = ("HARNESS_DATA",)
#: Marks everything that one backend started, by a value that no other backend has.
_MARK_VARIABLE = "SLAM_HARNESS_BACKEND"


class ProcessRuntime(Runtime):
    """Starts ``python -m adapters.server`` with the Python that runs the harness."""

    name: ClassVar[str] = "process"

    def unavailable(self, adapter: Adapter) -> str | None:
        """What the backend's package lacks on this machine."""
        return adapter.missing()

    def start(self, request: LaunchRequest) -> RunningBackend:
        """Start the server side of the backend in a session of its own."""
        request.output_directory.mkdir(parents=True, exist_ok=True)
        adopt_orphans()
        command = [
            # -P: a file called queue.py in the working directory must not take the place of Python's own.
            *(sys.executable, "-P", "-m", "adapters.server", request.adapter.server),
            *("--endpoint", f"ipc://{request.socket_path}", "--parent", str(os.getpid())),
        ]
        environment = {name: value for name, value in os.environ.items() if name not in _HIDDEN_VARIABLES}
        environment["OMP_NUM_THREADS"] = str(request.adapter.needs.cores)
        # Threads that spin while they wait take the cores from those they wait for: where other programs
        # keep the machine busy, Open3D's odometry was seen to take 2.6 times as long.
        environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if not request.adapter.needs.gpus:
            # What was not counted must not be taken from those it was handed out to.
            environment["CUDA_VISIBLE_DEVICES"] = ""
        environment[_MARK_VARIABLE] = str(request.socket_path)
        try:
            with request.log_file.open("wb") as log:
                process = subprocess.Popen(
                    command,
                    cwd=request.output_directory,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise BackendUnavailableError(f"cannot start {request.adapter.server}: {error}") from error
        return BackendProcess(process, request)

    def describe(self, adapter: Adapter) -> dict[str, Any]:
        """The versions of what runs in the process."""
        versions: dict[str, str | None] = {}
        for package in adapter.packages:
            try:
                versions[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                versions[package] = None
        return {"runtime": self.name, "packages": versions, "image_digest": None}


class BackendProcess(RunningBackend):
    """A process group with one backend in it."""

    def __init__(self, process: subprocess.Popen[bytes], request: LaunchRequest):
        self._process = process
        self._request = request
        self._over_limit_bytes: int | None = None
        self._written_bytes: int | None = None
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch_memory, name="memory-watch", daemon=True)
        self._watcher.start()
        self._output_watch = OutputWatch(
            [request.output_directory, request.log_file], request.output_limit_bytes, self._end_for_output
        )

    def failure(self) -> AdapterError | None:
        """Memory limit, signal or exit code, with the last lines of the log."""
        exit_code = self._process.poll()
        if exit_code is None:
            return None
        if self._over_limit_bytes is not None:
            return ResourceLimitError(
                f"the backend took {in_gibibytes(self._over_limit_bytes)} of memory, its limit is "
                f"{in_gibibytes(self._request.memory_limit_bytes)}; raise it with --memory-limit"
            )
        if self._written_bytes is not None:
            return too_much_output(self._written_bytes, self._request.output_limit_bytes)
        return exit_error(exit_code, self._request.log_file)

    def stop(self, grace_s: float = 0.0) -> None:
        """Give it a moment to end by itself, then kill it and all its descendants."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        self._stopping.set()
        self._watcher.join()
        self._output_watch.stop()
        self._kill_everything()
        self._process.wait()

    def kill(self) -> None:
        """SIGKILL to the group."""
        self._signal_group(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP to the group."""
        self._signal_group(signal.SIGSTOP)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # nobody of the group is left
            os.killpg(self._process.pid, number)

    def _kill_everything(self) -> None:
        """Kill the group, then whatever descends from it and has left the group or lost its parent."""
        descendants = _family(self._process.pid)
        self._signal_group(signal.SIGKILL)
        for process in [*descendants, *self._adopted()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _adopted(self) -> list[psutil.Process]:
        """Descendants that fell to this process when their parents died; they bear the socket's name."""
        mark = str(self._request.socket_path)
        adopted = []
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if process.environ().get(_MARK_VARIABLE) == mark:
                    adopted.append(process)
        return adopted

    def _end_for_output(self, written_bytes: int) -> None:
        self._written_bytes = written_bytes
        self._kill_everything()

    def _watch_memory(self) -> None:
        while not self._stopping.wait(_MEMORY_PERIOD_S) and self._process.poll() is None:
            taken = _memory_of(_family(self._process.pid))
            if taken > self._request.memory_limit_bytes:
                self._over_limit_bytes = taken
                self._kill_everything()
                return


def _family(pid: int) -> list[psutil.Process]:
    """A process and everything it started; empty when it is gone."""
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _memory_of(processes: list[psutil.Process]) -> int:
    """Resident memory, bytes."""
    taken = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            taken += process.memory_info().rss
    return taken
