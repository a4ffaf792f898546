"""The EuRoC reader: images without distortion, poses of the camera, an IMU."""

import pickle
import shutil

import numpy as np
import pytest
from euroc_files import (
    CAMERA_TO_BODY,
    CAMERA_YAML,
    DISTORTION,
    FIRST_NS,
    FRAMES,
    GROUND_TRUTH_YAML,
    IDENTITY_TEXT,
    IMU_YAML,
    PERIOD_NS,
    EurocFiles,
    body_pose_lines,
    distorted_view,
    flat_image,
    seen_image,
    write_euroc_sequence,
)
from scipy.spatial.transform import Rotation
from seen_room import camera_path
from speckled_room import CAMERA, speckled_view
from tum_files import write_tum_sequence

from sequences.consistency import epipolar_error, gyroscope_error
from sequences.errors import SequenceError
from sequences.euroc import EurocSequence
from sequences.icl_nuim import IclNuimSequence
from sequences.reader import ReaderContext
from sequences.sequence_sets import list_sets
from sequences.tum import TumSequence

PIXELS_AWAY_FROM_THE_EDGE = np.s_[10:-10, 10:-10]


@pytest.fixture
def recording(tmp_path):
    return write_euroc_sequence(tmp_path / "MH_01_easy")


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """A recording whose images show the room."""
    return write_euroc_sequence(tmp_path_factory.mktemp("euroc") / "seen", image_of=seen_image)


def open_with(directory, **parameters):
    context = ReaderContext(None, directory / "cache")
    return EurocSequence.open("small", {"directory": str(directory), **parameters}, context)


def test_frames_carry_the_stamps_of_the_table_and_grey_images_in_three_channels(tmp_path):
    without_lens = CAMERA_YAML.replace(", ".join(map(str, DISTORTION)), "0, 0, 0, 0")
    sequence = EurocSequence("mh", write_euroc_sequence(tmp_path / "mh", camera_yaml=without_lens))
    assert sequence.info.timestamps_ns.tolist() == [FIRST_NS + i * PERIOD_NS for i in range(FRAMES)]
    assert sequence.info.intrinsics == CAMERA
    frame = sequence.frame(3)
    np.testing.assert_array_equal(frame.rgb, np.repeat(flat_image(3)[..., None], 3, axis=2))
    assert (frame.depth, frame.labels, sequence.info.has_depth) == (None, None, False)
    assert not any("distortion" in note for note in sequence.info.notes)
    assert sequence.info.source["calibration"] == "cam0/sensor.yaml"


def test_lens_distortion_is_removed(seen):
    sequence = EurocSequence("mh", seen)
    assert any("distortion was removed" in note for note in sequence.info.notes)
    for index in (0, 4):
        pose = camera_path(FRAMES)[index]
        pinhole = speckled_view(pose)[0].astype(float)[PIXELS_AWAY_FROM_THE_EDGE]
        corrected = sequence.frame(index).rgb[..., 0].astype(float)[PIXELS_AWAY_FROM_THE_EDGE]
        as_recorded = distorted_view(pose).astype(float)[PIXELS_AWAY_FROM_THE_EDGE]
        assert np.abs(corrected - pinhole).mean() < 3
        assert np.abs(as_recorded - pinhole).mean() > 20


def test_poses_are_those_of_the_camera(recording):
    truth = EurocSequence("mh", recording).ground_truth()
    expected = camera_path(FRAMES)[1:]
    assert truth.timestamps_ns.tolist() == [FIRST_NS + i * PERIOD_NS for i in range(1, FRAMES)]
    np.testing.assert_allclose(truth.positions, expected[:, :3, 3], atol=1e-8)
    np.testing.assert_allclose(
        Rotation.from_quat(truth.quaternions).as_matrix(), expected[:, :3, :3], atol=1e-8
    )


def test_ground_truth_of_something_else_on_the_body_is_moved_from_there(tmp_path):
    plain = write_euroc_sequence(tmp_path / "plain")
    poses = EurocSequence("plain", plain).ground_truth()
    of_camera = [
        f"{time},{','.join(map(str, position))},{w},{x},{y},{z}"
        for time, position, (x, y, z, w) in zip(
            poses.timestamps_ns.tolist(), poses.positions.tolist(), poses.quaternions.tolist(), strict=True
        )
    ]
    directory = write_euroc_sequence(tmp_path / "marker", poses=of_camera)
    (directory / "mav0" / "state_groundtruth_estimate0" / "sensor.yaml").write_text(
        GROUND_TRUTH_YAML.replace(IDENTITY_TEXT, ", ".join(map(str, CAMERA_TO_BODY.ravel().tolist())))
    )
    truth = EurocSequence("marker", directory).ground_truth()
    np.testing.assert_allclose(truth.positions, poses.positions, atol=1e-9)


def test_images_poses_and_gyroscope_agree(seen):
    sequence = EurocSequence("mh", seen)
    for pair in ((1, 3), (2, 5)):
        error = epipolar_error(sequence, *pair)
        assert error.distance < 0.2 < 0.02 * error.parallax
        assert error.inverted > 20 * error.distance
        turn = gyroscope_error(sequence, *pair)
        assert turn.difference < 0.01 * turn.rotation


@pytest.mark.parametrize(
    "wrong",
    [IDENTITY_TEXT, ", ".join(map(str, np.linalg.inv(CAMERA_TO_BODY).ravel().tolist()))],
    ids=["left out", "inverted"],
)
def test_a_wrong_place_of_the_camera_on_the_body_shows(tmp_path, wrong):
    right = ", ".join(map(str, CAMERA_TO_BODY.ravel().tolist()))
    camera_yaml = CAMERA_YAML.replace(CAMERA_YAML.split("data: [")[1].split("]")[0], right)
    directory = write_euroc_sequence(
        tmp_path / "wrong", camera_yaml=camera_yaml.replace(right, wrong), image_of=seen_image
    )
    assert epipolar_error(EurocSequence("wrong", directory), 1, 4).distance > 2


def test_the_imu_has_its_rate_noise_and_place_on_the_camera(recording):
    sequence = EurocSequence("mh", recording)
    imu = sequence.info.imu
    assert imu.rate_hz == 200
    assert (imu.gyroscope_noise, imu.gyroscope_walk) == (1.6968e-04, 1.9393e-05)
    assert (imu.accelerometer_noise, imu.accelerometer_walk) == (2e-3, 3e-3)
    # By hand: the body's x axis is the camera's z, its y axis the camera's -x, its z axis the camera's -y.
    expected = [[0, -1, 0, -0.02], [0, 0, -1, 0.03], [1, 0, 0, -0.05], [0, 0, 0, 1]]
    np.testing.assert_allclose(imu.imu_to_camera, expected, atol=1e-12)


def test_gyroscope_comes_first_and_samples_stand_between_frames(recording):
    sequence = EurocSequence("mh", recording)
    samples = sequence.imu_between(FIRST_NS, FIRST_NS + PERIOD_NS)
    assert len(samples) == 10
    assert samples.timestamps_ns[-1] == FIRST_NS + PERIOD_NS
    np.testing.assert_allclose(samples.accelerometer, np.tile([9.7, -0.3, 0.2], (10, 1)))
    np.testing.assert_allclose(samples.gyroscope[0], [0.08 / 0.25, -0.10 / 0.25, 0.22 / 0.25], atol=1e-8)


def test_a_recording_without_imu_or_ground_truth_opens_and_says_so(tmp_path):
    sequence = EurocSequence("mh", write_euroc_sequence(tmp_path / "mh", imu_yaml=None, poses=None))
    assert (sequence.info.imu, sequence.imu_between(0, 2**62), sequence.ground_truth()) == (None, None, None)
    assert any("no state_groundtruth_estimate0;" in note for note in sequence.info.notes)


@pytest.mark.parametrize(
    ("tracker", "said"), [("leica0", "positions alone, no rotations"), ("vicon0", "the tracker's raw output")]
)
def test_what_a_tracker_measured_is_no_ground_truth(tmp_path, tracker, said):
    directory = write_euroc_sequence(tmp_path / "mh", poses=None)
    (directory / "mav0" / tracker).mkdir()
    sequence = EurocSequence("mh", directory)
    assert sequence.ground_truth() is None
    assert any(said in note and "cannot be scored" in note for note in sequence.info.notes)


def test_frames_before_the_ground_truth_stay_and_are_counted(recording):
    sequence = EurocSequence("mh", recording)
    assert len(sequence) == FRAMES
    assert any("1 of 6 frames are before or after the ground truth" in note for note in sequence.info.notes)


def test_unusable_poses_and_unlisted_images_are_counted(tmp_path):
    lines = body_pose_lines()
    lines[2] = ",".join([lines[2].split(",")[0], "nan", *lines[2].split(",")[2:]])
    directory = write_euroc_sequence(tmp_path / "mh", poses=lines)
    images = directory / "mav0" / "cam0" / "data"
    shutil.copy(images / f"{FIRST_NS}.png", images / "1.png")
    sequence = EurocSequence("mh", directory)
    counts = {part.what: (part.count, part.total) for part in sequence.info.left_out}
    assert counts == {"images": (1, FRAMES + 1), "ground-truth rows": (1, FRAMES - 1)}
    assert len(sequence.ground_truth()) == FRAMES - 2
    assert FIRST_NS + 3 * PERIOD_NS not in sequence.ground_truth().timestamps_ns


def test_nothing_left_out_is_counted_as_zero(recording):
    assert [part.count for part in EurocSequence("mh", recording).info.left_out] == [0, 0]


def test_the_other_camera_is_read_when_asked_for(recording):
    vehicle = recording / "mav0"
    shutil.copytree(vehicle / "cam0", vehicle / "cam1")
    (vehicle / "cam1" / "sensor.yaml").write_text(CAMERA_YAML.replace(str(CAMERA.fx), "281.5"))
    assert open_with(recording).info.intrinsics.fx == CAMERA.fx
    other = open_with(recording, camera="cam1")
    assert other.info.intrinsics.fx == 281.5
    assert other.info.source["camera"] == "cam1"
    with pytest.raises(SequenceError, match="'camera'"):
        open_with(recording, camera="cam2")


def test_the_folder_above_and_mav0_itself_are_recognised_by_this_reader_alone(tmp_path, recording):
    others = (TumSequence, IclNuimSequence)
    for folder in (recording, recording / "mav0"):
        assert EurocSequence.recognises(folder)
        assert not any(reader.recognises(folder) for reader in others)
    assert len(EurocSequence("mh", recording / "mav0")) == FRAMES
    tum = write_tum_sequence(tmp_path / "tum")
    elsewhere = (tum, tmp_path, recording / "mav0" / "cam0", recording / "mav0" / "cam0" / "data.csv")
    assert not any(EurocSequence.recognises(path) for path in elsewhere)


def test_a_sequence_read_before_crosses_to_another_process(seen):
    sequence = EurocSequence("mh", seen)
    before = sequence.frame(2).rgb
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sequence)).frame(2).rgb, before)


def test_opencvs_way_of_writing_yaml_is_read_too(tmp_path):
    plain = EurocSequence("mh", write_euroc_sequence(tmp_path / "plain"))
    opencv = CAMERA_YAML.replace("T_BS:", "T_BS: !!opencv-matrix").replace("  rows: 4", "  rows: 4\n  dt: d")
    directory = write_euroc_sequence(
        tmp_path / "opencv",
        camera_yaml=f"%YAML:1.0\n---\n{opencv}",
        imu_yaml=f"%YAML:1.0\n{IMU_YAML}",
        line_end="\n",
    )
    sequence = EurocSequence("mh", directory)
    assert sequence.info.intrinsics == plain.info.intrinsics
    np.testing.assert_array_equal(sequence.info.imu.imu_to_camera, plain.info.imu.imu_to_camera)
    np.testing.assert_array_equal(sequence.ground_truth().positions, plain.ground_truth().positions)


def test_the_set_of_eleven_sequences_is_in_the_catalogue():
    sets = {sequence_set.name: sequence_set for sequence_set in list_sets()}
    entries = sets["euroc"].entries
    assert len(entries) == 11
    assert {entry.reader for entry in entries} == {"euroc"}
    assert all(entry.parameters == {"find": entry.name} for entry in entries)
    assert {"euroc_local", "tartanair_local"} <= set(sets)


def test_tables_of_other_line_ends_read_the_same(tmp_path):
    windows, unix = (
        EurocSequence("mh", EurocFiles(line_end=end).write(tmp_path / name))
        for name, end in (("windows", "\r\n"), ("unix", "\n"))
    )
    np.testing.assert_array_equal(windows.ground_truth().positions, unix.ground_truth().positions)
    np.testing.assert_array_equal(windows.frame(1).rgb, unix.frame(1).rgb)
