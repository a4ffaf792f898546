"""Image lists of the TUM RGB-D layout: ``timestamp filename``, one image a line."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequences.errors import DataFileError
from sequences.text_table import read_rows
from sequences.timestamps import seconds_text_to_nanoseconds


@dataclass(frozen=True)
class ImageList:
    """Images with the times they were taken at.

    Attributes:
        timestamps_ns: int64 [N], strictly increasing.
        files: N paths.
    """

    timestamps_ns: NDArray[np.int64]
    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    def select(self, positions: NDArray[np.int64]) -> "ImageList":
        """The images at the given positions."""
        return ImageList(self.timestamps_ns[positions], tuple(self.files[i] for i in positions.tolist()))


def read_image_list(path: Path) -> ImageList:
    """Read ``rgb.txt`` or ``depth.txt``; file names are relative to the list's own folder.

    Raises:
        DataFileError: The list is missing, empty, malformed or not in order of time.
    """
    timestamps: list[int] = []
    files: list[Path] = []
    for row in read_rows(path, "timestamp filename"):
        try:
            timestamp = seconds_text_to_nanoseconds(row.cells[0])
        except ValueError as error:
            raise DataFileError(path, str(error), row.line) from error
        if timestamps and timestamp <= timestamps[-1]:
            problem = "is that of the row above" if timestamp == timestamps[-1] else "is before the row above"
            raise DataFileError(
                path,
                f"the time stamp {row.cells[0]} {problem}; every image needs its own, in order",
                row.line,
            )
        timestamps.append(timestamp)
        files.append(path.parent / row.cells[1])
    if not files:
        raise DataFileError(path, "lists no images; every line is: timestamp filename")
    require_files(path, files)
    return ImageList(np.array(timestamps, dtype=np.int64), tuple(files))


def require_files(origin: Path, files: Iterable[Path]) -> None:
    """Check that files exist.

    Args:
        origin: The file or folder that says they should, for the message.
        files: What should exist.

    Raises:
        DataFileError: Some do not; the first is named and all are counted.
    """
    files = tuple(files)
    missing = [file for file in files if not _is_file(file)]
    if missing:
        raise DataFileError(
            origin,
            f"{len(missing)} of {len(files)} images are missing, the first is {missing[0]}; "
            "restore them or take them out of the list",
        )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # no permission, or a name too long to be one
        return False
