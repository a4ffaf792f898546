"""Text files of whitespace-separated columns with ``#`` comments, read with their line numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sequences.errors import DataFileError


@dataclass(frozen=True)
class Row:
    """One line that is neither blank nor a comment.

    Attributes:
        line: Line number in the file, counted from 1.
        cells: The columns.
    """

    line: int
    cells: list[str]


def read_text(path: Path) -> str:
    """Read a UTF-8 text file.

    Raises:
        DataFileError: It is missing, unreadable or not text.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataFileError(path, "the file is missing") from error
    except OSError as error:
        raise DataFileError(path, f"the file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataFileError(path, "the file is not text in UTF-8; download or export it again") from error


def read_rows(path: Path, columns: str) -> Iterator[Row]:
    """Go through the rows of a table.

    Args:
        path: The file.
        columns: The names of the columns in order, separated by spaces, for messages and for their number.

    Raises:
        DataFileError: The file cannot be read or a row has another number of columns.
    """
    expected = len(columns.split())
    # Split at line feeds alone, as editors count lines; str.splitlines also splits at rarer characters.
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        cells = text.split()
        if not cells or cells[0].startswith("#"):
            continue
        if len(cells) != expected:
            raise DataFileError(path, f"has {len(cells)} columns, expected {expected}: {columns}", line)
        yield Row(line, cells)
