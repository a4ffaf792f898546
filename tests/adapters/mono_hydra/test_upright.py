"""Which way is up, without an IMU."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from adapters.mono_hydra.upright import turn_upright, upward_by_cameras, upward_by_surfaces

direction = st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(lambda v: np.linalg.norm(v) > 0.1)


@given(up=direction)
def test_up_becomes_z(up):
    up = np.array(up) / np.linalg.norm(up)
    turn = turn_upright(up)
    assert turn @ up == pytest.approx([0.0, 0.0, 1.0], abs=1e-6)
    assert turn @ turn.T == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(turn) == pytest.approx(1.0)


def test_cameras_held_upright_say_where_up_is():
    level = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    poses = np.tile(np.eye(4), (8, 1, 1))
    for number in range(8):
        poses[number, :3, :3] = Rotation.from_euler("z", number * 45, degrees=True).as_matrix() @ level
    assert upward_by_cameras(poses) == pytest.approx([0.0, 0.0, 1.0], abs=1e-9)


def test_floor_and_ceiling_correct_a_camera_that_looks_down():
    truth = np.array([0.0, 0.0, 1.0])
    walls = np.concatenate([np.tile([1.0, 0, 0], (300, 1)), np.tile([0, -1.0, 0], (300, 1))])
    floor, ceiling = np.tile(truth, (200, 1)), np.tile(-truth, (100, 1))
    tilted = Rotation.from_euler("x", 18, degrees=True).apply(truth)
    normals = np.concatenate([walls, floor, ceiling])
    assert upward_by_surfaces(tilted, normals) == pytest.approx(truth, abs=1e-3)


def test_without_horizontal_surfaces_nothing_is_corrected():
    up = np.array([0.0, 0.0, 1.0])
    assert upward_by_surfaces(up, np.tile([1.0, 0.0, 0.0], (50, 1))) is up
    assert upward_by_surfaces(up, np.zeros((0, 3))) is up
