"""Everything that can be wrong with a recording is said with the file, the place and what to do."""

import cv2
import numpy as np
import pytest
from tum_files import (
    CALIBRATION,
    HEIGHT,
    STILL_POSE,
    WIDTH,
    write_imu,
    write_labels,
    write_lines,
    write_tum_sequence,
)

from sequences.errors import DataFileError, SequenceError
from sequences.tum import TumSequence

STAMPS = ["1.000000", "1.100000", "1.200000", "1.300000"]


@pytest.fixture
def recording(tmp_path):
    return write_tum_sequence(tmp_path / "small")


def opening_fails(directory, file, line=None):
    """Open, expect a data file error at ``file`` and ``line``, and return its message."""
    with pytest.raises(DataFileError) as caught:
        TumSequence("small", directory)
    assert (caught.value.path, caught.value.line) == (directory / file, line)
    return str(caught.value)


def reading_fails(directory, file, frame):
    """Open, expect reading ``frame`` to fail at ``file`` naming both, and return the message."""
    sequence = TumSequence("small", directory)
    with pytest.raises(DataFileError, match=f"frame {frame}: ") as caught:
        sequence.frame(frame)
    assert caught.value.path == directory / file
    return str(caught.value)


@pytest.mark.parametrize("listed", ["rgb.txt", "depth.txt"])
@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1.300000 x.png", "is that of the row above"),
        ("1.250000 x.png", "is before the row above"),
        ("1.4", "has 1 columns, expected 2: timestamp filename"),
        ("1.4 my image.png", "has 3 columns"),
        ("soon x.png", "'soon' is not a time stamp"),
        ("1305031102175304000 x.png", "in seconds, not nanoseconds"),
    ],
)
def test_a_bad_row_in_an_image_list_is_named_with_its_line(tmp_path, listed, row, problem):
    directory = write_tum_sequence(tmp_path / "small", depth_stamps=STAMPS)
    with (directory / listed).open("a") as file:
        file.write(f"{row}\n")
    assert problem in opening_fails(directory, listed, 6)


def test_an_empty_image_list_is_refused(recording):
    (recording / "rgb.txt").write_text("# timestamp filename\n")
    assert "lists no images" in opening_fails(recording, "rgb.txt")


def test_missing_images_are_counted_and_the_first_is_named(recording):
    for stamp in ("1.105000", "1.205000"):
        (recording / "depth" / f"{stamp}.png").unlink()
    message = opening_fails(recording, "depth.txt")
    assert "2 of 4 images are missing" in message
    assert str(recording / "depth" / "1.105000.png") in message


def test_an_image_that_vanishes_after_opening_names_the_file_and_frame(recording):
    sequence = TumSequence("small", recording)
    (recording / "rgb" / "1.100000.png").unlink()
    with pytest.raises(DataFileError, match=r"1\.100000\.png: frame 1: the colour image is missing"):
        sequence.frame(1)


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.95])
@pytest.mark.parametrize("file", ["depth/1.205000.png", "rgb/1.200000.png"])
def test_a_truncated_image_names_the_file_and_frame(recording, file, kept):
    content = (recording / file).read_bytes()
    (recording / file).write_bytes(content[: int(len(content) * kept)])
    assert "truncated" in reading_fails(recording, file, 2)


def test_an_image_cut_at_the_start_of_its_last_chunk_is_truncated(recording):
    path = recording / "depth" / "1.205000.png"
    path.write_bytes(path.read_bytes()[:-12])
    assert "truncated" in reading_fails(recording, "depth/1.205000.png", 2)


def test_an_image_with_a_flipped_byte_is_damaged(recording):
    path = recording / "depth" / "1.205000.png"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert "checksum" in reading_fails(recording, "depth/1.205000.png", 2)


@pytest.mark.parametrize(("content", "problem"), [(b"", "empty"), (b"<html>not found</html>", "be decoded")])
def test_a_file_that_is_no_image_names_the_file_and_frame(recording, content, problem):
    (recording / "rgb" / "1.000000.png").write_bytes(content)
    assert problem in reading_fails(recording, "rgb/1.000000.png", 0)


def test_a_truncated_jpeg_is_noticed(recording):
    encoded = cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), 90, np.uint8))[1].tobytes()
    path = recording / "rgb" / "1.000000.png"
    path.write_bytes(encoded)
    assert TumSequence("small", recording).frame(0).rgb.shape == (HEIGHT, WIDTH, 3)
    path.write_bytes(encoded[: len(encoded) - 20])
    assert "truncated" in reading_fails(recording, "rgb/1.000000.png", 0)


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (np.full((HEIGHT, WIDTH), 200, np.uint8), "8 bits per pixel"),
        (np.full((HEIGHT, WIDTH, 3), 200, np.uint16), "3 channels of uint16"),
        (np.full((HEIGHT, WIDTH + 2), 200, np.uint16), "is 34×24, the calibration says 32×24"),
    ],
)
def test_a_depth_image_of_the_wrong_kind_names_the_file_and_frame(recording, image, problem):
    cv2.imwrite(str(recording / "depth" / "1.305000.png"), image)
    assert problem in reading_fails(recording, "depth/1.305000.png", 3)


def test_a_colour_image_of_another_size_than_calibrated_is_refused(recording):
    cv2.imwrite(str(recording / "rgb" / "1.000000.png"), np.zeros((HEIGHT * 2, WIDTH, 3), np.uint8))
    assert "is 32×48, the calibration says 32×24" in reading_fails(recording, "rgb/1.000000.png", 0)


def test_calibration_without_depth_scale_says_what_to_add(tmp_path):
    calibration = CALIBRATION.replace(" depth_scale", "").replace(" 5000", "")
    directory = write_tum_sequence(tmp_path / "small", calibration=calibration)
    assert "add a column 'depth_scale'" in opening_fails(directory, "calibration.txt")


def test_negative_fy_points_to_the_reader_for_it(tmp_path):
    directory = write_tum_sequence(tmp_path / "small", calibration=CALIBRATION.replace("30 30", "30 -30"))
    assert "icl_nuim" in opening_fails(directory, "calibration.txt")


def test_ground_truth_that_does_not_overlap_prints_both_time_ranges(tmp_path):
    directory = write_tum_sequence(
        tmp_path / "small", poses=[f"1305031102.1753 {STILL_POSE}", f"1305031103 {STILL_POSE}"]
    )
    message = opening_fails(directory, "groundtruth.txt")
    assert "frames cover 1.000000 s to 1.300000 s" in message
    assert "ground truth covers 1305031102.175300 s to 1305031103.000000 s" in message


def test_unsorted_ground_truth_is_named_with_its_line(tmp_path):
    directory = write_tum_sequence(tmp_path / "small", poses=[f"1.2 {STILL_POSE}", f"1.1 {STILL_POSE}"])
    assert "sort the file by time" in opening_fails(directory, "groundtruth.txt", 3)


def test_depth_on_another_clock_prints_both_time_ranges(tmp_path):
    directory = write_tum_sequence(tmp_path / "small", depth_stamps=["51.0", "51.1"])
    message = opening_fails(directory, "depth.txt")
    assert "colour covers 1.000000 s to 1.300000 s" in message
    assert "depth 51.000000 s to 51.100000 s" in message


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SequenceError, match="there is no folder"):
        TumSequence("small", tmp_path / "nowhere")


def test_labels_need_the_name_of_their_space(recording):
    write_labels(recording, STAMPS, label_space=None)
    assert "missing" in opening_fails(recording, "labels/LABEL_SPACE")
    (recording / "labels" / "LABEL_SPACE").write_text("\n")
    assert "one word" in opening_fails(recording, "labels/LABEL_SPACE")


def test_a_frame_without_its_labels_is_refused(recording):
    write_labels(recording, STAMPS[:3])
    assert "1 of 4 images are missing" in opening_fails(recording, "labels")


def test_labels_of_the_wrong_kind_name_the_file_and_frame(recording):
    write_labels(recording, STAMPS)
    cv2.imwrite(str(recording / "labels" / "1.100000.png"), np.zeros((HEIGHT, WIDTH), np.uint16))
    assert "expected one of uint8" in reading_fails(recording, "labels/1.100000.png", 1)


IMU_HEADER = "timestamp_ns,gx,gy,gz,ax,ay,az"


@pytest.mark.parametrize(
    ("lines", "line", "problem"),
    [
        (["time,gx,gy,gz,ax,ay,az"], 1, f"the first line must be: {IMU_HEADER}"),
        ([IMU_HEADER, "1,0,0,0,0,0,0", "1,0,0,0,0,0,0"], 3, "not after that of the row above"),
        ([IMU_HEADER, "1,0,0,0,0,0"], 2, "has 6 columns, expected 7"),
        ([IMU_HEADER, "1.5,0,0,0,0,0,0"], 2, "not a row of numbers"),
        ([IMU_HEADER, "1,0,0,nan,0,0,0"], 2, "not finite"),
    ],
)
def test_bad_imu_samples_are_named_with_their_line(recording, lines, line, problem):
    write_imu(recording, [1])
    write_lines(recording / "imu.csv", lines)
    assert problem in opening_fails(recording, "imu.csv", line)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("rate_hz: 100", "rate_hz: -1", "'rate_hz'"),
        ("gyroscope_walk", "gyro_walk", "'gyro_walk'"),
        ("[0, 0, 0, 1]", "[0, 0, 0, 2]", "not a rigid motion"),
        ("[1, 0, 0, 0]", "[-1, 0, 0, 0]", "not a rigid motion"),
        ("[1, 0, 0, 0]", "[1, 0, 0]", "'imu_to_camera"),
    ],
)
def test_bad_imu_calibration_names_the_key(recording, old, new, problem):
    write_imu(recording, [1])
    path = recording / "imu.yaml"
    path.write_text(path.read_text().replace(old, new))
    assert problem in opening_fails(recording, "imu.yaml")


@pytest.mark.parametrize("file", ["imu.csv", "imu.yaml"])
def test_imu_samples_and_calibration_need_each_other(recording, file):
    write_imu(recording, [1])
    (recording / file).unlink()
    assert "missing" in opening_fails(recording, file)
