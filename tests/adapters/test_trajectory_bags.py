"""Trajectories in ROS bags: every kind of message, both generations of ROS, every mistake with its name."""

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin
from slam_test_bags import Messages, write_ros1, write_ros2

from adapters.trajectory.bag import read_bag
from adapters.trajectory.reading import read_trajectory
from adapters.trajectory.recorded_poses import TrajectoryFileError

STAMPED = [
    (1_403_636_580_838_555_648, [1.0, 2.0, 3.0, 0.0, 0.0, 0.6, 0.8]),
    (1_403_636_580_938_555_649, [1.5, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0]),
]
ROS1, ROS2 = Messages(ros1=True), Messages()


def assert_is_trajectory(recorded):
    assert recorded.has_time
    assert recorded.keys.tolist() == [time_ns for time_ns, _ in STAMPED]
    np.testing.assert_allclose(recorded.poses, [pose for _, pose in STAMPED], atol=1e-15)


def of_kind(ros, kind):
    return [getattr(ros, kind)(*stamped) for stamped in STAMPED]


@pytest.mark.parametrize("kind", ["odometry", "pose_stamped", "pose_with_covariance"])
def test_stamped_poses_are_read_with_the_instants_of_their_headers(tmp_path, kind):
    assert_is_trajectory(read_bag(write_ros2(tmp_path / "ros2", {"/slam": of_kind(ROS2, kind)})))
    assert_is_trajectory(read_bag(write_ros1(tmp_path / "ros1.bag", {"/slam": of_kind(ROS1, kind)})))


@pytest.mark.parametrize("plugin", StoragePlugin)
def test_a_bag_may_be_named_by_its_folder_or_its_file(tmp_path, plugin):
    path = write_ros2(tmp_path / "bag", {"/slam": of_kind(ROS2, "odometry")}, plugin)
    (file,) = [file for file in path.iterdir() if file.name != "metadata.yaml"]
    for named in (path, file):
        found = read_trajectory(named)
        assert (found.format, found.sha256) == ("bag", None)
        assert_is_trajectory(found.recorded)


def test_of_paths_the_last_one_counts(tmp_path):
    worse = [(time_ns, [9, 9, 9, 0, 0, 0, 1]) for time_ns, _ in STAMPED]
    path = write_ros2(tmp_path / "bag", {"/path": [ROS2.path(worse), ROS2.path(STAMPED)]})
    assert_is_trajectory(read_bag(path, "/path"))


def test_transforms_between_two_frames_are_read_among_others(tmp_path):
    messages = [
        ROS2.transforms((time_ns, "map", "odom", STAMPED[1][1]), (time_ns, "odom", "base", pose))
        for time_ns, pose in STAMPED
    ]
    path = write_ros2(tmp_path / "bag", {"/tf": messages})
    assert_is_trajectory(read_bag(path, "/tf:odom.base"))
    for topic in ("/tf", "/tf:map.base", "/tf:base.odom"):
        with pytest.raises(TrajectoryFileError, match=r"topic /tf: has no .*map\.odom, odom\.base"):
            read_bag(path, topic)


def test_the_topic_must_be_said_where_two_could_be_meant(tmp_path):
    topics = {"/a": of_kind(ROS2, "odometry"), "/b": of_kind(ROS2, "pose_stamped")}
    path = write_ros2(tmp_path / "bag", topics)
    assert_is_trajectory(read_bag(path, "/b"))
    with pytest.raises(TrajectoryFileError, match=r"say which topic .*/a \(nav_msgs.*/b \(geometry_msgs"):
        read_bag(path)


def test_a_topic_that_holds_no_trajectory_is_refused(tmp_path):
    header = [ROS2.header(1)]
    path = write_ros2(tmp_path / "bag", {"/slam": of_kind(ROS2, "odometry"), "/clock": header})
    with pytest.raises(TrajectoryFileError, match=r"/clock is of type std_msgs/msg/Header; there are /slam"):
        read_bag(path, "/clock")
    with pytest.raises(TrajectoryFileError, match="/other is not in the bag; there are /slam"):
        read_bag(path, "/other")
    with pytest.raises(TrajectoryFileError, match=r"frames 'a\.b' are named"):
        read_bag(path, "/slam:a.b")
    with pytest.raises(TrajectoryFileError, match="it has none of the types nav_msgs"):
        read_bag(write_ros2(tmp_path / "without", {"/clock": header}))


def test_messages_with_nan_are_left_out_and_counted(tmp_path):
    lost = (STAMPED[0][0] + 1, [np.nan] * 7)
    messages = [ROS2.odometry(*stamped) for stamped in (STAMPED[0], lost, STAMPED[1])]
    recorded = read_bag(write_ros2(tmp_path / "bag", {"/slam": messages}))
    assert_is_trajectory(recorded)
    assert recorded.rows == 3


def test_messages_out_of_order_are_refused_by_bag_topic_and_message(tmp_path):
    messages = [ROS2.odometry(*stamped) for stamped in reversed(STAMPED)]
    path = write_ros2(tmp_path / "bag", {"/slam": messages})
    with pytest.raises(TrajectoryFileError, match=f"{path}, topic /slam, pose 2: .* earlier"):
        read_bag(path)


def test_a_bag_that_is_broken_is_named(tmp_path):
    whole = write_ros1(tmp_path / "whole.bag", {"/slam": of_kind(ROS1, "odometry")}).read_bytes()
    for name, content in {"cut.bag": whole[: len(whole) // 2], "no.bag": b"no bag", "no.mcap": b""}.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(TrajectoryFileError, match=f"{name} cannot be read as a bag: "):
            read_trajectory(path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(TrajectoryFileError, match="folder cannot be read as a bag: "):
        read_trajectory(tmp_path / "folder")


def test_a_bag_without_its_index_is_refused(tmp_path):
    path = write_ros2(tmp_path / "bag", {"/slam": of_kind(ROS2, "odometry")})
    file = path / "bag.mcap"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(TrajectoryFileError, match="cannot be read as a bag"):
        read_bag(path)
