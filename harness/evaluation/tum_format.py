"""Trajectory files in TUM format, written exactly and read with file and line in every error."""

from pathlib import Path

import numpy as np

from harness.errors import EvaluationError
from harness.evaluation.poses import TimedPoses
from harness.files import write_text
from sequences.errors import DataFileError
from sequences.text_table import read_rows, read_text
from sequences.timestamps import nanoseconds_to_seconds_text, seconds_text_to_nanoseconds
from sequences.trajectory_file import COLUMNS

# Time stamps stay text: as floats they would lose their nanoseconds.
_ROW = np.dtype([("seconds", "U64"), ("pose", np.float64, 7)])


def write_tum(path: Path, poses: TimedPoses) -> None:
    """Write a trajectory atomically so that reading it gives the same bits.

    Raises:
        ResultsError: The file cannot be written.
    """
    # tolist() makes Python floats, whose repr is the shortest text that reads back as the same number.
    numbers = np.hstack([poses.positions, poses.quaternions]).tolist()
    lines = [f"# {COLUMNS}"]
    for timestamp_ns, row in zip(poses.timestamps_ns.tolist(), numbers, strict=True):
        lines.append(" ".join([nanoseconds_to_seconds_text(timestamp_ns), *map(repr, row)]))
    write_text(path, "\n".join(lines) + "\n")


def read_tum(path: Path) -> TimedPoses:
    """Read an estimated trajectory, or ground truth that :func:`write_tum` wrote, exactly as it stands.

    Nothing is left out or repaired: an estimate with NaN is a wrong estimate. Recorded ground truth, which
    may have gaps, is read by :func:`sequences.trajectory_file.read_ground_truth`.

    Raises:
        EvaluationError: The file is missing or a row is wrong; names the file and, where there is one, the
            line.
    """
    try:
        lines = [line for line in read_text(path).split("\n") if line.strip() and not line.startswith("#")]
    except DataFileError as error:
        raise EvaluationError(str(error)) from error
    try:
        table = np.loadtxt(lines, dtype=_ROW, ndmin=1) if lines else np.empty(0, dtype=_ROW)
        timestamps_ns = [seconds_text_to_nanoseconds(text) for text in table["seconds"].tolist()]
    except ValueError as error:
        raise _explain(path, str(error)) from error
    numbers = table["pose"]
    if not np.isfinite(numbers).all():
        raise _explain(path, "has a NaN or infinite entry")
    try:
        return TimedPoses(np.array(timestamps_ns, dtype=np.int64), numbers[:, :3], numbers[:, 3:])
    except EvaluationError as error:
        raise EvaluationError(f"{path}: {error}") from error


def _explain(path: Path, problem: str) -> EvaluationError:
    """Read a file that was refused once more, slowly, to say which line is at fault."""
    try:
        for row in read_rows(path, COLUMNS):
            where = f"{path}:{row.line}"
            try:
                seconds_text_to_nanoseconds(row.cells[0])
                numbers = [float(cell) for cell in row.cells[1:]]
            except ValueError as error:
                return EvaluationError(f"{where}: {error}; expected the columns {COLUMNS}")
            if not np.isfinite(numbers).all():
                return EvaluationError(f"{where}: has a NaN or infinite entry")
    except DataFileError as error:
        return EvaluationError(str(error))
    return EvaluationError(f"{path}: {problem}")
