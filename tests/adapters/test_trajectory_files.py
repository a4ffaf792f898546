"""Trajectory files of every text format: read exactly, and refused with file and line."""

import re
from contextlib import contextmanager

import numpy as np
import pytest
from evo.tools import file_interface
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from adapters.trajectory.reading import read_trajectory
from adapters.trajectory.recorded_poses import TrajectoryFileError

# A quarter of a turn about y: x becomes -z.
HALF = 0.7071067811865476
QUARTER_TURN = [0.0, HALF, 0.0, HALF]

TUM = """\
# timestamp tx ty tz qx qy qz qw
1305031102.175304321 1.5 -2 3e-1 0 0.7071067811865476 0 0.7071067811865476

1305031102.2\t0 0 0 0 0 0 1
"""
KITTI = """\
0 0 1 1.5 0 1 0 -2 -1 0 0 0.3
1 0 0 0 0 1 0 0 0 0 1 0
"""
EUROC = """\
#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], q_RS_z [], v_x
1403636580838555648,1.5,-2,0.3,0.7071067811865476,0,0.7071067811865476,0,9
1403636580843555328,0,0,0,1,0,0,0,9
"""
HYDRA = """\
timestamp_kf,x,y,z,qw,qx,qy,qz
1403636580838555648,1.5,-2,0.3,0.7071067811865476,0,0.7071067811865476,0
1403636580843555328,0,0,0,1,0,0,0
"""
TEXTS = {"tum": TUM, "kitti": KITTI, "euroc": EUROC, "hydra": HYDRA}
STAMPS = {
    "tum": [1305031102_175304321, 1305031102_200000000],
    "kitti": [0, 1],
    "euroc": [1403636580838555648, 1403636580843555328],
    "hydra": [1403636580838555648, 1403636580843555328],
}
EVO_READERS = {
    "tum": file_interface.read_tum_trajectory_file,
    "kitti": file_interface.read_kitti_poses_file,
    "euroc": file_interface.read_euroc_csv_trajectory,
}


def write(tmp_path, text, name="trajectory.txt"):
    path = tmp_path / name
    path.write_text(text)
    return path


@contextmanager
def refused(*words):
    with pytest.raises(TrajectoryFileError) as caught:
        yield
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("chosen", [True, False], ids=["named", "recognised"])
def test_every_format_gives_the_same_poses_to_the_nanosecond(tmp_path, name, chosen):
    found = read_trajectory(write(tmp_path, TEXTS[name]), name if chosen else "auto")
    assert found.format == name
    assert found.recorded.has_time == (name != "kitti")
    assert found.recorded.keys.tolist() == STAMPS[name]
    np.testing.assert_allclose(
        found.recorded.poses, [[1.5, -2, 0.3, *QUARTER_TURN], [0, 0, 0, 0, 0, 0, 1]], atol=1e-15
    )


def test_files_end_lines_and_begin_as_they_like(tmp_path):
    path = tmp_path / "windows.txt"
    path.write_bytes(b"\xef\xbb\xbf" + TUM.replace("\n", "\r\n").encode())
    assert read_trajectory(path).recorded.keys.tolist() == STAMPS["tum"]


def test_the_digest_is_that_of_the_file(tmp_path):
    path = write(tmp_path, "1 0 0 0 0 0 0 1\n")
    # As sha256sum prints it.
    assert read_trajectory(path).sha256 == "006808cc292a5b75041eb4b483af4f17e41b3af0c3b029da671e1f1438b4f92f"


@pytest.mark.parametrize("name", ["#timestamp_kf,x,y,z,qx,qy,qz,qw", "qw,qx,qy,qz,z,y,x,timestamp"])
def test_columns_of_hydra_are_found_by_name(tmp_path, name):
    values = {"x": 1, "y": 2, "z": 3, "qx": 0, "qy": HALF, "qz": 0, "qw": HALF}
    row = ",".join(str(values.get(column, 7)) for column in name.lstrip("#").split(","))
    recorded = read_trajectory(write(tmp_path, f"{name}\n{row}\n")).recorded
    assert recorded.keys.tolist() == [7]
    np.testing.assert_allclose(recorded.poses, [[1, 2, 3, *QUARTER_TURN]], atol=1e-15)


@pytest.mark.parametrize(
    "header",
    [
        "x,y,z,qw,qx,qy,qz",
        "timestamp_kf,timestamp,x,y,z,qw,qx,qy,qz",
        "timestamp_kf,x,y,z,qw,qx,qy,qz,vx",
        "timestamp_kf,x,y,z,qw,qx,qy",
        "time,x,y,z,qw,qx,qy,qz",
        "1403636580838555648,1,2,3,1,0,0,0",
    ],
)
def test_a_header_that_is_not_known_of_hydra_is_refused(tmp_path, header):
    path = write(tmp_path, f"{header}\n1,2,3,4,5,6,7,8\n")
    with refused(f"{path}:1", "timestamp_kf"):
        read_trajectory(path, "hydra")


@pytest.mark.parametrize(
    "header",
    [
        "#timestamp_kf,x,y,z,qx,qy,qz,qw",
        "#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_x [], q_RS_y [], q_RS_z [], q_RS_w []",
        "#timestamp, p_x",
    ],
)
def test_a_header_with_another_order_than_eurocs_is_refused(tmp_path, header):
    path = write(tmp_path, f"{header}\n1,0,0,0,1,0,0,0\n")
    with refused(f"{path}:1", "EuRoC"):
        read_trajectory(path, "euroc")


@pytest.mark.parametrize(
    "header", ["", "# made by hand\n", "#timestamp, p_x, p_y, p_z, q_w, q_x, q_y, q_z\n"]
)
def test_eurocs_header_may_be_shorter_or_missing(tmp_path, header):
    path = write(tmp_path, f"{header}5,1,2,3,1,0,0,0\n")
    assert read_trajectory(path, "euroc").recorded.poses.tolist() == [[1, 2, 3, 0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("name", "row", "words"),
    [
        ("tum", "5 0 0 0 0 0 1", ["has 7 numbers, expected 8"]),
        ("tum", "5 0 0 zero 0 0 0 1", ["'zero' is not a number"]),
        ("tum", "noon 0 0 0 0 0 0 1", ["'noon' is not a time stamp"]),
        ("tum", "1403636580838555648 0 0 0 0 0 0 1", ["too large for a time stamp in seconds"]),
        ("tum", "5 0 0 0 0 0 0 0", ["quaternion has length 0"]),
        ("tum", "5 0 0 0 1 1 0 0", ["quaternion has length 1.414"]),
        ("tum", "4 0 0 0 0 0 0 1", ["that of the pose before it (at 1)"]),
        ("tum", "3.999999999 0 0 0 0 0 0 1", ["earlier than that of"]),
        ("kitti", "1 0 0 0 0 1 0 0 0 0 1", ["has 11 numbers, expected 12"]),
        ("kitti", "2 0 0 0 0 1 0 0 0 0 1 0", ["no rotation"]),
        ("kitti", "1 0 0 0 0 1 0 0 0 0 -1 0", ["no rotation"]),
        ("euroc", "5,0,0,0,1,0,0", ["has 7 columns, expected 8"]),
        ("euroc", "5,0,0,0,1,0,0,0,0", ["has 9 columns, expected 8"]),
        ("euroc", "5.5,0,0,0,1,0,0,0", ["whole nanoseconds"]),
        ("euroc", "5,0,0,0,1,0,,0", ["'' is not a number"]),
        ("euroc", "4,0,0,0,1,0,0,0", ["that of the pose before it"]),
    ],
)
def test_a_wrong_row_is_refused_with_file_and_line(tmp_path, name, row, words):
    good = {"tum": "4 0 0 0 0 0 0 1", "kitti": "1 0 0 0 0 1 0 0 0 0 1 0", "euroc": "4,0,0,0,1,0,0,0"}[name]
    path = write(tmp_path, f"{good}\n\n{row}\n")
    with refused(f"{path}:3: ", *words):
        read_trajectory(path, name)


def test_a_wrong_row_of_hydra_is_refused_with_file_and_line(tmp_path):
    path = write(tmp_path, HYDRA + "1403636580843555329,0,0\n")
    with refused(f"{path}:4: ", "has 3 columns, the first line names 8"):
        read_trajectory(path)


@pytest.mark.parametrize(
    ("name", "rows", "kept"),
    [
        (
            "tum",
            ["1 nan 0 0 0 0 0 1", "2 0 0 0 0 0 0 1", "nan 0 0 0 0 0 0 1", "3 0 0 0 nan nan nan nan"],
            [2e9],
        ),
        ("kitti", ["nan " * 12, "1 0 0 0 0 1 0 0 0 0 1 0", "1 0 0 inf 0 1 0 0 0 0 1 0"], [1]),
        ("euroc", ["1,nan,0,0,1,0,0,0", "2,0,0,0,1,0,0,0", "2,0,0,0,1,0,0,inf"], [2]),
    ],
)
def test_rows_with_nan_are_left_out_and_counted(tmp_path, name, rows, kept):
    recorded = read_trajectory(write(tmp_path, "\n".join(rows)), name).recorded
    assert recorded.keys.tolist() == kept
    assert (recorded.rows, len(recorded)) == (len(rows), 1)


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_without_any_pose_is_refused(tmp_path, name):
    path = write(tmp_path, TEXTS["hydra"].splitlines()[0] if name == "hydra" else "# nothing\n")
    with refused(str(path), "holds no pose"):
        read_trajectory(path, name)


def test_a_file_of_nothing_but_nan_says_how_many_rows_it_has(tmp_path):
    with refused("holds no pose", "all of its 2 rows"):
        read_trajectory(write(tmp_path, "1 nan 0 0 0 0 0 1\n2 nan 0 0 0 0 0 1\n"))


@pytest.mark.parametrize("text", ["", "1 2 3\n", "# a comment\n", "a page of words\n"])
def test_a_file_of_no_known_format_is_refused(tmp_path, text):
    path = write(tmp_path, text)
    with refused(str(path), "none of tum, kitti, euroc, hydra"):
        read_trajectory(path)


def test_files_that_are_missing_or_no_text_are_named(tmp_path):
    with refused(str(tmp_path / "nothing.tum"), "No such file"):
        read_trajectory(tmp_path / "nothing.tum")
    binary = tmp_path / "binary.tum"
    binary.write_bytes(bytes(range(256)))
    with refused(str(binary), "no text file"):
        read_trajectory(binary)


def test_a_topic_of_a_text_file_is_refused(tmp_path):
    with refused("is no bag"):
        read_trajectory(write(tmp_path, TUM), topic="/odom")


@pytest.mark.parametrize("name", EVO_READERS)
def test_evo_reads_the_same_poses(tmp_path, name):
    path = write(tmp_path, TEXTS[name].replace("\n\n", "\n").replace("\t", " "))
    evos, ours = EVO_READERS[name](path), read_trajectory(path, name).recorded
    np.testing.assert_allclose(ours.poses[:, :3], evos.positions_xyz, rtol=0, atol=0)
    turns = Rotation.from_quat(ours.poses[:, 3:]).inv() * Rotation.from_quat(
        np.roll(evos.orientations_quat_wxyz, -1, axis=1)
    )
    assert turns.magnitude().max() < 1e-12
    if name != "kitti":
        # What float seconds lose.
        np.testing.assert_allclose(evos.timestamps, ours.keys / 1e9, rtol=0, atol=5e-7)


numbers = st.floats(-1e6, 1e6)
turns = st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1)
trajectories = st.lists(st.tuples(numbers, numbers, numbers, turns), min_size=1, max_size=8)


def as_text(name, stamp, position, turn):
    if name == "tum":
        return " ".join([f"{stamp // 10**9}.{stamp % 10**9:09d}", *map(repr, (*position, *turn))])
    if name == "kitti":
        matrix = np.column_stack([Rotation.from_quat(turn).as_matrix(), position])
        return " ".join(map(repr, matrix.ravel().tolist()))
    order = [3, 0, 1, 2] if name == "euroc" else [0, 1, 2, 3]
    return ",".join([str(stamp), *map(repr, position), *(repr(turn[index]) for index in order)])


@pytest.mark.parametrize("name", TEXTS)
@given(trajectory=trajectories, first=st.integers(0, 2 * 10**18), gaps=st.lists(st.integers(1, 10**12)))
def test_whatever_is_written_is_read_back(tmp_path_factory, name, trajectory, first, gaps):
    gaps = [*gaps, *[1] * len(trajectory)][: len(trajectory)]
    stamps = (first + np.cumsum(gaps)).tolist()
    turns = [(np.array(turn) / np.linalg.norm(turn)).tolist() for *_, turn in trajectory]
    rows = [
        as_text(name, stamp, position, turn)
        for stamp, (*position, _), turn in zip(stamps, trajectory, turns, strict=True)
    ]
    header = ["#timestamp_kf,x,y,z,qx,qy,qz,qw"] if name == "hydra" else []
    path = tmp_path_factory.mktemp("written") / "trajectory.txt"
    path.write_text("\n".join([*header, *rows]))
    recorded = read_trajectory(path).recorded
    assert recorded.keys.tolist() == (list(range(len(rows))) if name == "kitti" else stamps)
    np.testing.assert_array_equal(recorded.poses[:, :3], [position for *position, _ in trajectory])
    off = Rotation.from_quat(recorded.poses[:, 3:]).inv() * Rotation.from_quat(turns)
    assert off.magnitude().max() < 1e-6
    assert re.fullmatch("[0-9a-f]{64}", read_trajectory(path).sha256)
