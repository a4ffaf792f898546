"""Time stamps between decimal text in seconds and integer nanoseconds, without rounding through floats."""

import re
from decimal import Decimal

from sequences.model import NANOSECONDS_PER_SECOND

_DECIMAL_SECONDS = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_LARGEST_NANOSECONDS = 2**63 - 1
_LONGEST_TEXT = 64


def seconds_text_to_nanoseconds(text: str) -> int:
    """Read a time stamp.

    A float holds a present-day time stamp to about 200 ns only; the decimal text is taken as it stands.
    Digits beyond the nanosecond are rounded half to even.

    Args:
        text: Seconds, with or without fraction and exponent: ``1305031102.175304``.

    Returns:
        Nanoseconds.

    Raises:
        ValueError: The text is no finite decimal number or lies outside the range of 64-bit nanoseconds.
    """
    whole, _, fraction = text.partition(".")
    # Nearly all time stamps are of this plain form, for which whole numbers do, five times as fast.
    if len(whole) <= 10 and len(fraction) <= 9 and text.isascii() and whole.isdigit() and fraction.isdigit():
        nanoseconds = int(whole + fraction.ljust(9, "0"))
        if nanoseconds <= _LARGEST_NANOSECONDS:
            return nanoseconds
    if len(text) > _LONGEST_TEXT or not _DECIMAL_SECONDS.fullmatch(text):
        raise ValueError(f"'{text[:_LONGEST_TEXT]}' is not a time stamp in seconds")
    seconds = Decimal(text)
    if abs(seconds) * NANOSECONDS_PER_SECOND > _LARGEST_NANOSECONDS:
        raise ValueError(f"time stamp '{text}' is too large; time stamps are in seconds, not nanoseconds")
    return int((seconds * NANOSECONDS_PER_SECOND).to_integral_value())


def nanoseconds_to_seconds_text(nanoseconds: int) -> str:
    """Write a time stamp as seconds with at least six and at most nine decimals, exactly."""
    sign = "-" if nanoseconds < 0 else ""
    seconds, fraction = divmod(abs(int(nanoseconds)), NANOSECONDS_PER_SECOND)
    decimals = f"{fraction:09d}"
    return f"{sign}{seconds}.{decimals[:6]}{decimals[6:].rstrip('0')}"
