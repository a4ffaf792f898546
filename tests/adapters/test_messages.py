"""What arrives is worked with only when it can be a pose and an image of depth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from adapters.backend import (
    CameraIntrinsics,
    Capabilities,
    Mode,
    RgbdFrame,
    StartRequest,
    TrackingResult,
    TrackingState,
)
from adapters.errors import ProtocolViolationError
from adapters.label_space import LabelClass, LabelRole, LabelSpace
from adapters.messages import (
    Acknowledgement,
    FrameStamp,
    acknowledgement_message,
    frame_message,
    parse_acknowledgement,
    parse_frame,
    parse_start,
    start_message,
)
from adapters.protocol import decode, encode

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


RGB = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)


def start_request(mode=Mode.MONO, label_space=None):
    camera = CameraIntrinsics(1, 1, 1, 1, WIDTH, HEIGHT)
    return StartRequest(camera, mode, 0, 10.0, {}, Path("/output"), label_space=label_space)


def returned_depth(depth):
    frame = RgbdFrame(0, 0, RGB, depth)
    return parse_frame(frame_message(frame), start_request(Mode.RGBD), None).depth


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


BYTES = st.integers(0, 255)
CLASSES = st.builds(
    LabelClass,
    st.integers(0, 254),
    st.text(max_size=8),
    st.tuples(BYTES, BYTES, BYTES),
    st.sampled_from(LabelRole),
)
SPACES = st.builds(
    LabelSpace,
    st.text(max_size=8),
    st.lists(CLASSES, min_size=1, max_size=5, unique_by=lambda entry: entry.id).map(tuple),
)


def received(message):
    """A message as it comes out of the wire."""
    return decode([bytes(part) for part in encode(message)])


def returned_space(message):
    return parse_start(received(message), Capabilities("any", "1", (Mode.MONO,))).label_space


@given(st.none() | SPACES)
def test_a_backend_is_told_what_labels_mean(space):
    assert returned_space(start_message(start_request(label_space=space))) == space


WALL = {"id": 1, "name": "wall", "colour": [1, 2, 3], "role": "structure"}


@pytest.mark.parametrize(
    ("classes", "complaint"),
    [
        ([WALL, WALL | {"name": "floor"}], "two classes of label space 'rooms' have the same id"),
        ([WALL | {"id": 255}], "an id from 0 to 254"),
        ([WALL | {"id": -1}], "an id from 0 to 254"),
        ([WALL | {"id": True}], "an id from 0 to 254"),
        ([WALL | {"name": None}], "must have a name"),
        ([WALL | {"role": "furniture"}], "'furniture' is not a valid LabelRole"),
        ([WALL | {"colour": [1, 2]}], "is not valid"),
        ([WALL | {"colour": [1, 2, 256]}], "impossible colour"),
        ([WALL | {"colour": [1, 2, 0.5]}], "impossible colour"),
        ([{"id": 1, "name": "wall"}], "is not valid"),
        (["wall"], "is not valid"),
        ([], "a name and a list of classes"),
        ({"1": "wall"}, "a name and a list of classes"),
    ],
)
def test_a_label_space_that_means_nothing_is_refused(classes, complaint):
    message = start_message(start_request())
    fields = message.fields | {"label_space": {"name": "rooms", "classes": classes}}
    with pytest.raises(ProtocolViolationError, match=complaint):
        returned_space(replace(message, fields=fields))


def test_labels_are_taken_with_a_label_space_alone():
    labels = np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)
    message = frame_message(RgbdFrame(7, 0, RGB, semantics=labels))
    space = LabelSpace("rooms", (LabelClass(1, "wall", (1, 2, 3), LabelRole.STRUCTURE),))
    taken = parse_frame(received(message), start_request(label_space=space), None)
    np.testing.assert_array_equal(taken.semantics, labels)
    with pytest.raises(
        ProtocolViolationError, match="frame 7 carries labels and 'start' brought no label space"
    ):
        parse_frame(message, start_request(), None)


FRAME_NS = 1_700_000_000_000_000_200
BEFORE = FrameStamp(3, FRAME_NS - 200)


def parsed_imu(after_before_ns, samples=None, previous=BEFORE):
    stamps = BEFORE.timestamp_ns + np.array(after_before_ns, dtype=np.int64)
    samples = np.ones((len(stamps), 6)) if samples is None else samples
    frame = RgbdFrame(4, FRAME_NS, RGB, imu=samples, imu_timestamps_ns=stamps)
    taken = parse_frame(received(frame_message(frame)), start_request(), previous)
    return taken.imu, taken.imu_timestamps_ns


@given(st.lists(st.integers(1, 200), unique=True).map(sorted))
def test_imu_samples_since_the_frame_before_are_taken_with_exact_stamps(after_ns):
    samples = np.arange(6.0 * len(after_ns)).reshape(-1, 6)
    taken, stamps = parsed_imu(after_ns, samples)
    np.testing.assert_array_equal(taken, samples)
    np.testing.assert_array_equal(stamps, BEFORE.timestamp_ns + np.array(after_ns, dtype=np.int64))


@pytest.mark.parametrize(
    ("after_ns", "complaint"),
    [
        ([0, 100], "do not lie between it and the frame before"),
        ([100, 201], "do not lie between it and the frame before"),
        ([50, 40], "repeated or not in order"),
        ([50, 50], "repeated or not in order"),
    ],
)
def test_imu_samples_of_another_time_are_refused(after_ns, complaint):
    with pytest.raises(ProtocolViolationError, match=f"IMU samples of frame 4 .*{complaint}"):
        parsed_imu(after_ns)


def test_imu_samples_before_the_first_frame_are_no_violation():
    _, stamps = parsed_imu([-1000, 200], previous=None)
    assert len(stamps) == 2


@pytest.mark.parametrize(
    ("samples", "complaint"),
    [
        (np.full((2, 6), np.nan), "NaN or infinite"),
        (np.ones((2, 7)), "must be float64 N×6"),
        (np.ones((3, 6)), "do not match"),
    ],
)
def test_imu_samples_that_are_none_are_refused(samples, complaint):
    with pytest.raises(ProtocolViolationError, match=complaint):
        parsed_imu([100, 200], samples)


@pytest.mark.parametrize("missing", ["imu", "imu_timestamps_ns"])
def test_neither_imu_samples_nor_their_stamps_come_alone(missing):
    both = {"imu": np.ones((1, 6)), "imu_timestamps_ns": np.array([FRAME_NS])}
    frame = RgbdFrame(4, FRAME_NS, RGB, **(both | {missing: None}))
    with pytest.raises(ProtocolViolationError, match="and their timestamps do not match"):
        parse_frame(received(frame_message(frame)), start_request(), BEFORE)
