"""Whose a container is, so that a later harness knows when its owner is gone; and whose files are."""

import contextlib
import os
from pathlib import Path

from adapters.runtimes.entries import entries_below

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SEPARATOR = "/"


def own_mark() -> str:
    """Names this process, and no other before or after it on this machine."""
    pid = os.getpid()
    return _SEPARATOR.join([_boot(), _pid_namespace(), str(pid), str(start_ticks(pid))])


def hand_over(directory: Path, uid: int, gid: int) -> None:
    """Have a directory and everything in it belong to somebody, as root alone may. Links are not followed."""
    os.chown(directory, uid, gid, follow_symlinks=False)
    for parent, entry in entries_below(directory):
        with contextlib.suppress(FileNotFoundError):  # where the engine went away, the backend may still run
            os.chown(entry.name, uid, gid, dir_fd=parent, follow_symlinks=False)


def owner_is_gone(mark: str) -> bool:
    """Whether the process that :func:`own_mark` named lives no more; False when that cannot be known.

    A process of another PID namespace (a harness that itself runs in a container) cannot be looked at from
    here. After the machine has started anew none of its earlier processes lives.
    """
    try:
        boot, namespace, pid, ticks = mark.split(_SEPARATOR)
        number = int(pid)
    except ValueError:
        return False
    if boot != _boot():
        return True
    return namespace == _pid_namespace() and str(start_ticks(number)) != ticks


def _boot() -> str:
    return _BOOT_ID.read_text().strip()


def _pid_namespace() -> str:
    return os.readlink("/proc/self/ns/pid")


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since the machine did; None when there is none, or a zombie."""
    try:
        # The name of the program stands in brackets and may itself hold blanks and brackets.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
