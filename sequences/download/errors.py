"""What goes wrong while data is downloaded and unpacked."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sequences.archive_damage import ARCHIVE_DAMAGE, is_archive_damage
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


@contextmanager
def damage_is_told(archive: Path) -> Iterator[None]:
    """Turn whatever Python raises over a damaged or hostile archive into a :class:`BadArchiveError`.

    Raises:
        BadArchiveError: The archive is damaged, or must not be unpacked.
        OSError: The disk refuses.
    """
    try:
        yield
    except tarfile.FilterError as error:
        raise BadArchiveError(archive, f"must not be unpacked: {error}") from error
    except ARCHIVE_DAMAGE as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        if is_archive_damage(error):
            raise _damaged(archive, error) from error
        raise


def _damaged(archive: Path, error: Exception) -> BadArchiveError:
    return BadArchiveError(archive, f"is damaged or no archive: {str(error) or type(error).__name__}")
