"""IMU samples and calibration beside a recording: ``imu.csv`` and ``imu.yaml``."""

import csv
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from sequences.errors import DataFileError
from sequences.model import ImuCalibration, ImuSamples
from sequences.pose_matrices import is_rigid_motion
from sequences.text_table import read_text
from sequences.yaml_file import read_yaml

SAMPLES_FILE = "imu.csv"
CALIBRATION_FILE = "imu.yaml"
COLUMNS = ("timestamp_ns", "gx", "gy", "gz", "ax", "ay", "az")

_LARGEST_ROTATION_ERROR = 1e-4
_NotNegative = Annotated[FiniteFloat, Field(ge=0)]
_FourNumbers = tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]


class _ImuYaml(BaseModel):
    """Contents of ``imu.yaml``: the fields of :class:`ImuCalibration`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate_hz: Annotated[FiniteFloat, Field(gt=0)]
    gyroscope_noise: _NotNegative
    gyroscope_walk: _NotNegative
    accelerometer_noise: _NotNegative
    accelerometer_walk: _NotNegative
    imu_to_camera: tuple[_FourNumbers, _FourNumbers, _FourNumbers, _FourNumbers]


def has_imu(directory: Path) -> bool:
    """Whether the recording in a folder has either of the two files; then it must have both."""
    return (directory / SAMPLES_FILE).exists() or (directory / CALIBRATION_FILE).exists()


def read_imu_calibration(path: Path) -> ImuCalibration:
    """Read ``imu.yaml``.

    Raises:
        DataFileError: It is missing, or a key is missing, unknown or impossible.
    """
    content = read_yaml(path, _ImuYaml)
    imu_to_camera = np.array(content.imu_to_camera, dtype=np.float64)
    if not is_rigid_motion(imu_to_camera, _LARGEST_ROTATION_ERROR):
        raise DataFileError(
            path, "imu_to_camera is not a rigid motion: four rows, rotation and translation, last row 0 0 0 1"
        )
    return ImuCalibration(
        content.rate_hz,
        content.gyroscope_noise,
        content.gyroscope_walk,
        content.accelerometer_noise,
        content.accelerometer_walk,
        imu_to_camera,
    )


def read_imu_samples(path: Path) -> ImuSamples:
    """Read ``imu.csv``: a header line, then integer nanoseconds, rad/s and m/s².

    Raises:
        DataFileError: It is missing, malformed, not finite or not in order of time.
    """
    rows = list(csv.reader(read_text(path).split("\n")))
    header = tuple(cell.strip() for cell in rows[0]) if rows else ()
    if header != COLUMNS:
        raise DataFileError(path, f"the first line must be: {','.join(COLUMNS)}", 1)
    timestamps: list[int] = []
    values: list[list[float]] = []
    for line, cells in enumerate(rows[1:], start=2):
        if not cells:
            continue
        timestamp, sample = _sample(path, line, cells)
        if timestamps and timestamp <= timestamps[-1]:
            raise DataFileError(path, "the time stamp is not after that of the row above", line)
        timestamps.append(timestamp)
        values.append(sample)
    table: NDArray[np.float64] = np.array(values, dtype=np.float64).reshape(-1, 6)
    return ImuSamples(np.array(timestamps, dtype=np.int64), table[:, :3], table[:, 3:])


def _sample(path: Path, line: int, cells: list[str]) -> tuple[int, list[float]]:
    if len(cells) != len(COLUMNS):
        raise DataFileError(path, f"has {len(cells)} columns, expected {len(COLUMNS)}", line)
    try:
        timestamp, sample = int(cells[0]), [float(cell) for cell in cells[1:]]
    except ValueError as error:
        raise DataFileError(path, f"not a row of numbers: {error}", line) from error
    if not np.isfinite(sample).all() or abs(timestamp) >= 2**63:
        raise DataFileError(path, "holds a number that is not finite or too large", line)
    return timestamp, sample
