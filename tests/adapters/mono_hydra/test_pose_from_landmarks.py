"""The pose of a camera from landmarks that it sees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from adapters.backend import CameraIntrinsics
from adapters.mono_hydra.odometry.pose_from_landmarks import Noise, find_pose, fit_pose

INTRINSICS = CameraIntrinsics(520.0, 525.0, 319.5, 239.5, 640, 480)
NOISE = Noise(pixel=0.7, inverse_depth=0.004)
NO_DEPTH = np.nan


def scene(pose, count=80, seed=0):
    """Landmarks in front of a camera at ``pose``, their pixels and depth."""
    random = np.random.default_rng(seed)
    depth = random.uniform(1.0, 5.0, count)
    pixels = random.uniform([20, 20], [620, 460], (count, 2))
    rays = np.stack([(pixels[:, 0] - 319.5) / 520.0, (pixels[:, 1] - 239.5) / 525.0, np.ones(count)], axis=1)
    return (rays * depth[:, None]) @ pose[:3, :3].T + pose[:3, 3], pixels.astype(np.float32), depth


def pose_of(turn, shift):
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = Rotation.from_rotvec(turn).as_matrix(), shift
    return pose


def distance(first, second):
    return float(np.linalg.norm(first[:3, 3] - second[:3, 3])), Rotation.from_matrix(
        first[:3, :3].T @ second[:3, :3]
    ).magnitude()


small = st.lists(st.floats(-0.15, 0.15), min_size=3, max_size=3)
anywhere = st.lists(st.floats(-3, 3), min_size=3, max_size=3)


@given(turn=anywhere, shift=anywhere, off_turn=small, off_shift=small)
def test_the_exact_pose_is_found_from_nearby(turn, shift, off_turn, off_shift):
    pose = pose_of(turn, shift)
    landmarks, pixels, _ = scene(pose)
    start = pose @ pose_of(np.array(off_turn) * 0.5, off_shift)
    fit = fit_pose(landmarks, pixels, np.full(80, NO_DEPTH), start, INTRINSICS, NOISE)
    shift_error, turn_error = distance(fit.camera_to_world, pose)
    assert shift_error < 1e-3
    assert turn_error < 1e-3
    assert fit.inliers.all()


def test_a_third_of_wrong_landmarks_does_no_harm():
    pose = pose_of([0.1, -0.2, 0.05], [0.3, 0.1, -0.2])
    landmarks, pixels, _ = scene(pose)
    pixels[::3] += np.random.default_rng(1).uniform(15, 60, pixels[::3].shape).astype(np.float32)
    start = find_pose(landmarks, pixels, INTRINSICS)
    fit = fit_pose(landmarks, pixels, np.full(80, NO_DEPTH), start, INTRINSICS, NOISE)
    assert distance(fit.camera_to_world, pose)[0] < 2e-3
    assert not fit.inliers[::3].any()
    assert fit.inliers.sum() == 80 - len(pixels[::3])


def test_depth_says_how_far_away_a_small_patch_is():
    pose = pose_of([0.0, 0.1, 0.0], [0.1, 0.0, 0.2])
    landmarks, pixels, depth = scene(pose)
    # All landmarks near the middle of the image: pixels alone hardly tell the distance.
    middle = np.abs(pixels - [320, 240]).max(axis=1) < 90
    random = np.random.default_rng(2)
    noisy = pixels[middle] + random.normal(0, 0.7, (middle.sum(), 2)).astype(np.float32)
    without = fit_pose(landmarks[middle], noisy, np.full(middle.sum(), NO_DEPTH), pose, INTRINSICS, NOISE)
    with_depth = fit_pose(landmarks[middle], noisy, depth[middle], pose, INTRINSICS, NOISE)
    assert distance(with_depth.camera_to_world, pose)[0] < distance(without.camera_to_world, pose)[0]
    assert with_depth.depth_agrees.all()


def test_wrong_depth_is_told_from_wrong_pixels():
    pose = np.eye(4)
    landmarks, pixels, depth = scene(pose)
    depth[:10] *= 1.5
    fit = fit_pose(landmarks, pixels, depth, pose, INTRINSICS, NOISE)
    assert fit.inliers.all()
    assert not fit.depth_agrees[:10].any()
    assert fit.depth_agrees[10:].all()


@pytest.mark.parametrize("count", [0, 3, 5])
def test_too_few_landmarks_find_no_pose(count):
    landmarks, pixels, _ = scene(np.eye(4))
    assert find_pose(landmarks[:count], pixels[:count], INTRINSICS) is None
