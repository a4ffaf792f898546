"""The final trajectory: every frame against its keyframe, and those without a pose between the others."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from adapters.mono_hydra.frame_log import FrameLog


def shifted(x):
    pose = np.eye(4)
    pose[0, 3] = x
    return pose


def keyframes(*positions):
    return np.stack([shifted(x) for x in positions])


def test_frames_move_along_with_their_keyframes():
    log = FrameLog()
    log.place(10, 0, shifted(0.0))
    log.place(20, 0, shifted(0.1))
    log.place(30, 1, shifted(0.0))
    trajectory = log.trajectory(keyframes(1.0, 2.0), np.ones(2))
    assert trajectory.timestamps_ns.tolist() == [10, 20, 30]
    assert trajectory.poses[:, 0] == pytest.approx([1.0, 1.1, 2.0])


def test_distances_to_keyframes_are_made_metric():
    log = FrameLog()
    log.place(10, 0, shifted(0.22))
    assert log.trajectory(keyframes(1.0), np.array([1.1])).poses[0, 0] == pytest.approx(1.2)


def test_frames_without_a_pose_lie_between_their_neighbours():
    log = FrameLog()
    log.place(100, 0, shifted(0.0))
    log.miss(200)
    log.miss(300)
    turned = shifted(0.0)
    turned[:3, :3] = Rotation.from_rotvec([0.0, 0.0, 0.9]).as_matrix()
    log.place(400, 1, turned)
    log.miss(500)
    trajectory = log.trajectory(keyframes(0.0, 3.0), np.ones(2))
    assert log.missed == 3
    assert trajectory.timestamps_ns.tolist() == [100, 200, 300, 400, 500]
    assert trajectory.poses[:, 0] == pytest.approx([0.0, 1.0, 2.0, 3.0, 3.0])
    turns = Rotation.from_quat(trajectory.poses[:, 3:]).magnitude()
    assert turns == pytest.approx([0.0, 0.3, 0.6, 0.9, 0.9])


def test_frames_before_the_first_pose_have_none():
    log = FrameLog()
    log.miss(10)
    assert len(log.trajectory(np.zeros((0, 4, 4)), np.zeros(0))) == 0
    log.place(20, 0, shifted(0.0))
    log.miss(30)
    assert log.trajectory(keyframes(1.0), np.ones(1)).timestamps_ns.tolist() == [20, 30]
