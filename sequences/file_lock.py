"""One process at a time: a lock on a file, which ends with the process that holds it."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sequences.errors import SequenceError


@contextmanager
def locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a file; the kernel gives it back when the process dies, however it dies.

    The file stays: a lock on a file that another process has just deleted protects nothing.

    Args:
        path: The lock file; made when it is not there.
        on_wait: Called once when another process holds the lock. What it raises ends the waiting.

    Raises:
        SequenceError: The file cannot be made, or the file system has no locks.
    """
    try:
        file = path.open("ab")
    except OSError as error:
        raise SequenceError(
            f"cannot write {path}: {error.strerror or error}; "
            "make room or see to the permissions there, or choose another folder"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise SequenceError(
                f"cannot lock {path}: {error.strerror}; choose a folder on another file system"
            ) from error
        yield
