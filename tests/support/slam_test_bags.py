"""Small ROS bags with trajectories of every kind, ROS 1 and ROS 2."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Ros2Writer
from rosbags.typesys import Stores, get_typestore

#: A time stamp with its pose: x y z qx qy qz qw.
Stamped = tuple[int, Iterable[float]]


class Messages:
    """Makes messages of one generation of ROS."""

    def __init__(self, ros1: bool = False):
        self.ros1 = ros1
        self.store = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)

    def make(self, kind: str, **fields: Any) -> Any:
        return self.store.types[kind](**fields)

    def header(self, time_ns: int, frame: str = "map") -> Any:
        seconds, nanoseconds = divmod(time_ns, 10**9)
        stamp = self.make("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)
        extra = {"seq": 0} if self.ros1 else {}
        return self.make("std_msgs/msg/Header", stamp=stamp, frame_id=frame, **extra)

    def pose(self, numbers: Iterable[float]) -> Any:
        x, y, z, qx, qy, qz, qw = map(float, numbers)
        point = self.make("geometry_msgs/msg/Point", x=x, y=y, z=z)
        turn = self.make("geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw)
        return self.make("geometry_msgs/msg/Pose", position=point, orientation=turn)

    def pose_stamped(self, time_ns: int, numbers: Iterable[float]) -> Any:
        return self.make(
            "geometry_msgs/msg/PoseStamped", header=self.header(time_ns), pose=self.pose(numbers)
        )

    def with_covariance(self, numbers: Iterable[float]) -> Any:
        return self.make(
            "geometry_msgs/msg/PoseWithCovariance", pose=self.pose(numbers), covariance=np.zeros(36)
        )

    def pose_with_covariance(self, time_ns: int, numbers: Iterable[float]) -> Any:
        return self.make(
            "geometry_msgs/msg/PoseWithCovarianceStamped",
            header=self.header(time_ns),
            pose=self.with_covariance(numbers),
        )

    def odometry(self, time_ns: int, numbers: Iterable[float]) -> Any:
        zero = self.make("geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.0)
        twist = self.make("geometry_msgs/msg/Twist", linear=zero, angular=zero)
        return self.make(
            "nav_msgs/msg/Odometry",
            header=self.header(time_ns),
            child_frame_id="camera",
            pose=self.with_covariance(numbers),
            twist=self.make("geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=np.zeros(36)),
        )

    def path(self, stamped: list[Stamped]) -> Any:
        poses = [self.pose_stamped(*one) for one in stamped]
        return self.make("nav_msgs/msg/Path", header=self.header(stamped[-1][0]), poses=poses)

    def transforms(self, *transforms: tuple[int, str, str, Iterable[float]]) -> Any:
        return self.make("tf2_msgs/msg/TFMessage", transforms=[self._transform(*one) for one in transforms])

    def _transform(self, time_ns: int, parent: str, child: str, numbers: Iterable[float]) -> Any:
        pose = self.pose(numbers)
        moved = self.make(
            "geometry_msgs/msg/Vector3", x=pose.position.x, y=pose.position.y, z=pose.position.z
        )
        return self.make(
            "geometry_msgs/msg/TransformStamped",
            header=self.header(time_ns, parent),
            child_frame_id=child,
            transform=self.make("geometry_msgs/msg/Transform", translation=moved, rotation=pose.orientation),
        )


def write_ros2(path: Path, topics: dict[str, list[Any]], plugin: StoragePlugin = StoragePlugin.MCAP) -> Path:
    """Write messages by topic, recorded one millisecond after the other, whatever their headers say."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    with Ros2Writer(path, version=8, storage_plugin=plugin) as writer:
        for topic, messages in topics.items():
            connection = writer.add_connection(topic, messages[0].__msgtype__, typestore=store)
            for index, message in enumerate(messages):
                raw = store.serialize_cdr(message, message.__msgtype__)
                writer.write(connection, 5_000_000_000 + 1_000_000 * index, raw)
    return path


def write_ros1(path: Path, topics: dict[str, list[Any]]) -> Path:
    """The same as a bag of ROS 1."""
    store = get_typestore(Stores.ROS1_NOETIC)
    with Ros1Writer(path) as writer:
        for topic, messages in topics.items():
            connection = writer.add_connection(topic, messages[0].__msgtype__, typestore=store)
            for index, message in enumerate(messages):
                raw = store.serialize_ros1(message, message.__msgtype__)
                writer.write(connection, 5_000_000_000 + 1_000_000 * index, raw)
    return path
