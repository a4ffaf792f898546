"""The pose of a camera from landmarks: robust least squares over pixels and depth."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from adapters.backend import CameraIntrinsics

_ITERATIONS = 10
_CONVERGED = 1e-6
# Residuals in standard deviations: from where they are weighed down, and from where they are wrong.
_HUBER = 1.345
_OUTLIER = 4.0
_RANSAC_ITERATIONS = 100
_RANSAC_CONFIDENCE = 0.99
_RANSAC_PIXELS = 4.0
_LEAST_FOR_RANSAC = 6
_NEAREST = 0.05


@dataclass(frozen=True)
class Noise:
    """Standard deviations of what is measured.

    Attributes:
        pixel: Of column and row, pixels.
        inverse_depth: Of inverse depth, 1/m.
    """

    pixel: float
    inverse_depth: float


@dataclass(frozen=True)
class PoseFit:
    """A pose and what speaks for it.

    Attributes:
        camera_to_world: float64 [4, 4].
        inliers: bool [N], landmarks whose pixel agrees.
        depth_agrees: bool [N], landmarks whose depth was measured and agrees too.
    """

    camera_to_world: NDArray[np.float64]
    inliers: NDArray[np.bool_]
    depth_agrees: NDArray[np.bool_]


def fit_pose(
    landmarks: NDArray[np.float64],
    pixels: NDArray[np.float32],
    depth: NDArray[np.float64],
    start: NDArray[np.float64],
    intrinsics: CameraIntrinsics,
    noise: Noise,
) -> PoseFit:
    """Refines a pose by Gauss-Newton with Huber's weights.

    Args:
        landmarks: float64 [N, 3], in the world.
        pixels: float32 [N, 2], where they are seen.
        depth: float64 [N], measured, NaN where there is none.
        start: float64 [4, 4], camera to world, near the solution.
        intrinsics: Of the camera.
        noise: Of pixels and depth.
    """
    world_to_camera = np.linalg.inv(start)
    rotation, translation = world_to_camera[:3, :3], world_to_camera[:3, 3]
    inverse_depth = 1.0 / depth
    for _ in range(_ITERATIONS):
        points = landmarks @ rotation.T + translation
        residuals, jacobian = _linearised(points, pixels, inverse_depth, intrinsics, noise)
        weights = _huber_weights(residuals)
        weighted = jacobian * weights[:, :, None]
        normal = np.einsum("nri,nrj->ij", weighted, jacobian)
        gradient = np.einsum("nri,nr->i", weighted, residuals)
        step = -np.linalg.solve(normal + 1e-9 * np.eye(6), gradient)
        turn = Rotation.from_rotvec(step[:3]).as_matrix()
        rotation, translation = turn @ rotation, turn @ translation + step[3:]
        if np.abs(step).max() < _CONVERGED:
            break
    points = landmarks @ rotation.T + translation
    residuals, _ = _linearised(points, pixels, inverse_depth, intrinsics, noise)
    inliers = (np.hypot(residuals[:, 0], residuals[:, 1]) < _OUTLIER) & (points[:, 2] > _NEAREST)
    depth_agrees = inliers & np.isfinite(depth) & (np.abs(residuals[:, 2]) < _OUTLIER)
    camera_to_world = np.eye(4)
    camera_to_world[:3, :3], camera_to_world[:3, 3] = rotation.T, -rotation.T @ translation
    return PoseFit(camera_to_world, inliers, depth_agrees)


def _linearised(
    points: NDArray[np.float64],
    pixels: NDArray[np.float32],
    inverse_depth: NDArray[np.float64],
    intrinsics: CameraIntrinsics,
    noise: Noise,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Whitened residuals [N, 3] and their derivative [N, 3, 6] by a turn and a shift of the points."""
    x, y = points[:, 0], points[:, 1]
    z = np.maximum(points[:, 2], _NEAREST)
    fx, fy = intrinsics.fx, intrinsics.fy
    residuals = np.stack(
        [
            (fx * x / z + intrinsics.cx - pixels[:, 0]) / noise.pixel,
            (fy * y / z + intrinsics.cy - pixels[:, 1]) / noise.pixel,
            (1.0 / z - inverse_depth) / noise.inverse_depth,
        ],
        axis=1,
    )
    by_point = np.zeros((len(points), 3, 3))
    by_point[:, 0, 0] = fx / z / noise.pixel
    by_point[:, 0, 2] = -fx * x / z**2 / noise.pixel
    by_point[:, 1, 1] = fy / z / noise.pixel
    by_point[:, 1, 2] = -fy * y / z**2 / noise.pixel
    by_point[:, 2, 2] = -1.0 / z**2 / noise.inverse_depth
    unknown = ~np.isfinite(inverse_depth)
    residuals[unknown, 2] = 0.0
    by_point[unknown, 2] = 0.0
    cross = np.zeros((len(points), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = points[:, 2], -y, x
    cross[:, 1, 0], cross[:, 2, 0], cross[:, 2, 1] = -points[:, 2], y, -x
    return residuals, np.concatenate([by_point @ cross, by_point], axis=2)


def _huber_weights(residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights [N, 3]: one for both coordinates of a pixel, one for depth."""
    of_pixel = np.hypot(residuals[:, 0], residuals[:, 1])
    sizes = np.stack([of_pixel, of_pixel, np.abs(residuals[:, 2])], axis=1)
    return _HUBER / np.maximum(sizes, _HUBER)


def find_pose(
    landmarks: NDArray[np.float64], pixels: NDArray[np.float32], intrinsics: CameraIntrinsics
) -> NDArray[np.float64] | None:
    """A first pose without any guess.

    Returns:
        Camera to world, float64 [4, 4]; None when no sample finds agreement.
    """
    found = pose_by_ransac(landmarks, pixels, intrinsics, _RANSAC_ITERATIONS, _RANSAC_CONFIDENCE)
    return None if found is None else np.asarray(np.linalg.inv(found))


def pose_by_ransac(
    points: NDArray[np.floating],
    pixels: NDArray[np.float32],
    intrinsics: CameraIntrinsics,
    iterations: int,
    confidence: float,
) -> NDArray[np.float64] | None:
    """The pose on which most of random samples of points agree; the same input gives the same pose.

    Args:
        points: float [N, 3].
        pixels: float32 [N, 2], where a camera sees them.
        intrinsics: Of the camera.
        iterations: Samples, at most.
        confidence: Fewer are drawn when a good one was found with this probability.

    Returns:
        float64 [4, 4], from the points' frame to the camera's; None when no sample finds agreement.
    """
    if len(points) < _LEAST_FOR_RANSAC:
        return None
    matrix = np.array([[intrinsics.fx, 0, intrinsics.cx], [0, intrinsics.fy, intrinsics.cy], [0, 0, 1.0]])
    found, turn, shift, _ = cv2.solvePnPRansac(
        np.ascontiguousarray(points, dtype=np.float64),
        np.ascontiguousarray(pixels, dtype=np.float64),
        matrix,
        None,
        iterationsCount=iterations,
        reprojectionError=_RANSAC_PIXELS,
        confidence=confidence,
        flags=cv2.SOLVEPNP_AP3P,
    )
    if not found or not (np.isfinite(turn).all() and np.isfinite(shift).all()):
        return None
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(turn)[0], shift.ravel()
    return pose
