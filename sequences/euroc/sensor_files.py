"""The files ``sensor.yaml`` of the ASL layout: camera and IMU calibrations, and where each sensor sits."""

import re
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from sequences.calibration import Calibration
from sequences.errors import DataFileError
from sequences.model import ImuCalibration, Intrinsics
from sequences.pose_matrices import is_rigid_motion
from sequences.text_table import read_text
from sequences.yaml_file import validated

SENSOR_FILE = "sensor.yaml"
PINHOLE = "pinhole"
RADIAL_TANGENTIAL = "radial-tangential"

_OPENCV_HEADER = re.compile(r"\A%YAML:1\.0[^\n]*")

_Positive = Annotated[FiniteFloat, Field(gt=0)]
_NotNegative = Annotated[FiniteFloat, Field(ge=0)]
_Pixels = Annotated[int, Field(gt=0)]


@dataclass(frozen=True)
class CameraSensor:
    """A camera and its place.

    Attributes:
        calibration: As the camera recorded, lens distortion included.
        camera_to_body: float64 [4, 4], takes points of the camera frame to the body frame.
    """

    calibration: Calibration
    camera_to_body: NDArray[np.float64]


class _Transform(BaseModel):
    """A 4×4 matrix, written row by row, that takes points of the sensor frame to the body frame."""

    rows: Literal[4]
    cols: Literal[4]
    data: Annotated[list[FiniteFloat], Field(min_length=16, max_length=16)]

    @model_validator(mode="after")
    def _rigid(self) -> Self:
        if not is_rigid_motion(self.matrix()):
            raise ValueError("not a rigid motion: rotation and translation, last row 0 0 0 1")
        return self

    def matrix(self) -> NDArray[np.float64]:
        return np.array(self.data, dtype=np.float64).reshape(4, 4)


class _SensorYaml(BaseModel):
    """What every sensor's file has; other keys (``comment``, ``sensor_type``) are let be."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sensor_to_body: _Transform = Field(alias="T_BS")


class _CameraYaml(_SensorYaml):
    resolution: tuple[_Pixels, _Pixels]
    camera_model: str
    intrinsics: tuple[_Positive, _Positive, FiniteFloat, FiniteFloat]
    distortion_model: str
    distortion_coefficients: list[FiniteFloat]


class _ImuYaml(_SensorYaml):
    rate_hz: _Positive
    gyroscope_noise_density: _NotNegative
    gyroscope_random_walk: _NotNegative
    accelerometer_noise_density: _NotNegative
    accelerometer_random_walk: _NotNegative


_Model = TypeVar("_Model", bound=_SensorYaml)


class _SensorLoader(yaml.SafeLoader):
    """Safe YAML that also knows the tag which OpenCV gives matrices."""


def _matrix_as_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Hashable, object]:
    return loader.construct_mapping(node, deep=True)


_SensorLoader.add_constructor("tag:yaml.org,2002:opencv-matrix", _matrix_as_mapping)


def read_sensor_to_body(path: Path) -> NDArray[np.float64]:
    """Read ``T_BS`` of any sensor, float64 [4, 4]: takes points of the sensor frame to the body frame.

    Raises:
        DataFileError: The file or the key is missing, or the matrix is no rigid motion.
    """
    return _read(path, _SensorYaml).sensor_to_body.matrix()


def read_camera(path: Path) -> CameraSensor:
    """Read a camera's intrinsics, distortion and place.

    Radial-tangential distortion is OpenCV's model with ``k1 k2 p1 p2``. Pixels are taken to be counted as
    OpenCV does, from 0 at the centre of the first.

    Raises:
        DataFileError: The file or a key is missing or impossible, or the camera is of another model.
    """
    camera = _read(path, _CameraYaml)
    if camera.camera_model != PINHOLE:
        raise DataFileError(
            path, f"camera_model '{camera.camera_model}' is not supported; '{PINHOLE}' is the only one"
        )
    coefficients = camera.distortion_coefficients
    if camera.distortion_model != RADIAL_TANGENTIAL or len(coefficients) != 4:
        raise DataFileError(
            path,
            f"distortion_model '{camera.distortion_model}' with {len(coefficients)} distortion_coefficients "
            f"is not supported; '{RADIAL_TANGENTIAL}' with the four numbers k1 k2 p1 p2 is the only one",
        )
    k1, k2, p1, p2 = coefficients
    calibration = Calibration(
        Intrinsics(*camera.intrinsics, *camera.resolution),
        (k1, k2, p1, p2, 0.0) if any(coefficients) else None,
        None,
        f"{path.parent.name}/{path.name}",
    )
    return CameraSensor(calibration, camera.sensor_to_body.matrix())


def read_imu(path: Path, camera_to_body: NDArray[np.float64]) -> ImuCalibration:
    """Read an IMU's rate, noise and place.

    Args:
        path: The file.
        camera_to_body: float64 [4, 4], of the camera whose images are read.

    Raises:
        DataFileError: The file or a key is missing or impossible.
    """
    imu = _read(path, _ImuYaml)
    return ImuCalibration(
        imu.rate_hz,
        imu.gyroscope_noise_density,
        imu.gyroscope_random_walk,
        imu.accelerometer_noise_density,
        imu.accelerometer_random_walk,
        np.linalg.inv(camera_to_body) @ imu.sensor_to_body.matrix(),
    )


def _read(path: Path, model: type[_Model]) -> _Model:
    # OpenCV opens its files with a directive that YAML does not know. The line stays, so that numbers fit.
    text = _OPENCV_HEADER.sub("#", read_text(path))
    try:
        # A safe loader in all but one tag, which becomes a dictionary.
        content = yaml.load(text, Loader=_SensorLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise DataFileError(path, f"is not YAML: {error.problem}", line) from error
    except yaml.YAMLError as error:
        raise DataFileError(path, f"is not YAML: {error}") from error
    return validated(path, content, model)
