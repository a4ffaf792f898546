"""Trajectory files: exact round trips, and errors that name file and line."""

from pathlib import Path

import numpy as np
import pytest
from evo.tools import file_interface
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sample_trajectories import frame_timestamps, smooth_path

from harness.errors import EvaluationError
from harness.evaluation import TimedPoses, read_tum, write_tum

coordinates = st.floats(allow_nan=False, allow_infinity=False)
timestamps = st.lists(st.integers(-(2**62), 2**62), max_size=20, unique=True).map(sorted)


@given(data=st.data(), stamps=timestamps)
def test_what_is_written_is_read_back_bit_for_bit(data, stamps, tmp_path_factory):
    positions = data.draw(arrays(np.float64, (len(stamps), 3), elements=coordinates))
    quaternions = data.draw(arrays(np.float64, (len(stamps), 4), elements=st.floats(0.1, 1.0)))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    path = tmp_path_factory.mktemp("tum") / "trajectory.tum"

    write_tum(path, TimedPoses(np.array(stamps, dtype=np.int64), positions, quaternions))
    read = read_tum(path)

    assert read.timestamps_ns.tolist() == stamps
    assert read.positions.tobytes() == positions.tobytes()
    assert read.quaternions.tobytes() == quaternions.tobytes()


def test_evo_reads_what_is_written(tmp_path):
    poses = smooth_path(frame_timestamps(20))
    write_tum(tmp_path / "trajectory.tum", poses)

    read = file_interface.read_tum_trajectory_file(tmp_path / "trajectory.tum")

    assert np.array_equal(read.positions_xyz, poses.positions)
    assert np.array_equal(read.orientations_quat_wxyz[:, [1, 2, 3, 0]], poses.quaternions)
    assert np.allclose(read.timestamps * 1e9, poses.timestamps_ns, rtol=0, atol=300)


def test_a_trajectory_without_poses_can_be_stored(tmp_path):
    write_tum(tmp_path / "trajectory.tum", smooth_path(frame_timestamps(0)))

    assert len(read_tum(tmp_path / "trajectory.tum")) == 0


def test_time_stamps_in_exponent_notation_are_read_to_the_nanosecond(tmp_path):
    path = written(tmp_path, "1.305031102175304001e+09 0 0 0 0 0 0 1")

    assert read_tum(path).timestamps_ns.tolist() == [1_305_031_102_175_304_001]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("2.0 0 0 0 0 0 1", "has 7 columns, expected 8"),
        ("2.0 0 zero 0 0 0 0 1", "'zero'"),
        ("noon 0 0 0 0 0 0 1", "'noon' is not a time stamp"),
        ("2.0 nan 0 0 0 0 0 1", "has a NaN or infinite entry"),
        ("2.0 0 0 -inf 0 0 0 1", "has a NaN or infinite entry"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(tmp_path, row, problem):
    path = written(tmp_path, "# a comment", "1.0 0 0 0 0 0 0 1", row)

    with pytest.raises(EvaluationError) as caught:
        read_tum(path)

    assert str(caught.value).startswith(f"{path}:3: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1.0 0 0 0 0 0 0 1", "pose 1 .* is not later than the pose before it"),
        ("0.5 0 0 0 0 0 0 1", "pose 1 .* is not later than the pose before it"),
        ("2.0 0 0 0 0 0 0 3", "pose 1 .* not of unit length"),
    ],
)
def test_a_file_that_is_no_trajectory_is_refused_by_name(tmp_path, row, problem):
    path = written(tmp_path, "1.0 0 0 0 0 0 0 1", row)

    with pytest.raises(EvaluationError, match=problem) as caught:
        read_tum(path)

    assert str(caught.value).startswith(f"{path}: ")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(EvaluationError, match=r"absent\.tum: the file is missing"):
        read_tum(tmp_path / "absent.tum")


def written(directory: Path, *rows: str) -> Path:
    path = directory / "trajectory.tum"
    path.write_text("\n".join(rows) + "\n")
    return path
