"""Reading ORB-SLAM3's trajectory files and finding their frames again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.orbslam3.trajectory_file import TrajectoryFileError, match_frames, read_trajectory


def test_rows_are_read_as_nanoseconds_and_unit_quaternions(tmp_path):
    path = tmp_path / "frames.txt"
    path.write_text(
        "0.000000 0.0 0.0 0.0 -0.0 -0.0 -0.0 1.0\n10700000000.000002 0.1 -0.2 0.3 0.0 0.0 0.6 0.8000001\n"
    )
    times_ns, poses = read_trajectory(path)
    assert times_ns.tolist() == [0, 10_700_000_000]
    np.testing.assert_allclose(poses[1], [0.1, -0.2, 0.3, 0.0, 0.0, 0.6, 0.8], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(poses[:, 3:], axis=1), 1.0, rtol=1e-12)


def test_a_missing_file_is_an_empty_trajectory(tmp_path):
    times_ns, poses = read_trajectory(tmp_path / "nothing.txt")
    assert times_ns.shape == (0,)
    assert poses.shape == (0, 7)


@pytest.mark.parametrize(
    "line",
    [
        "0.0 1 2 3 0 0 0",
        "0.0 1 2 3 0 0 0 nan",
        "0.0 1 2 3 0 0 0 1 9",
        "zero 1 2 3 0 0 0 1",
        "0.0 1 2 3 0 0 0 0",
    ],
)
def test_a_broken_row_is_refused_with_file_and_line(tmp_path, line):
    path = tmp_path / "frames.txt"
    path.write_text(f"0.000000 0 0 0 0 0 0 1\n{line}\n")
    with pytest.raises(TrajectoryFileError, match=r"frames\.txt, line 2"):
        read_trajectory(path)


@given(
    first_ns=st.integers(1_000_000_000, 2_000_000_000_000_000_000),
    gaps_ns=st.lists(st.integers(5_000_000, 2_000_000_000), min_size=1, max_size=40),
)
def test_unix_time_stamps_come_back_to_the_nanosecond(first_ns, gaps_ns):
    frames_ns = first_ns + np.concatenate([[0], np.cumsum(np.array(gaps_ns, dtype=np.int64))])
    # What the backend sends, and what ORB-SLAM3 writes of it.
    seconds = (frames_ns - first_ns) * 1e-9
    written = np.array([float(f"{1e9 * value:.6f}") for value in seconds])
    positions = match_frames(np.round(written).astype(np.int64) + first_ns, frames_ns)
    assert positions.tolist() == list(range(len(frames_ns)))


def test_a_row_that_belongs_to_no_frame_is_refused():
    frames_ns = np.array([0, 100_000_000], dtype=np.int64)
    with pytest.raises(TrajectoryFileError, match="row 2 is 50000000 ns away from any frame"):
        match_frames(np.array([0, 50_000_000], dtype=np.int64), frames_ns)


def test_rows_without_any_frame_are_refused():
    with pytest.raises(TrajectoryFileError, match="no frame was sent"):
        match_frames(np.array([5], dtype=np.int64), np.empty(0, dtype=np.int64))
