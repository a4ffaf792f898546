"""The reader of 7-Scenes: as published, and with depth registered to colour."""

import json
import pickle
import shutil

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from seen_room import camera_path, view
from seven_scenes_files import (
    COLOUR_CAMERA,
    DEPTH_CAMERA,
    DEPTH_TO_COLOUR,
    colour_pose,
    write_pose,
    write_seven_scenes_sequence,
)
from wrong_poses import WRONG_POSES, depth_error_with

from sequences.consistency import colour_reprojection_error, depth_reprojection_error
from sequences.errors import DataFileError, SequenceError
from sequences.icl_nuim import IclNuimSequence
from sequences.model import LeftOut
from sequences.reader import ReaderContext
from sequences.replica import ReplicaSequence
from sequences.seven_scenes import SevenScenesSequence
from sequences.tum import TumSequence

# Uneven, so that poses of the frame before show.
POSES = camera_path(21)[[0, 3, 10, 20]]
PERIOD_NS = 1e9 / 30
REGISTRATION = {
    "colour_focal_length": COLOUR_CAMERA.fx,
    "colour_principal_point": [COLOUR_CAMERA.cx, COLOUR_CAMERA.cy],
    "depth_to_colour": DEPTH_TO_COLOUR.tolist(),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_seven_scenes_sequence(tmp_path_factory.mktemp("written") / "seq-01", POSES)


@pytest.fixture
def recording(written, tmp_path):
    return shutil.copytree(written, tmp_path / "chess" / "seq-01")


@pytest.fixture
def sequence(recording):
    return SevenScenesSequence("chess", recording)


def opened(recording, **parameters):
    context = ReaderContext(None, recording)
    return SevenScenesSequence.open("chess", {"directory": str(recording), **parameters}, context)


def opening_fails(recording, file, line=None):
    with pytest.raises(DataFileError) as caught:
        SevenScenesSequence("chess", recording)
    assert (caught.value.path, caught.value.line) == (file, line)
    return str(caught.value)


def test_frames_carry_colour_and_depth_as_published(sequence):
    assert len(sequence) == 4
    assert sequence.info.intrinsics == DEPTH_CAMERA
    frame = sequence.frame(2)
    np.testing.assert_array_equal(frame.rgb, view(colour_pose(POSES[2]), COLOUR_CAMERA)[0])
    np.testing.assert_allclose(frame.depth[8:], view(POSES[2], DEPTH_CAMERA)[1][8:], atol=0.0006)


def test_both_values_without_a_distance_are_unknown(sequence):
    depth = sequence.frame(0).depth
    assert (depth[:8] == 0).all()
    assert (depth[8:] > 0).all()


def test_times_are_frame_numbers_over_the_nominal_rate(sequence, recording):
    np.testing.assert_allclose(sequence.info.timestamps_ns, np.arange(4) * PERIOD_NS, atol=1)
    assert any("no time stamps" in note and "30 Hz" in note for note in sequence.info.notes)
    assert opened(recording, rate_hz=20).info.timestamps_ns.tolist() == [
        0,
        50_000_000,
        100_000_000,
        150_000_000,
    ]


def test_every_record_says_that_depth_is_not_registered(sequence):
    assert any("Depth is not registered to colour" in note for note in sequence.info.notes)
    assert sequence.info.source["calibration"] == "published for the depth camera"


def test_poses_are_those_of_the_depth_camera(sequence):
    truth = sequence.ground_truth()
    np.testing.assert_allclose(Rotation.from_quat(truth.quaternions).as_matrix(), POSES[:, :3, :3], atol=1e-6)
    np.testing.assert_allclose(truth.positions, POSES[:, :3, 3], atol=1e-6)


def test_poses_and_depth_agree(sequence):
    error = depth_reprojection_error(sequence, 0, 3)
    assert error.moved < 0.1 * error.unmoved


@pytest.mark.parametrize("wrong", WRONG_POSES)
def test_poses_read_wrongly_would_not_agree(sequence, wrong):
    right = depth_reprojection_error(sequence, 1, 2).moved
    assert depth_error_with(sequence, wrong, 1, 2) > 4 * right


def test_registered_depth_colour_poses_and_intrinsics_are_all_of_the_colour_camera(recording, sequence):
    registered = opened(recording, registration=REGISTRATION)
    assert registered.info.intrinsics == COLOUR_CAMERA
    truth = registered.ground_truth()
    expected = np.stack([colour_pose(pose) for pose in POSES])
    np.testing.assert_allclose(truth.positions, expected[:, :3, 3], atol=1e-6)
    np.testing.assert_allclose(
        Rotation.from_quat(truth.quaternions).as_matrix(), expected[:, :3, :3], atol=1e-6
    )
    frame = registered.frame(1)
    seen = view(expected[1], COLOUR_CAMERA)[1]
    known = frame.depth > 0
    assert known.mean() > 0.7
    assert np.mean(np.abs(frame.depth[known] - seen[known]) < 0.01 * seen[known]) > 0.99
    np.testing.assert_array_equal(frame.rgb, sequence.frame(1).rgb)


def test_only_registered_frames_agree_in_colour(recording, sequence):
    registered = opened(recording, registration=REGISTRATION)
    depth = depth_reprojection_error(registered, 0, 3)
    assert depth.moved < 0.1 * depth.unmoved
    colour = colour_reprojection_error(registered, 0, 3)
    assert colour.moved < 0.3 * colour.unmoved
    assert colour_reprojection_error(sequence, 0, 3).moved > 2 * colour.moved


def test_registration_with_the_baseline_to_the_wrong_side_agrees_less(recording):
    wrong_side = DEPTH_TO_COLOUR.copy()
    wrong_side[0, 3] *= -1
    right = opened(recording, registration=REGISTRATION)
    wrong = opened(recording, registration={**REGISTRATION, "depth_to_colour": wrong_side.tolist()})
    right_error, wrong_error = (colour_reprojection_error(each, 0, 3).moved for each in (right, wrong))
    assert right_error < 0.5 * wrong_error


def test_the_record_of_a_registered_sequence_has_the_figures_given(recording):
    info = opened(recording, registration=REGISTRATION).info
    assert any("Depth was registered to colour" in note and "525" in note for note in info.notes)
    assert not any("not registered" in note for note in info.notes)
    assert json.loads(json.dumps(info.source))["registration"] == REGISTRATION


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"colour_focal_length": 0}, "registration.colour_focal_length"),
        ({"colour_principal_point": [320]}, "registration.colour_principal_point"),
        ({"depth_to_colour": (2 * np.eye(4)).tolist()}, "no rigid motion"),
        ({"depth_to_colour": np.diag([-1.0, 1, 1, 1]).tolist()}, "no rigid motion"),
        ({"depth_to_colour": np.eye(3).tolist()}, "registration.depth_to_colour"),
        ({"depth_to_colour": [[float("nan")] * 4] * 4}, "registration.depth_to_colour"),
        ({"baseline": 0.02}, "registration.baseline"),
    ],
)
def test_an_impossible_registration_is_named(recording, change, problem):
    with pytest.raises(SequenceError, match=problem):
        opened(recording, registration={**REGISTRATION, **change})


def test_nothing_is_left_out_of_a_whole_sequence_and_that_was_looked_for(sequence):
    assert sequence.info.left_out == (
        LeftOut("colour images", "no depth image of that number", 0, 4),
        LeftOut("depth images", "no colour image of that number", 0, 4),
        LeftOut("frame numbers", "no image has them", 0, 4),
        LeftOut("ground-truth poses", "their file is missing", 0, 4),
        LeftOut("ground-truth poses", "NaN or infinite entries", 0, 4),
    )


def test_missing_images_and_poses_are_left_out_and_counted(recording):
    for file in ("frame-000000.depth.png", "frame-000001.pose.txt"):
        (recording / file).unlink()
    for file in recording.glob("frame-000002.*"):
        file.unlink()
    sequence = SevenScenesSequence("chess", recording)
    np.testing.assert_allclose(sequence.info.timestamps_ns, np.array([1, 3]) * PERIOD_NS, atol=1)
    np.testing.assert_allclose(sequence.ground_truth().timestamps_ns, np.array([0, 3]) * PERIOD_NS, atol=1)
    assert [
        (part.what, part.reason, part.count, part.total) for part in sequence.info.left_out if part.count
    ] == [
        ("colour images", "no depth image of that number", 1, 3),
        ("frame numbers", "no image has them", 1, 4),
        ("ground-truth poses", "their file is missing", 1, 2),
    ]


@pytest.mark.parametrize("entry", ["nan", "-inf", "-1.#INF", "-1.#IND00"])
def test_poses_without_values_are_dropped_and_counted(recording, entry):
    path = recording / "frame-000002.pose.txt"
    path.write_text("\n".join([" ".join([entry] * 4)] * 3 + ["0 0 0 1"]))
    sequence = SevenScenesSequence("chess", recording)
    truth = sequence.ground_truth()
    assert (len(truth), truth.rows_dropped) == (3, 1)
    np.testing.assert_allclose(truth.timestamps_ns, np.array([0, 1, 3]) * PERIOD_NS, atol=1)
    assert "1 of 4 ground-truth poses left out: NaN or infinite entries." in sequence.info.notes
    assert len(sequence) == 4


def test_a_sequence_without_poses_has_no_ground_truth_and_says_so(recording):
    for file in recording.glob("*.pose.txt"):
        file.unlink()
    sequence = SevenScenesSequence("chess", recording)
    assert sequence.ground_truth() is None
    assert any("no pose files" in note for note in sequence.info.notes)


def test_a_sequence_without_a_usable_pose_is_refused(recording):
    for number in range(4):
        write_pose(recording, number, np.full((4, 4), np.nan))
    assert "no usable pose" in opening_fails(recording, recording)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("1 0 0 0\n0 1 0 0\n0 0 1 0\n", None, "has 3 rows, expected 4"),
        ("1 0 0 0\n0 1 0\n0 0 1 0\n0 0 0 1\n", 2, "has 3 columns, expected 4"),
        ("1 0 0 0\n0 1 0 0\n0 0 one 0\n0 0 0 1\n", 3, "'one' is not a number"),
        ("1 0 0 0\n0 1 0 0\n0 0 1.5 0\n0 0 0 1\n", None, "no rigid motion"),
        ("", None, "has 0 rows, expected 4"),
    ],
)
def test_a_malformed_pose_is_named_with_its_file(recording, text, line, problem):
    path = recording / "frame-000001.pose.txt"
    path.write_text(text)
    assert problem in opening_fails(recording, path, line)


def test_a_folder_without_depth_says_what_is_there(recording):
    for file in recording.glob("*.depth.png"):
        file.unlink()
    assert "4 colour and 0 depth images are there" in opening_fails(recording, recording)


@pytest.mark.parametrize("registration", [None, REGISTRATION])
def test_a_truncated_image_names_the_file_and_frame(recording, registration):
    path = recording / "frame-000003.depth.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(
        DataFileError, match=r"frame-000003\.depth\.png: frame 3: the depth image is truncated"
    ):
        opened(recording, registration=registration).frame(3)


def test_the_reader_recognises_its_sequences_and_no_other_reader_does(recording):
    assert SevenScenesSequence.recognises(recording)
    assert not SevenScenesSequence.recognises(recording.parent)
    for reader in (TumSequence, IclNuimSequence, ReplicaSequence):
        assert not reader.recognises(recording)


def test_a_registered_sequence_goes_to_other_processes(recording):
    sequence = opened(recording, registration=REGISTRATION)
    again = pickle.loads(pickle.dumps(sequence))
    np.testing.assert_array_equal(again.frame(1).depth, sequence.frame(1).depth)
