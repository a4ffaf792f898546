"""Order, times and places in a series by the names of images alone."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequences.errors import DataFileError
from sequences.image_names import natural_order, places_in_series, times_in_names

FOLDER = Path("recording") / "images"


def files(*stems):
    return [FOLDER / f"{stem}.png" for stem in sorted(stems, key=natural_order)]


@given(st.lists(st.integers(0, 10**9), min_size=1, unique=True), st.sampled_from(["", "frame_", "cam0_x1_"]))
def test_names_are_ordered_as_their_numbers_whatever_the_zeros_before(numbers, prefix):
    names = [f"{prefix}{number:0{index % 6}d}" for index, number in enumerate(numbers)]
    assert sorted(names, key=natural_order) == [name for _, name in sorted(zip(numbers, names, strict=True))]


@given(st.lists(st.decimals(0, 2**33, places=9), min_size=2, unique=True), st.integers(1, 9))
def test_names_in_seconds_are_ordered_as_times_whatever_their_digits(times, decimals):
    rounded = {round(time, decimals) for time in times}
    # Zeros at the end are left out, as languages print floats.
    names = [f"{time:f}".rstrip("0") if time % 1 else f"{int(time)}.0" for time in rounded]
    assert sorted(names, key=natural_order) == sorted(names, key=Decimal)


def test_names_with_a_point_are_seconds_to_the_nanosecond():
    times, unit = times_in_names(files("1305031102.175304", "1305031102.2", "1305031102.211214001"))
    assert unit == "seconds"
    assert times.tolist() == [1_305_031_102_175_304_000, 1_305_031_102_200_000_000, 1_305_031_102_211_214_001]


@pytest.mark.parametrize(
    ("stems", "unit", "factor"),
    [
        (("1403636579763555", "1403636579813555"), "microseconds", 1000),
        (("140363657976355558", "140363657981355558"), "nanoseconds", 1),
        (("999999999990000000", "1000000000040000000"), "nanoseconds", 1),
        (("1403636579763555584",), "nanoseconds", 1),
    ],
)
def test_the_number_of_digits_says_the_unit(stems, unit, factor):
    times, found = times_in_names(files(*stems))
    assert found == unit
    assert times.tolist() == [int(stem) * factor for stem in stems]


@pytest.mark.parametrize(
    "stems",
    [
        ("1403636579763", "1403636579813"),
        ("14036365797635555", "14036365798135555"),
        ("0000000000000001", "0000000000000002"),
        ("14036365797635555840", "14036365798135555840"),
        ("1403636579763555", "1403636579813555584"),
        ("1403636579763555", "cover"),
        ("1.0000000001", "1.0000000002"),
    ],
)
def test_other_names_are_no_times(stems):
    assert times_in_names(files(*stems)) is None


@pytest.mark.parametrize(
    ("stems", "said"),
    [
        (("1403636579763555", "1403636579763605", "1403636579763655"), "microseconds, .* are 5e-05 s apart"),
        (("1003636579763555", "1003636629763555"), "microseconds, .* are 50 s apart"),
        (("140363657976355558", "140363657976405558"), "nanoseconds, .* are 5e-05 s apart"),
        (("0.0001", "0.0002"), "seconds, .* are 0.0001 s apart"),
        (("33.5", "66.5"), "seconds, .* are 33 s apart"),
    ],
)
def test_a_rate_that_no_camera_has_is_refused_with_what_to_do(stems, said):
    with pytest.raises(
        DataFileError, match=rf"{said} .*write their times in seconds to times\.txt"
    ) as caught:
        times_in_names(files(*stems))
    assert caught.value.path == FOLDER


@pytest.mark.parametrize(
    "stems",
    [
        ("1403636579763555584", "9999999999999999999"),
        ("9403636579763555", "9403636579813555"),
        ("1403636579763.555", "1403636579813.555"),
    ],
)
def test_a_time_beyond_64_bits_is_refused_with_its_file(stems):
    with pytest.raises(DataFileError, match="too large") as caught:
        times_in_names(files(*stems))
    assert caught.value.path.stem in stems


@pytest.mark.parametrize(
    ("stems", "places", "missing"),
    [
        (("0007", "0008", "0010"), [0, 1, 3], (1, 4)),
        (("f5", "f10", "f20"), [0, 1, 3], (1, 4)),
        (("1", "2"), [0, 1], (0, 2)),
        (("1",), [0], None),
        (("cover",), [0], None),
        (("1311868164373", "1311868164406", "1311868164440"), [0, 1, 2], None),
        (("1", "2", "900000000000"), [0, 1, 2], None),
        (("rgb_1_640x480", "rgb_2_640x480", "rgb_4_640x480"), [0, 1, 3], (1, 4)),
        (("0001_left", "0002_left"), [0, 1], (0, 2)),
    ],
)
def test_a_missing_number_leaves_a_gap_where_names_are_plainly_numbered(stems, places, missing):
    found, left_out = places_in_series(files(*stems))
    assert found.tolist() == places
    assert [(part.count, part.total) for part in left_out] == ([] if missing is None else [missing])


@pytest.mark.parametrize(
    ("stems", "listed"),
    [
        (("left_0", "left_1", "right_0"), "left_*, right_*;"),
        (("cam0_0", "cam0_1", "cam1_0", "cam1_1"), "cam0_*, cam1_*;"),
        (("0001_left", "0001_right"), "*_left, *_right;"),
        (("1", "2", "cover"), "*, cover;"),
        (("left", "right"), "left, right;"),
        (("2024-01-01_10-15-59", "2024-01-01_10-16-00"), "2024-01-01_10-15-*, 2024-01-01_10-16-*;"),
        ([f"{name}_1" for name in "abcdefgh"], "a_*, b_*, c_*, d_*, e_* and 3 more;"),
    ],
)
def test_several_series_in_one_folder_are_refused_and_listed(stems, listed):
    with pytest.raises(DataFileError) as caught:
        places_in_series(files(*stems))
    assert f"several series: {listed}" in str(caught.value)
    assert caught.value.path == FOLDER
