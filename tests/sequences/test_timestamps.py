"""Time stamps: exact both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequences.timestamps import nanoseconds_to_seconds_text, seconds_text_to_nanoseconds


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_nanoseconds_survive_being_written_and_read(nanoseconds):
    assert seconds_text_to_nanoseconds(nanoseconds_to_seconds_text(nanoseconds)) == nanoseconds


@given(st.integers(0, 9_000_000_000), st.text("0123456789", min_size=1, max_size=9))
def test_the_decimals_are_taken_as_they_stand(seconds, decimals):
    assert seconds_text_to_nanoseconds(f"{seconds}.{decimals}") == seconds * 10**9 + int(
        decimals.ljust(9, "0")
    )


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1305031102.175304", 1305031102175304000),
        ("1.305031102175304e+09", 1305031102175304000),
        ("1305031102.123456789", 1305031102123456789),
        ("0.0333333333333", 33333333),
        ("7", 7_000_000_000),
        (".5", 500_000_000),
        ("-0.25", -250_000_000),
    ],
)
def test_forms_found_in_recordings_are_read(text, nanoseconds):
    assert seconds_text_to_nanoseconds(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "nan", "1_000", "1,5", "0x10", "1.2.3", "1e", "٣", "1" * 400])
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="not a time stamp"):
        seconds_text_to_nanoseconds(text)


def test_a_time_stamp_in_nanoseconds_is_refused_with_a_hint():
    with pytest.raises(ValueError, match="in seconds, not nanoseconds"):
        seconds_text_to_nanoseconds("1305031102175304000")
