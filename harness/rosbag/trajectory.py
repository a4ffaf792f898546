"""A trajectory out of a bag, as a file in TUM format."""

from pathlib import Path

from adapters.trajectory.bag import read_bag
from adapters.trajectory.recorded_poses import RecordedPoses, TrajectoryFileError
from harness.errors import ResultsError
from harness.evaluation import TimedPoses, write_tum


def extract_trajectory(bag: Path, topic: str, output: Path) -> RecordedPoses:
    """Write the poses of a topic, exactly and in the frame of reference that they have in the bag.

    Args:
        bag: A ROS 1 or ROS 2 bag.
        topic: As :func:`adapters.trajectory.bag.read_bag` takes it.
        output: The file to write.

    Returns:
        What was read.

    Raises:
        ResultsError: The bag cannot be read, has no such trajectory, or the file cannot be written.
    """
    try:
        recorded = read_bag(bag, topic)
    except TrajectoryFileError as error:
        raise ResultsError(str(error)) from error
    write_tum(output, TimedPoses(recorded.keys, recorded.poses[:, :3], recorded.poses[:, 3:]))
    return recorded
