"""Any folder of images with a calibration: order, times, what may lie beside them, and what is refused."""

import pickle

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from seen_room import CAMERA, camera_path, view
from tum_files import (
    CALIBRATION,
    HEIGHT,
    STILL_POSE,
    WIDTH,
    colour_image,
    depth_image,
    write_labels,
    write_lines,
    write_tum_sequence,
)

from sequences.consistency import depth_reprojection_error
from sequences.errors import DataFileError, SequenceError
from sequences.image_folder import ImageFolderSequence
from sequences.reader import ReaderContext

NAMES = ["1.png", "2.png", "10.png"]


def write_images(folder, names=NAMES, image_of=colour_image):
    """Images that say in their blue channel, or their depth, which place in ``names`` they have."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, name in enumerate(names):
        image = image_of(place)
        stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
        # JPEG is lossy; these images are smooth.
        assert cv2.imwrite(str(folder / name), stored)


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / "clip")
    (tmp_path / "clip" / "calibration.txt").write_text(CALIBRATION)
    return tmp_path / "clip"


def opened(folder, **parameters):
    context = ReaderContext(data_directory=None, cache_directory=folder / "cache")
    return ImageFolderSequence.open("clip", {"directory": str(folder), **parameters}, context)


def opening_fails(folder, file, line=None, **parameters):
    with pytest.raises(DataFileError) as caught:
        opened(folder, **parameters)
    assert (caught.value.path, caught.value.line) == (folder / file if file else folder, line)
    return str(caught.value)


def places(sequence):
    """Which images the frames are, by their blue channel."""
    return [round(float(frame.rgb[..., 2].mean()) / 20) for frame in sequence]


def left_out(sequence):
    return {(part.what, part.reason): (part.count, part.total) for part in sequence.info.left_out}


@pytest.mark.parametrize("subfolder", ["", "images", "rgb"])
def test_images_are_read_in_the_order_of_their_numbers(tmp_path, subfolder):
    write_images(tmp_path / subfolder)
    (tmp_path / "calibration.txt").write_text(CALIBRATION)
    assert ImageFolderSequence.recognises(tmp_path)
    sequence = opened(tmp_path)
    assert places(sequence) == [0, 1, 2]
    np.testing.assert_array_equal(sequence.frame(1).rgb, colour_image(1))
    assert (sequence.info.intrinsics.width, sequence.info.intrinsics.fx) == (WIDTH, 30)
    assert not sequence.info.has_depth
    assert sequence.ground_truth() is None


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".jpeg", ".bmp", ".tif", ".webp"])
def test_images_may_be_of_any_kind_and_ending(tmp_path, suffix):
    write_images(tmp_path, [f"{number}{suffix}" for number in (8, 9, 10)])
    (tmp_path / "calibration.txt").write_text(CALIBRATION)
    assert places(opened(tmp_path)) == [0, 1, 2]


@pytest.mark.parametrize("other", ["01.png", "1.jpg", "001.PNG"])
def test_two_images_of_one_place_in_the_order_are_refused(folder, other):
    write_images(folder, [other])
    message = opening_fails(folder, None)
    assert "1.png" in message
    assert other in message
    assert "same place in the order" in message


def test_images_in_two_folders_are_refused(folder):
    write_images(folder / "images")
    write_images(folder / "rgb")
    assert "both in images and in rgb" in opening_fails(folder, None)


def test_pictures_beside_the_folder_of_images_are_left_out_and_counted(folder):
    write_images(folder / "images", ["5.png", "6.png"])
    sequence = opened(folder)
    assert len(sequence) == 2
    assert left_out(sequence)["images", "they lie beside the folder images"] == (3, 5)


def test_hidden_files_are_no_images(folder):
    (folder / "._1.png").write_bytes(b"made by a file manager")
    assert len(opened(folder)) == 3


def test_a_folder_without_images_says_where_they_may_be(tmp_path):
    (tmp_path / "calibration.txt").write_text(CALIBRATION)
    assert not ImageFolderSequence.recognises(tmp_path)
    assert "nor in images or rgb" in opening_fails(tmp_path, None)


def test_times_come_from_the_file_of_times(folder):
    write_lines(folder / "times.txt", ["# seconds", "1305031102.175304", "1305031102.2", "1305031103"])
    sequence = opened(folder)
    assert sequence.info.timestamps_ns.tolist() == [
        1_305_031_102_175_304_000,
        1_305_031_102_200_000_000,
        1_305_031_103_000_000_000,
    ]


@pytest.mark.parametrize(
    ("lines", "line", "problem"),
    [
        (["1", "2"], None, "has 2 time stamps, and there are 3 images"),
        (["1", "2", "2"], 3, "not after"),
        (["1", "soon", "3"], 2, "'soon' is not a time stamp"),
        (["1", "2 2.png", "3"], 2, "has 2 columns, expected 1: timestamp"),
    ],
)
def test_wrong_times_are_named_with_their_line(folder, lines, line, problem):
    write_lines(folder / "times.txt", lines)
    assert problem in opening_fails(folder, "times.txt", line)


@pytest.mark.parametrize(
    ("names", "period_ns", "unit"),
    [
        (["1403636579763555584", "1403636579813555584", "1403636579863555584"], 50_000_000, "nanoseconds"),
        (["1403636579763555", "1403636579813555", "1403636579863555"], 50_000_000, "microseconds"),
        (["1305031102.175304", "1305031102.2", "1305031102.224696"], 24_696_000, "seconds"),
    ],
)
def test_names_that_are_times_are_taken_for_them_and_a_note_says_in_which_unit(
    tmp_path, names, period_ns, unit
):
    write_images(tmp_path, [f"{name}.png" for name in names])
    (tmp_path / "calibration.txt").write_text(CALIBRATION)
    sequence = opened(tmp_path)
    assert places(sequence) == [0, 1, 2]
    assert np.diff(sequence.info.timestamps_ns).tolist() == [period_ns, period_ns]
    assert f"Names of images were taken as time stamps in {unit}." in sequence.info.notes
    assert "the names of the images are their times" in opening_fails(tmp_path, None, rate_hz=10)


def test_without_times_images_are_at_a_rate_and_a_missing_number_leaves_a_gap(tmp_path):
    write_images(tmp_path, ["0007.png", "0008.png", "0010.png"])
    (tmp_path / "calibration.txt").write_text(CALIBRATION)
    sequence = opened(tmp_path)
    assert sequence.info.timestamps_ns.tolist() == [round(place * 1e9 / 30) for place in (0, 1, 3)]
    assert left_out(sequence)["numbers in the names", "no image has them"] == (1, 4)
    assert any("has no time stamps (times.txt)" in note for note in sequence.info.notes)


def test_images_of_two_cameras_in_one_folder_are_refused_unless_their_times_are_given(folder):
    write_images(folder / "images", ["left_0.png", "left_1.png", "right_0.png"])
    assert "several series: left_*, right_*; keep one" in opening_fails(folder, "images")
    write_lines(folder / "times.txt", ["1", "2", "3"])
    assert places(opened(folder)) == [0, 1, 2]


def test_the_rate_is_a_parameter(folder):
    sequence = opened(folder, rate_hz=4)
    assert sequence.info.timestamps_ns[1] == 250_000_000
    assert sequence.info.source["rate_hz"] == 4
    with pytest.raises(SequenceError, match="'rate_hz'"):
        opened(folder, rate_hz=0)


def test_a_rate_is_refused_where_there_are_times(folder):
    write_lines(folder / "times.txt", ["1", "2", "3"])
    assert "the times are in times.txt" in opening_fails(folder, None, rate_hz=10)


def test_depth_of_the_same_name_belongs_to_an_image_and_partners_are_counted(folder):
    write_images(folder / "depth", ["1.png", "10.png", "11.png", "12.png"], depth_image)
    sequence = opened(folder)
    assert places(sequence) == [0, 2]
    assert sequence.info.timestamps_ns.tolist() == [0, 300_000_000]
    for place, frame in enumerate(sequence):
        assert frame.depth.dtype == np.float32
        assert (frame.depth[0] == 0).all()
        np.testing.assert_allclose(frame.depth[1:], 2 + 0.01 * place, rtol=1e-6)
    assert left_out(sequence)["colour images", "no depth image has the same name"] == (1, 3)
    assert left_out(sequence)["depth images", "no colour image has the same name"] == (2, 4)


def test_depth_of_other_names_is_refused(folder):
    write_images(folder / "depth", ["0001.png"], depth_image)
    assert "none of its 1 PNG images is called like a colour image" in opening_fails(folder, "depth")


def test_depth_needs_a_scale_and_colour_alone_does_not(folder):
    (folder / "calibration.txt").write_text("# fx fy cx cy width height\n30 30 15.5 11.5 32 24\n")
    assert len(opened(folder)) == 3
    write_images(folder / "depth", NAMES, depth_image)
    assert "depth_scale" in opening_fails(folder, "calibration.txt")


def test_labels_and_ground_truth_are_those_of_the_tum_layout(folder):
    write_labels(folder, ["1", "2", "10"])
    write_lines(folder / "groundtruth.txt", [f"0 {STILL_POSE}", f"0.2 {STILL_POSE}", "0.3 nan 0 0 0 0 0 1"])
    sequence = opened(folder)
    assert [int(frame.labels[0, 0]) for frame in sequence] == [1, 2, 3]
    assert sequence.info.label_space == "nyu40"
    assert sequence.ground_truth().timestamps_ns.tolist() == [0, 200_000_000]
    assert left_out(sequence)["ground-truth rows", "NaN or infinite entries"] == (1, 3)


def test_ground_truth_on_another_clock_prints_both_ranges(folder):
    write_lines(folder / "groundtruth.txt", [f"1305031102.1 {STILL_POSE}", f"1305031103 {STILL_POSE}"])
    message = opening_fails(folder, "groundtruth.txt")
    assert "frames cover 0.000000 s to 0.300000 s" in message
    assert "1305031102.100000 s" in message


def test_lens_distortion_is_removed(folder):
    plain = opened(folder).frame(0).rgb
    (folder / "calibration.txt").write_text(CALIBRATION + "# d0..d4 = 0.9 -0.1 0.01 0.005 0\n")
    sequence = opened(folder)
    camera, distortion = sequence.info.intrinsics.matrix(), np.array([0.9, -0.1, 0.01, 0.005, 0])
    expected = cv2.undistort(plain, camera, distortion).astype(int)
    # OpenCV's own way knows positions to 1/32 pixel.
    np.testing.assert_allclose(sequence.frame(0).rgb.astype(int), expected, atol=5)
    assert np.abs(expected - plain).max() > 20
    assert any("distortion was removed" in note for note in sequence.info.notes)


def test_a_camera_that_looks_upside_down_is_refused(folder):
    (folder / "calibration.txt").write_text(CALIBRATION.replace("30 30", "30 -30"))
    assert "fy is negative" in opening_fails(folder, "calibration.txt")


@pytest.mark.parametrize(
    ("content", "problem"), [(b"", "empty"), (b"<html>", "cannot be decoded"), (None, "is missing")]
)
def test_a_damaged_image_names_the_file_and_frame(folder, content, problem):
    sequence = opened(folder)
    (folder / "2.png").unlink()
    if content is not None:
        (folder / "2.png").write_bytes(content)
    with pytest.raises(DataFileError, match=rf"2\.png: frame 1: the colour image (is )?{problem}"):
        sequence.frame(1)


def test_an_image_of_another_size_names_the_file_and_frame(folder):
    cv2.imwrite(str(folder / "10.png"), np.zeros((HEIGHT, WIDTH + 2, 3), np.uint8))
    with pytest.raises(DataFileError, match=r"10\.png: frame 2: the colour image is 34×24"):
        opened(folder).frame(2)


def test_a_sequence_can_be_sent_to_another_process(folder):
    sequence = pickle.loads(pickle.dumps(opened(folder)))
    np.testing.assert_array_equal(sequence.frame(2).rgb, colour_image(2))


def test_a_folder_without_calibration_is_not_recognised(folder):
    (folder / "calibration.txt").unlink()
    assert not ImageFolderSequence.recognises(folder)
    assert "missing" in opening_fails(folder, "calibration.txt")


@pytest.mark.parametrize(
    "files",
    [
        ["rgb.txt"],
        ["mav0/cam0/data.csv"],
        ["cam0/data.csv"],
        ["frame-000000.color.png"],
        ["results/frame000000.jpg", "traj.txt"],
        ["image_left/000000_left.png"],
        ["image_lcam_front/000000_lcam_front.png"],
        ["color/0.jpg", "pose/0.txt"],
        ["clip.sens"],
        ["associations.txt", "livingRoom0.gt.freiburg"],
    ],
    ids=lambda files: files[0],
)
def test_folders_in_the_layout_of_a_data_set_are_left_to_its_reader(folder, files):
    assert ImageFolderSequence.recognises(folder)
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    assert not ImageFolderSequence.recognises(folder)


def test_neither_a_recording_in_tum_layout_nor_its_folders_nor_a_file_are_recognised(tmp_path):
    recording = write_tum_sequence(tmp_path / "small")
    for path in (recording, recording / "rgb", recording / "rgb.txt", tmp_path, tmp_path / "nowhere"):
        assert not ImageFolderSequence.recognises(path)


def write_room(folder, poses):
    """A room as a camera on a path sees it, with poses written as text by hand."""
    lines = []
    for index, pose in enumerate(poses):
        rgb, depth, _ = view(pose)
        write_images(folder / "images", [f"{index}.png"], lambda _, rgb=rgb: rgb)
        write_images(
            folder / "depth", [f"{index}.png"], lambda _, depth=depth: np.rint(depth * 4000).astype(np.uint16)
        )
        numbers = [*pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat()]
        lines.append(f"{index / 30:.9f} " + " ".join(f"{number:.9f}" for number in numbers))
    write_lines(folder / "groundtruth.txt", lines)
    camera = f"{CAMERA.fx} {CAMERA.fy} {CAMERA.cx} {CAMERA.cy} {CAMERA.width} {CAMERA.height} 4000"
    (folder / "calibration.txt").write_text(f"# fx fy cx cy width height depth_scale\n{camera}\n")


def test_depth_moved_by_the_poses_agrees_with_what_is_seen_there(tmp_path):
    write_room(tmp_path, camera_path(4))
    error = depth_reprojection_error(opened(tmp_path), 0, 3)
    assert error.moved < 0.002
    assert error.unmoved > 20 * error.moved


def test_inverted_poses_do_not(tmp_path):
    write_room(tmp_path / "right", camera_path(4))
    write_room(tmp_path / "wrong", camera_path(4))
    inverted = []
    for index, pose in enumerate(np.linalg.inv(camera_path(4))):
        numbers = [*pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat()]
        inverted.append(f"{index / 30:.9f} " + " ".join(map(str, numbers)))
    write_lines(tmp_path / "wrong" / "groundtruth.txt", inverted)
    right, wrong = (depth_reprojection_error(opened(tmp_path / name), 0, 3) for name in ("right", "wrong"))
    assert wrong.moved > 10 * right.moved
