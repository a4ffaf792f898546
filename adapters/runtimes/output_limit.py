"""Watching how much a backend writes, so that it cannot fill the disk that the results are on."""

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

_PERIOD_S = 0.5
#: ``st_blocks`` counts these, whatever the file system's own blocks are.
_BLOCK_BYTES = 512


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

    def _watch(self) -> None:
        while not self._stopping.wait(_PERIOD_S):
            taken = sum(bytes_on_disk(path) for path in self._paths)
            if taken > self._limit_bytes:
                self._on_excess(taken)
                return


def bytes_on_disk(path: Path) -> int:
    """What a file, or everything in a directory, takes on the disk. Symbolic links are not followed."""
    taken = 0
    # Files come and go while they are counted.
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            with os.scandir(path) as entries:
                return sum(bytes_on_disk(Path(entry)) for entry in entries)
        taken = path.lstat().st_blocks * _BLOCK_BYTES
    return taken
