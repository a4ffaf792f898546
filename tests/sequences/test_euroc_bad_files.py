"""EuRoC recordings with something wrong in them: the message names the file and its line or frame."""

import cv2
import pytest
from euroc_files import DISTORTION, FIRST_NS, PERIOD_NS, flat_image, write_euroc_sequence
from speckled_room import CAMERA

from sequences.errors import DataFileError
from sequences.euroc import EurocSequence
from sequences.reader import ReaderContext


@pytest.fixture
def recording(tmp_path):
    return write_euroc_sequence(tmp_path / "MH_01_easy")


def opening_fails(directory, file, line=None, **parameters):
    """Open, expect a data file error at ``file`` below ``mav0`` and ``line``, and return its message."""
    with pytest.raises(DataFileError) as caught:
        EurocSequence.open(
            "small",
            {"directory": str(directory), **parameters},
            ReaderContext(None, directory / "cache"),
        )
    assert (caught.value.path, caught.value.line) == (directory / "mav0" / file, line)
    return str(caught.value)


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_camera_that_is_not_there_is_named(recording):
    assert "missing" in opening_fails(recording, "cam1/sensor.yaml", camera="cam1")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("camera_model: pinhole", "camera_model: omni", "camera_model 'omni' is not supported; 'pinhole'"),
        ("radial-tangential", "equidistant", "distortion_model 'equidistant' with 4 distortion_coefficients"),
        (f"{DISTORTION[3]}]", f"{DISTORTION[3]}, 0.1]", "'radial-tangential' with 5"),
        ("distortion_coefficients", "coefficients", "'distortion_coefficients': field required"),
        ("T_BS:", "T_SB:", "'T_BS': field required"),
        ("cols: 4", "cols: 3", "'T_BS.cols'"),
        ("0.0, 0.0, 1.0, 0.05", "0.0, 0.0, 1.1, 0.05", "not a rigid motion"),
        ("0.0, 0.0, 1.0, 0.05", "0.0, 0.0, -1.0, 0.05", "not a rigid motion"),
        ("0.0, 0.0, 1.0, 0.05,", "", "'T_BS.data'"),
        (f"[{CAMERA.width}, ", "[0, ", "'resolution.0'"),
        (f"[{CAMERA.fx}, ", "[-1, ", "'intrinsics.0'"),
        (f"[{CAMERA.fx}, ", "[.nan, ", "'intrinsics.0'"),
    ],
)
def test_a_camera_that_cannot_be_used_is_refused_with_the_reason(recording, old, new, said):
    change(recording / "mav0" / "cam0" / "sensor.yaml", old, new)
    assert said in opening_fails(recording, "cam0/sensor.yaml")


@pytest.mark.parametrize("text", ["", "- 1\n- 2\n", "just text\n"])
def test_a_calibration_without_keys_says_which_it_must_have(recording, text):
    (recording / "mav0" / "cam0" / "sensor.yaml").write_text(text)
    assert "must hold the keys" in opening_fails(recording, "cam0/sensor.yaml")


def test_broken_yaml_is_named_with_its_line(recording):
    path = recording / "mav0" / "cam0" / "sensor.yaml"
    path.write_text("%YAML:1.0\nT_BS: [1, 2\nrate_hz: 20\n")
    assert "is not YAML" in opening_fails(recording, "cam0/sensor.yaml", 3)


def test_yaml_with_objects_of_python_in_it_runs_nothing(recording):
    (recording / "mav0" / "cam0" / "sensor.yaml").write_text("T_BS: !!python/object/apply:os.getcwd []\n")
    assert "is not YAML" in opening_fails(recording, "cam0/sensor.yaml", 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rate_hz: 200", "rate_hz: 0", "'rate_hz'"),
        ("gyroscope_noise_density: 1.6968e-04", "gyroscope_noise_density: -1", "'gyroscope_noise_density'"),
        ("accelerometer_random_walk", "walk", "'accelerometer_random_walk': field required"),
    ],
)
def test_an_imu_that_cannot_be_used_is_refused_with_the_key(recording, old, new, said):
    change(recording / "mav0" / "imu0" / "sensor.yaml", old, new)
    assert said in opening_fails(recording, "imu0/sensor.yaml")


@pytest.mark.parametrize("file", ["cam0/data.csv", "imu0/data.csv", "imu0/sensor.yaml"])
def test_a_file_that_is_not_there_is_named(recording, file):
    (recording / "mav0" / file).unlink()
    assert "the file is missing" in opening_fails(recording, file)


def test_ground_truth_without_its_table_is_refused(recording):
    (recording / "mav0" / "state_groundtruth_estimate0" / "data.csv").unlink()
    assert "missing" in opening_fails(recording, "state_groundtruth_estimate0/data.csv")


FIRST_COLUMNS = {
    "cam0/data.csv": "x.png",
    "imu0/data.csv": "0,0,0,0,0,0",
    "state_groundtruth_estimate0/data.csv": "0,0,0,1,0,0,0",
}


@pytest.mark.parametrize(("file", "rest"), FIRST_COLUMNS.items())
@pytest.mark.parametrize(
    ("stamp", "said"),
    [
        ("10", "before the row above"),
        ("soon", "'soon' is not a time stamp in whole nanoseconds"),
        ("1.4036e+18", "is not a time stamp"),
        ("-5", "is not a time stamp"),
        ("9999999999999999999", "is not a time stamp"),
    ],
)
def test_a_bad_time_stamp_is_named_with_its_line(recording, file, rest, stamp, said):
    path = recording / "mav0" / file
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, f"{stamp},{rest}"]))
    assert said in opening_fails(recording, file, len(lines) + 1)


@pytest.mark.parametrize("file", FIRST_COLUMNS)
def test_a_repeated_row_is_named_with_its_line(recording, file):
    path = recording / "mav0" / file
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[-1]]))
    assert "that of the row above" in opening_fails(recording, file, len(lines) + 1)


@pytest.mark.parametrize("file", FIRST_COLUMNS)
def test_a_table_without_rows_says_what_rows_are(recording, file):
    path = recording / "mav0" / file
    path.write_text(path.read_text().splitlines()[0])
    assert "has no rows; every line is: timestamp [ns]" in opening_fails(recording, file)


@pytest.mark.parametrize(
    ("file", "row", "said"),
    [
        ("cam0/data.csv", "9", "has 1 columns, expected 2"),
        ("cam0/data.csv", "9,", "names no file"),
        ("imu0/data.csv", "9,0,0,0,0,0", "has 6 columns, expected 7"),
        ("imu0/data.csv", "9,0,0,0,0,0,0,0", "has 8 columns, expected 7"),
        ("imu0/data.csv", "9,0,0,x,0,0,0", "not a row of numbers"),
        ("imu0/data.csv", "9,0,0,nan,0,0,0", "not finite"),
        ("state_groundtruth_estimate0/data.csv", "9,0,0,0,1,0,0", "has 7 columns, expected at least 8"),
        ("state_groundtruth_estimate0/data.csv", "9,0,0,0,1,x,0,0", "not a row of numbers"),
        ("state_groundtruth_estimate0/data.csv", "9,0,0,0,0,0,0,0", "quaternion is zero"),
    ],
)
def test_a_bad_row_is_named_with_its_line(recording, file, row, said):
    (recording / "mav0" / file).write_text(f"# a comment\r\n\r\n{row}\r\n")
    if file.startswith("state") and "zero" in said:
        (recording / "mav0" / file).write_text(f"# a comment\n\n{row}\n10,0,0,0,1,0,0,0\n")
    assert said in opening_fails(recording, file, 3)


def test_ground_truth_without_a_usable_row_is_refused(tmp_path):
    directory = write_euroc_sequence(tmp_path / "mh", poses=[f"{FIRST_NS},nan,0,0,1,0,0,0"])
    assert "no usable pose" in opening_fails(directory, "state_groundtruth_estimate0/data.csv")


def test_ground_truth_that_does_not_overlap_prints_both_time_ranges(tmp_path):
    directory = write_euroc_sequence(tmp_path / "mh", poses=["5,0,0,0,1,0,0,0", "6,0,0,0,1,0,0,0"])
    message = opening_fails(directory, "state_groundtruth_estimate0/data.csv")
    assert "frames cover 1403636579.763555584 s to" in message
    assert "ground truth covers 0.000000005 s to 0.000000006 s" in message


def test_missing_images_are_counted_and_the_first_is_named(recording):
    for position in (1, 4):
        (recording / "mav0" / "cam0" / "data" / f"{FIRST_NS + position * PERIOD_NS}.png").unlink()
    message = opening_fails(recording, "cam0/data.csv")
    assert "2 of 6 images are missing" in message
    assert f"{FIRST_NS + PERIOD_NS}.png" in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"<html>", "cannot be decoded"),
        (cv2.imencode(".png", flat_image(0))[1].tobytes()[:-40], "truncated"),
        (cv2.imencode(".png", flat_image(0)[:100])[1].tobytes(), "is 320×100, the calibration says 320×240"),
    ],
)
def test_a_damaged_image_names_the_file_and_frame(recording, content, said):
    path = recording / "mav0" / "cam0" / "data" / f"{FIRST_NS + 2 * PERIOD_NS}.png"
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=f"frame 2: .*{said}") as caught:
        EurocSequence("mh", recording).frame(2)
    assert caught.value.path == path
