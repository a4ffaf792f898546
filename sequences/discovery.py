"""Finds recordings in folders: which reader a folder belongs to, and what each recording is called."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sequences.errors import SequenceError
from sequences.reader import READERS

logger = logging.getLogger(__name__)

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


def find_recordings(root: Path, reader: str) -> dict[str, Path]:
    """Look through a folder and everything below it.

    Args:
        root: Where to start.
        reader: Name of the reader whose recordings are wanted.

    Returns:
        Folders by name, in order of their paths. A name is the folder's own; where several share it, their
        paths below ``root`` joined by ``-``.

    Raises:
        UnknownNameError: There is no such reader.
        SequenceError: The reader cannot be loaded.
    """
    recognises = READERS.load(reader).recognises
    directories = [directory for directory in _folders(root) if recognises(directory)]
    return dict(zip(_unique_names(root, directories), directories, strict=True))


def recognise(directory: Path) -> str:
    """The name of the reader that a folder belongs to.

    Raises:
        SequenceError: No reader recognises it, or several do.
    """
    readers = [name for name in READERS.names() if READERS.load(name).recognises(directory)]
    if not readers:
        raise SequenceError(
            f"no sequence reader recognises the folder '{directory}'; "
            "a recording in TUM RGB-D layout has rgb.txt in it (see docs/add-a-dataset.md)"
        )
    if len(readers) > 1:
        raise SequenceError(
            f"several sequence readers recognise the folder '{directory}': {', '.join(readers)}; "
            "name the one to use in a catalogue file (see docs/add-a-dataset.md)"
        )
    return readers[0]


def name_from_path(path: Path) -> str:
    """A name of letters, digits, ``_``, ``-`` and ``.`` for a path; other characters become ``_``."""
    return _NOT_IN_NAMES.sub("_", "-".join(part for part in path.parts if part != path.anchor)) or "recording"


def _folders(root: Path) -> Iterator[Path]:
    """All folders from ``root`` down, in order; links are followed, each folder is visited once."""
    visited: set[str] = set()
    for place, children, _ in os.walk(root, followlinks=True, onerror=_log_unreadable):
        resolved = os.path.realpath(place)
        if resolved in visited:
            children.clear()
            continue
        visited.add(resolved)
        children.sort()
        yield Path(place)


def _log_unreadable(error: OSError) -> None:
    logger.warning("left out while looking for recordings: %s: %s", error.filename, error.strerror)


def _unique_names(root: Path, directories: list[Path]) -> list[str]:
    own = [name_from_path(Path(directory.name)) for directory in directories]
    shared = {name for name, count in Counter(own).items() if count > 1}
    names: list[str] = []
    for name, directory in zip(own, directories, strict=True):
        unique = name_from_path(directory.relative_to(root)) if name in shared else name
        candidate, number = unique, 2
        while candidate in names:
            candidate, number = f"{unique}-{number}", number + 1
        names.append(candidate)
    return names
