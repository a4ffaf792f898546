"""Ground truth given as poses of a body, and the poses of a camera that is fixed to it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sequences.errors import DataFileError
from sequences.model import GroundTruth
from sequences.trajectory_file import unit_quaternions

#: Takes camera axes as the product has them (x right, y down, z forward) to x forward, y right, z down.
TO_FORWARD_RIGHT_DOWN = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


def body_poses(
    path: Path, lines: Sequence[int], timestamps_ns: NDArray[np.int64], values: NDArray[np.float64]
) -> GroundTruth:
    """Rows of a file as poses; rows with NaN or infinite entries are dropped with their time stamps.

    Args:
        path: The file, for messages.
        lines: The line of every row, for messages.
        timestamps_ns: int64 [N], strictly increasing.
        values: float64 [N, 7], x y z in metres and qx qy qz qw, body to world.

    Raises:
        DataFileError: No row is usable, or a quaternion is zero.
    """
    usable = np.isfinite(values).all(axis=1)
    if not usable.any():
        raise DataFileError(
            path, "has no usable pose; restore the file, or remove it to run without ground truth"
        )
    quaternions = unit_quaternions(path, np.array(lines)[usable], values[usable, 3:])
    return GroundTruth(timestamps_ns[usable], values[usable, :3], quaternions, int((~usable).sum()))


def camera_poses(body: GroundTruth, camera_to_body: NDArray[np.float64]) -> GroundTruth:
    """The poses of a camera: ``T_world_body @ T_body_camera``.

    Args:
        body: Body to world.
        camera_to_body: float64 [4, 4], takes points of the camera frame (x right, y down, z forward) to the
            body's.
    """
    rotations = Rotation.from_quat(body.quaternions)
    return replace(
        body,
        positions=body.positions + rotations.apply(camera_to_body[:3, 3]),
        quaternions=(rotations * Rotation.from_matrix(camera_to_body[:3, :3])).as_quat(),
    )
