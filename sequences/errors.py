"""The errors that this package raises: every one is a sentence its user can act on."""

from pathlib import Path


class SequenceError(Exception):
    """A sequence, its files or its description cannot be used as they are."""


class UnknownNameError(SequenceError):
    """A name was asked for that no registry or catalogue has."""


class MissingRecordingError(SequenceError):
    """A recording that a catalogue names is not on this machine."""


class DataFileError(SequenceError):
    """A file of a sequence is missing, unreadable or says something impossible.

    Args:
        path: The file at fault.
        problem: What is wrong with it and what to do.
        line: Line number in the file, counted from 1, where there is one.
    """

    def __init__(self, path: Path, problem: str, line: int | None = None):
        where = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{where}: {problem}")
        self.path = path
        self.line = line
