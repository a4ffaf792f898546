"""What is remembered of an archive after it is unpacked and deleted."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from sequences.download.errors import cannot_write
from sequences.errors import DataFileError
from sequences.text_table import read_text


@dataclass(frozen=True)
class Receipt:
    """One download.

    Attributes:
        url: Where the archive came from.
        bytes: Its size.
        sha256: Its SHA-256.
        downloaded: When, ISO 8601 in UTC.
    """

    url: str
    bytes: int
    sha256: str
    downloaded: str


def read_receipt(path: Path) -> Receipt | None:
    """The receipt of the last download, None when there was none.

    Raises:
        DataFileError: The file is no receipt.
    """
    if not path.exists():
        return None
    try:
        return Receipt(**json.loads(read_text(path)))
    except (ValueError, TypeError) as error:
        raise DataFileError(path, "is no receipt of a download; delete it and try again") from error


def write_receipt(path: Path, receipt: Receipt) -> None:
    """Write a receipt atomically.

    Raises:
        DownloadError: The disk refuses.
    """
    temporary = path.with_name(f"{path.name}.new")
    try:
        temporary.write_text(json.dumps(asdict(receipt), indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error
