"""``harness rosbag``: input for SLAM systems that run elsewhere, and the trajectories they make of it."""

from pathlib import Path

import click

from harness.cli.console import ERRORS, OUTPUT, say
from harness.cli.module_options import module_options
from harness.cli.progress import StepProgress

_PATH = click.Path(path_type=Path)
_GROUND_TRUTH = "ground-truth"


@click.group()
def rosbag() -> None:
    """ROS bags: a sequence for a system that runs elsewhere, and the trajectory that it made."""


@rosbag.command()
@click.argument("sequence")
@click.option("--perception", required=True, metavar="NAME[:FILE]", help="As for 'harness run'.")
@click.option("--output", required=True, type=_PATH, help="Directory to make, with bag/ and export.json.")
@click.option("--max-frames", type=click.IntRange(min=1), help="Only the first frames.")
@click.option(
    "--odometry",
    type=click.Choice([_GROUND_TRUTH]),
    help="Put ground truth into the bag, as /external_odometry; what is made of it is marked.",
)
@click.option("--labels/--no-labels", default=True, show_default=True, help="Where the module gives any.")
@click.option("--set", "settings", multiple=True, metavar="OPTION=VALUE", help="An option of the module.")
def export(
    sequence: str,
    perception: str,
    output: Path,
    max_frames: int | None,
    odometry: str | None,
    labels: bool,
    settings: tuple[str, ...],
) -> None:
    """Write SEQUENCE as a ROS 2 bag: colour, the depth and labels that a module predicts, IMU samples.

    SEQUENCE is a sequence of the catalogue or the directory of a recording. export.json says what is in the
    bag; a trajectory made of it is scored with 'harness run --backends trajectory'.
    """
    from harness.environment import reader_context
    from harness.rosbag.export import ExportRequest, Odometry, export_sequence
    from perception.choice import parse_choice

    request = ExportRequest(
        sequence,
        parse_choice(perception, module_options(settings)),
        output,
        max_frames,
        labels,
        Odometry(odometry) if odometry else None,
    )
    with StepProgress(ERRORS) as progress:
        record = export_sequence(request, reader_context(progress), progress)
    for name, topic in record.topics.items():
        say(ERRORS, f"{topic['messages']:6d}  {name}  {topic['type']}")
    for note in record.notes:
        say(ERRORS, f"note: {note}")
    say(OUTPUT, str(output))


@rosbag.command()
@click.argument("bag", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--topic", default="", metavar="TOPIC[:PARENT.CHILD]", help="Needed when several could be meant."
)
@click.option("--output", required=True, type=_PATH, help="File to write, in TUM format.")
def trajectory(bag: Path, topic: str, output: Path) -> None:
    """Write the trajectory in a BAG (ROS 1 or 2) as a file in TUM format.

    Topics of type Odometry, PoseStamped, PoseWithCovarianceStamped and Path (its last message) are read, and
    the transforms between two frames in TFMessage, as /tf:odom.base_link.
    """
    from harness.rosbag.trajectory import extract_trajectory

    recorded = extract_trajectory(bag, topic, output)
    dropped = recorded.rows - len(recorded)
    say(ERRORS, f"{len(recorded)} poses; {dropped} with NaN or infinite entries left out")
    say(OUTPUT, str(output))
