"""ICL-NUIM as its archives hold it ("TUM RGB-D compatible PNGs"): images and poses numbered, not timed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from sequences.calibration import CALIBRATION_FILE, Calibration, read_calibration, require_depth_scale
from sequences.errors import DataFileError
from sequences.frame_files import FrameFiles
from sequences.image_list import require_files
from sequences.lens import LensCorrection
from sequences.model import NANOSECONDS_PER_SECOND, GroundTruth, Intrinsics, LeftOut
from sequences.numbered_frames import (
    LARGEST_NUMBER,
    NumberedPairs,
    missing_numbers,
    nominal_timestamps_ns,
    rate_note,
)
from sequences.recording import Recording
from sequences.text_table import read_rows
from sequences.trajectory_file import read_ground_truth

ASSOCIATIONS_FILE = "associations.txt"
GROUND_TRUTH_PATTERN = "*.gt.freiburg"

#: As published for all sequences. The y axis points up.
PUBLISHED_CAMERA = Calibration(
    Intrinsics(fx=481.2, fy=-480.0, cx=319.5, cy=239.5, width=640, height=480),
    distortion=None,
    depth_scale=5000.0,
    source="published with the data set",
)


def is_archive(path: Path) -> bool:
    """Whether a folder holds an unpacked archive."""
    return (path / ASSOCIATIONS_FILE).is_file() and any(path.glob(GROUND_TRUTH_PATTERN))


def archive_calibration(path: Path) -> Calibration:
    """The published calibration, unless somebody put another one into the folder.

    Raises:
        DataFileError: The folder's own calibration is malformed.
    """
    file = path / CALIBRATION_FILE
    return read_calibration(file) if file.exists() else PUBLISHED_CAMERA


def read_archive(path: Path, calibration: Calibration, rate_hz: float) -> Recording:
    """Read an unpacked archive; camera and poses as they are published, y axes pointing up.

    Args:
        path: The folder with ``associations.txt``, ``rgb``, ``depth`` and the file of poses.
        calibration: Of the camera.
        rate_hz: Frames a second, which make times of numbers.

    Raises:
        DataFileError: A file is missing, malformed or contradicts another.
    """
    images = _read_associations(path / ASSOCIATIONS_FILE)
    truth, poses_left_out, truth_notes = _read_poses(path, images.numbers, rate_hz)
    intrinsics = calibration.intrinsics
    return Recording(
        intrinsics=intrinsics,
        timestamps_ns=nominal_timestamps_ns(images.numbers, rate_hz),
        frames=FrameFiles(
            rgb=images.rgb,
            size=(intrinsics.width, intrinsics.height),
            depth=images.depth,
            depth_scale=require_depth_scale(calibration, path / CALIBRATION_FILE),
            lens=LensCorrection(calibration) if calibration.distortion else None,
        ),
        has_depth=True,
        calibration=calibration.source,
        ground_truth=truth,
        notes=(*truth_notes, rate_note(rate_hz)),
        left_out=(*images.left_out, *poses_left_out),
    )


def _read_associations(path: Path) -> NumberedPairs:
    """Read ``number depth/number.png number rgb/number.png``, one frame a line.

    Raises:
        DataFileError: A line is another, numbers are not in order, or images are missing.
    """
    numbers: list[int] = []
    rgb, depth = [], []
    for line, (depth_number, depth_file, rgb_number, rgb_file) in _association_rows(path):
        number = _frame_number(path, line, depth_number)
        if number != _frame_number(path, line, rgb_number):
            raise DataFileError(
                path,
                f"pairs depth image {depth_number} with colour image {rgb_number}, which is another",
                line,
            )
        if numbers and number <= numbers[-1]:
            raise DataFileError(path, f"the number {number} is not after that of the row above", line)
        numbers.append(number)
        rgb.append(path.parent / rgb_file)
        depth.append(path.parent / depth_file)
    if not numbers:
        raise DataFileError(path, "lists no images")
    require_files(path, rgb)
    require_files(path, depth)
    left_out = (
        _not_listed("colour images", rgb),
        _not_listed("depth images", depth),
        missing_numbers(numbers, first=numbers[0]),
    )
    return NumberedPairs(np.array(numbers, dtype=np.int64), tuple(rgb), tuple(depth), left_out)


def _association_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    for row in read_rows(path, "number depth-image number colour-image"):
        folders = [PurePosixPath(row.cells[column]).parent.name for column in (1, 3)]
        if folders != ["depth", "rgb"]:
            raise DataFileError(
                path,
                "is not as published: the second column is an image in depth/, the fourth one in rgb/; write "
                "other lists as rgb.txt and depth.txt, in the layout of TUM",
                row.line,
            )
        yield row.line, row.cells


def _frame_number(path: Path, line: int, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_NUMBER))):
        raise DataFileError(path, f"'{text}' is no number of a frame", line)
    return int(text)


def _not_listed(what: str, listed: list[Path]) -> LeftOut:
    """How many images lie beside the listed ones."""
    known = set(listed)
    present = {file for folder in {file.parent for file in listed} for file in folder.glob("*.png")}
    not_listed = len(present - known)
    return LeftOut(what, f"{ASSOCIATIONS_FILE} does not list them", not_listed, not_listed + len(known))


def _read_poses(
    directory: Path, frames: NDArray[np.int64], rate_hz: float
) -> tuple[GroundTruth | None, tuple[LeftOut, ...], tuple[str, ...]]:
    """The poses, which are missing or were left out, and notes."""
    files = sorted(directory.glob(GROUND_TRUTH_PATTERN))
    if not files:
        return None, (), (f"The folder has no {GROUND_TRUTH_PATTERN}; trajectories cannot be scored.",)
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise DataFileError(directory, f"has several files of poses: {names}; keep the one of this sequence")
    path = files[0]
    # The frame's number stands where the layout of TUM has seconds.
    truth, repeated = read_ground_truth(path)
    numbers, fractions = np.divmod(truth.timestamps_ns, NANOSECONDS_PER_SECOND)
    if fractions.any() or numbers.min() < 0 or numbers.max() > LARGEST_NUMBER:
        raise DataFileError(path, "the first column must hold numbers of frames, as in the published files")
    without_pose = len(np.setdiff1d(frames, numbers))
    if without_pose == len(frames):
        raise DataFileError(
            path,
            f"no frame has a pose: frames are numbered from {frames[0]} to {frames[-1]}, poses from "
            f"{numbers[0]} to {numbers[-1]}",
        )
    rows = len(truth) + truth.rows_dropped + repeated
    left_out = (
        LeftOut("ground-truth poses", f"{path.name} has no row of that number", without_pose, len(frames)),
        LeftOut("ground-truth rows", "NaN or infinite entries", truth.rows_dropped, rows),
        LeftOut("ground-truth rows", "they repeat the number above", repeated, rows, by_design=True),
    )
    return replace(truth, timestamps_ns=nominal_timestamps_ns(numbers, rate_hz)), left_out, ()
