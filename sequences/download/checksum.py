"""Checksums of archives: the published one, or that of the last download where nobody publishes one."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sequences.datasets import Archive
from sequences.download.errors import DownloadError
from sequences.download.options import Progress
from sequences.download.receipt import Receipt

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Checksums:
    """Checksums of one file, lower-case hexadecimal.

    Attributes:
        sha256: Its SHA-256.
        md5: Its MD5, which tells damage and not malice.
    """

    sha256: str
    md5: str


class WrongChecksumError(DownloadError):
    """An archive is not the one that was published."""


def checksums(path: Path, progress: Progress) -> Checksums:
    """Read a file once and compute its checksums."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    total, done = path.stat().st_size, 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            sha256.update(chunk)
            md5.update(chunk)
            done += len(chunk)
            progress(f"checking {path.name}", done, total)
    return Checksums(sha256.hexdigest(), md5.hexdigest())


def compare(archive: Archive, found: Checksums, asked: str | None, receipt: Receipt | None) -> str:
    """Compare with what is known of an archive.

    Args:
        archive: What is published.
        found: Of the file that came.
        asked: A SHA-256 that the user gave; it counts in place of a published one.
        receipt: Of the last download; counts where nothing is published.

    Returns:
        What it was compared with, for the user.

    Raises:
        WrongChecksumError: It is another file than was published or asked for.
        DownloadError: It is another file than at the last download.
    """
    for known, actual, kind in (
        (asked, found.sha256, "SHA-256 given with --sha256"),
        (archive.sha256, found.sha256, "published SHA-256"),
        (archive.md5, found.md5, "published MD5"),
    ):
        if known is None:
            continue
        if known != actual:
            raise WrongChecksumError(
                f"{archive.name} has not the {kind}: expected {known}, came {actual}. It was damaged on the "
                "way or is another file; it was deleted, try again. If the publisher has replaced it, say so "
                f"with --sha256 {found.sha256}"
            )
        return f"the {kind}"
    if receipt is None:
        return "nothing, since nobody publishes a checksum"
    if receipt.sha256 != found.sha256:
        raise DownloadError(
            f"{archive.name} is not what it was on {receipt.downloaded}: its SHA-256 was {receipt.sha256}, "
            f"now it is {found.sha256}. Nothing was unpacked. If the publisher has replaced it, accept the "
            f"new one with --sha256 {found.sha256}"
        )
    return f"the download of {receipt.downloaded}"
