"""The seam between the harness and whatever starts a backend: a process today, a container elsewhere."""

import fcntl
import os
import shutil
import signal
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import zmq

from adapters.adapter import Adapter
from adapters.backend import StartRequest
from adapters.errors import AdapterError, BackendDiedError, ResourceLimitError
from adapters.printable import printable

_GRACE_S = 5.0
#: What a backend may write unless the user says otherwise. The largest maps take some hundred megabytes.
OUTPUT_LIMIT_BYTES = 4 * 1024**3


@dataclass(frozen=True)
class LaunchRequest:
    """What a runtime needs to start one backend.

    Attributes:
        adapter: Which backend.
        socket_path: Unix socket the harness has bound; its directory holds nothing else.
        output_directory: The only place the backend writes to; its working directory.
        log_file: Where its standard output and error go.
        memory_limit_bytes: It is stopped when it takes more.
        output_limit_bytes: It is stopped when what it writes, its log included, takes more.
        options: What it will be started with, as the adapter prepared them.
        gpus: The GPUs it is handed, by index or UUID; empty unless the adapter needs any.
    """

    adapter: Adapter
    socket_path: Path
    output_directory: Path
    log_file: Path
    memory_limit_bytes: int
    output_limit_bytes: int = OUTPUT_LIMIT_BYTES
    options: Mapping[str, Any] = field(default_factory=dict)
    gpus: tuple[str, ...] = ()


class RunningBackend(ABC):
    """A backend that has been started. A context manager that stops it, whatever happened."""

    @abstractmethod
    def failure(self) -> AdapterError | None:
        """Why it can answer no more, with its last words; None while it runs."""

    def account_for(self, error: AdapterError) -> AdapterError:
        """What a failed conversation really died of, where more is known than the conversation shows."""
        return error

    @abstractmethod
    def stop(self, grace_s: float = 0.0) -> None:
        """End it and everything it started. Harmless when it has ended.

        Args:
            grace_s: How long it may take to end by itself.
        """

    @abstractmethod
    def kill(self) -> None:
        """Let it die on the spot, as a crash would; for tests of what the harness makes of that."""

    @abstractmethod
    def freeze(self) -> None:
        """Let it fall silent without ending, as a hang would; for tests of what the harness makes of that."""

    def __enter__(self) -> "RunningBackend":
        return self

    def __exit__(self, exception_type: type[BaseException] | None, *_: object) -> None:
        # One that has given its last answer may close its files; one that failed is not waited for.
        self.stop(_GRACE_S if exception_type is None else 0.0)


class Runtime(ABC):
    """One way of starting backends."""

    name: ClassVar[str]

    @abstractmethod
    def unavailable(self, adapter: Adapter) -> str | None:
        """Why the backend cannot be started this way here, in a sentence; None when it can."""

    @abstractmethod
    def start(self, request: LaunchRequest) -> RunningBackend:
        """Start a backend.

        Raises:
            BackendUnavailableError: It cannot be started.
        """

    @abstractmethod
    def describe(self, adapter: Adapter) -> dict[str, Any]:
        """What a record must hold to start the same again: versions, image digest."""

    def image_digest(self, adapter: Adapter) -> str | None:
        """The image that is started, by the digest that no rebuild changes; None without images.

        Raises:
            BackendUnavailableError: There is none.
        """
        return None

    def as_seen_inside(self, request: StartRequest, adapter: Adapter) -> StartRequest:
        """The request with paths as the backend sees them; the same where it sees what the harness sees."""
        return request


#: Variables that choose how numerical libraries calculate: they change results in the last digits.
_CALCULATION_VARIABLES = ("OPENBLAS_", "MKL_", "BLIS_", "NPY_", "OMP_", "CUBLAS_")


def calculation_environment() -> dict[str, str]:
    """The variables of this process that choose how numerical libraries calculate.

    Every runtime hands them on, so that a backend gives the same bits whatever it is started by, and every
    record has them.
    """
    return {name: value for name, value in os.environ.items() if name.startswith(_CALCULATION_VARIABLES)}


def last_lines(log_file: Path, count: int = 5) -> str:
    """The end of a log, for messages; empty when there is none."""
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, log_file.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return printable(" | ".join([line.strip() for line in lines if line.strip()][-count:]))


def too_much_output(taken_bytes: int, limit_bytes: int) -> ResourceLimitError:
    """The error of a backend that wrote more than it may."""
    return ResourceLimitError(
        f"the backend wrote {in_gibibytes(taken_bytes)} of files and log, its limit is "
        f"{in_gibibytes(limit_bytes)}; raise it with --output-limit"
    )


def exit_error(exit_code: int, log_file: Path) -> BackendDiedError:
    """The error of a backend that ended by itself.

    Args:
        exit_code: Negative for a signal.
        log_file: Has its last words.
    """
    cause = f"signal {_signal_name(-exit_code)}" if exit_code < 0 else f"exit code {exit_code}"
    words = last_lines(log_file)
    return BackendDiedError(f"the backend died with {cause}" + (f"; its log ends: {words}" if words else ""))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals, which have no names
        return str(number)


def in_gibibytes(size: int) -> str:
    """A size as people read it."""
    return f"{size / 1024**3:.2f} GiB"


_SOCKET_PREFIX = "slam-harness-"
_SETTLED_S = 60.0
#: Longest path of a directory in which a socket of one letter can still be bound.
_LONGEST_DIRECTORY = zmq.IPC_PATH_MAX_LEN - len("/s") - 1


@contextmanager
def socket_directory() -> Iterator[Path]:
    """A short-named directory for one socket (its path may have 107 bytes), gone afterwards.

    What an earlier harness left behind because it was killed is removed as well: the kernel let go of its
    lock.
    """
    path = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=_short_directory()))
    try:
        with (path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _sweep(path.parent)
            yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _short_directory() -> str:
    usual = tempfile.gettempdir()
    longest_name = len(f"/{_SOCKET_PREFIX}") + 8
    return usual if len(os.fsencode(usual)) + longest_name <= _LONGEST_DIRECTORY else "/tmp"


def _sweep(directory: Path) -> None:
    for path in directory.glob(f"{_SOCKET_PREFIX}*"):
        try:
            if time.time() - path.stat().st_mtime < _SETTLED_S:
                continue  # its owner may not have locked it yet
            with (path / "lock").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue  # another harness is at work there, or it is another user's
