"""The TartanAir reader: both releases, turned axes, depth without the sky; and all that can be wrong."""

import pickle
from contextlib import suppress

import cv2
import numpy as np
import pytest
from euroc_files import write_euroc_sequence
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from seen_room import CAMERA, camera_path, view
from tartanair_files import CALIBRATION, FRAMES, float_png, npy, pose_line, write_tartanair_sequence
from tum_files import write_tum_sequence

from sequences.consistency import depth_reprojection_error
from sequences.errors import DataFileError, SequenceError
from sequences.euroc import EurocSequence
from sequences.icl_nuim import IclNuimSequence
from sequences.model import Intrinsics
from sequences.reader import ReaderContext
from sequences.tartanair import TartanAirSequence
from sequences.tum import TumSequence

FIRST_RELEASE, SECOND_RELEASE = "left", "lcam_front"


@pytest.fixture
def recording(tmp_path):
    return write_tartanair_sequence(tmp_path / "P001")


def open_with(directory, **parameters):
    context = ReaderContext(None, directory / "cache")
    return TartanAirSequence.open("small", {"directory": str(directory), **parameters}, context)


def opening_fails(directory, file, line=None, **parameters):
    """Open, expect a data file error at ``file`` and ``line``, and return its message."""
    with pytest.raises(DataFileError) as caught:
        open_with(directory, **parameters)
    assert (caught.value.path, caught.value.line) == (directory / file, line)
    return str(caught.value)


def reading_fails(directory, file, frame):
    """Open, expect reading ``frame`` to fail at ``file`` naming both, and return the message."""
    with pytest.raises(DataFileError, match=f"frame {frame}: ") as caught:
        open_with(directory).frame(frame)
    assert caught.value.path == directory / file
    return str(caught.value)


def counts(sequence):
    return {(part.what, part.reason): (part.count, part.total) for part in sequence.info.left_out}


@pytest.mark.parametrize("camera", [FIRST_RELEASE, SECOND_RELEASE])
def test_frames_are_what_the_camera_saw(tmp_path, camera):
    sequence = open_with(write_tartanair_sequence(tmp_path / "P001", camera=camera))
    assert len(sequence) == FRAMES
    assert sequence.info.intrinsics == CAMERA
    for index in (0, 3):
        rgb, depth, _ = view(camera_path(FRAMES)[index])
        frame = sequence.frame(index)
        np.testing.assert_array_equal(frame.rgb, rgb)
        assert frame.depth.dtype == np.float32
        np.testing.assert_array_equal(frame.depth[1:], depth[1:])
        # The first row is sky.
        assert not frame.depth[0].any()


@pytest.mark.parametrize("camera", [FIRST_RELEASE, SECOND_RELEASE])
def test_poses_leave_with_the_axes_of_our_camera(tmp_path, camera):
    truth = open_with(write_tartanair_sequence(tmp_path / "P001", camera=camera)).ground_truth()
    expected = camera_path(FRAMES)
    np.testing.assert_allclose(truth.positions, expected[:, :3, 3], atol=1e-8)
    np.testing.assert_allclose(
        Rotation.from_quat(truth.quaternions).as_matrix(), expected[:, :3, :3], atol=1e-8
    )


def test_a_camera_that_goes_ahead_moves_along_the_published_x_axis(recording):
    lines = [f"{step} 0 0 0 0 0 1" for step in range(FRAMES)]
    (recording / "pose_left.txt").write_text("\n".join(lines))
    truth = open_with(recording).ground_truth()
    ahead = Rotation.from_quat(truth.quaternions[0]).inv().apply(truth.positions[1] - truth.positions[0])
    np.testing.assert_allclose(ahead, [0, 0, 1], atol=1e-12)


def test_poses_and_depth_agree(recording):
    for pair in ((0, 2), (1, 4)):
        error = depth_reprojection_error(open_with(recording), *pair)
        assert error.moved < 0.05 * error.unmoved


def inverted(lines):
    poses = np.array([line.split() for line in lines], dtype=float)
    rotations = Rotation.from_quat(poses[:, 3:]).inv()
    return [
        " ".join(map(str, row)) for row in np.hstack([-rotations.apply(poses[:, :3]), rotations.as_quat()])
    ]


def axes_swapped(lines):
    cells = [line.split() for line in lines]
    return [" ".join([y, z, x, qy, qz, qx, qw]) for x, y, z, qx, qy, qz, qw in cells]


@pytest.mark.parametrize("wrong", [inverted, axes_swapped])
def test_poses_of_another_convention_do_not_agree_with_depth(recording, wrong):
    path = recording / "pose_left.txt"
    path.write_text("\n".join(wrong(path.read_text().splitlines())))
    error = depth_reprojection_error(open_with(recording), 0, 4)
    assert error.moved > 0.5 * error.unmoved


@pytest.mark.parametrize(
    ("camera", "rate_hz", "intrinsics"),
    [
        (FIRST_RELEASE, 20, Intrinsics(320, 320, 320, 240, 640, 480)),
        (SECOND_RELEASE, 10, Intrinsics(320, 320, 320, 320, 640, 640)),
    ],
)
def test_rate_and_intrinsics_are_those_of_the_release_unless_told(tmp_path, camera, rate_hz, intrinsics):
    directory = write_tartanair_sequence(tmp_path / "P001", camera=camera)
    (directory / "calibration.txt").unlink()
    sequence = open_with(directory)
    assert sequence.info.intrinsics == intrinsics
    assert sequence.info.frame_period_ns == 1_000_000_000 // rate_hz
    assert any(f"taken to be {rate_hz} a second" in note for note in sequence.info.notes)
    faster = open_with(directory, rate_hz=30)
    assert faster.info.timestamps_ns.tolist() == [0, 33_333_333, 66_666_667, 100_000_000, 133_333_333]
    np.testing.assert_array_equal(faster.ground_truth().timestamps_ns, faster.info.timestamps_ns)
    assert any("30 a second (as the parameter" in note for note in faster.info.notes)


def test_depth_beyond_the_limit_and_depth_that_is_none_are_unknown(recording):
    depth = np.full((CAMERA.height, CAMERA.width), 5.0, dtype=np.float32)
    depth[0, :6] = [np.nan, np.inf, -1.0, 0.0, 999.0, 1001.0]
    (recording / "depth_left" / "000000_left_depth.npy").write_bytes(npy(depth))
    assert open_with(recording).frame(0).depth[0, :7].tolist() == [0, 0, 0, 0, 999, 0, 5]
    assert open_with(recording, largest_depth_m=6).frame(0).depth[0, :7].tolist() == [0, 0, 0, 0, 0, 0, 5]
    assert any("beyond 6 m" in note for note in open_with(recording, largest_depth_m=6).info.notes)


@pytest.mark.parametrize("kind", ["<f2", "<f8", ">f4"])
def test_depth_of_another_precision_is_metres_all_the_same(recording, kind):
    depth = np.full((CAMERA.height, CAMERA.width), 2.5)
    (recording / "depth_left" / "000001_left_depth.npy").write_bytes(npy(depth, kind))
    np.testing.assert_array_equal(open_with(recording).frame(1).depth, depth.astype(np.float32))


def test_a_gap_in_the_numbers_is_a_gap_in_time_and_counted(tmp_path):
    sequence = open_with(write_tartanair_sequence(tmp_path / "P001", numbers=(0, 1, 4)))
    assert sequence.info.timestamps_ns.tolist() == [0, 50_000_000, 200_000_000]
    np.testing.assert_allclose(sequence.ground_truth().positions, camera_path(5)[[0, 1, 4], :3, 3], atol=1e-8)
    assert counts(sequence)["frame numbers", "no image has them"] == (2, 5)
    assert counts(sequence)["ground-truth rows", "no frame has their number"] == (2, 5)


def test_images_and_depth_without_partner_are_left_out_and_counted(recording):
    (recording / "depth_left" / "000002_left_depth.npy").unlink()
    (recording / "image_left" / "000004_left.png").unlink()
    sequence = open_with(recording)
    assert len(sequence) == 3
    np.testing.assert_array_equal(sequence.frame(2).rgb, view(camera_path(FRAMES)[3])[0])
    assert counts(sequence)["colour images", "no depth image of that number"] == (1, 4)
    assert counts(sequence)["depth images", "no colour image of that number"] == (1, 4)


def test_unusable_poses_are_dropped_and_counted(recording):
    path = recording / "pose_left.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "nan 0 0 0 0 0 1", *lines[2:]]))
    sequence = open_with(recording)
    assert len(sequence.ground_truth()) == FRAMES - 1
    assert 50_000_000 not in sequence.ground_truth().timestamps_ns
    assert counts(sequence)["ground-truth rows", "NaN or infinite entries"] == (1, FRAMES)


def test_nothing_left_out_is_counted_as_zero(recording):
    assert {count for count, _ in counts(open_with(recording)).values()} == {0}


def test_without_depth_and_poses_there_are_images_and_a_note(tmp_path):
    directory = write_tartanair_sequence(tmp_path / "P001", depth=False, poses=False)
    sequence = open_with(directory)
    assert (sequence.info.has_depth, sequence.ground_truth()) == (False, None)
    assert sequence.frame(1).depth is None
    assert any("no pose_left.txt" in note for note in sequence.info.notes)
    assert not any("sky" in note for note in sequence.info.notes)


def test_segmentation_is_ignored_and_said_so(recording):
    (recording / "seg_left").mkdir()
    sequence = open_with(recording)
    assert sequence.frame(0).labels is None
    assert any("seg_left was not read" in note for note in sequence.info.notes)


@pytest.mark.parametrize(("camera", "other"), [("right", "left"), ("rcam_front", "lcam_front")])
def test_the_right_camera_is_read_only_when_asked_for(tmp_path, camera, other):
    directory = write_tartanair_sequence(tmp_path / "P001", camera=camera)
    assert not TartanAirSequence.recognises(directory)
    sequence = open_with(directory, camera="right")
    np.testing.assert_array_equal(sequence.frame(2).rgb, view(camera_path(FRAMES)[2])[0])
    assert len(sequence.ground_truth()) == FRAMES
    with pytest.raises(DataFileError, match=f"image_{other}"):
        open_with(directory)
    with pytest.raises(SequenceError, match="'camera'"):
        open_with(directory, camera="middle")


def test_trajectories_are_recognised_by_this_reader_alone(tmp_path, recording):
    second = write_tartanair_sequence(tmp_path / "P002", camera=SECOND_RELEASE)
    others = (TumSequence, IclNuimSequence, EurocSequence)
    for directory in (recording, second):
        assert TartanAirSequence.recognises(directory)
        assert not any(reader.recognises(directory) for reader in others)
    elsewhere = (
        tmp_path,
        recording / "image_left",
        recording / "pose_left.txt",
        write_tum_sequence(tmp_path / "tum"),
        write_euroc_sequence(tmp_path / "euroc"),
    )
    assert not any(TartanAirSequence.recognises(path) for path in elsewhere)


def test_a_sequence_crosses_to_another_process(recording):
    sequence = pickle.loads(pickle.dumps(open_with(recording)))
    np.testing.assert_array_equal(sequence.frame(1).rgb, view(camera_path(FRAMES)[1])[0])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no NumPy array"),
        (b"<html>not found</html>", "is no NumPy array"),
        (b"PK\x03\x04", "is no NumPy array"),
        (npy(np.ones((CAMERA.height, CAMERA.width)))[:-1], "truncated or damaged"),
        (npy(np.ones((CAMERA.height, CAMERA.width)))[:50], "truncated or damaged"),
        (npy(np.ones((2, 2))).replace(b"(2, 2,)", b"(9, 9,)"), "truncated or damaged"),
        (npy(np.ones((2, 2))).replace(b"(2, 2,)", b"(9**9,)"), "truncated or damaged"),
        (npy(np.ones((2, 2))).replace(b"'<f4'", b"'|O8'"), "truncated or damaged"),
        (npy(np.ones((2, 2)), "<u2"), "expected two of floating point numbers, metres"),
        (npy(np.ones((2, 2, 2))), "has 3 dimensions"),
        (npy(np.ones((CAMERA.height, 8))), "is 8×120, the calibration says 160×120"),
    ],
)
def test_a_damaged_array_names_the_file_and_frame(recording, content, said):
    file = "depth_left/000003_left_depth.npy"
    (recording / file).write_bytes(content)
    assert said in reading_fails(recording, file, 3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A recording of one frame, for damage of all kinds."""
    return write_tartanair_sequence(tmp_path_factory.mktemp("tartanair") / "P001", numbers=(0,))


GOOD_ARRAY = npy(np.ones((CAMERA.height, CAMERA.width)))


@given(damage=st.dictionaries(st.integers(0, 127), st.integers(0, 255), min_size=1, max_size=4))
def test_any_damage_to_an_arrays_header_is_an_error_or_harmless(whole, damage):
    content = bytearray(GOOD_ARRAY)
    for place, value in damage.items():
        content[place] = value
    (whole / "depth_left" / "000000_left_depth.npy").write_bytes(content)
    with suppress(DataFileError):
        assert open_with(whole).frame(0).depth.shape == (CAMERA.height, CAMERA.width)


def encoded(image):
    return cv2.imencode(".png", image)[1].tobytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (float_png(np.ones((CAMERA.height, CAMERA.width), np.float32))[:-20], "truncated"),
        (
            encoded(np.zeros((CAMERA.height, CAMERA.width), np.uint16)),
            "has 1 channels of uint16, expected four of uint8",
        ),
        (encoded(np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)), "has 3 channels of uint8"),
        (encoded(np.zeros((CAMERA.height, CAMERA.width, 4), np.uint16)), "has 4 channels of uint16"),
        (float_png(np.ones((3, 5), np.float32)), "is 5×3, the calibration says 160×120"),
    ],
)
def test_a_damaged_depth_image_names_the_file_and_frame(tmp_path, content, said):
    directory = write_tartanair_sequence(tmp_path / "P001", camera=SECOND_RELEASE)
    file = "depth_lcam_front/000001_lcam_front_depth.png"
    (directory / file).write_bytes(content)
    assert said in reading_fails(directory, file, 1)


def test_a_damaged_colour_image_names_the_file_and_frame(recording):
    path = recording / "image_left" / "000002_left.png"
    path.write_bytes(path.read_bytes()[:-30])
    assert "truncated" in reading_fails(recording, "image_left/000002_left.png", 2)


def test_images_of_another_size_than_published_need_a_calibration(recording):
    (recording / "calibration.txt").unlink()
    message = reading_fails(recording, "image_left/000000_left.png", 0)
    assert "is 160×120, the calibration says 640×480" in message


@pytest.mark.parametrize(
    ("old", "new"), [(f" {CAMERA.fy} ", f" {-CAMERA.fy} "), ("\n", "\n# d0..d4 = 0.1 0 0 0 0\n")]
)
def test_a_calibration_that_no_rendered_image_has_is_refused(recording, old, new):
    (recording / "calibration.txt").write_text(CALIBRATION.replace(old, new, 1))
    assert "rendered without lens distortion" in opening_fails(recording, "calibration.txt")


def test_a_folder_without_images_says_how_they_are_called(recording):
    for path in (recording / "image_left").iterdir():
        path.unlink()
    assert "000000_left.png" in opening_fails(recording, "image_left")


def test_depth_of_other_numbers_alone_is_refused(recording):
    for path in (recording / "depth_left").iterdir():
        path.rename(path.with_name(f"9{path.name}"))
    assert "no frame has both images" in str(opening_fails(recording, "."))


def test_a_truncated_file_of_poses_is_refused(recording):
    path = recording / "pose_left.txt"
    path.write_text("\n".join(path.read_text().splitlines()[:3]))
    assert "has 3 poses, one for every image" in opening_fails(recording, "pose_left.txt")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("0 0 0 0 0 1", "has 6 columns, expected 7"),
        ("0 0 x 0 0 0 1", "not a row of numbers"),
        ("0 0 0 0 0 0 0", "quaternion is zero"),
    ],
)
def test_a_bad_pose_is_named_with_its_line(recording, row, said):
    path = recording / "pose_left.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], row, *lines[3:]]))
    assert said in opening_fails(recording, "pose_left.txt", 3)


def test_a_file_of_poses_without_a_usable_one_is_refused(recording):
    (recording / "pose_left.txt").write_text("0 0 nan 0 0 0 1\n" * FRAMES)
    assert "no usable pose" in opening_fails(recording, "pose_left.txt")


@given(turn=st.tuples(*[st.floats(-3, 3)] * 3), place=st.tuples(*[st.floats(-1e4, 1e4)] * 3))
def test_any_pose_comes_back_as_it_was(whole, turn, place):
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = Rotation.from_rotvec(turn).as_matrix(), place
    (whole / "pose_left.txt").write_text(pose_line(pose))
    truth = open_with(whole).ground_truth()
    np.testing.assert_allclose(Rotation.from_quat(truth.quaternions[0]).as_matrix(), pose[:3, :3], atol=1e-7)
    np.testing.assert_allclose(truth.positions[0], place, atol=1e-4)


@pytest.mark.parametrize("parameters", [{"rate_hz": 0}, {"largest_depth_m": -1}, {"largest_depth": 5}])
def test_an_impossible_parameter_is_named(recording, parameters):
    with pytest.raises(SequenceError, match=f"'{next(iter(parameters))}'"):
        open_with(recording, **parameters)
