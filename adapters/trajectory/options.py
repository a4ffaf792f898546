"""The options of the backend that scores trajectory files."""

import string
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.backend import BackendInputError
from adapters.options import parse_options
from adapters.trajectory.reading import AUTO, FORMATS

_RIGID_TOLERANCE = 1e-3
_IDENTITY = (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1)


@dataclass(frozen=True)
class TrajectoryOptions:
    """What is scored, and what it is.

    Attributes:
        file: The trajectory file or bag. ``{sequence}``, ``{perception}`` and ``{run}`` stand for those of
            the trial, so that one option serves a whole experiment.
        format: ``auto``, ``tum``, ``kitti``, ``euroc``, ``hydra`` or ``bag``.
        topic: Of a bag: a topic, or ``TOPIC:PARENT.CHILD`` for transforms.
        time_offset_s: Added to every time stamp of the file, seconds.
        camera_to_body: 16 numbers, row by row: the matrix that takes points of the camera frame to the frame
            whose poses the file has. For EuRoC it is ``T_BS`` of the camera's ``sensor.yaml`` as it stands
            there, for ROS ``body_T_sensor``. The camera frame is the optical one (x right, y down, z
            forward). By default poses are the camera's.
        exported: A folder that ``harness rosbag export`` wrote and that the trajectory was made from. Its
            record must be of the trial's sequence and perception, and says whether ground truth was part of
            it.
        ground_truth_is_input: Whoever made the trajectory used ground truth in some form.
    """

    file: str = ""
    format: str = AUTO
    topic: str = ""
    time_offset_s: float = 0.0
    camera_to_body: tuple[float, ...] = _IDENTITY
    exported: str = ""
    ground_truth_is_input: bool = False

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ValueError(f"format must be one of {', '.join(FORMATS)}, got '{self.format}'")
        if not np.isfinite(self.time_offset_s) or abs(self.time_offset_s) > 1e9:
            raise ValueError(f"time_offset_s must be seconds up to 1e9, got {self.time_offset_s}")
        if not _is_rigid(self.camera_to_body):
            raise ValueError(
                "camera_to_body must be the 16 numbers of a rigid 4x4 matrix, row by row, "
                f"got {list(self.camera_to_body)}"
            )

    def camera_to_body_matrix(self) -> NDArray[np.float64] | None:
        """float64 [4, 4]; None where the poses are the camera's already."""
        if self.camera_to_body == _IDENTITY:
            return None
        return np.array(self.camera_to_body, dtype=np.float64).reshape(4, 4)


def parse_trajectory_options(options: dict[str, Any]) -> TrajectoryOptions:
    """Options as a user wrote them.

    Raises:
        BackendInputError: One is unknown, of the wrong type or cannot work.
    """
    values = dict(options)
    matrix = values.get("camera_to_body", _IDENTITY)
    if not isinstance(matrix, (list, tuple)) or any(type(number) not in (int, float) for number in matrix):
        raise BackendInputError(f"option camera_to_body must be a list of 16 numbers, got {matrix!r}")
    # Lists of numbers with a fraction are no type that options have in general.
    values.pop("camera_to_body", None)
    others = parse_options(TrajectoryOptions, values)
    try:
        return replace(others, camera_to_body=tuple(matrix))
    except ValueError as error:
        raise BackendInputError(f"option {error}") from error


def fill_placeholders(option: str, text: str, names: dict[str, str | int]) -> str:
    """The value of an option with the names of a trial in place of ``{sequence}`` and the like.

    Raises:
        BackendInputError: There is another name in braces, or braces do not match.
    """
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(text) if field is not None]
        unknown = [field for field in fields if field not in names]
        if unknown:
            known = ", ".join(f"{{{name}}}" for name in names)
            raise BackendInputError(
                f"option {option} '{text}': there is no {{{unknown[0]}}}; there are {known}"
            )
        return text.format(**names)
    except (KeyError, ValueError) as error:
        raise BackendInputError(
            f"option {option} '{text}': {error}; a brace itself is written twice"
        ) from error


def _is_rigid(numbers: tuple[float, ...]) -> bool:
    if len(numbers) != 16 or not np.isfinite(numbers).all():
        return False
    matrix = np.array(numbers, dtype=np.float64).reshape(4, 4)
    rotation = matrix[:3, :3]
    return bool(
        np.abs(rotation @ rotation.T - np.eye(3)).max() < _RIGID_TOLERANCE
        and np.linalg.det(rotation) > 0
        and np.array_equal(matrix[3], [0, 0, 0, 1])
    )
