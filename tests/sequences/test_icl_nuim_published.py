"""ICL-NUIM as its archives hold it: images and poses numbered, the first image without a pose."""

import shutil

import cv2
import numpy as np
import pytest
from icl_files import CAMERA, GROUND_TRUTH_FILE, write_associations, write_icl_archive, write_icl_poses
from scipy.spatial.transform import Rotation
from seen_room import camera_path, view
from wrong_poses import WRONG_POSES, depth_error_with

from sequences.consistency import colour_reprojection_error, depth_reprojection_error
from sequences.errors import DataFileError, SequenceError
from sequences.icl_nuim import IclNuimSequence
from sequences.model import LeftOut
from sequences.pose_conventions import Mistake, Reinterpreted
from sequences.reader import ReaderContext
from sequences.replica import ReplicaSequence
from sequences.seven_scenes import SevenScenesSequence
from sequences.tum import TumSequence

# Uneven, so that poses of the image before or after show.
POSES = camera_path(31)[[0, 2, 5, 12, 18, 30]]
PERIOD_NS = 1e9 / 30


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_icl_archive(tmp_path_factory.mktemp("written") / "archive", POSES)


@pytest.fixture
def archive(written, tmp_path):
    return shutil.copytree(written, tmp_path / "living_room_traj0_frei_png")


@pytest.fixture
def sequence(archive):
    return IclNuimSequence("kt0", archive)


def opened(archive, **parameters):
    return IclNuimSequence.open(
        "kt0", {"directory": str(archive), **parameters}, ReaderContext(None, archive)
    )


def opening_fails(archive, file, line=None):
    with pytest.raises(DataFileError) as caught:
        IclNuimSequence("kt0", archive)
    assert (caught.value.path, caught.value.line) == (archive / file, line)
    return str(caught.value)


def test_frames_carry_colour_and_depth_in_metres_with_positive_fy(sequence):
    assert len(sequence) == 6
    assert sequence.info.intrinsics == CAMERA
    for index in (0, 4):
        colour, depth, _ = view(POSES[index], CAMERA)
        frame = sequence.frame(index)
        np.testing.assert_array_equal(frame.rgb, colour)
        np.testing.assert_allclose(frame.depth, depth, atol=0.00011)
    assert sequence.info.source["calibration"] == "published with the data set"
    assert any("mirrored" in note for note in sequence.info.notes)


def test_times_are_image_numbers_over_the_nominal_rate(sequence, archive):
    np.testing.assert_allclose(sequence.info.timestamps_ns, np.arange(6) * PERIOD_NS, atol=1)
    assert any("no time stamps" in note and "30 Hz" in note for note in sequence.info.notes)
    slow = opened(archive, rate_hz=10)
    assert slow.info.timestamps_ns.tolist() == [number * 100_000_000 for number in range(6)]
    assert slow.ground_truth().timestamps_ns.tolist() == [number * 100_000_000 for number in range(1, 6)]


def test_a_pose_belongs_to_the_image_of_its_number_and_the_first_image_has_none(sequence):
    truth = sequence.ground_truth()
    assert truth.timestamps_ns.tolist() == sequence.info.timestamps_ns[1:].tolist()
    np.testing.assert_allclose(truth.positions, POSES[1:, :3, 3], atol=1e-7)
    rotations = Rotation.from_quat(truth.quaternions).as_matrix()
    np.testing.assert_allclose(rotations, POSES[1:, :3, :3], atol=1e-7)
    note = f"1 of 6 ground-truth poses left out: {GROUND_TRUTH_FILE} has no row of that number."
    assert note in sequence.info.notes
    with pytest.raises(SequenceError, match="frame 0 has no ground-truth pose"):
        depth_reprojection_error(sequence, 0, 1)


def test_images_of_the_office_are_numbered_from_one(tmp_path):
    office = write_icl_archive(tmp_path / "traj0_frei_png", POSES, first=1)
    (office / GROUND_TRUTH_FILE).rename(office / "traj0.gt.freiburg")
    assert IclNuimSequence.recognises(office)
    sequence = IclNuimSequence("of_kt0", office)
    np.testing.assert_allclose(sequence.info.timestamps_ns, np.arange(1, 7) * PERIOD_NS, atol=1)
    np.testing.assert_array_equal(sequence.frame(0).rgb, view(POSES[0], CAMERA)[0])
    error = depth_reprojection_error(sequence, 1, 5)
    assert error.moved < 0.1 * error.unmoved


def test_poses_and_images_agree(sequence):
    depth = depth_reprojection_error(sequence, 1, 5)
    assert depth.moved < 0.1 * depth.unmoved
    colour = colour_reprojection_error(sequence, 1, 5)
    assert colour.moved < 0.3 * colour.unmoved


@pytest.mark.parametrize("wrong", WRONG_POSES)
def test_poses_read_wrongly_would_not_agree(sequence, wrong):
    right = depth_reprojection_error(sequence, 2, 4).moved
    assert depth_error_with(sequence, wrong, 2, 4) > 4 * right


def test_poses_and_images_of_the_real_recording_have_one_number(recorded_data, tmp_path):
    """Numbers are those of the published files; the rest of the archive's layout is written around them."""
    source = recorded_data / "icl_nuim" / "of_kt3"
    archive = tmp_path / "traj3_frei_png"
    archive.mkdir()
    for folder in ("rgb", "depth"):
        (archive / folder).symlink_to(source / folder)
    write_associations(archive, [f"{n} depth/{n}.png {n} rgb/{n}.png" for n in range(1, 21)])
    rows = [line.split() for line in (source / "groundtruth.txt").read_text().splitlines() if line[0] != "#"]
    lines = [" ".join([str(round(float(row[0]) * 30)), *row[1:]]) for row in rows]
    (archive / "traj3.gt.freiburg").write_text("\n".join(lines))
    right = IclNuimSequence("of_kt3", archive)
    wrong = Reinterpreted(right, Mistake("of the frame after", WRONG_POSES["of the frame after"]), {})
    pairs = [(first, second) for first in range(2, 16, 3) for second in range(first + 2, 18, 3)]
    right_error, wrong_error = (
        np.mean([colour_reprojection_error(each, *pair).moved for pair in pairs]) for each in (right, wrong)
    )
    assert right_error < 0.7 * wrong_error


def test_numbers_order_frames_not_names(tmp_path):
    archive = write_icl_archive(tmp_path / "archive", POSES[[0, 1, 2]], first=8)
    sequence = IclNuimSequence("kt0", archive)
    np.testing.assert_allclose(sequence.info.timestamps_ns, np.array([8, 9, 10]) * PERIOD_NS, atol=1)
    np.testing.assert_array_equal(sequence.frame(2).rgb, view(POSES[2], CAMERA)[0])


def test_what_is_not_listed_and_numbers_that_are_not_there_are_counted(archive):
    write_associations(archive, [f"{n} depth/{n}.png {n} rgb/{n}.png" for n in (1, 2, 5)])
    (archive / "depth" / "3.png").unlink()
    rows = (archive / GROUND_TRUTH_FILE).read_text().splitlines()
    rows[1] = "2 nan nan nan 0 0 0 1"
    (archive / GROUND_TRUTH_FILE).write_text("\n".join([*rows, rows[-1]]))
    sequence = IclNuimSequence("kt0", archive)
    assert sequence.info.left_out == (
        LeftOut("colour images", "associations.txt does not list them", 3, 6),
        LeftOut("depth images", "associations.txt does not list them", 2, 5),
        LeftOut("frame numbers", "no image has them", 2, 5),
        LeftOut("ground-truth poses", f"{GROUND_TRUTH_FILE} has no row of that number", 1, 3),
        LeftOut("ground-truth rows", "NaN or infinite entries", 1, 6),
        LeftOut("ground-truth rows", "they repeat the number above", 1, 6, by_design=True),
    )
    assert len(sequence) == 3


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("6 depth/0.png 6", "has 3 columns, expected 4"),
        ("6 rgb/0.png 6 depth/0.png", "the second column is an image in depth/"),
        ("6 0.png 6 rgb/0.png", "the second column is an image in depth/"),
        ("6.5 depth/0.png 6.5 rgb/0.png", "'6.5' is no number of a frame"),
        ("-1 depth/0.png -1 rgb/0.png", "'-1' is no number of a frame"),
        ("1305031102175304000 depth/0.png 1 rgb/0.png", "is no number of a frame"),
        ("6 depth/0.png 7 rgb/0.png", "pairs depth image 6 with colour image 7"),
        ("5 depth/0.png 5 rgb/0.png", "the number 5 is not after that of the row above"),
        ("4 depth/0.png 4 rgb/0.png", "the number 4 is not after that of the row above"),
    ],
)
def test_a_bad_row_of_the_associations_is_named_with_its_line(archive, row, problem):
    with (archive / "associations.txt").open("a") as file:
        file.write(f"{row}\n")
    assert problem in opening_fails(archive, "associations.txt", 7)


def test_associations_without_images_are_refused(archive):
    (archive / "associations.txt").write_text("")
    assert "lists no images" in opening_fails(archive, "associations.txt")


@pytest.mark.parametrize("folder", ["rgb", "depth"])
def test_listed_images_that_are_missing_are_counted(archive, folder):
    for number in (2, 4):
        (archive / folder / f"{number}.png").unlink()
    message = opening_fails(archive, "associations.txt")
    assert "2 of 6 images are missing" in message
    assert str(archive / folder / "2.png") in message


@pytest.mark.parametrize(
    ("rows", "line", "problem"),
    [
        (["1 0 0 0 0 0 0"], 1, "has 7 columns, expected 8"),
        (["2 0 0 0 0 0 0 1", "1 0 0 0 0 0 0 1"], 2, "is before that of the row above"),
        (["1 0 0 0 0 0 0 0"], 1, "the quaternion is zero"),
        (["1.5 0 0 0 0 0 0 1"], None, "must hold numbers of frames"),
        (["-2 0 0 0 0 0 0 1"], None, "must hold numbers of frames"),
        (["1305031102 0 0 0 0 0 0 1"], None, "must hold numbers of frames"),
        (["7 0 0 0 0 0 0 1", "9 0 0 0 0 0 0 1"], None, "numbered from 0 to 5, poses from 7 to 9"),
        (["1 nan 0 0 0 0 0 1"], None, "no usable pose"),
    ],
)
def test_bad_poses_are_named(archive, rows, line, problem):
    (archive / GROUND_TRUTH_FILE).write_text("\n".join(rows))
    assert problem in opening_fails(archive, GROUND_TRUTH_FILE, line)


def test_two_files_of_poses_are_refused(archive):
    shutil.copy(archive / GROUND_TRUTH_FILE, archive / "livingRoom1.gt.freiburg")
    assert "livingRoom0.gt.freiburg, livingRoom1.gt.freiburg" in opening_fails(archive, "")


def test_an_archive_without_poses_has_no_ground_truth_and_says_so(archive):
    (archive / GROUND_TRUTH_FILE).unlink()
    sequence = IclNuimSequence("kt0", archive)
    assert sequence.ground_truth() is None
    assert any("cannot be scored" in note for note in sequence.info.notes)


def test_a_truncated_image_names_the_file_and_frame(archive):
    path = archive / "rgb" / "3.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataFileError, match=r"rgb/3\.png: frame 3: the colour image is truncated"):
        IclNuimSequence("kt0", archive).frame(3)


def test_images_of_another_size_are_refused(archive):
    cv2.imwrite(str(archive / "rgb" / "1.png"), np.zeros((240, 320, 3), np.uint8))
    with pytest.raises(DataFileError, match=r"frame 1: .* is 320×240, the calibration says 640×480"):
        IclNuimSequence("kt0", archive).frame(1)


def test_a_calibration_in_the_folder_is_used_in_place_of_the_published_one(archive):
    header = "# fx fy cx cy width height depth_scale\n"
    (archive / "calibration.txt").write_text(f"{header}481.2 -480 320 240 640 480 2500\n")
    sequence = IclNuimSequence("kt0", archive)
    assert (sequence.info.intrinsics.cx, sequence.info.intrinsics.fy) == (320, 480)
    np.testing.assert_allclose(sequence.frame(0).depth, 2 * view(POSES[0], CAMERA)[1], atol=0.0003)
    (archive / "calibration.txt").write_text(f"{header}481.2 480 320 240 640 480 5000\n")
    assert "fy is positive" in opening_fails(archive, "calibration.txt")


def test_a_rate_for_a_recording_with_times_is_refused(recorded_data, tmp_path):
    parameters = {"directory": str(recorded_data / "icl_nuim" / "of_kt3"), "rate_hz": 30}
    with pytest.raises(SequenceError, match=r"here the times are in rgb\.txt"):
        IclNuimSequence.open("of_kt3", parameters, ReaderContext(None, tmp_path))


def test_the_reader_recognises_archives_and_no_other_reader_does(archive):
    assert IclNuimSequence.recognises(archive)
    assert not IclNuimSequence.recognises(archive.parent)
    assert not IclNuimSequence.recognises(archive / "rgb")
    for reader in (TumSequence, ReplicaSequence, SevenScenesSequence):
        assert not reader.recognises(archive)


def test_a_tum_recording_with_associations_is_no_archive(tmp_path):
    write_associations(tmp_path, ["1305031102.1 depth/1305031102.1.png 1305031102.1 rgb/1305031102.1.png"])
    assert not IclNuimSequence.recognises(tmp_path)


def test_poses_may_skip_numbers(archive):
    write_icl_poses(archive, [(1, POSES[1]), (4, POSES[4])])
    sequence = IclNuimSequence("kt0", archive)
    error = depth_reprojection_error(sequence, 1, 4)
    assert error.moved < 0.1 * error.unmoved
