"""What goes wrong while data is downloaded and unpacked."""

from pathlib import Path

from sequences.errors import SequenceError


class DownloadError(SequenceError):
    """An archive cannot be fetched, is not what it should be, or cannot be unpacked."""


class ServerError(DownloadError):
    """A server cannot be reached, does not give a file, or gives another one."""


class BadArchiveError(DownloadError):
    """An archive is damaged, or holds what must not be unpacked.

    Args:
        archive: The file.
        problem: What is wrong with it.
    """

    def __init__(self, archive: Path, problem: str):
        super().__init__(f"{archive.name}: {problem}")


def cannot_write(path: Path, error: OSError) -> DownloadError:
    """The error for a file system that refuses."""
    return DownloadError(
        f"cannot write {path}: {error.strerror or error}; "
        "make room or see to the permissions there, or choose another folder"
    )
