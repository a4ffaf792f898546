"""Trajectory files with commas and time stamps in nanoseconds: EuRoC's (ASL format) and Hydra's.

EuRoC's columns are fixed, and so is their order. Hydra's are known by their names, since it is not
documented what Hydra writes: its documentation says which frames of reference it works with, and nothing of
the file. Assumed here is a first line, with or without ``#``, that names the columns ``timestamp_kf`` (or
``timestamp``, ``timestamp_ns``), ``x``, ``y``, ``z``, ``qw``, ``qx``, ``qy``, ``qz``, the time in
nanoseconds, the pose that of the robot's body in the world. Tools around Hydra differ in where ``qw`` stands,
so that no order is assumed, and a column of another name is refused.
"""

import csv
import re
from collections.abc import Iterator

from adapters.trajectory.recorded_poses import PoseRow, RecordedPoses, TrajectoryFileError, collect
from adapters.trajectory.text_table import TextFile

_HYDRA_TIMES = ("timestamp_kf", "timestamp", "timestamp_ns")
_HYDRA_POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")
_EUROC_COLUMNS = 8
# p_RS_R_x [m], ... then q_RS_w [], ...; the letters between say which frames are meant and differ.
_EUROC_HEADER = tuple(
    re.compile(rf"{kind}(_\w+)?_{axis}\s*(\[.*\])?")
    for kind, axes in (("p", "xyz"), ("q", "wxyz"))
    for axis in axes
)


def read_euroc(file: TextFile) -> RecordedPoses:
    """Rows ``nanoseconds, x, y, z, qw, qx, qy, qz`` and whatever follows, such as velocities and biases.

    A header of the ASL format may stand above (``#timestamp, p_RS_R_x [m], ...``); it must say this order.

    Raises:
        TrajectoryFileError: See :func:`adapters.trajectory.reading.read_trajectory`.
    """
    return collect(_euroc_rows(file), file.place, has_time=True)


def read_hydra(file: TextFile) -> RecordedPoses:
    """Rows of the columns that the first line names; see the module for what is assumed.

    Raises:
        TrajectoryFileError: See :func:`adapters.trajectory.reading.read_trajectory`.
    """
    return collect(_hydra_rows(file), file.place, has_time=True)


def names_hydras_columns(line: str) -> bool:
    """Whether a line is the header of a file as Hydra writes it."""
    return set(_HYDRA_POSE) <= set(_names(line))


def _euroc_rows(file: TextFile) -> Iterator[PoseRow]:
    columns = None
    for line, text in file.lines():
        if text.startswith("#"):
            if columns is None and "," in text:
                _check_euroc_header(file, line, text)
            continue
        cells = _cells(text)
        columns = columns or len(cells)
        if len(cells) < _EUROC_COLUMNS or len(cells) != columns:
            expected = max(columns, _EUROC_COLUMNS)
            raise TrajectoryFileError(
                f"{file.place(line)}: has {len(cells)} columns, expected {expected} "
                "(EuRoC: nanoseconds, x, y, z, qw, qx, qy, qz, ...)"
            )
        x, y, z, qw, qx, qy, qz = file.numbers(line, cells[1:_EUROC_COLUMNS])
        yield PoseRow(line, file.nanoseconds(line, cells[0], unit_ns=1), (x, y, z, qx, qy, qz, qw))


def _check_euroc_header(file: TextFile, line: int, text: str) -> None:
    names = _names(text)[1:_EUROC_COLUMNS]
    if len(names) < len(_EUROC_HEADER) or not all(
        pattern.fullmatch(name)
        for pattern, name in zip(_EUROC_HEADER, names)  # noqa: B905 - as long at least
    ):
        raise TrajectoryFileError(
            f"{file.place(line)}: the header is not EuRoC's (timestamp, p_x, p_y, p_z, q_w, q_x, q_y, q_z, "
            f"...): {', '.join(names)}"
        )


def _hydra_rows(file: TextFile) -> Iterator[PoseRow]:
    lines = file.lines()
    header_line, header = next(lines, (0, ""))
    names = _names(header)
    times = [name for name in names if name in _HYDRA_TIMES]
    if len(times) != 1 or sorted(names) != sorted((*times, *_HYDRA_POSE)):
        raise TrajectoryFileError(
            f"{file.place(header_line)}: the first line must name the columns timestamp_kf (or timestamp, "
            f"timestamp_ns), {', '.join(_HYDRA_POSE)}, each once and no other, in any order"
        )
    time, pose = names.index(times[0]), [names.index(name) for name in _HYDRA_POSE]
    for line, text in lines:
        if text.startswith("#"):
            continue
        cells = _cells(text)
        if len(cells) != len(names):
            raise TrajectoryFileError(
                f"{file.place(line)}: has {len(cells)} columns, the first line names {len(names)}"
            )
        numbers = file.numbers(line, [cells[column] for column in pose])
        yield PoseRow(line, file.nanoseconds(line, cells[time], unit_ns=1), tuple(numbers))


def _names(header: str) -> list[str]:
    return _cells(header.lstrip("#"))


def _cells(text: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([text]), [])]
