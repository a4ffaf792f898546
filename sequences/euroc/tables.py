"""The tables ``data.csv`` of the ASL layout: images, IMU samples and poses, all on one clock."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequences.body_poses import body_poses
from sequences.errors import DataFileError
from sequences.image_list import ImageList
from sequences.model import GroundTruth, ImuSamples
from sequences.text_table import read_text

TABLE_FILE = "data.csv"
IMAGES_FOLDER = "data"

_IMAGE_COLUMNS = ("timestamp [ns]", "filename")
_IMU_COLUMNS = ("timestamp [ns]", "w_x", "w_y", "w_z [rad/s]", "a_x", "a_y", "a_z [m/s²]")
_POSE_COLUMNS = ("timestamp [ns]", "p_x", "p_y", "p_z [m]", "q_w", "q_x", "q_y", "q_z")

_WHOLE_NUMBER = re.compile(r"[0-9]{1,19}")
_LARGEST_TIMESTAMP = 2**63 - 1


@dataclass(frozen=True)
class _Row:
    """A line of a table.

    Attributes:
        line: Line number in the file, counted from 1.
        timestamp_ns: Its first column.
        cells: The other columns.
    """

    line: int
    timestamp_ns: int
    cells: list[str]


def read_image_table(camera: Path) -> ImageList:
    """Read ``data.csv`` of a camera's folder; the images are in the folder ``data`` beside it.

    Raises:
        DataFileError: The table is missing, empty, malformed or not in order of time.
    """
    path = camera / TABLE_FILE
    rows = _read_rows(path, _IMAGE_COLUMNS)
    for row in rows:
        if not row.cells[0]:
            raise DataFileError(path, "names no file; every line is: timestamp,filename", row.line)
    return ImageList(_timestamps(rows), tuple(camera / IMAGES_FOLDER / row.cells[0] for row in rows))


def read_imu_table(path: Path) -> ImuSamples:
    """Read ``data.csv`` of an IMU: angular rates in rad/s, then specific forces in m/s².

    Raises:
        DataFileError: The table is missing, empty, malformed, not finite or not in order of time.
    """
    rows = _read_rows(path, _IMU_COLUMNS)
    values = np.array([_numbers(path, row, 6) for row in rows], dtype=np.float64)
    for row, sample in zip(rows, values, strict=True):
        if not np.isfinite(sample).all():
            raise DataFileError(path, "holds a number that is not finite", row.line)
    return ImuSamples(_timestamps(rows), values[:, :3], values[:, 3:])


def read_pose_table(path: Path) -> GroundTruth:
    """Read ``data.csv`` of ``state_groundtruth_estimate0``: poses of the body, body to world.

    Positions are in metres, quaternions begin with w. Velocities and biases, which may follow, are not read.

    Raises:
        DataFileError: The table is missing, malformed, not in order of time or has no usable pose.
    """
    rows = _read_rows(path, _POSE_COLUMNS, more_may_follow=True)
    values = np.array([_numbers(path, row, 7) for row in rows], dtype=np.float64)
    w_last = values[:, [0, 1, 2, 4, 5, 6, 3]]
    return body_poses(path, [row.line for row in rows], _timestamps(rows), w_last)


def _read_rows(path: Path, columns: tuple[str, ...], more_may_follow: bool = False) -> list[_Row]:
    rows: list[_Row] = []
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        # Lines of the published files end with a carriage return, too.
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        cells = [cell.strip() for cell in text.split(",")]
        if len(cells) < len(columns) or (len(cells) > len(columns) and not more_may_follow):
            at_least = "at least " if more_may_follow else ""
            raise DataFileError(
                path,
                f"has {len(cells)} columns, expected {at_least}{len(columns)}: {', '.join(columns)}",
                line,
            )
        row = _Row(line, _timestamp(path, line, cells[0]), cells[1:])
        if rows and row.timestamp_ns <= rows[-1].timestamp_ns:
            same = row.timestamp_ns == rows[-1].timestamp_ns
            raise DataFileError(
                path, f"the time stamp {cells[0]} is {'that of' if same else 'before'} the row above", line
            )
        rows.append(row)
    if not rows:
        raise DataFileError(path, f"has no rows; every line is: {', '.join(columns)}")
    return rows


def _timestamp(path: Path, line: int, text: str) -> int:
    if not _WHOLE_NUMBER.fullmatch(text) or int(text) > _LARGEST_TIMESTAMP:
        raise DataFileError(path, f"'{text}' is not a time stamp in whole nanoseconds", line)
    return int(text)


def _timestamps(rows: list[_Row]) -> NDArray[np.int64]:
    return np.array([row.timestamp_ns for row in rows], dtype=np.int64)


def _numbers(path: Path, row: _Row, count: int) -> list[float]:
    try:
        return [float(cell) for cell in row.cells[:count]]
    except ValueError as error:
        raise DataFileError(path, f"not a row of numbers: {error}", row.line) from error
