"""Numbered images and poses in matrices: what readers of such recordings share."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sequences.errors import DataFileError
from sequences.numbered_frames import (
    LARGEST_NUMBER,
    NumberedParameters,
    missing_numbers,
    nominal_timestamps_ns,
    numbered_files,
)
from sequences.pose_matrices import ground_truth_from_poses, is_rigid_motion

NAME = re.compile(r"image(\d+)\.png")
RATES = st.floats(0.1, 100_000)


@given(numbers=st.sets(st.integers(0, LARGEST_NUMBER), min_size=2), rate_hz=RATES)
def test_times_keep_the_order_of_the_numbers_at_every_rate(numbers, rate_hz):
    rate_hz = NumberedParameters(directory="somewhere", rate_hz=rate_hz).rate_hz
    times = nominal_timestamps_ns(np.array(sorted(numbers), dtype=np.int64), rate_hz)
    assert (np.diff(times) > 0).all()
    # Sixteen digits of a double leave an error of nanoseconds after years.
    np.testing.assert_allclose(
        times, [number / rate_hz * 1e9 for number in sorted(numbers)], rtol=1e-15, atol=1
    )


def test_files_are_in_order_of_their_numbers_however_many_digits_they_have(tmp_path):
    for name in (
        "image10.png",
        "image9.png",
        "image0011.png",
        "image1.jpg",
        "ximage2.png",
        "image3.png.part",
    ):
        (tmp_path / name).touch()
    assert {number: file.name for number, file in numbered_files(tmp_path, NAME).items()} == {
        9: "image9.png",
        10: "image10.png",
        11: "image0011.png",
    }
    assert list(numbered_files(tmp_path, NAME)) == [9, 10, 11]


@pytest.mark.parametrize(
    ("name", "problem"), [("image09.png", "has the number of image"), (f"image{10**9}.png", "is too large")]
)
def test_a_file_with_an_impossible_number_is_named(tmp_path, name, problem):
    (tmp_path / "image9.png").touch()
    (tmp_path / name).touch()
    with pytest.raises(DataFileError, match=problem):
        numbered_files(tmp_path, NAME)


def test_a_file_in_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "images").touch()
    with pytest.raises(DataFileError, match="images: the folder cannot be read"):
        numbered_files(tmp_path / "images", NAME)


@given(numbers=st.sets(st.integers(0, 50), min_size=1))
def test_numbers_that_are_missing_and_numbers_that_are_there_make_the_series(numbers):
    counted = missing_numbers(list(numbers), first=0)
    assert counted.count == sum(number not in numbers for number in range(max(numbers)))
    assert counted.total == max(numbers) + 1


ENTRIES = st.floats(-3.0, 3.0)


@given(turn=st.tuples(ENTRIES, ENTRIES, ENTRIES), position=st.tuples(ENTRIES, ENTRIES, ENTRIES))
def test_a_pose_in_a_matrix_is_the_pose_of_the_ground_truth(turn, position):
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = Rotation.from_rotvec(turn).as_matrix(), position
    assert is_rigid_motion(pose)
    truth = ground_truth_from_poses(Path("poses"), np.array([7, 8]), [None, pose])
    np.testing.assert_allclose(Rotation.from_quat(truth.quaternions[0]).as_matrix(), pose[:3, :3], atol=1e-12)
    assert (truth.timestamps_ns.tolist(), truth.positions[0].tolist()) == ([8], list(position))
    assert truth.rows_dropped == 1


@pytest.mark.parametrize(
    "matrix",
    [
        np.diag([1.0, 1.0, -1.0, 1.0]),
        np.diag([1.05, 1.0, 1.0, 1.0]),
        np.diag([1.0, 1.0, 1.0, 2.0]),
        np.zeros((4, 4)),
        np.full((4, 4), np.nan),
        np.full((4, 4), np.inf),
        np.full((4, 4), 1e300),
        np.eye(4) + np.diag([0.1, 0.0, 0.0], k=1),
    ],
)
def test_what_mirrors_scales_or_shears_is_no_rigid_motion(matrix):
    assert not is_rigid_motion(matrix)
