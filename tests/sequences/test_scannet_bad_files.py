"""Everything that can be wrong with a ScanNet scene is said with the file, the frame and what to do."""

import os
import struct
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scannet_files import (
    DEPTH_CAMERA,
    SCENE,
    ScanNetScene,
    camera_matrix,
    colour_to_rig,
    frame_header,
    matrix_text,
    recorded_frames,
    write_exported_scene,
    write_sens_scene,
)

from sequences.errors import DataFileError, SequenceError
from sequences.scannet import ScanNetParameters, ScanNetSequence

SENS = f"{SCENE}.sens"
HEADER_BYTES = len(ScanNetScene().sens_header(1))


def opening_fails(folder, file):
    """Open, expect a data file error at ``file``, and return its message."""
    with pytest.raises(DataFileError) as caught:
        ScanNetSequence("scene", folder)
    assert caught.value.path == folder / file
    return str(caught.value)


def reading_fails(folder, file, frame):
    """Open, expect reading ``frame`` to fail at ``file`` naming both, and return the message."""
    sequence = ScanNetSequence("scene", folder)
    assert sequence.frame(0).depth is not None
    with pytest.raises(DataFileError, match=f"frame {frame}: ") as caught:
        sequence.frame(frame)
    assert caught.value.path == folder / file
    return str(caught.value)


def write_with_depth(folder, number, blob):
    """Write a scene in which the compressed depth of one frame is another."""
    said, frames = ScanNetScene(), recorded_frames()
    parts = [said.sens_frame(frame) for frame in frames]
    colour = frames[number].colour
    parts[number] = frame_header(frames[number], len(colour), len(blob)) + colour + blob
    (folder / SENS).write_bytes(said.sens_header(len(frames)) + b"".join(parts) + said.sens_imu())


@pytest.fixture
def sens(tmp_path):
    return write_sens_scene(tmp_path)


@pytest.fixture
def exported(tmp_path):
    return write_exported_scene(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x04", b"\x04\x00\x00\x00\x0f"])
def test_a_file_that_ends_within_its_header_is_cut_off(sens, content):
    (sens / SENS).write_bytes(content)
    assert "download it again" in opening_fails(sens, SENS)


@pytest.mark.parametrize("kept", [10, 200, HEADER_BYTES - 1])
def test_a_file_cut_anywhere_in_its_header_is_said_to_be(sens, kept):
    (sens / SENS).write_bytes((sens / SENS).read_bytes()[:kept])
    assert f"ends within its header, after {kept} bytes" in opening_fails(sens, SENS)


def test_a_file_of_another_version_is_refused(tmp_path):
    assert "no .sens file of version 4: it begins with the number 3" in opening_fails(
        write_sens_scene(tmp_path, version=3), SENS
    )


def test_something_else_that_is_called_sens_is_refused(sens):
    (sens / SENS).write_bytes(b"<html>please sign the terms of use</html>")
    assert "no .sens file of version 4" in opening_fails(sens, SENS)


@pytest.mark.parametrize("stated", [0, 2**40, 2**64 - 1])
def test_a_number_of_frames_that_cannot_be_is_said(tmp_path, stated):
    message = opening_fails(write_sens_scene(tmp_path, frames_stated=stated), SENS)
    assert f"it has {stated} frames, which cannot be" in message


def test_a_sensor_name_without_end_is_said(sens):
    content = bytearray((sens / SENS).read_bytes())
    content[4:12] = struct.pack("<Q", 2**60)
    (sens / SENS).write_bytes(content)
    assert "a sensor name of" in opening_fails(sens, SENS)


@given(share=st.floats(0.01, 0.99))
def test_a_download_cut_off_anywhere_says_which_frame_is_the_first_missing(tmp_path_factory, share):
    folder = write_sens_scene(tmp_path_factory.mktemp("cut"), has_imu_part=False)
    content, said = (folder / SENS).read_bytes(), ScanNetScene()
    kept = HEADER_BYTES + int(share * (len(content) - HEADER_BYTES))
    (folder / SENS).write_bytes(content[:kept])
    ends = np.cumsum([len(said.sens_frame(frame)) for frame in recorded_frames()]) + HEADER_BYTES
    missing = int(np.argmax(ends > kept))
    message = opening_fails(folder, SENS)
    assert f"of its 6 frames (0 to 5) frame {missing} is the first that is missing" in message
    assert f"the file ends at {kept}" in message


def test_a_size_beyond_the_end_of_the_file_is_said(sens):
    content = bytearray((sens / SENS).read_bytes())
    content[HEADER_BYTES + 80 : HEADER_BYTES + 88] = struct.pack("<Q", 2**63)
    (sens / SENS).write_bytes(content)
    assert "frame 0 is the first that is missing" in opening_fails(sens, SENS)


def test_a_file_that_shrinks_while_it_is_open_ends_no_process(sens):
    sequence = ScanNetSequence("scene", sens)
    assert sequence.frame(1).depth is not None
    os.truncate(sens / SENS, HEADER_BYTES + 500)
    with pytest.raises(DataFileError, match="shorter since it was opened"):
        sequence.frame(5)


def test_occi_depth_is_named(tmp_path):
    message = opening_fails(write_sens_scene(tmp_path, depth_compression=2), SENS)
    assert "occi" in message
    assert "convert the file to zlib" in message


@pytest.mark.parametrize(
    "change", [{"depth_compression": -1}, {"colour_compression": -1}, {"colour_compression": 7}]
)
def test_unknown_compression_is_refused(tmp_path, change):
    assert "in an unknown way" in opening_fails(write_sens_scene(tmp_path, **change), SENS)


def test_damaged_depth_names_file_and_frame(sens):
    blob = bytearray(zlib.compress(recorded_frames()[2].depth.tobytes()))
    blob[len(blob) // 2] ^= 0xFF
    write_with_depth(sens, 2, bytes(blob))
    assert "the depth image is damaged" in reading_fails(sens, SENS, 2)


def test_depth_that_ends_too_early_names_file_and_frame(sens):
    write_with_depth(sens, 3, zlib.compress(recorded_frames()[3].depth.tobytes())[:-40])
    assert "the depth image is truncated" in reading_fails(sens, SENS, 3)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.zeros(160 * 119, np.uint16), "is of 38080 bytes, expected 38400"),
        (np.zeros(160 * 121, np.uint16), "more than the 38400 bytes"),
        (np.zeros(10**8, np.uint16), "more than the 38400 bytes"),
    ],
)
def test_depth_of_another_size_names_file_and_frame(sens, values, problem):
    write_with_depth(sens, 1, zlib.compress(values.tobytes()))
    assert problem in reading_fails(sens, SENS, 1)


def test_raw_images_of_another_size_name_file_and_frame(tmp_path):
    frames = list(recorded_frames())
    frames[4] = replace(frames[4], depth=frames[4].depth[:-1])
    folder = write_sens_scene(tmp_path, frames=frames, depth_compression=0)
    assert "is of 38080 bytes, expected 38400" in reading_fails(folder, SENS, 4)
    raw = [replace(frame, colour=bytes(324 * 242 * 3)) for frame in recorded_frames()]
    raw[2] = replace(raw[2], colour=bytes(100))
    folder = write_sens_scene(tmp_path / "colour", frames=raw, colour_compression=0)
    assert "is of 100 bytes, expected 235224" in reading_fails(folder, SENS, 2)


def test_damaged_colour_names_file_and_frame(tmp_path):
    frames = list(recorded_frames())
    frames[1] = replace(frames[1], colour=frames[1].colour[:-3000])
    frames[2] = replace(frames[2], colour=b"no image")
    small = cv2.imencode(".jpg", np.zeros((10, 20, 3), np.uint8))[1].tobytes()
    frames[3] = replace(frames[3], colour=small)
    folder = write_sens_scene(tmp_path, frames=frames)
    assert "the colour image is truncated" in reading_fails(folder, SENS, 1)
    assert "the colour image cannot be decoded" in reading_fails(folder, SENS, 2)
    assert "is 20×10, the calibration says 324×242" in reading_fails(folder, SENS, 3)


@pytest.mark.parametrize("write", [write_sens_scene, write_exported_scene])
@pytest.mark.parametrize(
    "change",
    [
        np.diag([1.0, 1, -1, 1]),
        np.diag([1.02, 1.02, 1.02, 1]),
        np.array([[1.0, 0.05, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        np.zeros((4, 4)),
    ],
)
def test_a_pose_that_is_no_rotation_names_file_and_frame(tmp_path, write, change):
    frames = list(recorded_frames())
    frames[3] = replace(frames[3], pose=(frames[3].pose @ change).astype(np.float32))
    folder = write(tmp_path, frames=frames)
    file = SENS if write is write_sens_scene else "pose/3.txt"
    message = opening_fails(folder, file)
    assert "the pose is no r" in message
    assert "frame 3" in message or "3.txt" in message


@pytest.mark.parametrize(
    ("which", "matrix", "problem"),
    [
        ("colour_intrinsic", np.zeros((4, 4)), "no camera matrix|not positive"),
        ("depth_intrinsic", np.full((4, 4), np.nan), "no camera matrix"),
        ("depth_intrinsic", camera_matrix(replace(DEPTH_CAMERA, fy=-138.0)), "not positive"),
        ("depth_intrinsic", camera_matrix(DEPTH_CAMERA).T, "no camera matrix"),
        ("colour_intrinsic", camera_matrix(replace(DEPTH_CAMERA, cx=647.75)), "principal point"),
        ("colour_extrinsic", np.diag([1.0, 1, -1, 1]), "no rigid motion"),
        ("depth_extrinsic", np.full((4, 4), -np.inf), "no rigid motion"),
    ],
)
def test_impossible_matrices_are_named(tmp_path, which, matrix, problem):
    with pytest.raises(DataFileError, match=problem) as caught:
        ScanNetSequence("scene", write_sens_scene(tmp_path, **{which: matrix}))
    assert which.partition("_")[0] in str(caught.value)


def test_images_resized_after_the_export_are_noticed(exported):
    for path in (exported / "color").iterdir():
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (150, 112)))
    message = opening_fails(exported, "intrinsic/intrinsic_color.txt")
    assert "lies outside of its images of 150×112" in message
    assert "intrinsics must be as well" in message


@pytest.mark.parametrize(
    "file", ["intrinsic/intrinsic_color.txt", "intrinsic/intrinsic_depth.txt", "pose/2.txt"]
)
@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "has 0 rows, expected 4"), ("1 2 3\n", "has 3 columns"), ("1 0 0 zero\n" * 4, "not a")],
)
def test_malformed_matrices_are_named(exported, file, text, problem):
    (exported / file).write_text(text)
    assert problem in opening_fails(exported, file)


def test_an_export_without_the_matrix_of_its_colour_camera_names_it(exported):
    (exported / "intrinsic" / "intrinsic_color.txt").unlink()
    assert "missing" in opening_fails(exported, "intrinsic/intrinsic_color.txt")


def test_an_export_whose_extrinsics_are_no_rotation_names_the_file(exported):
    (exported / "intrinsic" / "extrinsic_depth.txt").write_text(matrix_text(2 * colour_to_rig()))
    assert "no rigid motion" in opening_fails(exported, "intrinsic/extrinsic_depth.txt")


def test_two_images_of_one_number_are_refused(exported):
    (exported / "color" / "0001.png").write_bytes((exported / "color" / "1.jpg").read_bytes())
    with pytest.raises(DataFileError, match=r"has the number of"):
        ScanNetSequence("scene", exported)


def test_an_export_without_pairs_says_how_many_images_there_are(exported):
    for path in (exported / "depth").iterdir():
        path.unlink()
    assert "6 colour and 0 depth images" in opening_fails(exported, "")


@pytest.mark.parametrize(("file", "content"), [("color/0.jpg", b"nothing"), ("depth/0.png", b"")])
def test_a_first_image_that_is_none_is_named(exported, file, content):
    (exported / file).write_bytes(content)
    assert "frame 0: the " in opening_fails(exported, file)


@pytest.mark.parametrize("file", ["color/3.jpg", "depth/3.png"])
def test_damaged_exported_images_name_file_and_frame(exported, file):
    content = (exported / file).read_bytes()
    (exported / file).write_bytes(content[: len(content) // 2])
    assert "truncated" in reading_fails(exported, file, 3)


@pytest.mark.parametrize("file", ["color/3.jpg", "depth/3.png"])
def test_images_that_vanish_after_opening_name_file_and_frame(exported, file):
    sequence = ScanNetSequence("scene", exported)
    (exported / file).unlink()
    with pytest.raises(DataFileError, match=rf"{file}: frame 3: .* is missing"):
        sequence.frame(3)


def test_depth_of_eight_bits_is_refused(exported):
    cv2.imwrite(str(exported / "depth" / "2.png"), np.zeros((120, 160), np.uint8))
    assert "8 bits per pixel" in reading_fails(exported, "depth/2.png", 2)


def test_several_sens_files_of_other_names_are_listed(tmp_path):
    for name in ("one", "two"):
        (write_sens_scene(tmp_path / name) / SENS).rename(tmp_path / f"{name}.sens")
    assert "several .sens files: one.sens, two.sens" in opening_fails(tmp_path, "")


def test_a_folder_without_either_form_says_what_is_looked_for(tmp_path):
    assert "neither a .sens file nor exported images" in opening_fails(tmp_path, "")


@pytest.mark.parametrize(("write", "other"), [(write_sens_scene, "exported"), (write_exported_scene, "sens")])
def test_a_form_that_is_not_there_cannot_be_asked_for(tmp_path, write, other):
    folder = write(tmp_path)
    with pytest.raises(SequenceError, match=f"source: {other}"):
        ScanNetSequence("scene", folder, ScanNetParameters(directory=str(folder), source=other))


def test_a_file_without_any_whole_frame_is_refused(tmp_path):
    frames = [replace(frame, depth=None) for frame in recorded_frames()]
    assert "none of its 6 frames has both" in opening_fails(write_sens_scene(tmp_path, frames=frames), SENS)


def test_a_file_that_must_not_be_read_is_named(tmp_path):
    folder = tmp_path / SCENE
    (folder / SENS).mkdir(parents=True)
    with pytest.raises(DataFileError, match="cannot be read: Is a directory"):
        ScanNetSequence("scene", folder)
