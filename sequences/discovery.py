"""Finds recordings in folders: which reader a folder belongs to, and what each recording is called."""

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sequences.errors import SequenceError
from sequences.reader import READERS, SequenceReader

_log = logging.getLogger(__name__)

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class FoundRecording:
    """A folder, or a file, that is a recording.

    Attributes:
        path: Where it is.
        readers: Names of the readers that recognise it, sorted.
    """

    path: Path
    readers: tuple[str, ...]


class RecordingsBelow:
    """All recordings below a folder. They are looked for once, when somebody asks.

    What is inside a recording is not looked through: a data set may have millions of images.

    Args:
        root: Where to start.
    """

    def __init__(self, root: Path):
        self.root = root

    def relative(self, path: Path) -> str:
        """The place of a recording below the root, which holds on every machine that has the data."""
        return path.relative_to(self.root).as_posix()

    @cached_property
    def found(self) -> tuple[FoundRecording, ...]:
        """Every recording, in order of paths."""
        return tuple(_recordings(self.root, _installed_readers()))

    def of_reader(self, reader: str) -> dict[str, Path]:
        """The recordings of one reader.

        Returns:
            Paths by name, in order. A name is what the reader calls the recording; where several share it,
            their paths below the root joined by ``-``.

        Raises:
            UnknownNameError: There is no such reader.
            SequenceError: The reader cannot be loaded.
        """
        own_name = READERS.load(reader).own_name
        paths = [recording.path for recording in self.found if reader in recording.readers]
        return dict(zip(_unique_names(self.root, paths, own_name), paths, strict=True))

    def called(self, name: str, reader: str) -> Path | None:
        """The recording of a reader whose folder, or file, is called ``name``; None if there is none.

        Where several are, the first is taken, and all are named in the log.

        Raises:
            UnknownNameError: There is no such reader.
            SequenceError: The reader cannot be loaded.
        """
        own_name = READERS.load(reader).own_name
        paths = [
            recording.path
            for recording in self.found
            if reader in recording.readers and name in (recording.path.name, own_name(recording.path))
        ]
        if len(paths) > 1:
            _log.warning(
                "several recordings are called '%s'; the first is taken: %s", name, ", ".join(map(str, paths))
            )
        return paths[0] if paths else None


def recognise(path: Path) -> str:
    """The name of the reader that a folder or file belongs to.

    Raises:
        SequenceError: No reader recognises it, or several do.
    """
    readers = _readers_of(path, _installed_readers())
    if not readers:
        raise SequenceError(
            f"no sequence reader recognises '{path}'; docs/data-sets.md lists the layouts: a recording in "
            "TUM RGB-D layout has rgb.txt in it, a folder of images needs a calibration.txt beside them"
        )
    if len(readers) > 1:
        raise SequenceError(
            f"several sequence readers recognise '{path}': {', '.join(readers)}; "
            "name the one to use in a catalogue file (see docs/add-a-dataset.md)"
        )
    return readers[0]


def name_from_path(path: Path) -> str:
    """A name of letters, digits, ``_``, ``-`` and ``.`` for a path; other characters become ``_``."""
    return _NOT_IN_NAMES.sub("_", "-".join(part for part in path.parts if part != path.anchor)) or "recording"


def _installed_readers() -> dict[str, type[SequenceReader]]:
    """All readers that can be loaded; a broken plug-in must not hide everybody's recordings."""
    readers = {}
    for name in READERS.names():
        try:
            readers[name] = READERS.load(name)
        except SequenceError as error:
            _log.warning("left out while looking for recordings: %s", error)
    return readers


def _recordings(root: Path, readers: dict[str, type[SequenceReader]]) -> Iterator[FoundRecording]:
    """All recordings from ``root`` down; links are followed, each folder is visited once."""
    visited: set[str] = set()
    suffixes = tuple(suffix for reader in readers.values() for suffix in reader.file_suffixes)
    for place, children, files in os.walk(root, followlinks=True, onerror=_log_unreadable):
        resolved = os.path.realpath(place)
        if resolved in visited:
            children.clear()
            continue
        visited.add(resolved)
        directory = Path(place)
        recognising = _readers_of(directory, readers)
        if recognising:
            yield FoundRecording(directory, recognising)
            children.clear()
            continue
        # Hidden folders hold what is not finished: archives that are being unpacked.
        children[:] = sorted(child for child in children if not child.startswith("."))
        for file in sorted(name for name in files if name.lower().endswith(suffixes)):
            recognising = _readers_of(directory / file, readers)
            if recognising:
                yield FoundRecording(directory / file, recognising)


def _readers_of(path: Path, readers: dict[str, type[SequenceReader]]) -> tuple[str, ...]:
    try:
        return tuple(name for name, reader in readers.items() if reader.recognises(path))
    except OSError as error:  # no permission to look inside, or names too long to look for
        _log_unreadable(error)
        return ()


def _log_unreadable(error: OSError) -> None:
    _log.warning("left out while looking for recordings: %s: %s", error.filename, error.strerror)


def _unique_names(root: Path, paths: list[Path], own_name: Callable[[Path], str]) -> list[str]:
    own = [name_from_path(Path(own_name(path))) for path in paths]
    shared = {name for name, count in Counter(own).items() if count > 1}
    names: list[str] = []
    for name, path in zip(own, paths, strict=True):
        unique = name_from_path(path.relative_to(root)) if name in shared else name
        candidate, number = unique, 2
        while candidate in names:
            candidate, number = f"{unique}-{number}", number + 1
        names.append(candidate)
    return names
