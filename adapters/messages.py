"""What each message carries: between the typed values of both sides and protocol messages, checked.

Whatever comes from the other side is checked here and nowhere else, so that neither a backend nor the harness
ever works with a wrong shape, a NaN or a frame out of order.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.backend import (
    BackendResult,
    CameraIntrinsics,
    Capabilities,
    Mode,
    RgbdFrame,
    StartRequest,
    TrackingResult,
    TrackingState,
    Trajectory,
)
from adapters.errors import ProtocolViolationError
from adapters.label_space import LabelClass, LabelRole, LabelSpace
from adapters.printable import printable
from adapters.protocol import Message, MessageType

_INFINITY_BITS = np.float32(np.inf).view(np.uint32)
_RIGID_TOLERANCE = 1e-3
#: Label ids end here: 255 is "unknown".
_GREATEST_LABEL = 254


@dataclass(frozen=True)
class Acknowledgement:
    """A backend's answer to one frame.

    Attributes:
        index: Index of the frame it answers.
        result: Tracking state and live pose.
        milliseconds: Time the backend spent on the frame, without what it waited on purpose.
    """

    index: int
    result: TrackingResult
    milliseconds: float


@dataclass(frozen=True)
class FinalAnswer:
    """A backend's answer to ``finish``.

    Attributes:
        result: Trajectory, keyframes, files, statistics.
        peak_memory_bytes: Most memory its process held at a time.
    """

    result: BackendResult
    peak_memory_bytes: int


@dataclass(frozen=True)
class FrameStamp:
    """What must be remembered of a frame to tell whether the next one comes after it."""

    index: int
    timestamp_ns: int


def capabilities_message(capabilities: Capabilities) -> Message:
    """Answer to ``hello``."""
    fields = asdict(capabilities) | {"modes": [mode.value for mode in capabilities.modes]}
    return Message(MessageType.CAPABILITIES, fields)


def parse_capabilities(message: Message) -> Capabilities:
    """Read an answer to ``hello``.

    Raises:
        ProtocolViolationError: A field is missing, of another type or says something impossible.
    """
    flags = ("takes_semantics", "takes_imu", "deterministic", "live_poses", "ground_truth_is_input")
    try:
        modes = tuple(Mode(mode) for mode in message.value("modes", list))
    except ValueError as error:
        raise ProtocolViolationError(f"capabilities name a mode that does not exist: {error}") from error
    if not modes:
        raise ProtocolViolationError("capabilities name no mode")
    return Capabilities(
        name=printable(message.value("name", str)),
        version=printable(message.value("version", str)),
        modes=modes,
        **{flag: message.value(flag, bool) for flag in flags},
    )


def start_message(request: StartRequest) -> Message:
    """Everything a backend is told before the first frame."""
    fields = asdict(request) | {
        "mode": request.mode.value,
        "output_directory": str(request.output_directory),
        "label_space": None if request.label_space is None else _plain_label_space(request.label_space),
    }
    return Message(MessageType.START, fields)


def parse_start(message: Message, capabilities: Capabilities) -> StartRequest:
    """Read a ``start``.

    Raises:
        ProtocolViolationError: A field is missing or wrong, or the mode is none of the backend's.
    """
    try:
        intrinsics = CameraIntrinsics(**message.value("intrinsics", dict))
        mode = Mode(message.value("mode", str))
    except (TypeError, ValueError) as error:
        raise ProtocolViolationError(f"'start' is not valid: {error}") from error
    numbers = list(asdict(intrinsics).values())
    if not all(isinstance(number, (int, float)) and np.isfinite(number) for number in numbers):
        raise ProtocolViolationError(f"intrinsics must be finite numbers, got {numbers}")
    if min(intrinsics.fx, intrinsics.fy, intrinsics.width, intrinsics.height) <= 0:
        raise ProtocolViolationError(f"focal lengths and image size must be positive, got {numbers}")
    if mode not in capabilities.modes:
        raise ProtocolViolationError(f"{capabilities.name} has no mode '{mode.value}'")
    return StartRequest(
        intrinsics=intrinsics,
        mode=mode,
        seed=message.value("seed", int),
        realtime=message.value("realtime", bool),
        frame_rate_hz=float(message.value("frame_rate_hz", int, float)),
        options=message.value("options", dict),
        output_directory=Path(message.value("output_directory", str)),
        imu=message.value("imu", dict, type(None)),
        label_space=_label_space(message.value("label_space", dict, type(None))),
    )


def frame_message(frame: RgbdFrame) -> Message:
    """One frame."""
    arrays: dict[str, NDArray[Any]] = {"rgb": frame.rgb}
    for name in ("depth", "semantics", "imu", "imu_timestamps_ns"):
        array = getattr(frame, name)
        if array is not None:
            arrays[name] = array
    return Message(MessageType.FRAME, {"index": frame.index, "timestamp_ns": frame.timestamp_ns}, arrays)


def parse_frame(message: Message, request: StartRequest, previous: FrameStamp | None) -> RgbdFrame:
    """Read a frame.

    Raises:
        ProtocolViolationError: Wrong shape or dtype, depth that is missing, NaN, infinite or negative, labels
            of no label space, IMU samples that do not lie between the frames, or a frame that does not come
            after the one before.
    """
    size = (request.intrinsics.height, request.intrinsics.width)
    frame = RgbdFrame(
        index=message.value("index", int),
        timestamp_ns=message.value("timestamp_ns", int),
        rgb=_present(message.array("rgb", "uint8", (*size, 3))),
        depth=message.array("depth", "float32", size, required=request.mode is Mode.RGBD),
        semantics=message.array("semantics", "uint8", size, required=False),
        imu=message.array("imu", "float64", (None, 6), required=False),
        imu_timestamps_ns=message.array("imu_timestamps_ns", "int64", (None,), required=False),
    )
    if frame.depth is not None and not _is_depth(frame.depth):
        raise ProtocolViolationError(f"depth of frame {frame.index} has NaN, infinite or negative values")
    if frame.semantics is not None and request.label_space is None:
        raise ProtocolViolationError(
            f"frame {frame.index} carries labels and 'start' brought no label space for them"
        )
    if previous is not None and not (
        frame.index > previous.index and frame.timestamp_ns > previous.timestamp_ns
    ):
        raise ProtocolViolationError(
            f"frame {frame.index} at {frame.timestamp_ns} ns does not come after "
            f"frame {previous.index} at {previous.timestamp_ns} ns"
        )
    _check_imu(frame, previous)
    return frame


def acknowledgement_message(acknowledgement: Acknowledgement) -> Message:
    """Answer to a frame."""
    fields = {
        "index": acknowledgement.index,
        "state": acknowledgement.result.state.value,
        "milliseconds": acknowledgement.milliseconds,
        "waited_seconds": acknowledgement.result.waited_seconds,
    }
    pose = acknowledgement.result.camera_to_world
    arrays = {} if pose is None else {"camera_to_world": np.asarray(pose, dtype=np.float64)}
    return Message(MessageType.ACK, fields, arrays)


def parse_acknowledgement(message: Message, sent_index: int) -> Acknowledgement:
    """Read the answer to frame ``sent_index``.

    Raises:
        ProtocolViolationError: It answers another frame, or its pose is no rigid transformation.
    """
    index = message.value("index", int)
    if index != sent_index:
        raise ProtocolViolationError(f"the answer to frame {sent_index} is for frame {index}")
    try:
        state = TrackingState(message.value("state", str))
    except ValueError as error:
        raise ProtocolViolationError(f"frame {index}: {error}") from error
    pose = message.array("camera_to_world", "float64", (4, 4), required=False)
    if pose is not None and not _is_rigid(pose):
        raise ProtocolViolationError(f"live pose of frame {index} is not rigid: {pose.tolist()}")
    milliseconds = float(message.value("milliseconds", int, float))
    waited_seconds = float(message.value("waited_seconds", int, float))
    if not (0 <= milliseconds < np.inf and 0 <= waited_seconds < np.inf):
        raise ProtocolViolationError(
            f"frame {index} took {milliseconds} ms and {waited_seconds} s of waiting, which cannot be"
        )
    return Acknowledgement(index, TrackingResult(state, pose, waited_seconds), milliseconds)


def result_message(answer: FinalAnswer) -> Message:
    """Answer to ``finish``."""
    result = answer.result
    fields = {
        "keyframe_indices": list(result.keyframe_indices),
        "files": list(result.files),
        "statistics": result.statistics,
        "peak_memory_bytes": answer.peak_memory_bytes,
    }
    arrays: dict[str, NDArray[Any]] = {
        "timestamps_ns": result.trajectory.timestamps_ns,
        "poses": result.trajectory.poses,
    }
    return Message(MessageType.RESULT, fields, arrays)


def parse_result(
    message: Message, sent_indices: Sequence[int], sent_timestamps_ns: NDArray[np.int64]
) -> FinalAnswer:
    """Read the answer to ``finish``.

    Args:
        message: The answer.
        sent_indices: Indices of all frames sent, increasing.
        sent_timestamps_ns: int64 [N], stamps of all frames sent, increasing.

    Raises:
        ProtocolViolationError: NaN or infinite poses, quaternions that are no rotations, stamps or keyframes
            that were never sent, repeated or unsorted, or files outside the output directory.
    """
    timestamps = _present(message.array("timestamps_ns", "int64", (None,)))
    poses = _present(message.array("poses", "float64", (len(timestamps), 7)))
    _check_trajectory(timestamps, poses, sent_timestamps_ns)
    keyframes = message.value("keyframe_indices", list)
    files = message.value("files", list)
    sent = set(sent_indices)
    if not all(type(index) is int and index in sent for index in keyframes) or len(set(keyframes)) != len(
        keyframes
    ):
        raise ProtocolViolationError("keyframe indices must be those of frames sent, each once")
    for name in files:
        if not isinstance(name, str) or Path(name).is_absolute() or ".." in Path(name).parts:
            raise ProtocolViolationError(f"file {name!r} is not below the output directory")
    result = BackendResult(
        Trajectory(timestamps, poses), tuple(keyframes), tuple(files), message.value("statistics", dict)
    )
    return FinalAnswer(result, message.value("peak_memory_bytes", int))


def _plain_label_space(space: LabelSpace) -> dict[str, Any]:
    classes = [
        asdict(entry) | {"colour": list(entry.colour), "role": entry.role.value} for entry in space.classes
    ]
    return {"name": space.name, "classes": classes}


def _label_space(fields: dict[str, Any] | None) -> LabelSpace | None:
    if fields is None:
        return None
    name, classes = fields.get("name"), fields.get("classes")
    if not isinstance(name, str) or not isinstance(classes, list) or not classes:
        raise ProtocolViolationError("a label space must have a name and a list of classes")
    space = LabelSpace(name, tuple(_label_class(name, entry) for entry in classes))
    ids = [entry.id for entry in space.classes]
    if len(set(ids)) != len(ids):
        raise ProtocolViolationError(f"two classes of label space '{name}' have the same id")
    return space


def _label_class(space: str, entry: Any) -> LabelClass:
    try:
        red, green, blue = entry["colour"]
        found = LabelClass(entry["id"], entry["name"], (red, green, blue), LabelRole(entry["role"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolViolationError(
            f"a class of label space '{space}' is not valid: {entry!r} ({error})"
        ) from error
    if not isinstance(found.name, str) or not _is_byte(found.id, _GREATEST_LABEL):
        raise ProtocolViolationError(
            f"a class of label space '{space}' must have a name and an id from 0 to {_GREATEST_LABEL}, "
            f"got {entry!r}"
        )
    if not all(_is_byte(value) for value in found.colour):
        raise ProtocolViolationError(
            f"class '{found.name}' of label space '{space}' has the impossible colour {found.colour}"
        )
    return found


def _is_byte(value: Any, greatest: int = 255) -> bool:
    return type(value) is int and 0 <= value <= greatest


def _check_imu(frame: RgbdFrame, previous: FrameStamp | None) -> None:
    samples, stamps = frame.imu, frame.imu_timestamps_ns
    if samples is None and stamps is None:
        return
    if samples is None or stamps is None or len(samples) != len(stamps):
        raise ProtocolViolationError(f"IMU samples of frame {frame.index} and their timestamps do not match")
    if not np.isfinite(samples).all():
        raise ProtocolViolationError(f"IMU samples of frame {frame.index} have NaN or infinite values")
    if (np.diff(stamps) <= 0).any():
        raise ProtocolViolationError(f"IMU samples of frame {frame.index} are repeated or not in order")
    if len(stamps) and (
        stamps[-1] > frame.timestamp_ns or (previous is not None and stamps[0] <= previous.timestamp_ns)
    ):
        raise ProtocolViolationError(
            f"IMU samples of frame {frame.index} do not lie between it and the frame before"
        )


def _check_trajectory(
    timestamps: NDArray[np.int64], poses: NDArray[np.float64], sent: NDArray[np.int64]
) -> None:
    if not np.isfinite(poses).all():
        row = int(np.flatnonzero(~np.isfinite(poses).all(axis=1))[0])
        raise ProtocolViolationError(f"pose {row} of the trajectory has NaN or infinite values")
    if (np.diff(timestamps) <= 0).any():
        raise ProtocolViolationError("timestamps of the trajectory are repeated or not in order")
    unknown = timestamps[~np.isin(timestamps, sent)]
    if len(unknown):
        raise ProtocolViolationError(
            f"the trajectory has {len(unknown)} timestamps that were never sent, first {unknown[0]} ns"
        )
    norms = np.linalg.norm(poses[:, 3:], axis=1)
    if (np.abs(norms - 1) > 1e-3).any():
        row = int(np.argmax(np.abs(norms - 1)))
        raise ProtocolViolationError(f"quaternion of pose {row} has length {norms[row]:.4f} instead of 1")


def _is_depth(depth: NDArray[np.float32]) -> bool:
    """Whether every value is finite and not negative."""
    # Read as unsigned integers, floats are in order from 0 to infinity, then come NaN and all that has a
    # sign. One pass is enough for almost every image; the second lets -0.0 through.
    return bool(depth.view(np.uint32).max() < _INFINITY_BITS or (depth.min() >= 0 and depth.max() < np.inf))


def _is_rigid(pose: NDArray[np.float64]) -> bool:
    """Whether a 4×4 matrix is a rotation and a translation, to a thousandth."""
    # Plain numbers: right after a wait, when nothing is in the caches, the same with numpy's functions took
    # 0.3 ms, a quarter of all that the protocol added to a frame.
    x, y, z, last = pose.tolist()
    lengths = (_dot(x, x), _dot(y, y), _dot(z, z))
    products = (_dot(x, y), _dot(y, z), _dot(z, x))
    return (
        isfinite(sum((*x, *y, *z)))
        and all(abs(length - 1) < _RIGID_TOLERANCE for length in lengths)
        and all(abs(product) < _RIGID_TOLERANCE for product in products)
        and _dot(_cross(x, y), z) > 0
        and all(abs(have - want) < _RIGID_TOLERANCE for have, want in zip(last, (0, 0, 0, 1), strict=True))
    )


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def _present(array: NDArray[Any] | None) -> NDArray[Any]:
    assert array is not None, "Message.array returns None for optional arrays only"
    return array
