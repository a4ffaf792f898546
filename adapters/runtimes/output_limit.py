"""Watching how much a backend writes, so that it cannot fill the disk that the results are on."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from adapters.runtimes.entries import entries_below

#: How long between two looks. A disk takes some hundred megabytes in a second.
_PERIOD_S = 0.1
#: ``st_blocks`` counts these, whatever the file system's own blocks are.
_BLOCK_BYTES = 512
#: What an entry counts at least: one without content takes an inode, of which a disk has only so many.
_LEAST_BYTES = 4096


class OutputWatch:
    """Looks from time to time at what lies in a backend's directory and log.

    Args:
        paths: Files and directories that count together.
        limit_bytes: What they may take on the disk.
        on_excess: Called once, with what they take, when that is more.
    """

    def __init__(self, paths: Sequence[Path], limit_bytes: int, on_excess: Callable[[int], None]):
        self._paths, self._limit_bytes, self._on_excess = paths, limit_bytes, on_excess
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="output-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join()

    def taken(self) -> int:
        """What everything that is watched takes now, bytes."""
        return sum(bytes_on_disk(path) for path in self._paths)

    def _watch(self) -> None:
        period_s = _PERIOD_S
        while not self._stopping.wait(period_s):
            started = time.monotonic()
            taken = self.taken()
            if taken > self._limit_bytes:
                self._on_excess(taken)
                return
            # Looking at very many files must not take more than half of a core.
            period_s = max(_PERIOD_S, time.monotonic() - started)


def bytes_on_disk(path: Path) -> int:
    """What a file, or everything in a directory, takes on the disk. Symbolic links are not followed."""
    # Files come and go while they are counted.
    with contextlib.suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            return _taken(path.lstat())
    return sum(_entry_taken(entry) for _, entry in entries_below(path))


def _entry_taken(entry: "os.DirEntry[str]") -> int:
    with contextlib.suppress(OSError):
        return _taken(entry.stat(follow_symlinks=False))
    return 0


def _taken(status: os.stat_result) -> int:
    return max(status.st_blocks * _BLOCK_BYTES, _LEAST_BYTES)
