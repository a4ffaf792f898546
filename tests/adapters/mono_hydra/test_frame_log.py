"""The final trajectory: every frame against its keyframe, and those without a pose between the others."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from adapters.mono_hydra.frame_log import FrameLog


def shifted(x):
    pose = np.eye(4)
    pose[0, 3] = x
    return pose


def final(log, poses, scales=None):
    scales = np.ones(len(poses)) if scales is None else scales
    return log.trajectory(poses, scales, np.ones(len(poses), bool)).trajectory


def keyframes(*positions):
    return np.stack([shifted(x) for x in positions])


def test_frames_move_along_with_their_keyframes():
    log = FrameLog(longest_gap_s=1e-6)
    log.place(10, 0, shifted(0.0))
    log.place(20, 0, shifted(0.1))
    log.place(30, 1, shifted(0.0))
    trajectory = final(log, keyframes(1.0, 2.0))
    assert trajectory.timestamps_ns.tolist() == [10, 20, 30]
    assert trajectory.poses[:, 0] == pytest.approx([1.0, 1.1, 2.0])


def test_distances_to_keyframes_are_made_metric():
    log = FrameLog(longest_gap_s=1e-6)
    log.place(10, 0, shifted(0.22))
    assert final(log, keyframes(1.0), np.array([1.1])).poses[0, 0] == pytest.approx(1.2)


def test_frames_without_a_pose_lie_between_their_neighbours():
    log = FrameLog(longest_gap_s=1e-6)
    log.place(100, 0, shifted(0.0))
    log.miss(200)
    log.miss(300)
    turned = shifted(0.0)
    turned[:3, :3] = Rotation.from_rotvec([0.0, 0.0, 0.9]).as_matrix()
    log.place(400, 1, turned)
    log.miss(500)
    found = log.trajectory(keyframes(0.0, 3.0), np.ones(2), np.ones(2, bool))
    trajectory = found.trajectory
    assert found.interpolated == 2
    # What comes after the last pose would be a guess.
    assert trajectory.timestamps_ns.tolist() == [100, 200, 300, 400]
    assert trajectory.poses[:, 0] == pytest.approx([0.0, 1.0, 2.0, 3.0])
    turns = Rotation.from_quat(trajectory.poses[:, 3:]).magnitude()
    assert turns == pytest.approx([0.0, 0.3, 0.6, 0.9])


def test_frames_before_the_first_pose_have_none():
    log = FrameLog(longest_gap_s=1e-6)
    log.miss(10)
    assert len(final(log, np.zeros((0, 4, 4)))) == 0
    log.place(20, 0, shifted(0.0))
    log.miss(30)
    assert final(log, keyframes(1.0)).timestamps_ns.tolist() == [20]


def test_a_long_gap_stays_a_gap():
    log = FrameLog(longest_gap_s=1e-6)
    log.place(0, 0, shifted(0.0))
    log.miss(1000)
    log.place(2000, 0, shifted(1.0))
    log.miss(2400)
    log.place(2800, 0, shifted(2.0))
    assert final(log, keyframes(0.0)).timestamps_ns.tolist() == [0, 2000, 2400, 2800]


def test_frames_whose_place_nobody_knows_have_no_pose():
    log = FrameLog(longest_gap_s=1.0)
    log.place(10, 0, shifted(0.0))
    log.place(20, 1, shifted(0.0))
    found = log.trajectory(keyframes(0.0, 5.0), np.ones(2), np.array([True, False]))
    assert found.trajectory.timestamps_ns.tolist() == [10]
    assert found.not_connected == 1
