"""Which names in an archive may become files: nothing may end up outside of the folder it is unpacked to."""

import os
import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sequences.download.errors import BadArchiveError

_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: A table of contents as large as this is no data set.
_MOST_MEMBERS = 1_000_000
#: What the file systems of Linux let a name have, and less than they let a path have.
_LONGEST_PART_BYTES, _LONGEST_NAME_BYTES = 255, 2000
#: Images hardly shrink in an archive; what grows beyond this is made to fill disks.
_GREATEST_GROWTH = 20
_GROWTH_ALLOWANCE_BYTES = 64 << 20


@dataclass(frozen=True)
class Contents:
    """What an archive holds, looked at before anything is written.

    Attributes:
        bytes: Size of all files together once they are unpacked.
        top: The names at its top.
    """

    bytes: int
    top: frozenset[str]


@dataclass
class Inspection:
    """Goes through the members of an archive and refuses what must not be unpacked.

    Attributes:
        archive: The file, for messages.
        limit_bytes: How large everything together may be.
    """

    archive: Path
    limit_bytes: int = 0
    _members: int = 0
    _bytes: int = 0
    _top: set[str] = field(default_factory=set)
    _files: set[PurePosixPath] = field(default_factory=set)
    _folders: set[PurePosixPath] = field(default_factory=set)
    _links: set[PurePosixPath] = field(default_factory=set)

    def __post_init__(self) -> None:
        if not self.limit_bytes:
            self.limit_bytes = _GREATEST_GROWTH * self.archive.stat().st_size + _GROWTH_ALLOWANCE_BYTES

    def contents(self) -> Contents:
        """What has been seen so far."""
        return Contents(self._bytes, frozenset(self._top))

    def folder(self, name: str) -> None:
        """Take note of a folder."""
        self._note(name, self._place(name), self._folders)

    def file(self, name: str, size: int) -> None:
        """Take note of a file of so many bytes."""
        if size < 0:
            raise self.refused(name, f"has a size of {size} bytes")
        self._note(name, self._place(name), self._files)
        self._bytes += size
        if self._bytes > self.limit_bytes:
            raise BadArchiveError(
                self.archive,
                f"would unpack to more than {self.limit_bytes} bytes from {self.archive.stat().st_size}; "
                "no data set does, so that it is not unpacked",
            )

    def symbolic_link(self, name: str, target: str) -> None:
        """Take note of a symbolic link; ``target`` is seen from where the link lies."""
        place = self._place(name)
        reached = posixpath.normpath(posixpath.join(place.parent.as_posix(), target))
        if target.startswith("/") or reached == ".." or reached.startswith("../") or _CONTROL.search(target):
            raise self.refused(name, f"is a link that leads outside, to '{target}'")
        self._note(name, place, self._links)

    def hard_link(self, name: str, target: str) -> None:
        """Take note of a second name for a file; ``target`` is seen from the top of the archive."""
        place = self._place(name)
        if PurePosixPath(target) not in self._files:
            raise self.refused(name, f"is a link to '{target}', which is no file of this archive before it")
        if place in self._files:
            raise self.refused(name, "is there twice")
        self._note(name, place, self._files)

    def has_file(self, name: str) -> bool:
        """Whether a file of that name has been seen already."""
        return PurePosixPath(name) in self._files

    def refused(self, name: str, problem: str) -> BadArchiveError:
        """The error for a member that must not be unpacked."""
        return BadArchiveError(self.archive, f"its member '{name}' {problem}; nothing was unpacked")

    def _note(self, name: str, place: PurePosixPath, of_its_kind: set[PurePosixPath]) -> None:
        """Remember what a name stands for, which must be one thing."""
        for kind, places in (("file", self._files), ("folder", self._folders), ("link", self._links)):
            if places is not of_its_kind and place in places:
                raise self.refused(name, f"is something else and a {kind} at once")
        of_its_kind.add(place)

    def _place(self, name: str) -> PurePosixPath:
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise BadArchiveError(self.archive, f"has more than {_MOST_MEMBERS} members")
        place = PurePosixPath(name)
        if place.is_absolute() or _DRIVE.match(name):
            raise self.refused(name, "has an absolute name")
        if ".." in place.parts:
            raise self.refused(name, "leads outside, with '..' in its name")
        if "\\" in name or _CONTROL.search(name):
            raise self.refused(name, "has a backslash or a control character in its name")
        encoded = os.fsencode(name)
        if len(encoded) > _LONGEST_NAME_BYTES or any(
            len(part) > _LONGEST_PART_BYTES for part in encoded.split(b"/")
        ):
            raise self.refused(f"{name[:40]}...", "has too long a name")
        if not self._links.isdisjoint(place.parents):
            raise self.refused(name, "lies behind a link")
        if not self._files.isdisjoint(place.parents):
            raise self.refused(name, "lies in a file")
        self._folders.update(place.parents)
        if place.parts:
            self._top.add(place.parts[0])
        return place
