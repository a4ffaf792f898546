"""What a recording may have beside its images, in files of the TUM layout: label images, ground truth."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequences.errors import DataFileError
from sequences.image_list import require_files
from sequences.model import GroundTruth, LeftOut
from sequences.text_table import read_text
from sequences.timestamps import nanoseconds_to_seconds_text
from sequences.trajectory_file import read_ground_truth

LABELS_FOLDER = "labels"
LABEL_SPACE_FILE = "LABEL_SPACE"


@dataclass(frozen=True)
class OptionalGroundTruth:
    """Ground truth as far as a recording has it.

    Attributes:
        truth: The poses, None without a file.
        left_out: Rows that say nothing, counted.
        notes: That there is no file.
    """

    truth: GroundTruth | None
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


def find_labels(directory: Path, stems: Iterable[str]) -> tuple[Path, ...] | None:
    """The label images of colour images with these names (without endings); None without ``labels/``.

    Raises:
        DataFileError: Some are missing.
    """
    folder = directory / LABELS_FOLDER
    if not folder.is_dir():
        return None
    files = tuple(folder / f"{stem}.png" for stem in stems)
    require_files(folder, files)
    return files


def read_label_space(directory: Path) -> str:
    """The name of the space of the labels in ``labels/``.

    Raises:
        DataFileError: ``labels/LABEL_SPACE`` is missing or holds anything but one word.
    """
    path = directory / LABELS_FOLDER / LABEL_SPACE_FILE
    name = read_text(path).strip()
    if not name or len(name.split()) != 1:
        raise DataFileError(path, "must hold one word, the name of the label space: nyu40 or scannet20")
    return name


def find_ground_truth(path: Path, frames_ns: NDArray[np.int64]) -> OptionalGroundTruth:
    """Read ground truth in the TUM format, if it is there.

    Args:
        path: The file.
        frames_ns: int64 [N], time stamps of the frames, increasing.

    Raises:
        DataFileError: The file is malformed, or does not overlap the frames in time.
    """
    if not path.exists():
        return OptionalGroundTruth(None, (), (f"There is no {path.name}; trajectories cannot be scored.",))
    truth, repeated = read_ground_truth(path)
    require_overlap(path, frames_ns, truth.timestamps_ns)
    rows = len(truth) + truth.rows_dropped + repeated
    left_out = (
        LeftOut("ground-truth rows", "NaN or infinite entries", truth.rows_dropped, rows),
        LeftOut("ground-truth rows", "they repeat the time stamp above", repeated, rows, by_design=True),
    )
    return OptionalGroundTruth(truth, left_out)


def time_range(timestamps_ns: NDArray[np.int64]) -> str:
    """From when to when, for messages."""
    first, last = (nanoseconds_to_seconds_text(int(t)) for t in (timestamps_ns[0], timestamps_ns[-1]))
    return f"{first} s to {last} s"


def require_overlap(path: Path, frames_ns: NDArray[np.int64], poses_ns: NDArray[np.int64]) -> None:
    """Check that frames and poses are of one time.

    Raises:
        DataFileError: The poses, which ``path`` holds, end before the frames begin, or begin after they end.
    """
    if poses_ns[-1] < frames_ns[0] or frames_ns[-1] < poses_ns[0]:
        raise DataFileError(
            path,
            f"ground truth and frames do not overlap in time: frames cover {time_range(frames_ns)}, "
            f"ground truth covers {time_range(poses_ns)}; both must be on one clock",
        )
