"""Compressed tar archives: what is in them, and getting it out."""

import gzip
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import cast

from sequences.download.errors import BadArchiveError, damage_is_told
from sequences.download.member_names import Contents, Inspection

_CHUNK_BYTES = 1 << 20
#: tarfile reads contents in small pieces, but extended headers in one, however large they say that they are.
_LARGEST_HEADER_BYTES = 16 << 20


def inspect_tar(path: Path) -> Contents:
    """Go through an archive to its very end, which also compares its checksum.

    Raises:
        BadArchiveError: It is damaged, or holds what must not be unpacked.
    """
    inspection = Inspection(path)
    with _opened(path) as (archive, stream):
        for member in archive:
            _look_at(member, inspection)
        _read_to_the_end(stream, inspection)
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
    with _opened(path) as (archive, _):
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
        _look_at_pieces(member, inspection)
    elif member.issym():
        inspection.symbolic_link(member.name, member.linkname)
    elif member.islnk():
        inspection.hard_link(member.name, member.linkname)
    else:
        raise inspection.refused(member.name, "is a device or a pipe")


def _look_at_pieces(member: tarfile.TarInfo, inspection: Inspection) -> None:
    """A file with holes is stored in pieces; those may not write more than the file is said to have."""
    # (start, size) of every piece; the stubs have another type for it.
    pieces = cast(Iterable[tuple[int, int]] | None, member.sparse)
    end = 0
    for start, size in pieces or ():
        if start < end or size < 0 or start + size > member.size:
            raise inspection.refused(member.name, "has pieces that lie outside of it or on each other")
        end = start + size


def _read_to_the_end(stream: gzip.GzipFile, inspection: Inspection) -> None:
    """Read what lies behind the last member, so that the checksum at the end of the file is compared."""
    left = inspection.limit_bytes
    while chunk := stream.read(_CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise BadArchiveError(inspection.archive, "has far more behind its last member than in it")


class _ModestGzipFile(gzip.GzipFile):
    """Never reads more at once than a header may have, so that none fills the memory."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _LARGEST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[tarfile.TarFile, gzip.GzipFile]]:
    with (
        damage_is_told(path),
        _ModestGzipFile(path, "rb") as stream,
        tarfile.open(fileobj=stream, mode="r:") as archive,
    ):
        yield archive, stream
