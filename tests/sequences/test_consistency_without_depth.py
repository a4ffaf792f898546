"""Checks that need no depth: features against epipolar lines, the gyroscope against ground truth."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from seen_room import camera_path
from seen_room import view as smooth_view
from speckled_room import CAMERA, speckled_view

from sequences.consistency import epipolar_error, gyroscope_error
from sequences.errors import SequenceError
from sequences.model import Frame, GroundTruth, ImuCalibration, ImuSamples, Sequence, SequenceInfo
from sequences.reader import ReaderContext
from sequences.tum import TumSequence

PERIOD_NS = 100_000_000
#: x forward, y left, z up, a few centimetres beside the camera.
IMU_TO_CAMERA = np.array([[0.0, -1, 0, 0.04], [0, 0, -1, -0.02], [1, 0, 0, 0.01], [0, 0, 0, 1]])


def shade(pose):
    return np.repeat(speckled_view(pose)[0][..., None], 3, axis=2)


def smooth(pose):
    return smooth_view(pose, CAMERA)[0]


def plain(pose):
    return np.full((CAMERA.height, CAMERA.width, 3), 90, dtype=np.uint8)


class Walk(Sequence):
    """A camera on a path, whose truth and calibration tests may make wrong."""

    def __init__(self, path, image_of=shade, truth=None, imu_to_camera=None, samples=None, intrinsics=CAMERA):
        self._path, self._image_of, self._samples = path, image_of, samples
        self._truth = path if truth is None else truth
        times = np.arange(len(path), dtype=np.int64) * PERIOD_NS
        imu = None if imu_to_camera is None else ImuCalibration(200.0, 0.0, 0.0, 0.0, 0.0, imu_to_camera)
        self._info = SequenceInfo("walk", intrinsics, times, has_depth=False, imu=imu)

    @property
    def info(self):
        return self._info

    def frame(self, index):
        return Frame(index, index * PERIOD_NS, self._image_of(self._path[index]))

    def ground_truth(self):
        rotations = Rotation.from_matrix(self._truth[:, :3, :3])
        return GroundTruth(self.info.timestamps_ns, self._truth[:, :3, 3], rotations.as_quat())

    def imu_between(self, after_ns, until_ns):
        return None if self._samples is None else self._samples.between(after_ns, until_ns)


@pytest.fixture(scope="module")
def walk():
    return Walk(camera_path(6))


@pytest.mark.parametrize("pair", [(0, 1), (0, 5), (4, 2)])
def test_features_are_on_the_lines_of_the_right_motion(walk, pair):
    error = epipolar_error(walk, *pair)
    assert error.distance < 0.15
    assert error.parallax > 50 * error.distance
    assert error.inverted > 50 * error.distance
    assert error.matches > 200


def test_a_smooth_image_has_enough_features_too():
    error = epipolar_error(Walk(camera_path(6), smooth), 0, 3)
    assert error.distance < 1 < 0.1 * error.inverted


def mirrored(path):
    mirror = np.diag([1.0, -1.0, 1.0, 1.0])
    return mirror @ path @ mirror


def axes_swapped(path):
    return path @ np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize("mistake", [np.linalg.inv, mirrored, axes_swapped])
def test_wrong_poses_put_the_lines_elsewhere(mistake):
    path = camera_path(6)
    assert epipolar_error(Walk(path, truth=mistake(path)), 1, 4).distance > 3


def test_wrong_intrinsics_put_the_lines_elsewhere(walk):
    other = Walk(camera_path(6), intrinsics=replace(CAMERA, fx=1.2 * CAMERA.fx, cx=CAMERA.cx + 30))
    assert epipolar_error(other, 0, 3).distance > 5 * epipolar_error(walk, 0, 3).distance


def test_the_scale_of_positions_does_not_show(walk):
    path = camera_path(6)
    larger = path.copy()
    larger[:, :3, 3] *= 7
    scaled = epipolar_error(Walk(path, truth=larger), 0, 3)
    assert scaled.distance == pytest.approx(epipolar_error(walk, 0, 3).distance, rel=1e-6)


def test_a_camera_that_does_not_move_says_nothing():
    still = camera_path(6)
    still[:, :3, 3] = 0
    with pytest.raises(SequenceError, match="the camera moves by less than 1 mm"):
        epipolar_error(Walk(still), 0, 5)


def test_motion_too_small_for_pixels_says_nothing():
    with pytest.raises(SequenceError, match="pixels only beside what rotation explains"):
        epipolar_error(Walk(camera_path(6, motion=0.015)), 0, 5)


def test_images_without_features_say_nothing():
    with pytest.raises(SequenceError, match="only 0 features match, 20 are needed"):
        epipolar_error(Walk(camera_path(6), plain), 0, 5)


def test_images_of_different_places_say_nothing():
    path = camera_path(2)
    path[1, :3, :3] = Rotation.from_euler("y", 180, degrees=True).as_matrix()
    with pytest.raises(SequenceError, match="features match, 20 are needed"):
        epipolar_error(Walk(path), 0, 1)


def turning(turn, count=6):
    """A path that turns evenly by ``turn`` (a rotation vector, radians), and what its gyroscope says."""
    path = np.tile(np.eye(4), (count, 1, 1))
    path[:, :3, :3] = Rotation.from_rotvec(np.outer(np.linspace(0, 1, count), turn)).as_matrix()
    seconds = (count - 1) * PERIOD_NS / 1e9
    # Both ends of the samples lie beside the frames, and none of them on a frame.
    times = np.arange(-7_000_000, (count - 1) * PERIOD_NS + 12_000_000, 5_000_000, dtype=np.int64)
    rates = np.tile(np.asarray(turn) / seconds @ IMU_TO_CAMERA[:3, :3], (len(times), 1))
    return path, ImuSamples(times, rates, np.zeros_like(rates))


def turning_walk(turn, **changes):
    path, samples = turning(turn)
    return Walk(path, **{"imu_to_camera": IMU_TO_CAMERA, "samples": samples, **changes})


@given(turn=st.tuples(*[st.floats(0.06, 0.9)] * 3), pair=st.sampled_from([(0, 5), (1, 2), (2, 5)]))
def test_the_gyroscope_of_an_even_turn_agrees(turn, pair):
    error = gyroscope_error(turning_walk(turn), *pair)
    expected = np.degrees(np.linalg.norm(turn)) * (pair[1] - pair[0]) / 5
    assert error.rotation == pytest.approx(expected, rel=1e-6)
    assert error.difference < 1e-4
    assert error.samples == 20 * (pair[1] - pair[0])


def test_a_rate_that_changes_is_integrated_in_order():
    first, second = np.array([0.6, 0.0, 0.0]), np.array([0.0, 0.6, 0.0])
    path = np.tile(np.eye(4), (3, 1, 1))
    path[1, :3, :3] = Rotation.from_rotvec(first).as_matrix()
    path[2, :3, :3] = (Rotation.from_rotvec(first) * Rotation.from_rotvec(second)).as_matrix()
    # A millisecond between samples, so that little is lost where the rate jumps.
    times = np.arange(0, 2 * PERIOD_NS + 1, 1_000_000, dtype=np.int64)
    rates = np.where((times < PERIOD_NS)[:, None], first, second) / (PERIOD_NS / 1e9)
    walk = Walk(path, imu_to_camera=np.eye(4), samples=ImuSamples(times, rates, np.zeros_like(rates)))
    assert gyroscope_error(walk, 0, 2).difference < 0.3
    assert np.degrees((Rotation.from_rotvec(first) * Rotation.from_rotvec(second)).magnitude()) > 40


@pytest.mark.parametrize(
    "wrong", [np.eye(4), np.linalg.inv(IMU_TO_CAMERA), np.diag([1.0, -1, -1, 1]) @ IMU_TO_CAMERA]
)
def test_a_wrong_place_of_the_imu_shows(wrong):
    error = gyroscope_error(turning_walk([0.5, -0.3, 0.2], imu_to_camera=wrong), 0, 5)
    assert error.difference > 0.5 * error.rotation


def test_inverted_poses_show_against_the_gyroscope():
    path, samples = turning([0.5, -0.3, 0.2])
    walk = Walk(path, truth=np.linalg.inv(path), imu_to_camera=IMU_TO_CAMERA, samples=samples)
    error = gyroscope_error(walk, 0, 5)
    assert error.difference == pytest.approx(2 * error.rotation, rel=1e-3)


def test_a_bias_of_the_gyroscope_is_in_the_difference():
    path, samples = turning([0.5, 0.0, 0.0])
    # Along the axis of the turn: the camera's x axis is the IMU's -y axis.
    biased = replace(samples, gyroscope=samples.gyroscope + np.array([0.0, -0.08, 0.0]))
    walk = Walk(path, imu_to_camera=IMU_TO_CAMERA, samples=biased)
    assert gyroscope_error(walk, 0, 5).difference == pytest.approx(np.degrees(0.08 * 0.5), rel=1e-4)


def test_a_camera_that_hardly_turns_says_nothing():
    with pytest.raises(SequenceError, match="turns by less than 1°"):
        gyroscope_error(turning_walk([0.003, 0.0, 0.0]), 0, 5)


def test_missing_samples_are_not_integrated_over():
    path, samples = turning([0.5, -0.3, 0.2])
    for kept in (slice(0, 60), slice(40, None), np.r_[0:30, 60 : len(samples)], slice(0, 0)):
        some = ImuSamples(samples.timestamps_ns[kept], samples.gyroscope[kept], samples.accelerometer[kept])
        with pytest.raises(SequenceError, match="samples are missing between frames 0 and 5"):
            gyroscope_error(Walk(path, imu_to_camera=IMU_TO_CAMERA, samples=some), 0, 5)


def test_ground_truth_an_imu_and_order_in_time_are_needed(walk):
    without = turning_walk([0.5, 0, 0])
    without.ground_truth = lambda: None
    for check in (epipolar_error, gyroscope_error):
        with pytest.raises(SequenceError, match="no ground truth"):
            check(without, 0, 1)
    with pytest.raises(SequenceError, match="has no IMU"):
        gyroscope_error(walk, 0, 5)
    with pytest.raises(SequenceError, match="frame 0 is not after frame 5"):
        gyroscope_error(turning_walk([0.5, 0, 0]), 5, 0)


def test_both_checks_agree_with_a_synthetic_sequence(tmp_path):
    pytest.importorskip("open3d", reason="synthetic sequences are ray cast with Open3D")
    pytest.importorskip("skimage", reason="synthetic sequences use the photographs of scikit-image")
    from sequences.synthetic import SyntheticSequence

    parameters = {"seed": 7, "frames": 12, "rate_hz": 10, "rooms": 1, "path": "sweep", "laps": 0.25}
    sequence = SyntheticSequence.open(
        "small", {**parameters, "width": 240, "height": 180}, ReaderContext(None, tmp_path)
    )
    turn, lines = gyroscope_error(sequence, 2, 8), epipolar_error(sequence, 2, 8)
    assert turn.difference < 0.05 * turn.rotation
    assert lines.distance < 0.05 * lines.parallax
    assert lines.distance < 0.2 * lines.inverted


def test_epipolar_lines_of_a_real_recording_agree_with_its_poses(recorded_data):
    sequence = TumSequence("xyz", recorded_data / "tum" / "freiburg1_xyz_10hz")
    error = epipolar_error(sequence, 5, 15)
    assert error.distance < 0.05 * error.parallax
    assert error.distance < 0.05 * error.inverted
