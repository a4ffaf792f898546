"""A directory of entries that stays below a size and survives whatever befalls the processes that use it.

Any number of processes may use one at a time. An entry appears as a whole or not at all, and may be removed
while others read it. Nothing is locked for reading and writing; turns are taken by those who want to.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

GIBIBYTE = 1024**3

#: Without a limit of its own the directory takes this much, and at most half of what it could have.
_LARGEST_BYTES = 20 * GIBIBYTE

#: After a clearing this share of the limit is left, so that the next one is not due at once.
_LEFT_AFTER_CLEARING = 0.9

#: After writing this share of the limit a process looks at what the others have written.
_WRITTEN_BETWEEN_LOOKS = 0.05

#: What a writer left that was killed is removed at this age, seconds. Writing takes milliseconds, and a
#: writer whose file is gone fails as if the disk were full.
_AGE_OF_LEFTOVERS_S = 600.0

#: How long to wait for somebody else's turn to end, and how often to look, seconds.
_PATIENCE_S = 10.0
_POLL_S = 0.005

_ENTRY, _PART = ".prediction", ".part"


class BoundedDirectory:
    """Entries by key on disk; the least recently used go first.

    For a moment the processes that write may be above the limit together, by a twentieth of it each.

    Args:
        path: The directory; made when something is written.
        limit_bytes: Greatest size of all entries; None for 20 GiB, or half of the disk space that is free or
            taken by entries when that is less.
    """

    def __init__(self, path: Path, limit_bytes: int | None = None):
        self.path = path
        self._limit_bytes = limit_bytes
        self._clear_above = 0
        self._look_after = 0
        self._held = 0
        self._written = 0

    def read(self, key: str) -> bytes | None:
        """The entry of a key, which counts as used now; None when there is none.

        Raises:
            OSError: The disk does not give it.
        """
        path = self._entry(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        # It may be gone by now, and the disk may be read-only.
        with suppress(OSError):
            now = time.time_ns()
            os.utime(path, ns=(now, now))
        return content

    def write(self, key: str, content: bytes) -> None:
        """Keep an entry, and make room when there are too many.

        Raises:
            OSError: It cannot be written; nothing is left of it.
        """
        path = self._entry(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(prefix=f".{key}.", suffix=_PART, dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(part, path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
        self._held += len(content)
        self._written += len(content)
        if self._held > self._clear_above or self._written > self._look_after:
            self._make_room()

    def remove(self, key: str) -> None:
        """Remove an entry, if it is there and can be removed."""
        with suppress(OSError):
            self._entry(key).unlink()

    @contextmanager
    def turn(self, key: str) -> Generator[None]:
        """Work out what belongs to a key while others who want it wait for this block to end.

        They wait ten seconds and then work it out themselves. The kernel ends the turn of a process that
        dies. Where a file system has no locks, nobody waits.
        """
        descriptor = None
        with suppress(OSError):
            directory = self._entry(key).parent
            directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(directory, os.O_RDONLY)
            _lock(descriptor)
        try:
            yield
        finally:
            if descriptor is not None:
                with suppress(OSError):
                    # Said aloud: a process forked in the meantime holds the descriptor too.
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
                os.close(descriptor)

    def _entry(self, key: str) -> Path:
        return self.path / key[:2] / f"{key}{_ENTRY}"

    def _make_room(self) -> None:
        """Look at all entries, remove the oldest when they are too many, and leftovers of the killed."""
        entries = self._look()
        self._held = sum(size for _, size, _ in entries)
        limit = self._limit_bytes
        if limit is None:
            free = shutil.disk_usage(self.path).free
            limit = min(_LARGEST_BYTES, (self._held + free) // 2)
        if self._held > limit:
            for _, size, path in sorted(entries):
                if self._held <= _LEFT_AFTER_CLEARING * limit:
                    break
                # Who reads it at this moment has it open and reads on.
                path.unlink(missing_ok=True)
                self._held -= size
        self._clear_above, self._look_after = limit, int(_WRITTEN_BETWEEN_LOOKS * limit)
        self._written = 0

    def _look(self) -> list[tuple[int, int, Path]]:
        """When it was last used (nanoseconds), size and place of every entry; leftovers are removed."""
        entries = []
        for shard in self.path.iterdir():
            for file in shard.iterdir() if shard.is_dir() else ():
                # Others remove files as well.
                with suppress(FileNotFoundError):
                    state = file.stat()
                    if file.suffix == _ENTRY:
                        entries.append((state.st_mtime_ns, state.st_size, file))
                    elif file.suffix == _PART and time.time() - state.st_mtime > _AGE_OF_LEFTOVERS_S:
                        file.unlink()
        return entries


def _lock(descriptor: int) -> None:
    """Wait for the lock, but not for ever: who has it may have been stopped."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_POLL_S)
        else:
            return
