"""Compressed tar archives: what is in them, and getting it out."""

import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from sequences.download.errors import BadArchiveError
from sequences.download.member_names import Contents, Inspection

_CHUNK_BYTES = 1 << 20


def inspect_tar(path: Path) -> Contents:
    """Go through an archive to its very end, which also compares its checksum.

    Raises:
        BadArchiveError: It is damaged, or holds what must not be unpacked.
    """
    inspection = Inspection(path)
    with _opened(path) as archive:
        for member in archive:
            _look_at(member, inspection)
        _read_to_the_end(archive, inspection)
    return inspection.contents()


def unpack_tar(
    path: Path, folder: Path, wanted: Callable[[str], bool], report: Callable[[int], None]
) -> None:
    """Unpack an archive that was inspected.

    Args:
        path: The archive.
        folder: Where to; exists and is empty.
        wanted: Whether a name at the top of the archive is to be unpacked.
        report: Called with the size of every file that is done.

    Raises:
        BadArchiveError: It is damaged.
        OSError: The disk refuses.
    """
    with _opened(path) as archive:
        for member in archive:
            parts = PurePosixPath(member.name).parts
            if not parts or not wanted(parts[0]):
                continue
            # The inspection refused everything that this filter would; it also drops owners and modes.
            archive.extract(member, folder, filter="data")
            report(member.size)


def _look_at(member: tarfile.TarInfo, inspection: Inspection) -> None:
    if member.isdir():
        inspection.folder(member.name)
    elif member.isreg():
        inspection.file(member.name, member.size)
    elif member.issym():
        inspection.symbolic_link(member.name, member.linkname)
    elif member.islnk():
        inspection.hard_link(member.name, member.linkname)
    else:
        raise inspection.refused(member.name, "is a device or a pipe")


def _read_to_the_end(archive: tarfile.TarFile, inspection: Inspection) -> None:
    """Read what lies behind the last member, so that the checksum at the end of the file is compared."""
    assert archive.fileobj is not None
    left = inspection.limit_bytes
    while chunk := archive.fileobj.read(_CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise BadArchiveError(inspection.archive, "has far more behind its last member than in it")


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:gz") as archive:
            yield archive
    except tarfile.FilterError as error:
        raise BadArchiveError(path, f"must not be unpacked: {error}") from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise _damaged(path, error) from error
    except OSError as error:
        if error.errno is None:  # gzip's own, not the disk's
            raise _damaged(path, error) from error
        raise


def _damaged(path: Path, error: Exception) -> BadArchiveError:
    return BadArchiveError(path, f"is damaged or no archive: {error or type(error).__name__}")
