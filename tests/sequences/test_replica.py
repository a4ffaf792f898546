"""The reader of Replica as rendered for NICE-SLAM."""

import json
import pickle
import shutil

import cv2
import numpy as np
import pytest
from replica_files import write_camera, write_replica_scene, write_trajectory
from scipy.spatial.transform import Rotation
from seen_room import CAMERA, camera_path, view
from wrong_poses import WRONG_POSES, depth_error_with

from sequences.consistency import colour_reprojection_error, depth_reprojection_error
from sequences.errors import DataFileError, SequenceError
from sequences.icl_nuim import IclNuimSequence
from sequences.model import Intrinsics, LeftOut
from sequences.reader import ReaderContext
from sequences.replica import ReplicaSequence
from sequences.seven_scenes import SevenScenesSequence
from sequences.tum import TumSequence

# Uneven: along an even path poses of the frame before leave no trace.
POSES = camera_path(31)[[0, 2, 5, 12, 18, 30]]
PERIOD_NS = 1e9 / 30


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    scene = write_replica_scene(tmp_path_factory.mktemp("written") / "Replica" / "room0", POSES)
    return scene.parent


@pytest.fixture
def scene(written, tmp_path):
    return shutil.copytree(written, tmp_path / "Replica") / "room0"


def opening_fails(scene, file, line=None):
    with pytest.raises(DataFileError) as caught:
        ReplicaSequence("room0", scene)
    assert (caught.value.path, caught.value.line) == (file, line)
    return str(caught.value)


def test_frames_carry_colour_and_depth_in_metres(scene):
    sequence = ReplicaSequence("room0", scene)
    assert len(sequence) == 6
    assert sequence.info.intrinsics == CAMERA
    for index, frame in enumerate(sequence):
        colour, depth, _ = view(POSES[index])
        # JPEG keeps colours to a few grey levels.
        assert np.abs(frame.rgb.astype(int) - colour).mean() < 3
        np.testing.assert_allclose(frame.depth, depth, atol=0.5 / 6553.5 + 1e-6)
        assert (frame.rgb.dtype, frame.depth.dtype, frame.labels) == (np.uint8, np.float32, None)


def test_times_are_frame_numbers_over_the_nominal_rate(scene, tmp_path):
    sequence = ReplicaSequence("room0", scene)
    np.testing.assert_allclose(sequence.info.timestamps_ns, np.arange(6) * PERIOD_NS, atol=1)
    assert any("no time stamps" in note and "30 Hz" in note for note in sequence.info.notes)
    context = ReaderContext(tmp_path, tmp_path)
    slow = ReplicaSequence.open("room0", {"directory": "Replica/room0", "rate_hz": 10}, context)
    assert slow.info.timestamps_ns.tolist() == [
        0,
        100_000_000,
        200_000_000,
        300_000_000,
        400_000_000,
        500_000_000,
    ]
    assert slow.ground_truth().timestamps_ns.tolist() == slow.info.timestamps_ns.tolist()
    assert slow.info.source["rate_hz"] == 10


def test_poses_are_taken_as_they_are(scene):
    truth = ReplicaSequence("room0", scene).ground_truth()
    np.testing.assert_allclose(
        Rotation.from_quat(truth.quaternions).as_matrix(), POSES[:, :3, :3], atol=1e-12
    )
    np.testing.assert_allclose(truth.positions, POSES[:, :3, 3], atol=1e-12)
    assert truth.rows_dropped == 0


@pytest.mark.parametrize("pair", [(0, 5), (2, 4)])
def test_poses_and_images_agree(scene, pair):
    sequence = ReplicaSequence("room0", scene)
    depth = depth_reprojection_error(sequence, *pair)
    assert depth.moved < 0.1 * depth.unmoved
    colour = colour_reprojection_error(sequence, *pair)
    assert colour.moved < 0.3 * colour.unmoved


@pytest.mark.parametrize("wrong", WRONG_POSES)
def test_poses_read_wrongly_would_not_agree(scene, wrong):
    sequence = ReplicaSequence("room0", scene)
    right = depth_reprojection_error(sequence, 2, 4).moved
    assert depth_error_with(sequence, wrong, 2, 4) > 4 * right


def test_a_scene_without_camera_file_has_the_published_camera(tmp_path):
    published = Intrinsics(fx=600.0, fy=600.0, cx=599.5, cy=339.5, width=1200, height=680)
    scene = write_replica_scene(tmp_path / "room0", POSES[:2], published, beside=False)
    sequence = ReplicaSequence("room0", scene)
    assert sequence.info.intrinsics == published
    assert any("no cam_params.json" in note for note in sequence.info.notes)
    np.testing.assert_allclose(sequence.frame(1).depth, view(POSES[1], published)[1], atol=1e-4)
    assert sequence.info.source["calibration"] == "published with the renders"
    write_camera(tmp_path, published)
    assert not any("cam_params" in note for note in ReplicaSequence("room0", scene).info.notes)


def test_nothing_is_left_out_of_a_whole_scene_and_that_was_looked_for(scene):
    assert ReplicaSequence("room0", scene).info.left_out == (
        LeftOut("colour images", "no depth image of that number", 0, 6),
        LeftOut("depth images", "no colour image of that number", 0, 6),
        LeftOut("frame numbers", "no image has them", 0, 6),
        LeftOut("ground-truth rows", "NaN or infinite entries", 0, 6),
    )


def test_frames_with_a_missing_image_are_left_out_and_the_others_keep_their_times_and_poses(scene):
    for file in ("frame000001.jpg", "depth000003.png", "frame000004.jpg", "depth000004.png"):
        (scene / "results" / file).unlink()
    sequence = ReplicaSequence("room0", scene)
    np.testing.assert_allclose(sequence.info.timestamps_ns, np.array([0, 2, 5]) * PERIOD_NS, atol=1)
    assert [(part.what, part.count) for part in sequence.info.left_out if part.count] == [
        ("colour images", 1),
        ("depth images", 1),
        ("frame numbers", 1),
    ]
    assert "1 of 6 frame numbers left out: no image has them." in sequence.info.notes
    np.testing.assert_allclose(sequence.frame(2).depth, view(POSES[5])[1], atol=1e-3)
    error = depth_reprojection_error(sequence, 0, 2)
    assert error.moved < 0.1 * error.unmoved


def test_rows_with_nan_are_dropped_and_counted(scene):
    poses = POSES.copy()
    poses[2, 1, 1], poses[4, 0, 3] = np.nan, -np.inf
    write_trajectory(scene, poses)
    sequence = ReplicaSequence("room0", scene)
    truth = sequence.ground_truth()
    np.testing.assert_allclose(truth.timestamps_ns, np.array([0, 1, 3, 5]) * PERIOD_NS, atol=1)
    assert truth.rows_dropped == 2
    assert "2 of 6 ground-truth rows left out: NaN or infinite entries." in sequence.info.notes
    assert len(sequence) == 6


@pytest.mark.parametrize("rows", [4, 7])
def test_a_trajectory_that_does_not_end_with_the_images_is_refused_with_both_counts(scene, rows):
    write_trajectory(scene, camera_path(rows))
    message = opening_fails(scene, scene / "traj.txt")
    assert f"has {rows} poses" in message
    assert "the 6 frames with both images are numbered from 0 to 5" in message


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1 0 0 0 0 1 0 0 0 0 1 0", "has 12 columns, expected 16"),
        ("1 0 0 x 0 1 0 0 0 0 1 0 0 0 0 1", "'x' is not a number"),
        ("2 0 0 0 0 2 0 0 0 0 2 0 0 0 0 1", "no rigid motion"),
        ("-1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1", "no rigid motion"),
        ("1 0 0 0 0 1 0 0 0 0 1 0 1 2 3 1", "no rigid motion"),
    ],
)
def test_a_bad_row_of_the_trajectory_is_named_with_its_line(scene, row, problem):
    lines = (scene / "traj.txt").read_text().splitlines()
    lines[3] = row
    (scene / "traj.txt").write_text("\n".join(lines))
    assert problem in opening_fails(scene, scene / "traj.txt", 4)


def test_a_trajectory_without_a_usable_pose_is_refused(scene):
    write_trajectory(scene, np.full_like(POSES, np.nan))
    assert "no usable pose" in opening_fails(scene, scene / "traj.txt")


@pytest.mark.parametrize("missing", ["traj.txt", "results"])
def test_a_scene_without_trajectory_or_images_names_what_is_missing(scene, missing):
    (scene / missing).rename(scene / "elsewhere")
    assert "missing" in opening_fails(scene, scene / missing)


def test_a_scene_without_depth_says_what_is_there(scene):
    for file in (scene / "results").glob("depth*"):
        file.unlink()
    message = opening_fails(scene, scene / "results")
    assert "6 colour and 0 depth images are there" in message
    assert "frame000000.jpg and depth000000.png" in message


def test_two_images_of_one_number_are_refused(scene):
    (scene / "results" / "frame000002.png").write_bytes(b"")
    assert "has the number of frame000002.jpg" in opening_fails(scene, scene / "results" / "frame000002.png")


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ('{"camera": ', 1, "is not JSON"),
        ("[]", None, "must hold the keys camera"),
        ('{"camera": {"fx": -1}}', None, "'camera.fx'"),
        ('{"camera": {"w": 12.5}}', None, "'camera.w'"),
    ],
)
def test_a_bad_camera_file_is_named(scene, content, line, problem):
    path = scene.parent / "cam_params.json"
    path.write_text(content)
    assert problem in opening_fails(scene, path, line)


def test_images_of_another_size_than_the_camera_file_says_are_refused(scene):
    content = json.loads((scene.parent / "cam_params.json").read_text())
    content["camera"]["w"] = 320
    (scene.parent / "cam_params.json").write_text(json.dumps(content))
    with pytest.raises(
        DataFileError, match=r"frame000000\.jpg: frame 0: .* is 160×120, the calibration says 320×120"
    ):
        ReplicaSequence("room0", scene).frame(0)


def test_a_truncated_image_names_the_file_and_frame(scene):
    path = scene / "results" / "depth000003.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataFileError, match=r"depth000003\.png: frame 3: the depth image is truncated"):
        ReplicaSequence("room0", scene).frame(3)


def test_a_depth_image_of_eight_bits_is_refused(scene):
    cv2.imwrite(str(scene / "results" / "depth000001.png"), np.ones((CAMERA.height, CAMERA.width), np.uint8))
    with pytest.raises(DataFileError, match="frame 1: the depth image has 8 bits per pixel"):
        ReplicaSequence("room0", scene).frame(1)


@pytest.mark.parametrize("rate", [0, -30, "fast", float("nan")])
def test_an_impossible_rate_is_named(scene, tmp_path, rate):
    with pytest.raises(SequenceError, match="'rate_hz'"):
        ReplicaSequence.open(
            "room0", {"directory": str(scene), "rate_hz": rate}, ReaderContext(None, tmp_path)
        )


def test_fewer_frames_than_published_are_noted(scene, tmp_path):
    context = ReaderContext(None, tmp_path)
    sequence = ReplicaSequence.open("room0", {"directory": str(scene), "published_frames": 2000}, context)
    assert any("6 usable frames here and 2000" in note for note in sequence.info.notes)


def test_the_reader_recognises_its_scenes_and_no_other_reader_does(scene, tmp_path):
    assert ReplicaSequence.recognises(scene)
    assert not ReplicaSequence.recognises(scene.parent)
    assert not ReplicaSequence.recognises(scene / "results")
    for reader in (TumSequence, IclNuimSequence, SevenScenesSequence):
        assert not reader.recognises(scene)


def test_a_sequence_goes_to_other_processes(scene):
    sequence = pickle.loads(pickle.dumps(ReplicaSequence("room0", scene)))
    np.testing.assert_allclose(sequence.frame(1).depth, view(POSES[1])[1], atol=1e-3)
