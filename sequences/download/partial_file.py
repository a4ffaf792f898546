"""A file that has come in part, and what is known of the whole, so that another process can go on."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from sequences.download.errors import cannot_write


@dataclass(frozen=True)
class Whole:
    """What a server said of a file.

    Attributes:
        url: Where it is.
        bytes: Its size, as the server says or as it was published; None when nobody says.
        etag: Its entity tag, None without one.
        last_modified: When it was changed, as the server writes it; None when it does not.
    """

    url: str
    bytes: int | None
    etag: str | None = None
    last_modified: str | None = None

    @property
    def validator(self) -> str | None:
        """What to say in ``If-Range`` (RFC 9110, section 13.1.5): a strong tag, or the date."""
        if self.etag is not None and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified

    @property
    def can_go_on(self) -> bool:
        """Whether it can be told that what comes later is of the same file."""
        return self.validator is not None or self.bytes is not None

    def is_same(self, other: "Whole") -> bool:
        """Whether two answers speak of the same file, as far as both say anything."""
        pairs = (
            (self.bytes, other.bytes),
            (self.etag, other.etag),
            (self.last_modified, other.last_modified),
        )
        return all(ours == theirs for ours, theirs in pairs if ours is not None and theirs is not None)


class PartialFile:
    """``NAME.part`` beside the place where the whole file will be, and ``NAME.part.json`` about it.

    Args:
        target: Where the whole file will be.
    """

    def __init__(self, target: Path):
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._about = target.with_name(f"{target.name}.part.json")

    def size(self) -> int:
        """How many bytes have come."""
        return self.path.stat().st_size if self.path.exists() else 0

    def whole(self) -> Whole | None:
        """What is known of the whole, None when nothing is."""
        try:
            return Whole(**json.loads(self._about.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None  # Killed between two writes; the file is begun anew.

    def begin(self, whole: Whole) -> None:
        """Drop what has come and begin anew.

        Raises:
            DownloadError: The disk refuses.
        """
        try:
            # In this order: bytes of one file are never taken for those of another.
            self.path.write_bytes(b"")
            self._about.write_text(json.dumps(asdict(whole)), encoding="utf-8")
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def discard(self) -> None:
        """Remove what has come."""
        self.path.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the file its name, now that all of it has come.

        Raises:
            DownloadError: The disk refuses.
        """
        try:
            with self.path.open("rb") as stream:
                os.fsync(stream.fileno())
            os.replace(self.path, self.target)
            self._about.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.target, error) from error
