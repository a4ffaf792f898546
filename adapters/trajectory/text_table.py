"""Text files of numbers, line by line, with the number of every line."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from pathlib import Path

from adapters.trajectory.recorded_poses import TrajectoryFileError

SECOND_NS = 10**9
# Half of what an int64 holds, so that differences of time stamps fit as well.
_LARGEST_NS = 2**62
_LONGEST_QUOTE = 60


@dataclass(frozen=True)
class TextFile:
    """A file as it was read, once.

    Attributes:
        path: Where it is.
        text: All of it.
        sha256: Digest of its bytes.
    """

    path: Path
    text: str
    sha256: str

    def lines(self) -> Iterator[tuple[int, str]]:
        """Every line that is not blank, with its number from 1."""
        # Split at line feeds alone, as editors count lines; str.splitlines also splits at rarer characters.
        for number, line in enumerate(self.text.split("\n"), start=1):
            if line.strip():
                yield number, line.strip()

    def rows(self) -> Iterator[tuple[int, str]]:
        """Every line that is neither blank nor a comment."""
        return ((number, line) for number, line in self.lines() if not line.startswith("#"))

    def place(self, line: int) -> str:
        """What messages call a line; line 0 is the file as a whole."""
        return f"{self.path}:{line}" if line else str(self.path)

    def numbers(self, line: int, cells: list[str]) -> list[float]:
        """Cells of a line as numbers; NaN and infinity are numbers here.

        Raises:
            TrajectoryFileError: One is none.
        """
        numbers = []
        for cell in cells:
            try:
                numbers.append(float(cell))
            except ValueError as error:
                raise TrajectoryFileError(f"{self.place(line)}: {_quote(cell)} is not a number") from error
        return numbers

    def nanoseconds(self, line: int, cell: str, unit_ns: int) -> int | None:
        """A time stamp, exactly; None for NaN and infinity.

        A float would hold a present-day time stamp to some 200 ns only.

        Args:
            line: Where it stands.
            cell: Decimal text.
            unit_ns: What 1 stands for: :data:`SECOND_NS`, or 1 for whole nanoseconds.

        Raises:
            TrajectoryFileError: It is no number, too large, or a fraction of a nanosecond where whole ones
                are expected.
        """
        try:
            value = Decimal(cell.strip())
        except InvalidOperation as error:
            raise TrajectoryFileError(f"{self.place(line)}: {_quote(cell)} is not a time stamp") from error
        if not value.is_finite():
            return None
        unit = "seconds" if unit_ns == SECOND_NS else "nanoseconds"
        if abs(value) > _LARGEST_NS // unit_ns:
            raise TrajectoryFileError(
                f"{self.place(line)}: {_quote(cell)} is too large for a time stamp in {unit}"
            )
        nanoseconds = int((value * unit_ns).to_integral_value())
        if unit_ns == 1 and nanoseconds != value:
            raise TrajectoryFileError(
                f"{self.place(line)}: {_quote(cell)} is no time stamp in whole nanoseconds"
            )
        return nanoseconds


def read_text_file(path: Path) -> TextFile:
    """Read a file.

    Raises:
        TrajectoryFileError: It is missing, unreadable or no text.
    """
    try:
        content = path.read_bytes()
        return TextFile(path, content.decode("utf-8-sig"), sha256(content).hexdigest())
    except OSError as error:
        raise TrajectoryFileError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TrajectoryFileError(f"{path} is no text file; a bag is read with option format=bag") from error


def _quote(cell: str) -> str:
    return f"'{cell.strip()[:_LONGEST_QUOTE]}'"
