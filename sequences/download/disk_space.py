"""Is there room? Asked before a download and before unpacking, not found out when the disk is full."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from rich.filesize import decimal

from sequences.download.errors import DownloadError


def require_space(folder: Path, needs: Mapping[str, int]) -> None:
    """Compare what is needed with what is free.

    Args:
        folder: On the file system in question; exists.
        needs: Bytes by what they are for, as in "for the archive".

    Raises:
        DownloadError: There is not enough; the message holds all figures.
    """
    free = shutil.disk_usage(folder).free
    if sum(needs.values()) <= free:
        return
    parts = " and ".join(f"{decimal(size)} {purpose}" for purpose, size in needs.items())
    raise DownloadError(
        f"not enough room in {folder}: {parts} are needed, {decimal(free)} are free; "
        "make room or choose another folder with --to"
    )
