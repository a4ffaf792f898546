"""Calibration files, good and bad, and the cameras whose calibration is published."""

import pytest
from tum_files import write_lines

from sequences.calibration import find_calibration, read_calibration
from sequences.errors import DataFileError, SequenceError
from sequences.model import Intrinsics

HEADER = "# fx fy cx cy width height depth_scale"
ROW = "517.3 516.5 318.6 255.3 640 480 5000"


@pytest.fixture
def calibration(tmp_path):
    def write(*lines):
        path = tmp_path / "calibration.txt"
        write_lines(path, list(lines))
        return path

    return write


def test_columns_are_read_by_their_names(calibration):
    path = calibration("# fx cx fy cy height width k1 k2 p1 p2", "500 320 510 240 480 640 0.1 0.2 0.3 0.4")
    read = read_calibration(path)
    assert read.intrinsics == Intrinsics(500, 510, 320, 240, 640, 480)
    assert read.distortion == (0.1, 0.2, 0.3, 0.4, 0.0)
    assert read.depth_scale is None


def test_distortion_is_found_in_a_comment(calibration):
    path = calibration(
        HEADER, ROW, "# not undistorted: d0..d4 = 0.2624 -0.9531 -0.0054 0.0026 1.1633; see page"
    )
    assert read_calibration(path).distortion == (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)


def test_coefficients_that_are_all_zero_are_no_distortion(calibration):
    assert read_calibration(calibration(HEADER, ROW, "# d0..d4 = 0 0 0 0 0")).distortion is None


@pytest.mark.parametrize(
    ("lines", "line", "problem"),
    [
        ([ROW], None, "no comment line names the columns"),
        ([HEADER], None, "no row of numbers"),
        ([HEADER, ROW, ROW], 3, "second row"),
        ([HEADER, "517.3 516.5 318.6 255.3 640 480"], 2, "has 6 columns, expected 7"),
        ([HEADER, ROW.replace("318.6", "middle")], 2, "'middle' is not a number"),
        ([HEADER, ROW.replace("318.6", "nan")], 2, "'nan' is not a finite number"),
        ([HEADER, ROW.replace("640", "640.5")], 2, "width 640.5 is not a whole number"),
        ([HEADER, ROW.replace("517.3", "0")], 2, "focal length"),
        ([HEADER, ROW.replace("5000", "0")], 2, "depth_scale 0 is not positive"),
        ([HEADER.replace("depth_scale", "scale"), ROW], 1, "column 'scale' is unknown"),
        ([HEADER.replace("depth_scale", "cx"), ROW], 1, "named twice"),
        (["# fx fy cx cy width", "1 1 1 1 1"], 1, "column 'height' is missing"),
        ([f"{HEADER} k1 k2 p1", f"{ROW} 1 1 1"], 2, "distortion column 'p2' is missing"),
        ([HEADER, ROW, "# d0..d4 = 1 2 3 4"], 3, "five numbers"),
        ([f"{HEADER} k1 k2 p1 p2", f"{ROW} 1 1 1 1", "# d0..d4 = 1 1 1 1 0"], 2, "more than once"),
    ],
)
def test_a_bad_calibration_is_named_with_file_and_line(calibration, lines, line, problem):
    path = calibration(*lines)
    with pytest.raises(DataFileError, match=problem) as caught:
        read_calibration(path)
    assert caught.value.path == path
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("folder", "fx", "distorted"),
    [
        ("rgbd_dataset_freiburg1_desk", 517.3, True),
        ("rgbd_dataset_freiburg2_xyz", 520.9, True),
        ("rgbd_dataset_freiburg3_long_office_household", 535.4, False),
    ],
)
def test_a_folder_as_downloaded_gets_the_published_calibration(tmp_path, folder, fx, distorted):
    found = find_calibration(tmp_path / folder)
    assert found.intrinsics.fx == fx
    assert (found.distortion is not None) is distorted
    assert found.depth_scale == 5000
    assert "TUM RGB-D" in found.source


def test_the_folders_own_calibration_comes_first(tmp_path):
    directory = tmp_path / "rgbd_dataset_freiburg1_desk"
    directory.mkdir()
    write_lines(directory / "calibration.txt", [HEADER, ROW.replace("517.3", "999")])
    assert find_calibration(directory).intrinsics.fx == 999


def test_an_unknown_camera_without_calibration_is_told_what_to_write(tmp_path):
    with pytest.raises(SequenceError, match="is missing") as caught:
        find_calibration(tmp_path)
    assert HEADER in str(caught.value)
