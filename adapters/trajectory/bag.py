"""Trajectories in ROS 1 and ROS 2 bags, read with the library rosbags, without ROS."""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.trajectory.export_record import GROUND_TRUTH_TOPIC
from adapters.trajectory.recorded_poses import PoseRow, RecordedPoses, TrajectoryFileError, collect
from adapters.trajectory.text_table import SECOND_NS

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader
    from rosbags.interfaces import Connection

#: Names of bags that are single files; others are folders.
BAG_SUFFIXES = (".bag", ".mcap", ".db3")

_PATH = "nav_msgs/msg/Path"
_TRANSFORMS = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")
#: From a message to the object that has position and orientation.
_POSES: dict[str, Callable[[Any], Any]] = {
    "nav_msgs/msg/Odometry": lambda message: message.pose.pose,
    "geometry_msgs/msg/PoseStamped": lambda message: message.pose,
    "geometry_msgs/msg/PoseWithCovarianceStamped": lambda message: message.pose.pose,
}
_TYPES = (*_POSES, _PATH, *_TRANSFORMS)


def read_bag(path: Path, topic: str = "") -> RecordedPoses:
    """Read a trajectory from a bag. Instants are those of the messages' headers, to the nanosecond.

    Args:
        path: A ROS 1 file, a ROS 2 folder, or the MCAP or SQLite file in one.
        topic: A topic of type Odometry, PoseStamped, PoseWithCovarianceStamped or Path, of which the last
            message counts, since it is the most corrected one. Or ``TOPIC:PARENT.CHILD``, as in
            ``/tf:odom.base_link``, for the transforms between two frames in a topic of type TFMessage; none
            are chained. May be empty when there is only one topic of the first kind.

    Raises:
        TrajectoryFileError: The package rosbags is not installed; the bag cannot be read; it has no such
            topic, or one of another type; or its poses are not as :func:`collect` demands.
    """
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore
    except ImportError as error:
        raise TrajectoryFileError(
            f"{path}: reading a bag needs the package rosbags: pip install 'slam-harness[rosbag]'"
        ) from error
    name, _, frames = topic.partition(":")
    try:
        # Bags of ROS 2 before Iron do not say what their messages look like; these have never changed.
        with AnyReader([path], default_typestore=get_typestore(Stores.LATEST)) as reader:
            connections = _connections(path, reader, name)
            what = f"{path}, topic {connections[0].topic}"
            rows = list(_rows(reader, connections, frames, what))
    except TrajectoryFileError:
        raise
    except Exception as error:
        # A broken bag shows as whatever it makes the library stumble over.
        raise TrajectoryFileError(
            f"{path} cannot be read as a bag: {error or type(error).__name__}"
        ) from error
    return collect(rows, lambda place: f"{what}, pose {place}" if place else what, has_time=True)


def _connections(path: Path, reader: "AnyReader", topic: str) -> "list[Connection]":
    """All connections of the topic that is meant."""
    types = {connection.topic: connection.msgtype for connection in reader.connections}
    known = {name: kind for name, kind in types.items() if kind in _TYPES}
    if not topic:
        single = [
            name for name, kind in known.items() if kind not in _TRANSFORMS and name != GROUND_TRUTH_TOPIC
        ]
        if len(single) != 1:
            raise TrajectoryFileError(f"{path}: say which topic holds the trajectory; {_choices(known)}")
        topic = single[0]
    if topic not in known:
        found = f"is of type {types[topic]}" if topic in types else "is not in the bag"
        raise TrajectoryFileError(f"{path}: topic {topic} {found}; {_choices(known)}")
    return [connection for connection in reader.connections if connection.topic == topic]


def _choices(known: dict[str, str]) -> str:
    if not known:
        return f"it has none of the types {', '.join(_TYPES)}"
    return "there are " + ", ".join(f"{name} ({kind})" for name, kind in sorted(known.items()))


def _rows(reader: "AnyReader", connections: "list[Connection]", frames: str, what: str) -> Iterator[PoseRow]:
    kind = connections[0].msgtype
    messages: Iterator[Any] = (
        reader.deserialize(raw, kind) for _, _, raw in reader.messages(connections=connections)
    )
    if kind in _TRANSFORMS:
        return _transform_rows(messages, frames, what)
    if frames:
        raise TrajectoryFileError(f"{what}: frames '{frames}' are named, and it is of type {kind}")
    if kind == _PATH:
        poses = [stamped for last in deque(messages, maxlen=1) for stamped in last.poses]
        return (_row(place, stamped, stamped.pose) for place, stamped in enumerate(poses, start=1))
    pose_of = _POSES[kind]
    return (_row(place, message, pose_of(message)) for place, message in enumerate(messages, start=1))


def _transform_rows(messages: Iterator[Any], frames: str, what: str) -> Iterator[PoseRow]:
    seen = set()
    place = 0
    for message in messages:
        for stamped in message.transforms:
            pair = f"{stamped.header.frame_id}.{stamped.child_frame_id}"
            seen.add(pair)
            if pair == frames:
                place += 1
                pose = stamped.transform
                yield PoseRow(place, _nanoseconds(stamped), (*_xyz(pose.translation), *_xyzw(pose.rotation)))
    if not place:
        raise TrajectoryFileError(
            f"{what}: has no transforms '{frames or 'PARENT.CHILD'}'; there are {', '.join(sorted(seen))}"
        )


def _row(place: int, stamped: Any, pose: Any) -> PoseRow:
    return PoseRow(place, _nanoseconds(stamped), (*_xyz(pose.position), *_xyzw(pose.orientation)))


def _nanoseconds(stamped: Any) -> int:
    stamp = stamped.header.stamp
    return int(stamp.sec) * SECOND_NS + int(stamp.nanosec)


def _xyz(vector: Any) -> tuple[float, float, float]:
    return float(vector.x), float(vector.y), float(vector.z)


def _xyzw(quaternion: Any) -> tuple[float, float, float, float]:
    return (*_xyz(quaternion), float(quaternion.w))
