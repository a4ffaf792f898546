"""What the readers of data sets share: where a data set is, and which files it is made of."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from sequences.errors import DataFileError
from sequences.reader import DATA_DIRECTORY_VARIABLE, ReaderContext


def below_data_directory(told: str) -> Path:
    """A file or folder; a relative path lies below ``HARNESS_DATA``, as in catalogues of sequences.

    Raises:
        SequenceError: The path is relative, and the variable is not set or names no folder.
    """
    path = Path(told).expanduser()
    if path.is_absolute():
        return path
    set_to = os.environ.get(DATA_DIRECTORY_VARIABLE)
    context = ReaderContext(Path(set_to).expanduser() if set_to else None, cache_directory=Path())
    return context.require_data_directory() / path


def require_folder(path: Path, holds: str) -> None:
    """Say where a folder must be and what belongs into it, unless it is there.

    Raises:
        DataFileError: It is missing.
    """
    if not path.is_dir():
        raise DataFileError(
            path,
            f"the folder is missing; it holds {holds}: correct 'directory', or see docs/training-data.md",
        )


def require_view(index: int, count: int) -> None:
    """Raise IndexError unless there is a view of that number."""
    if not 0 <= index < count:
        raise IndexError(f"there are {count} views and no view {index}")


def listing_digest(root: Path, files: Iterable[Path]) -> str:
    """SHA-256 over the names below a folder and the sizes of files, in their order; hexadecimal.

    Raises:
        DataFileError: A file is gone.
    """
    digest = hashlib.sha256()
    for path in files:
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DataFileError(path, f"the file cannot be read: {error.strerror}") from error
        digest.update(f"{path.relative_to(root).as_posix()}\t{size}\n".encode())
    return digest.hexdigest()
