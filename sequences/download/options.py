"""How to download: patience, checksums, mirrors, and who is told."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sequences.download.errors import DownloadError

#: Called with what is being done, how much is done and how much there is, mostly in bytes; 0 when not known.
Progress = Callable[[str, int, int], None]


def tell_nobody(words: str) -> None:
    """Take a sentence for the user and drop it."""


@dataclass(frozen=True)
class Patience:
    """How long to try.

    Attributes:
        tries: Connections in a row that break off before it is given up, counted from the last one that
            brought something new.
        silence_seconds: How long a server may say nothing.
        wait: Waits that many seconds between two tries.
    """

    tries: int = 5
    silence_seconds: float = 60.0
    wait: Callable[[float], None] = time.sleep

    def before_try(self, failures: int) -> None:
        """Wait after so many failures in a row: 1, 2, 4 ... seconds, at most half a minute."""
        self.wait(min(2.0 ** (failures - 1), 30.0))


@dataclass(frozen=True)
class DownloadOptions:
    """What the user chose.

    Attributes:
        keep_archives: Leave archives where they are after they were unpacked.
        sha256: What the one archive must be, in place of a published checksum.
        mirror: An address that takes the place of scheme and host of every link.
        patience: How long to try.
        tell: Called with every sentence the user should read.
    """

    keep_archives: bool = False
    sha256: str | None = None
    mirror: str | None = None
    patience: Patience = field(default_factory=Patience)
    tell: Callable[[str], None] = tell_nobody

    def link(self, url: str) -> str:
        """Where to fetch a published link from.

        Raises:
            DownloadError: The mirror is no address.
        """
        if self.mirror is None:
            return url
        mirror = urlsplit(self.mirror)
        if mirror.scheme not in ("http", "https") or not mirror.netloc or mirror.query or mirror.fragment:
            raise DownloadError(
                f"the mirror '{self.mirror}' is no address; it looks like https://HOST or https://HOST/FOLDER"
            )
        published = urlsplit(url)
        return published._replace(
            scheme=mirror.scheme, netloc=mirror.netloc, path=mirror.path.rstrip("/") + published.path
        ).geturl()
