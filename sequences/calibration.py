"""The camera calibration of a recording: read from its folder, or published with the data set."""

import math
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from sequences.errors import DataFileError, SequenceError
from sequences.model import Intrinsics
from sequences.text_table import Row, read_rows, read_text

CALIBRATION_FILE = "calibration.txt"
EXAMPLE = "# fx fy cx cy width height depth_scale\n525.0 525.0 319.5 239.5 640 480 5000"

_CAMERA_COLUMNS = ("fx", "fy", "cx", "cy", "width", "height")
_DISTORTION_COLUMNS = ("k1", "k2", "p1", "p2", "k3")
_KNOWN_COLUMNS = (*_CAMERA_COLUMNS, "depth_scale", *_DISTORTION_COLUMNS)
_DISTORTION_IN_A_COMMENT = re.compile(r"\bd0\.\.d4\s*=(?P<numbers>[^;]*)")
_PUBLISHED_FILE = Path(__file__).with_name("tum_calibrations.yaml")


@dataclass(frozen=True)
class Calibration:
    """A camera as it recorded, lens distortion included.

    Attributes:
        intrinsics: The pinhole part. ``fy`` is negative where the camera's y axis points up (ICL-NUIM).
        distortion: ``k1 k2 p1 p2 k3`` of OpenCV's model (radial and tangential; Brown, "Decentering
            distortion of lenses", 1966); None without distortion.
        depth_scale: Value of the depth image at one metre; None when not stated.
        source: Where the figures come from, for the record.
    """

    intrinsics: Intrinsics
    distortion: tuple[float, float, float, float, float] | None
    depth_scale: float | None
    source: str


def read_calibration(path: Path) -> Calibration:
    """Read a ``calibration.txt``.

    A comment line names the columns (``# fx fy cx cy width height depth_scale``, then optionally
    ``k1 k2 p1 p2 k3``), one row holds the numbers. Distortion may also stand in a comment as
    ``d0..d4 = k1 k2 p1 p2 k3``, ended by the line or a semicolon.

    Raises:
        DataFileError: The file is missing, or a column is missing, unknown or impossible.
    """
    comments = [
        (line, text.strip().lstrip("#").strip())
        for line, text in enumerate(read_text(path).split("\n"), start=1)
        if text.strip().startswith("#")
    ]
    columns = _column_names(path, comments)
    row = _only_row(path, columns)
    values = dict(zip(columns, _numbers(path, row.cells, row.line), strict=True))
    return Calibration(
        _intrinsics(path, row.line, values),
        _distortion(path, row.line, values, comments),
        _depth_scale(path, row.line, values),
        path.name,
    )


def published_calibration(directory: Path) -> Calibration | None:
    """The calibration that the TUM RGB-D benchmark publishes for the camera in a folder's name."""
    for camera, calibration in _published().items():
        if camera in directory.name.lower():
            return calibration
    return None


@cache
def _published() -> dict[str, Calibration]:
    content = yaml.safe_load(_PUBLISHED_FILE.read_text(encoding="utf-8"))
    return {
        name: Calibration(
            Intrinsics(**camera["intrinsics"]),
            tuple(camera["distortion"]) if camera["distortion"] else None,
            camera["depth_scale"],
            f"{content['source']}, {name}",
        )
        for name, camera in content["cameras"].items()
    }


def _column_names(path: Path, comments: list[tuple[int, str]]) -> list[str]:
    for line, comment in comments:
        columns = comment.split()
        if columns[:1] != ["fx"]:
            continue
        unknown = [column for column in columns if column not in _KNOWN_COLUMNS]
        if unknown or len(set(columns)) != len(columns):
            problem = f"column '{unknown[0]}' is unknown" if unknown else "a column is named twice"
            raise DataFileError(path, f"{problem}; the columns are: {' '.join(_KNOWN_COLUMNS)}", line)
        missing = [column for column in _CAMERA_COLUMNS if column not in columns]
        if missing:
            raise DataFileError(path, f"column '{missing[0]}' is missing; add it with its value", line)
        return columns
    raise DataFileError(
        path, f"no comment line names the columns; a complete file looks like this:\n{EXAMPLE}"
    )


def _only_row(path: Path, columns: list[str]) -> Row:
    rows = list(read_rows(path, " ".join(columns)))
    if not rows:
        raise DataFileError(path, f"has no row of numbers; a complete file looks like this:\n{EXAMPLE}")
    if len(rows) > 1:
        raise DataFileError(path, "has a second row of numbers; one camera has one row", rows[1].line)
    return rows[0]


def _numbers(path: Path, cells: list[str], line: int) -> list[float]:
    numbers = []
    for cell in cells:
        try:
            number = float(cell)
        except ValueError as error:
            raise DataFileError(path, f"'{cell}' is not a number", line) from error
        if not math.isfinite(number):
            raise DataFileError(path, f"'{cell}' is not a finite number", line)
        numbers.append(number)
    return numbers


def _intrinsics(path: Path, line: int, values: dict[str, float]) -> Intrinsics:
    for column in ("width", "height"):
        if values[column] != int(values[column]) or values[column] < 1:
            raise DataFileError(path, f"{column} {values[column]:g} is not a whole number of pixels", line)
    if values["fx"] <= 0 or values["fy"] == 0:
        raise DataFileError(path, "a focal length is zero, or fx is negative", line)
    return Intrinsics(
        values["fx"],
        values["fy"],
        values["cx"],
        values["cy"],
        int(values["width"]),
        int(values["height"]),
    )


def _depth_scale(path: Path, line: int, values: dict[str, float]) -> float | None:
    depth_scale = values.get("depth_scale")
    if depth_scale is not None and depth_scale <= 0:
        raise DataFileError(path, f"depth_scale {depth_scale:g} is not positive", line)
    return depth_scale


def _distortion(
    path: Path, line: int, values: dict[str, float], comments: list[tuple[int, str]]
) -> tuple[float, float, float, float, float] | None:
    given = [column for column in _DISTORTION_COLUMNS if column in values]
    in_comments = [
        (comment_line, match["numbers"])
        for comment_line, comment in comments
        if (match := _DISTORTION_IN_A_COMMENT.search(comment))
    ]
    if len(in_comments) + bool(given) > 1:
        raise DataFileError(path, "states the lens distortion more than once; keep one statement", line)
    if in_comments:
        line, text = in_comments[0]
        coefficients = _numbers(path, text.replace(",", " ").split(), line)
        if len(coefficients) != len(_DISTORTION_COLUMNS):
            raise DataFileError(path, "'d0..d4 =' must be followed by the five numbers k1 k2 p1 p2 k3", line)
    elif given:
        missing = [column for column in _DISTORTION_COLUMNS[:4] if column not in given]
        if missing:
            raise DataFileError(path, f"distortion column '{missing[0]}' is missing; 0 if unknown", line)
        coefficients = [values.get(column, 0.0) for column in _DISTORTION_COLUMNS]
    else:
        return None
    k1, k2, p1, p2, k3 = coefficients
    return (k1, k2, p1, p2, k3) if any(coefficients) else None


def require_depth_scale(calibration: Calibration, path: Path) -> float:
    """Return the depth scale.

    Raises:
        DataFileError: The calibration states none.
    """
    if calibration.depth_scale is None:
        raise DataFileError(
            path,
            "no depth scale; add a column 'depth_scale' with the value of the depth image at one metre "
            "(5000 in the TUM RGB-D benchmark, 1000 for depth in millimetres)",
        )
    return calibration.depth_scale


def find_calibration(directory: Path) -> Calibration:
    """The calibration of the recording in a folder: its own file, else the one published for its camera.

    Raises:
        SequenceError: The file is wrong, or there is neither.
    """
    path = directory / CALIBRATION_FILE
    if path.exists():
        return read_calibration(path)
    calibration = published_calibration(directory)
    if calibration is None:
        raise SequenceError(
            f"{path}: the camera calibration is missing and the folder's name holds none of "
            f"{', '.join(_published())}; write the file like this, with your camera's values:\n{EXAMPLE}"
        )
    return calibration
