"""When frames were taken: by the recording's own time stamps where those can be true, else by counting.

Many .sens files have time stamps that are all zero, and some have random ones.
"""

import numpy as np
from numpy.typing import NDArray

from sequences.numbered_frames import nominal_timestamps_ns, rate_note

_NANOSECONDS_PER_MICROSECOND = 1000
#: Rates between which the time stamps of a camera are believed, frames a second.
_SLOWEST_HZ, _FASTEST_HZ = 5, 120
_LONGEST_GAP_US = 1_000_000


def frame_times(
    stamps_us: dict[str, NDArray[np.uint64]], numbers: NDArray[np.int64], rate_hz: float
) -> tuple[NDArray[np.int64], str]:
    """Choose the clock of the frames.

    Args:
        stamps_us: uint64 [N] microseconds by the name of their clock, the one to be preferred first.
        numbers: int64 [N], the number of every frame in the recording, increasing.
        rate_hz: By which frames are counted where no clock can be believed.

    Returns:
        int64 [N], nanoseconds, strictly increasing; and a sentence that says where they come from.
    """
    problems: list[str] = []
    for clock, stamps in stamps_us.items():
        problem = _problem(stamps)
        if problem is None:
            times = stamps.astype(np.int64) * _NANOSECONDS_PER_MICROSECOND
            return times, "; ".join([f"Time stamps are those of the {clock} images", *problems]) + "."
        problems.append(f"those of the {clock} images {problem}")
    note = rate_note(rate_hz)
    if problems:
        note = f"Time stamps cannot be used: {'; '.join(problems)}. Frames are counted at {rate_hz:g} Hz."
    return nominal_timestamps_ns(numbers, rate_hz), note


def _problem(stamps_us: NDArray[np.uint64]) -> str | None:
    """Why time stamps cannot be those of a camera, as the end of a sentence; None where they can."""
    if len(stamps_us) < 2:
        return "are too few to judge"
    if not stamps_us.any():
        return "are all 0"
    if int(stamps_us.max()) > np.iinfo(np.int64).max // _NANOSECONDS_PER_MICROSECOND:
        return "are further away than any clock goes"
    periods = np.diff(stamps_us.astype(np.int64))
    if (periods <= 0).any():
        return f"do not increase after frame {int(np.argmax(periods <= 0))}"
    median = float(np.median(periods))
    if not 1e6 / _FASTEST_HZ <= median <= 1e6 / _SLOWEST_HZ:
        return f"are {median / 1e6:g} s apart, which is no camera's rate"
    if periods.max() > _LONGEST_GAP_US:
        return f"have a gap of {periods.max() / 1e6:g} s after frame {int(periods.argmax())}"
    return None
