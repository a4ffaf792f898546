"""Which sequences of a data set are here: recordings that a reader recognises, wherever they lie."""

import os
from functools import cached_property
from pathlib import Path

from sequences.datasets import Dataset
from sequences.discovery import RecordingsBelow, recognise
from sequences.errors import SequenceError
from sequences.reader import READERS
from sequences.sequence_sets import SequenceEntry, list_sets

_NAMED_CONTENTS = 3


class LocalSequences:
    """The sequences of one data set below a folder.

    Places are looked at whenever they are asked for. Everything else below the folder is looked through once,
    when a sequence is not in its place.

    Args:
        dataset: One with ``downloads``.
        data_directory: Where all data sets lie; need not exist.
    """

    def __init__(self, dataset: Dataset, data_directory: Path):
        self.dataset = dataset
        self._root = data_directory

    @property
    def folder(self) -> Path:
        """Where the data set lies."""
        return self._root / self.dataset.folder

    def place(self, sequence: str) -> Path:
        """Where a sequence is unpacked to."""
        return self._root / self.dataset.sequence_directory(sequence)

    def is_in_its_place(self, sequence: str) -> bool:
        """Whether what lies in a sequence's place is a recording.

        Raises:
            SequenceError: The reader that the catalogue names cannot be loaded.
        """
        place = self.place(sequence)
        try:
            if sequence in self._catalogued:
                return READERS.load(self._catalogued[sequence].reader).recognises(place)
            return os.path.lexists(place) and _is_recognised(place)
        except OSError:
            return False  # It cannot be looked into; who wants it is told that it is in the way.

    def recording(self, sequence: str) -> Path | None:
        """Where a sequence is; None when it is nowhere below the folder.

        Raises:
            SequenceError: The reader that the catalogue names cannot be loaded.
        """
        if self.is_in_its_place(sequence):
            return self.place(sequence)
        if self._elsewhere is None:
            return None
        entry = self._catalogued.get(sequence)
        if entry is not None:
            return self._elsewhere.called(entry.parameters["find"], entry.reader)
        name = self.place(sequence).name
        return next((found.path for found in self._elsewhere.found if found.path.name == name), None)

    def obstacle(self, sequence: str) -> str | None:
        """What lies in the place of a sequence and is no recording, as a sentence; None when nothing does."""
        place = self.place(sequence)
        if not os.path.lexists(place) or self.is_in_its_place(sequence):
            return None
        return (
            f"{place} is in the way: it is {_kind(place)}, and no recording that a reader recognises. It is "
            "left as it is; move it away and try again"
        )

    def is_missing(self, sequence: str) -> bool:
        """Whether a sequence is nowhere below the folder, and nothing is in its place."""
        return self.recording(sequence) is None and not os.path.lexists(self.place(sequence))

    @cached_property
    def _catalogued(self) -> dict[str, SequenceEntry]:
        """What the catalogue that comes with the package says of sequences that it looks for by name."""
        return {
            entry.name: entry
            for found in list_sets()
            for entry in found.entries
            if entry.dataset == self.dataset.name and entry.is_missing
        }

    @cached_property
    def _elsewhere(self) -> RecordingsBelow | None:
        return RecordingsBelow(self._root) if self._root.is_dir() else None


def _is_recognised(path: Path) -> bool:
    try:
        recognise(path)
    except SequenceError:
        return False
    return True


def _kind(place: Path) -> str:
    """What lies somewhere, for messages."""
    if not place.exists():
        return "a link that leads nowhere"
    if not place.is_dir():
        return "a file"
    try:
        names = sorted(os.listdir(place))
    except OSError as error:
        return f"a folder that cannot be read ({error.strerror})"
    more = " and more" if len(names) > _NAMED_CONTENTS else ""
    return f"a folder with {', '.join(names[:_NAMED_CONTENTS])}{more} in it" if names else "an empty folder"
