"""What the names of a recording's images say: their order, their times, their places in a series."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequences.errors import DataFileError
from sequences.model import NANOSECONDS_PER_SECOND, LeftOut
from sequences.numbered_frames import LARGEST_NUMBER
from sequences.timestamps import seconds_text_to_nanoseconds

#: Where the times of images are that their names do not tell.
TIMES_FILE = "times.txt"

_SECONDS = re.compile(r"\d+\.\d{1,9}", re.ASCII)
#: What names that are times look like, and their nanoseconds. Of present-day clocks, microseconds have 16
#: digits and nanoseconds 19; other numbers, and those with zeros before them, are rather those of frames.
_CLOCKS: dict[str, tuple[re.Pattern[str], Callable[[str], int]]] = {
    "seconds": (_SECONDS, seconds_text_to_nanoseconds),
    "microseconds": (re.compile(r"[1-9]\d{15}", re.ASCII), lambda stem: int(stem) * 1000),
    "nanoseconds": (re.compile(r"[1-9]\d{17,18}", re.ASCII), int),
}
_LARGEST_NANOSECONDS = 2**63 - 1
#: Rates between which names are believed to be times, images a second.
_SLOWEST_HZ, _FASTEST_HZ = 0.1, 1000.0
_SERIES_LISTED = 5


def natural_order(stem: str) -> tuple[str | int | Decimal, ...]:
    """Text and numbers of a name in turn, text first, so that names compare as people read them."""
    if _SECONDS.fullmatch(stem):
        return "", Decimal(stem)
    parts = _text_and_digits(stem)
    return tuple(int(part) if position % 2 else part for position, part in enumerate(parts))


def times_in_names(files: Sequence[Path]) -> tuple[NDArray[np.int64], str] | None:
    """When images were taken, where all their names are times of one kind.

    Args:
        files: The images in order.

    Returns:
        int64 [N], nanoseconds, and the unit that the names are in; None where the names are no times.

    Raises:
        DataFileError: A name is beyond 64-bit nanoseconds, or the images follow each other as no camera's do.
    """
    for unit, (pattern, nanoseconds) in _CLOCKS.items():
        if all(pattern.fullmatch(file.stem) for file in files):
            times = np.array([_time(file, unit, nanoseconds) for file in files], dtype=np.int64)
            _require_rate(files[0].parent, times, unit)
            return times, unit
    return None


def places_in_series(files: Sequence[Path]) -> tuple[NDArray[np.int64], tuple[LeftOut, ...]]:
    """Places of images in their series, int64 [N], from 0. One that is missing leaves a gap.

    The step of the series is the least difference between two numbers: of ``0005``, ``0010`` and ``0020`` the
    third is missing.

    Args:
        files: The images in order.

    Raises:
        DataFileError: There is more than one series: names differ in more than one number.
    """
    plain = np.arange(len(files), dtype=np.int64)
    if len(files) == 1:
        return plain, ()
    numbers = _numbers_of_series(files)
    step = min(after - before for before, after in pairwise(numbers))
    offsets = [number - numbers[0] for number in numbers]
    expected = offsets[-1] // step + 1
    if expected > LARGEST_NUMBER or any(offset % step for offset in offsets):
        return plain, ()
    missing = LeftOut("numbers in the names", "no image has them", expected - len(files), expected)
    return np.array([offset // step for offset in offsets], dtype=np.int64), (missing,)


def _text_and_digits(stem: str) -> list[str]:
    """Text and numbers of a name in turn; it begins and ends with text, which may be empty."""
    return re.split(r"(\d+)", stem, flags=re.ASCII)


def _time(file: Path, unit: str, nanoseconds: Callable[[str], int]) -> int:
    try:
        time_ns = nanoseconds(file.stem)
    except ValueError as error:
        raise DataFileError(file, str(error)) from error
    if time_ns > _LARGEST_NANOSECONDS:
        raise DataFileError(file, f"the name is no time stamp in {unit}, it is too large")
    return time_ns


def _require_rate(folder: Path, times_ns: NDArray[np.int64], unit: str) -> None:
    if len(times_ns) < 2:
        return
    period_s = float(np.median(np.diff(times_ns))) / NANOSECONDS_PER_SECOND
    if not 1 / _FASTEST_HZ <= period_s <= 1 / _SLOWEST_HZ:
        raise DataFileError(
            folder,
            f"the names of the images look like times in {unit}, but then the images are {period_s:g} s "
            f"apart (median), which is no camera's rate; write their times in seconds to {TIMES_FILE}, a "
            "line for every image, or, where the names are no times, rename the images to 1, 2, 3 and so on",
        )


def _numbers_of_series(files: Sequence[Path]) -> list[int]:
    """The one number in which names differ."""
    names = [_text_and_digits(file.stem) for file in files]
    running: list[int] = []
    if len({tuple(name[::2]) for name in names}) == 1:
        running = [place for place in range(1, len(names[0]), 2) if len({name[place] for name in names}) > 1]
        if len(running) == 1:
            return [int(name[running[0]]) for name in names]
    # Where texts differ, the last number of a name is taken for that which runs.
    series = dict.fromkeys(_name_of_series(name, running[-1] if running else len(name) - 2) for name in names)
    listed = ", ".join(list(series)[:_SERIES_LISTED])
    more = f" and {len(series) - _SERIES_LISTED} more" if len(series) > _SERIES_LISTED else ""
    raise DataFileError(
        files[0].parent,
        f"the names of the images are those of several series: {listed}{more}; keep one series in the "
        f"folder, or write the time of every image, in seconds, to {TIMES_FILE}",
    )


def _name_of_series(name: list[str], running: int) -> str:
    return "".join("*" if place == running else part for place, part in enumerate(name))
