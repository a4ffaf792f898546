"""Frames that a recording numbers and gives no times: their files, gaps in the numbers, nominal times."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sequences.errors import DataFileError
from sequences.model import NANOSECONDS_PER_SECOND, LeftOut
from sequences.recording import RecordingParameters

LARGEST_NUMBER = 99_999_999


class NumberedParameters(RecordingParameters):
    """What a reader of numbered frames is told.

    Attributes:
        rate_hz: Frames a second; the time of a frame is its number over the rate.
    """

    # The bounds keep the times of all numbers apart, and within 64-bit nanoseconds.
    rate_hz: float = Field(default=30.0, ge=0.1, le=100_000)


@dataclass(frozen=True)
class NumberedPairs:
    """Colour and depth images with one number, in order.

    Attributes:
        numbers: int64 [N], strictly increasing.
        rgb: N paths.
        depth: N paths.
        left_out: Images that are in none of the pairs, and numbers that no image has.
    """

    numbers: NDArray[np.int64]
    rgb: tuple[Path, ...]
    depth: tuple[Path, ...]
    left_out: tuple[LeftOut, ...]


def numbered_files(folder: Path, name: re.Pattern[str]) -> dict[int, Path]:
    """The files of a folder whose whole name matches, by the number in the pattern's first group.

    Raises:
        DataFileError: The folder is missing or cannot be read, or two files have one number.
    """
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError as error:
        raise DataFileError(folder, "the folder is missing") from error
    except OSError as error:
        raise DataFileError(folder, f"the folder cannot be read: {error.strerror}") from error
    files: dict[int, Path] = {}
    for found in names:
        match = name.fullmatch(found)
        if match is None:
            continue
        number = int(match[1])
        if number > LARGEST_NUMBER:
            raise DataFileError(folder / found, f"{number} is too large for the number of a frame")
        if number in files:
            raise DataFileError(
                folder / found, f"has the number of {files[number].name}; keep one image for every frame"
            )
        files[number] = folder / found
    return dict(sorted(files.items()))


def pair_by_number(
    folder: Path, colour: dict[int, Path], depth: dict[int, Path], names: str
) -> NumberedPairs:
    """Pair images of one number; the series begins at 0.

    Args:
        folder: Where they lie, for messages.
        colour: Colour images by number.
        depth: Depth images by number.
        names: How they are called, for messages: ``frame000000.jpg and depth000000.png``.

    Raises:
        DataFileError: No number has both.
    """
    numbers = sorted(colour.keys() & depth.keys())
    if not numbers:
        raise DataFileError(
            folder,
            f"no frame has both images: {len(colour)} colour and {len(depth)} depth images are there; they "
            f"are called {names}, with one number in both",
        )
    left_out = (
        LeftOut("colour images", "no depth image of that number", len(colour) - len(numbers), len(colour)),
        LeftOut("depth images", "no colour image of that number", len(depth) - len(numbers), len(depth)),
        missing_numbers([*colour, *depth], first=0),
    )
    return NumberedPairs(
        np.array(numbers, dtype=np.int64),
        tuple(colour[number] for number in numbers),
        tuple(depth[number] for number in numbers),
        left_out,
    )


def missing_numbers(numbers: list[int], first: int) -> LeftOut:
    """How many numbers between ``first`` and the highest are not there."""
    expected = max(numbers) - first + 1
    return LeftOut("frame numbers", "no image has them", expected - len(set(numbers)), expected)


def nominal_timestamps_ns(numbers: NDArray[np.int64], rate_hz: float) -> NDArray[np.int64]:
    """Times of numbered frames, int64 [N], nanoseconds: the number over the rate."""
    return np.rint(numbers * (NANOSECONDS_PER_SECOND / rate_hz)).astype(np.int64)


def rate_note(rate_hz: float) -> str:
    """Says that times are nominal, for the record."""
    return f"The recording has no time stamps; a frame's time is its number over {rate_hz:g} Hz."
