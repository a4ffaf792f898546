"""The commands ``harness rosbag``: what they print, and a trajectory out of a bag as a file."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from slam_test_bags import Messages, write_ros1, write_ros2
from slam_test_recordings import record_curve

from harness.cli.rosbag import rosbag
from harness.errors import ConfigurationError, ResultsError
from harness.evaluation import read_tum

ROS2 = Messages()
STAMPED = [
    (1_403_636_580_838_555_648, [1.0, 2.0, 3.0, 0.0, 0.0, 0.6, 0.8]),
    (1_403_636_580_938_555_649, [1.5, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0]),
]


def run(*arguments):
    return CliRunner(catch_exceptions=False).invoke(rosbag, [str(argument) for argument in arguments])


def test_an_export_prints_its_place_and_what_is_in_it(tmp_path):
    recording = record_curve(tmp_path / "curve")
    output = tmp_path / "export"
    result = run("export", recording, "--perception", "sensor", "--output", output, "--max-frames", 3)
    assert (result.exit_code, result.stdout) == (0, f"{output}\n")
    assert "     3  /camera/depth_cam/image_raw  sensor_msgs/msg/Image" in result.stderr
    assert "/external_odometry" not in result.stderr


def test_options_of_the_module_are_set_as_for_a_prediction(tmp_path):
    recording = record_curve(tmp_path / "curve")
    output = tmp_path / "export"
    run("export", recording, "--perception", "constant:2", "--set", "factor=1.5", "--output", output)
    record = json.loads((output / "export.json").read_text())
    assert record["perception"]["choice"]["options"] == {"factor": 1.5}
    with pytest.raises(ConfigurationError, match="--set factor: expected OPTION=VALUE"):
        run("export", recording, "--perception", "constant:2", "--set", "factor", "--output", "x")


def test_odometry_is_asked_for_by_name(tmp_path):
    recording = record_curve(tmp_path / "curve")
    arguments = ("export", recording, "--perception", "none", "--output", tmp_path / "export", "--odometry")
    assert run(*arguments, "yes").exit_code == 2
    assert "/external_odometry" in run(*arguments, "ground-truth").stderr


def test_a_note_is_shown(tmp_path):
    recording = record_curve(tmp_path / "curve")
    result = run("export", recording, "--perception", "unnamed-labels", "--output", tmp_path / "export")
    assert "note: labels are not exported" in result.stderr


@pytest.mark.parametrize("generation", [1, 2])
def test_a_trajectory_out_of_a_bag_is_exact(tmp_path, generation):
    lost = (STAMPED[0][0] + 1, [np.nan] * 7)
    messages, write = (ROS2, write_ros2) if generation == 2 else (Messages(ros1=True), write_ros1)
    poses = [messages.odometry(*stamped) for stamped in (STAMPED[0], lost, STAMPED[1])]
    bag = write(tmp_path / "run.bag" if generation == 1 else tmp_path / "run", {"/slam": poses})
    output = tmp_path / "run.tum"

    result = run("trajectory", bag, "--topic", "/slam", "--output", output)

    assert (result.exit_code, result.stdout) == (0, f"{output}\n")
    assert result.stderr == "2 poses; 1 with NaN or infinite entries left out\n"
    read = read_tum(output)
    assert read.timestamps_ns.tolist() == [time_ns for time_ns, _ in STAMPED]
    np.testing.assert_array_equal(read.positions, [pose[:3] for _, pose in STAMPED])
    np.testing.assert_allclose(read.quaternions, [pose[3:] for _, pose in STAMPED], atol=1e-15)


def test_a_topic_that_is_not_there_is_a_sentence(tmp_path):
    bag = write_ros2(tmp_path / "run", {"/slam": [ROS2.odometry(*STAMPED[0])]})
    with pytest.raises(ResultsError, match="topic /odom is not in the bag; there are /slam"):
        run("trajectory", bag, "--topic", "/odom", "--output", tmp_path / "run.tum")
    assert not (tmp_path / "run.tum").exists()


def test_a_bag_that_is_not_there_is_wrong_usage(tmp_path):
    assert run("trajectory", tmp_path / "nothing", "--output", tmp_path / "run.tum").exit_code == 2
