"""Aligns one RGB-D image with another one by Open3D's multi-scale odometry.

Point-to-plane uses geometry alone (Newcombe et al.: KinectFusion. ISMAR 2011); hybrid adds brightness (Park,
Zhou, Koltun: Colored Point Cloud Registration Revisited. ICCV 2017).
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from adapters.rgbd_odometry.patient_open3d import o3d

_ODOMETRY = o3d.t.pipelines.odometry
# Where the loss on depth turns from quadratic to linear, metres; Open3D's default.
_HUBER_DELTA = 0.05
# Open3D warns at every alignment when pairs are cut off before that, as a small ``depth_outlier`` would ask.
_LARGEST_PART_OF_OUTLIER = 0.9


class Method(Enum):
    """What of two images is compared."""

    POINT_TO_PLANE = _ODOMETRY.Method.PointToPlane
    HYBRID = _ODOMETRY.Method.Hybrid


@dataclass(frozen=True)
class Alignment:
    """Where the source camera is, seen from the target camera.

    Attributes:
        source_to_target: float64 [4, 4], rigid.
        fitness: Part of the target's points that found a partner, 0 to 1.
    """

    source_to_target: NDArray[np.float64]
    fitness: float


def align(
    source: "o3d.t.geometry.RGBDImage",
    target: "o3d.t.geometry.RGBDImage",
    intrinsic: "o3d.core.Tensor",
    method: Method,
    iterations: tuple[int, ...],
    farthest_depth: float,
    depth_outlier: float,
) -> Alignment | None:
    """Aligns ``source`` with ``target`` from nearly the same viewpoint.

    Args:
        source: Colour in [0, 1] and depth in metres, float32; of the frame to be placed.
        target: The same, of what it is placed against.
        intrinsic: float64 [3, 3] of both, pixels.
        method: What is compared.
        iterations: Per pyramid level, coarse to fine.
        farthest_depth: Depth beyond it is not used, metres.
        depth_outlier: Points further apart along the ray are no pair, metres.

    Returns:
        None when the images do not determine the motion.
    """
    criteria = [_ODOMETRY.OdometryConvergenceCriteria(count) for count in iterations]
    try:
        result = _ODOMETRY.rgbd_odometry_multi_scale(
            source,
            target,
            intrinsic,
            o3d.core.Tensor(np.eye(4)),
            1.0,
            farthest_depth,
            criteria,
            method.value,
            _ODOMETRY.OdometryLossParams(
                depth_outlier, min(_HUBER_DELTA, _LARGEST_PART_OF_OUTLIER * depth_outlier)
            ),
        )
    except RuntimeError:
        # Open3D has no error of its own for a singular system: nothing holds the camera in place.
        return None
    transformation = result.transformation.numpy()
    if not np.isfinite(transformation).all():
        return None
    return Alignment(_nearest_rigid(transformation), float(result.fitness))


def _nearest_rigid(transformation: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix with its rotation made orthogonal, so that errors do not add up over thousands of frames."""
    left, _, right = np.linalg.svd(transformation[:3, :3])
    rigid = np.eye(4)
    rigid[:3, :3] = left @ right
    rigid[:3, 3] = transformation[:3, 3]
    return rigid
