"""Walking through what a backend wrote, which may be deeper than any path may be long."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

#: A path is continued from an open directory when it gets longer; the kernel takes 4095 bytes in one piece.
_PIECE_BYTES = 2048
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def entries_below(directory: Path) -> Iterator[tuple[int, "os.DirEntry[str]"]]:
    """Everything below a directory, each with the descriptor of the directory that it is in.

    Descriptors are open until the next entry is asked for. Symbolic links are not followed; what goes away in
    the meantime, or cannot be read, is left out.
    """
    waiting: list[tuple[int | None, str]] = [(None, str(directory))]
    kept: list[int] = []
    try:
        while waiting:
            base, path = waiting.pop()
            if not path:  # everything that was found from this directory on has been visited
                os.close(kept.pop())
                continue
            try:
                descriptor = os.open(path, _FLAGS, dir_fd=base)
            except OSError:
                continue
            kept.append(descriptor)
            below: list[str] = []
            with contextlib.suppress(OSError), os.scandir(descriptor) as entries:
                for entry in entries:
                    yield descriptor, entry
                    if entry.is_dir(follow_symlinks=False):
                        below.append(entry.name)
            if len(os.fsencode(path)) > _PIECE_BYTES:
                waiting += [(descriptor, ""), *((descriptor, name) for name in below)]
            else:
                os.close(kept.pop())
                waiting += [(base, f"{path}/{name}") for name in below]
    finally:
        for descriptor in kept:
            os.close(descriptor)
