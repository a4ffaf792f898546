"""Trajectory files of every format there is a reader for.

All are read here and not with evo: its readers keep time stamps as float seconds, which hold a present-day
clock to 240 ns, and name neither the line at fault nor rows with NaN. A test has both read the same poses.
"""

from dataclasses import dataclass
from pathlib import Path

from adapters.trajectory.bag import BAG_SUFFIXES, read_bag
from adapters.trajectory.euroc_and_hydra import names_hydras_columns, read_euroc, read_hydra
from adapters.trajectory.recorded_poses import RecordedPoses, TrajectoryFileError
from adapters.trajectory.text_table import TextFile, read_text_file
from adapters.trajectory.tum_and_kitti import KITTI_COLUMNS, TUM_COLUMNS, read_kitti, read_tum

AUTO, BAG = "auto", "bag"
_TEXT_READERS = {"tum": read_tum, "kitti": read_kitti, "euroc": read_euroc, "hydra": read_hydra}
FORMATS = (AUTO, *_TEXT_READERS, BAG)


@dataclass(frozen=True)
class ReadFile:
    """A trajectory and what it was read from.

    Attributes:
        recorded: The poses.
        format: The format that they were read as.
        sha256: Digest of the file; None for bags, which may be a folder of many gigabytes.
    """

    recorded: RecordedPoses
    format: str
    sha256: str | None


def read_trajectory(path: Path, file_format: str = AUTO, topic: str = "") -> ReadFile:
    """Read a trajectory.

    Args:
        path: A text file or a bag.
        file_format: One of :data:`FORMATS`; ``auto`` tells by the name and the first lines.
        topic: For bags; see :func:`adapters.trajectory.bag.read_bag`.

    Raises:
        TrajectoryFileError: The file is missing or of no known format; a row has the wrong number of columns,
            something that is no number, a quaternion that is no rotation, or a time stamp that is not after
            the one before; or no row is usable. Names the file and the line.
    """
    if file_format == BAG or (file_format == AUTO and (path.is_dir() or path.suffix in BAG_SUFFIXES)):
        return ReadFile(read_bag(path, topic), BAG, None)
    if topic:
        raise TrajectoryFileError(f"{path} is no bag, and a topic is given: '{topic}'")
    file = read_text_file(path)
    found = _recognise(file) if file_format == AUTO else file_format
    return ReadFile(_TEXT_READERS[found](file), found, file.sha256)


def _recognise(file: TextFile) -> str:
    if any(names_hydras_columns(line) for _, line in list(file.lines())[:1]):
        return "hydra"
    line, text = next(file.rows(), (0, ""))
    if "," in text:
        return "euroc"
    formats = {TUM_COLUMNS: "tum", KITTI_COLUMNS: "kitti"}
    columns = len(text.split())
    if columns not in formats:
        raise TrajectoryFileError(
            f"{file.place(line)}: a line of {columns} columns is none of {', '.join(_TEXT_READERS)}; "
            "if it is, say which with option format"
        )
    return formats[columns]
