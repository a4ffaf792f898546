"""Zip archives: what is in them, and getting it out."""

import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from sequences.download.errors import damage_is_told
from sequences.download.member_names import Contents, Inspection

_CHUNK_BYTES = 1 << 20
_ENCRYPTED = 0x1


def inspect_zip(path: Path) -> Contents:
    """Go through the table of contents.

    Raises:
        BadArchiveError: It is damaged, or holds what must not be unpacked.
    """
    inspection = Inspection(path)
    with _opened(path) as archive:
        for member in archive.infolist():
            _look_at(member, inspection)
    return inspection.contents()


def unpack_zip(
    path: Path, folder: Path, wanted: Callable[[str], bool], report: Callable[[int], None]
) -> None:
    """Unpack an archive that was inspected.

    Args:
        path: The archive.
        folder: Where to; exists and is empty.
        wanted: Whether a name at the top of the archive is to be unpacked.
        report: Called with the number of bytes whenever some are written.

    Raises:
        BadArchiveError: It is damaged.
        OSError: The disk refuses.
    """
    with _opened(path) as archive:
        for member in archive.infolist():
            parts = PurePosixPath(member.filename).parts
            if not parts or not wanted(parts[0]):
                continue
            target = folder.joinpath(*parts)
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(archive, member, target, report)


def unpack_one(path: Path, name: str, target: Path, report: Callable[[int], None]) -> None:
    """Unpack one file of an archive that was inspected.

    Args:
        path: The archive.
        name: The file's name in there.
        target: What it shall be called; does not exist.
        report: Called with the number of bytes whenever some are written.

    Raises:
        BadArchiveError: It is damaged.
        OSError: The disk refuses.
    """
    with _opened(path) as archive:
        _copy(archive, archive.getinfo(name), target, report)


def file_sizes(path: Path) -> dict[str, int]:
    """The size of every file in an archive by its name.

    Raises:
        BadArchiveError: It is damaged.
    """
    with _opened(path) as archive:
        return {member.filename: member.file_size for member in archive.infolist() if not member.is_dir()}


def _look_at(member: zipfile.ZipInfo, inspection: Inspection) -> None:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if member.is_dir():
        inspection.folder(member.filename)
    elif kind not in (0, stat.S_IFREG):
        raise inspection.refused(member.filename, "is a link or a device")
    elif member.flag_bits & _ENCRYPTED:
        raise inspection.refused(member.filename, "is encrypted")
    elif inspection.has_file(member.filename):
        raise inspection.refused(member.filename, "is there twice")
    else:
        inspection.file(member.filename, member.file_size)


def _copy(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, report: Callable[[int], None]
) -> None:
    # zipfile hands out no more than the size in the table of contents, and compares the checksum at the end.
    with archive.open(member) as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            file.write(chunk)
            report(len(chunk))


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with damage_is_told(path), zipfile.ZipFile(path) as archive:
        yield archive
