"""What arrives is worked with only when it can be a pose and an image of depth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from adapters.backend import CameraIntrinsics, Mode, RgbdFrame, StartRequest, TrackingResult, TrackingState
from adapters.errors import ProtocolViolationError
from adapters.messages import (
    Acknowledgement,
    acknowledgement_message,
    frame_message,
    parse_acknowledgement,
    parse_frame,
)

HEIGHT, WIDTH = 3, 4
NUMBERS = st.floats(-1000, 1000)
QUATERNIONS = hnp.arrays(float, 4, elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1)


def returned_pose(pose):
    sent = acknowledgement_message(Acknowledgement(3, TrackingResult(TrackingState.OK, pose), 1.0))
    return parse_acknowledgement(sent, 3).result.camera_to_world


def pose_of(quaternion, position):
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    pose[:3, 3] = position
    return pose


@given(QUATERNIONS, hnp.arrays(float, 3, elements=NUMBERS))
def test_every_rigid_pose_is_taken(quaternion, position):
    pose = pose_of(quaternion, position)
    np.testing.assert_array_equal(returned_pose(pose), pose)


def refuse(pose):
    with pytest.raises(ProtocolViolationError, match="live pose of frame 3 is not rigid"):
        returned_pose(pose)


@given(QUATERNIONS, st.integers(0, 2), st.floats(0.01, 10))
def test_no_pose_that_stretches_an_axis_is_taken(quaternion, axis, stretch):
    pose = pose_of(quaternion, np.zeros(3))
    pose[axis, :3] *= 1 + stretch
    refuse(pose)


@given(QUATERNIONS, st.floats(0.01, 10))
def test_no_pose_with_axes_that_are_not_at_right_angles_is_taken(quaternion, lean):
    pose = pose_of(quaternion, np.zeros(3))
    pose[0, :3] += lean * pose[1, :3]
    pose[0, :3] /= np.linalg.norm(pose[0, :3])
    refuse(pose)


@given(QUATERNIONS, st.integers(0, 2), st.integers(0, 3), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_no_pose_with_an_entry_that_is_no_number_is_taken(quaternion, row, column, value):
    pose = pose_of(quaternion, np.zeros(3))
    pose[row, column] = value
    refuse(pose)


@given(QUATERNIONS, st.integers(0, 3), st.floats(0.01, 10) | st.just(np.nan))
def test_no_pose_with_another_last_row_is_taken(quaternion, column, change):
    pose = pose_of(quaternion, np.zeros(3))
    pose[3, column] += change
    refuse(pose)


@given(QUATERNIONS, st.integers(0, 2))
def test_no_mirrored_pose_is_taken(quaternion, axis):
    pose = pose_of(quaternion, np.zeros(3))
    pose[:3, axis] *= -1
    refuse(pose)


def returned_waiting(seconds):
    result = TrackingResult(TrackingState.OK, waited_seconds=seconds)
    return parse_acknowledgement(
        acknowledgement_message(Acknowledgement(3, result, 1.0)), 3
    ).result.waited_seconds


def test_what_a_backend_waited_on_purpose_is_told_apart():
    assert returned_waiting(0.25) == 0.25


@pytest.mark.parametrize("seconds", [-0.1, np.nan, np.inf])
def test_waiting_that_cannot_be_is_refused(seconds):
    with pytest.raises(ProtocolViolationError, match="s of waiting, which cannot be"):
        returned_waiting(seconds)


def returned_depth(depth):
    frame = RgbdFrame(0, 0, np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8), depth)
    camera = CameraIntrinsics(1, 1, 1, 1, WIDTH, HEIGHT)
    request = StartRequest(camera, Mode.RGBD, 0, 10.0, {}, None)
    return parse_frame(frame_message(frame), request, None).depth


DEPTHS = hnp.arrays(np.float32, (HEIGHT, WIDTH), elements=st.floats(0, 2**100, width=32))


@given(DEPTHS)
def test_depth_from_zero_up_is_taken(depth):
    depth[0, 0] = -0.0
    np.testing.assert_array_equal(returned_depth(depth), depth)


@given(DEPTHS, st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1), st.data())
def test_depth_with_one_value_that_is_none_is_refused(depth, row, column, data):
    depth[row, column] = data.draw(
        st.sampled_from([np.nan, -np.nan, np.inf, -np.inf])
        | st.floats(max_value=0, exclude_max=True, width=32)
    )
    with pytest.raises(ProtocolViolationError, match="NaN, infinite or negative"):
        returned_depth(depth)
