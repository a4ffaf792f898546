"""The IMU's part of the odometry: alignment, prediction, and what missing samples do to both."""

import numpy as np
import pytest
from hand_held_imu import CALIBRATION, camera_to_world, steps

pytest.importorskip("gtsam", reason="gtsam is not installed")

from adapters.backend import BackendInputError, CameraIntrinsics
from adapters.mono_hydra.odometry.feature_tracks import NO_TRACKS
from adapters.mono_hydra.odometry.inertial import NO_STEPS, calibration_from_request
from adapters.mono_hydra.odometry.inertial_chain import InertialChain
from adapters.mono_hydra.odometry.options import OdometryOptions
from adapters.mono_hydra.odometry.window import SlidingWindow, WindowKeyframe

INTRINSICS = CameraIntrinsics(500.0, 500.0, 319.5, 239.5, 640, 480)
PERIOD_S = 0.1
KEYFRAME_EVERY = 3
GOOD = {
    "imu_to_camera": np.eye(4).ravel().tolist(),
    **dict.fromkeys(("gyroscope_noise", "gyroscope_walk", "accelerometer_noise", "accelerometer_walk"), 1e-3),
}


def world_from_first(time_s, scale):
    """The pose as an odometry has it that begins at the first camera, in a unit that is off by a scale."""
    pose = np.linalg.inv(camera_to_world(0.0)) @ camera_to_world(time_s)
    pose[:3, 3] *= scale
    return pose


def follow(frames, scale=1.0, hole_at=()):
    """Feeds exact keyframes and IMU; frames in ``hole_at`` have no samples."""
    options = OdometryOptions()
    chain, window = InertialChain(options, CALIBRATION), SlidingWindow(options, INTRINSICS)
    for frame in range(frames):
        time_s = frame * PERIOD_S
        chain.integrate(NO_STEPS if not frame or frame in hole_at else steps(time_s - PERIOD_S, time_s))
        if frame % KEYFRAME_EVERY:
            continue
        number = frame // KEYFRAME_EVERY
        keyframe = WindowKeyframe(number, world_from_first(time_s, scale), NO_TRACKS, np.zeros(0))
        keyframe.inertial = chain.state_at_keyframe(round(time_s * 1e9))
        window.add(keyframe)
        chain.keyframe_added(window)
    return chain


def test_once_aligned_the_imu_predicts_where_the_camera_goes():
    chain = follow(46)
    assert chain.aligned
    for frame in (46, 47, 48):
        chain.integrate(steps((frame - 1) * PERIOD_S, frame * PERIOD_S))
    error = np.linalg.inv(world_from_first(4.8, 1.0)) @ chain.predict()
    assert np.linalg.norm(error[:3, 3]) < 0.02


def test_the_scale_of_depth_is_learned():
    assert follow(60, scale=1.1).scale == pytest.approx(1.1, abs=0.02)


def test_upwards_is_known_in_the_frame_of_a_keyframe():
    chain = follow(60)
    number, up = chain.upwards[-1]
    truth = camera_to_world(number * KEYFRAME_EVERY * PERIOD_S)[:3, :3].T @ [0.0, 0.0, 1.0]
    assert up @ truth > np.cos(np.radians(1.0))


def test_nothing_is_predicted_across_a_hole_in_the_samples():
    chain = follow(46)
    chain.integrate(NO_STEPS)
    assert chain.predict() is None
    chain.integrate(steps(4.6, 4.7))
    assert chain.predict() is None


def test_a_hole_breaks_the_alignment_until_enough_is_known_again():
    assert not follow(49, hole_at=(47,)).aligned
    again = follow(90, hole_at=(47,))
    assert again.aligned
    assert again.scale == pytest.approx(1.0, abs=0.02)


def test_without_imu_nothing_is_aligned():
    assert not follow(60, hole_at=range(60)).aligned


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"imu_to_camera": [float("nan")] * 16}, "no rigid transformation"),
        ({"imu_to_camera": [0.0] * 16}, "no rigid transformation"),
        ({"imu_to_camera": [1.0] * 3}, "not complete"),
        ({"gyroscope_noise": -1.0}, "must be finite and not negative"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(BackendInputError, match=message):
        calibration_from_request(GOOD | wrong)


def test_an_incomplete_calibration_is_refused():
    with pytest.raises(BackendInputError, match="gyroscope_walk"):
        calibration_from_request({name: value for name, value in GOOD.items() if name != "gyroscope_walk"})
