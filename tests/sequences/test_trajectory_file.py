"""Ground truth in the TUM format, good and bad."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tum_files import STILL_POSE, write_lines

from sequences.errors import DataFileError
from sequences.trajectory_file import read_ground_truth


@pytest.fixture
def trajectory(tmp_path):
    def write(*lines):
        path = tmp_path / "groundtruth.txt"
        write_lines(path, list(lines))
        return path

    return write


def test_quaternions_are_brought_to_unit_length(trajectory):
    truth, _ = read_ground_truth(trajectory("1.5 1 2 3 0 0 2 2"))
    assert truth.timestamps_ns.tolist() == [1_500_000_000]
    np.testing.assert_array_equal(truth.positions, [[1, 2, 3]])
    np.testing.assert_allclose(truth.quaternions, [[0, 0, 0.5**0.5, 0.5**0.5]])


def test_rows_with_nan_or_infinite_entries_are_dropped_with_their_time_stamps_and_counted(trajectory):
    path = trajectory(
        f"1 {STILL_POSE}",
        "2 nan nan nan nan nan nan nan",
        "3 0 0 inf 0 0 0 1",
        "nan 0 0 0 0 0 0 1",
        "4 0 0 0 0 0 -inf 1",
        f"5 {STILL_POSE}",
    )
    truth, repeated = read_ground_truth(path)
    assert truth.timestamps_ns.tolist() == [1_000_000_000, 5_000_000_000]
    assert len(truth.positions) == len(truth.quaternions) == 2
    assert (truth.rows_dropped, repeated) == (4, 0)


def test_a_row_that_repeats_time_and_nearly_the_pose_is_left_out_and_counted(trajectory):
    truth, repeated = read_ground_truth(
        trajectory("1 0 0 0 0 0 0 1", "1 0.001 0 0 0 0 0.003 1", "2 0 0 0 0 0 0 1")
    )
    assert truth.positions.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert repeated == 1


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("2 0.5 0 0 0 0 0 1", "that of the row above and the pose is another"),
        (f"1.5 {STILL_POSE}", "before that of the row above"),
        ("3 0 0 0 0 0 0 0", "quaternion is zero"),
        ("3 0 0 0 0 0 0", "has 7 columns, expected 8: timestamp tx ty tz qx qy qz qw"),
        ("3 0 0 0 0 0 0 1 9", "has 9 columns"),
        ("3 0 0 zero 0 0 0 1", "'zero' is not a number"),
        ("three 0 0 0 0 0 0 1", "'three' is not a time stamp"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(trajectory, bad, problem):
    path = trajectory("# comment", f"1 {STILL_POSE}", "", f"2 {STILL_POSE}", bad)
    with pytest.raises(DataFileError, match=problem) as caught:
        read_ground_truth(path)
    assert str(caught.value).startswith(f"{path}:5: ")


@pytest.mark.parametrize("lines", [[], ["# only a comment"], ["1 nan 0 0 0 0 0 1"]])
def test_a_file_without_a_usable_pose_is_refused(trajectory, lines):
    with pytest.raises(DataFileError, match="no usable pose"):
        read_ground_truth(trajectory(*lines))


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(DataFileError, match="missing"):
        read_ground_truth(tmp_path / "groundtruth.txt")
    (tmp_path / "groundtruth.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataFileError, match="not text"):
        read_ground_truth(tmp_path / "groundtruth.txt")


numbers = st.one_of(
    st.floats().map(str), st.integers().map(str), st.sampled_from(["nan", "inf", "-inf", "1e999", "x", "0"])
)
rows = st.lists(numbers, min_size=6, max_size=9).map(" ".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.lists(st.one_of(rows, st.text()), max_size=6).map("\n".join)))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_whatever_a_file_says_it_is_read_or_refused_with_a_data_file_error(tmp_path, text):
    path = tmp_path / "groundtruth.txt"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        truth, _ = read_ground_truth(path)
    except DataFileError:
        return
    assert len(truth) == len(truth.positions) == len(truth.quaternions) > 0
    assert (np.diff(truth.timestamps_ns.astype(object)) > 0).all()
    assert np.isfinite(truth.positions).all()
    np.testing.assert_allclose(np.linalg.norm(truth.quaternions, axis=1), 1)
