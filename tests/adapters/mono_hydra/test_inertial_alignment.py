"""Gravity, velocity, biases and the scale of depth from odometry and an IMU."""

import numpy as np
import pytest
from hand_held_imu import CALIBRATION, NO_BIASES, Biases, camera_to_world, steps
from scipy.spatial.transform import Rotation

from adapters.mono_hydra.odometry.inertial import GRAVITY, ImuClock, rotation_of
from adapters.mono_hydra.odometry.inertial_alignment import Keypose, align_with_imu
from adapters.mono_hydra.odometry.scale import ScaleFilter, ScaleMeasurement

PERIOD_S = 0.25
OPEN_SCALE = (1.0, 0.5)


def stretch(count=16, scale=1.0, biases=NO_BIASES, noise_m=0.0):
    random = np.random.default_rng(1)
    keyposes = []
    for number in range(count):
        pose = camera_to_world(number * PERIOD_S)
        pose[:3, 3] = pose[:3, 3] * scale + random.normal(0.0, noise_m or 1e-12, 3)
        before = (number - 1) * PERIOD_S
        keyposes.append(
            Keypose(pose, steps(before, before + PERIOD_S, biases) if number else np.zeros((0, 7)))
        )
    return keyposes


def test_gravity_velocity_and_scale_are_found():
    alignment = align_with_imu(stretch(scale=1.1), CALIBRATION, OPEN_SCALE)
    assert alignment.gravity == pytest.approx([0.0, 0.0, -GRAVITY], abs=0.02)
    assert alignment.scale == pytest.approx(1.1, abs=0.005)
    ends = [(camera_to_world(t) @ CALIBRATION.imu_to_camera)[:3, 3] for t in (0.999, 1.001)]
    assert alignment.velocities[4] == pytest.approx((ends[1] - ends[0]) / 0.002, abs=0.01)


def test_biases_are_found():
    biases = Biases(np.array([0.01, -0.02, 0.005]), np.array([0.04, 0.02, -0.03]))
    alignment = align_with_imu(stretch(24, biases=biases), CALIBRATION, OPEN_SCALE)
    assert alignment.gyroscope_bias == pytest.approx(biases.gyroscope, abs=5e-4)
    assert alignment.accelerometer_bias == pytest.approx(biases.accelerometer, abs=0.02)
    assert alignment.scale == pytest.approx(1.0, abs=0.01)


def test_the_scale_lies_within_its_deviation_of_the_truth():
    alignment = align_with_imu(stretch(24, scale=0.93, noise_m=0.004), CALIBRATION, OPEN_SCALE)
    assert 0.001 < alignment.scale_deviation < 0.05
    assert abs(alignment.scale - 0.93) < 3 * alignment.scale_deviation


def test_a_known_scale_stays_what_it_is():
    assert align_with_imu(stretch(scale=1.1), CALIBRATION, None).scale == pytest.approx(1.0, abs=1e-4)


def test_a_camera_that_stands_still_does_not_tell_the_scale():
    still = [
        Keypose(camera_to_world(0.0), np.tile([0.25 / 50, 0, 0, 0, 0, 0, GRAVITY], (50, 1)))
        for _ in range(10)
    ]
    alignment = align_with_imu(still, CALIBRATION, OPEN_SCALE)
    assert alignment is None or alignment.scale_deviation > 0.3


@pytest.mark.parametrize("count", [1, 3])
def test_too_few_keyframes_tell_nothing(count):
    assert align_with_imu(stretch(count), CALIBRATION, OPEN_SCALE) is None


def test_keyframes_without_imu_between_them_tell_nothing():
    gap = stretch()
    gap[5] = Keypose(gap[5].camera_to_world, np.zeros((0, 7)))
    assert align_with_imu(gap, CALIBRATION, OPEN_SCALE) is None


def test_the_gyroscope_says_how_the_camera_turned():
    turned = rotation_of(steps(1.0, 1.3), np.zeros(3), CALIBRATION)
    truth = camera_to_world(1.0)[:3, :3].T @ camera_to_world(1.3)[:3, :3]
    assert Rotation.from_matrix(turned.T @ truth).magnitude() < 1e-3


def test_steps_begin_and_end_at_frames_whatever_the_samples_do():
    clock = ImuClock()
    assert not len(clock.steps_until(1_000_000_000, None, None))
    rows = np.arange(18, dtype=float).reshape(3, 6)
    cut = clock.steps_until(1_100_000_000, rows, np.array([1_020_000_000, 1_050_000_000, 1_090_000_000]))
    assert cut[:, 0] == pytest.approx([0.02, 0.03, 0.04, 0.01])
    # Before the first sample and after the last that sample holds, between two their mean.
    assert cut[0, 1:] == pytest.approx(rows[0])
    assert cut[1, 1:] == pytest.approx((rows[0] + rows[1]) / 2)
    assert cut[3, 1:] == pytest.approx(rows[2])
    following = clock.steps_until(1_120_000_000, rows[:1], np.array([1_120_000_000]))
    assert following[:, 0].sum() == pytest.approx(0.02)
    assert following[0, 1:] == pytest.approx((rows[2] + rows[0]) / 2)


def test_a_gap_in_the_samples_gives_no_steps():
    clock = ImuClock()
    clock.steps_until(0, None, None)
    assert not len(clock.steps_until(100_000_000, np.zeros((0, 6)), np.zeros(0, np.int64)))


def test_the_scale_follows_its_measurements_and_is_smoothed_backwards():
    scale = ScaleFilter(prior=0.15, walk=0.01)
    assert scale.at(np.array([0.0, 5.0])) == pytest.approx([1.0, 1.0])
    scale.add(ScaleMeasurement(5.0, 1.12, 0.05))
    rough = scale.scale
    for time_s in (10.0, 15.0, 20.0):
        scale.add(ScaleMeasurement(time_s, 1.10, 0.01))
    assert 1.0 < rough < 1.12
    assert scale.scale == pytest.approx(1.10, abs=0.005)
    assert scale.deviation < 0.02
    # What came later corrects what was thought in the beginning.
    assert scale.at(np.array([0.0])) == pytest.approx([1.10], abs=0.01)


def test_uncertain_measurements_near_one_leave_a_metric_scale_alone():
    scale = ScaleFilter(prior=0.15, walk=0.002)
    for time_s, found in ((2.0, 1.06), (6.0, 1.02), (14.0, 1.024), (21.0, 1.014)):
        scale.add(ScaleMeasurement(time_s, found, 0.06))
    assert scale.scale == pytest.approx(1.0, abs=0.01)
    assert scale.at(np.array([10.0])) == pytest.approx([1.0], abs=0.01)


def test_sure_measurements_away_from_one_are_believed_at_once():
    scale = ScaleFilter(prior=0.15, walk=0.002)
    scale.add(ScaleMeasurement(2.0, 1.09, 0.02))
    assert scale.scale == pytest.approx(1.09, abs=0.01)
