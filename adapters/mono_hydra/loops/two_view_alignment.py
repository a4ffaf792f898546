"""The motion between two views of the same points, each seen with pixel and depth in both.

A point's place in the other view is wrong by the noise of its pixel there and by what the noise of its pixel
and depth here becomes there; both are weighed together, so that depth counts near by and hardly far away,
and one depth is enough. This is generalised ICP (Segal, Haehnel, Thrun: Generalized-ICP. RSS 2009) with the
noise of a depth camera, measured in pixels and inverse depth, where it is constant (Khoshelham, Elberink:
Accuracy and Resolution of Kinect Depth Data. Sensors 12(2), 2012).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from adapters.backend import CameraIntrinsics

_ITERATIONS = 8
_CONVERGED = 1e-5
# Fewer matches fix no motion.
_LEAST = 4
_NEAREST = 0.05
# In standard deviations: residuals beyond this are weighed down (Huber).
_HUBER = 1.5
# 0.999 of right matches are nearer: chi-square of 2 and of 3 degrees of freedom.
_LARGEST_OF_TWO, _LARGEST_OF_THREE = 13.82, 16.27
# Median of chi-square of 2 degrees of freedom.
_MEDIAN_OF_TWO = 1.386


@dataclass(frozen=True)
class Observations:
    """The same points in one view.

    Attributes:
        pixels: float64 [N, 2], column and row.
        inverse_depth: float64 [N], 1/m, NaN where unknown.
        pixel_noise: float64 [N], standard deviation of column and row, pixels.
    """

    pixels: NDArray[np.float64]
    inverse_depth: NDArray[np.float64]
    pixel_noise: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.pixels)

    def chosen(self, keep: NDArray[np.bool_]) -> "Observations":
        """Those of a mask."""
        return Observations(self.pixels[keep], self.inverse_depth[keep], self.pixel_noise[keep])


@dataclass(frozen=True)
class Alignment:
    """A motion and what speaks for it.

    Attributes:
        source_to_target: float64 [4, 4].
        covariance: float64 [6, 6], of rotation and then translation, in the source's frame (as gtsam has it).
        inliers: bool [N], matches that agree.
        reprojection_error: Median distance of the inliers from where they should be, pixels.
    """

    source_to_target: NDArray[np.float64]
    covariance: NDArray[np.float64]
    inliers: NDArray[np.bool_]
    reprojection_error: float


def align(
    start: NDArray[np.float64],
    source: Observations,
    target: Observations,
    intrinsics: CameraIntrinsics,
    inverse_depth_noise: float,
) -> Alignment | None:
    """Refines a motion from matches of which some are wrong.

    Args:
        start: float64 [4, 4], source to target, near the solution.
        source: Matched features in the source.
        target: The same in the target.
        intrinsics: Of both.
        inverse_depth_noise: Standard deviation, 1/m.

    Returns:
        None when too few agree to fix a motion.
    """
    pairs = _Pairs(source, target, intrinsics, inverse_depth_noise)
    motion = start
    linear = pairs.linearised(motion)
    for _ in range(_ITERATIONS):
        if np.count_nonzero(linear.agree) < _LEAST:
            return None
        step = _solve(*linear.normal_equations())
        if step is None:
            return None
        motion = motion @ _motion_of(-step)
        linear = pairs.linearised(motion)
        if np.abs(step).max() < _CONVERGED:
            break
    inliers = linear.agree
    if np.count_nonzero(inliers) < _LEAST:
        return None
    information, _ = linear.normal_equations()
    # Where residuals are larger than assumed, so is the uncertainty.
    excess = max(1.0, float(np.median(linear.pixel_distances[inliers])) / _MEDIAN_OF_TWO)
    covariance = _inverse(information)
    if covariance is None:
        return None
    errors = np.linalg.norm(linear.residuals[inliers, :2], axis=1)
    return Alignment(motion, excess * covariance, inliers, float(np.median(errors)))


@dataclass(frozen=True)
class _Linearised:
    """Residuals of all pairs at a motion, and their derivatives.

    Attributes:
        residuals: float64 [N, 3], column, row, inverse depth; 0 where that is unknown.
        jacobian: float64 [N, 3, 6], by a small motion of the source: rotation, translation.
        information: float64 [N, 3, 3], inverse covariance of the residuals.
        pixel_distances: float64 [N], squared Mahalanobis length of the first two.
        agree: bool [N].
    """

    residuals: NDArray[np.float64]
    jacobian: NDArray[np.float64]
    information: NDArray[np.float64]
    pixel_distances: NDArray[np.float64]
    agree: NDArray[np.bool_]

    def normal_equations(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The Gauss-Newton matrix [6, 6] and gradient [6] of those that agree, with Huber's weights."""
        keep = self.agree
        residuals, jacobian, information = self.residuals[keep], self.jacobian[keep], self.information[keep]
        weighted = information @ residuals[:, :, None]
        sizes = np.sqrt(np.einsum("ni,nij->n", residuals, weighted))
        weights = _HUBER / np.maximum(sizes, _HUBER)
        by_weight = jacobian.transpose(0, 2, 1) * weights[:, None, None]
        return (by_weight @ information @ jacobian).sum(axis=0), (by_weight @ weighted).sum(axis=0)[:, 0]


class _Pairs:
    """Matches, each carried from the view in which its depth is known into the other."""

    def __init__(
        self,
        source: Observations,
        target: Observations,
        intrinsics: CameraIntrinsics,
        inverse_depth_noise: float,
    ) -> None:
        self._intrinsics = intrinsics
        self._depth_noise = inverse_depth_noise
        self._forward = np.isfinite(source.inverse_depth)
        self._known = self._forward | np.isfinite(target.inverse_depth)
        choose = self._forward[:, None]
        self._from_pixels = np.where(choose, source.pixels, target.pixels)
        self._to_pixels = np.where(choose, target.pixels, source.pixels)
        self._from_noise = np.where(self._forward, source.pixel_noise, target.pixel_noise)
        self._to_noise = np.where(self._forward, target.pixel_noise, source.pixel_noise)
        inverse_depth = np.where(self._forward, source.inverse_depth, target.inverse_depth)
        # Matches without any depth are carried along and never agree.
        inverse_depth = np.where(self._known, inverse_depth, 1.0)
        rays = np.ones((len(source), 3))
        rays[:, :2] = (self._from_pixels - [intrinsics.cx, intrinsics.cy]) / [intrinsics.fx, intrinsics.fy]
        self._points = rays / inverse_depth[:, None]
        self._to_inverse_depth = np.where(self._forward, target.inverse_depth, np.nan)
        self._point_covariance = self._covariance_of_points(inverse_depth)

    def _covariance_of_points(self, inverse_depth: NDArray[np.float64]) -> NDArray[np.float64]:
        by_measured = np.zeros((len(inverse_depth), 3, 3))
        by_measured[:, 0, 0] = self._from_noise / self._intrinsics.fx / inverse_depth
        by_measured[:, 1, 1] = self._from_noise / self._intrinsics.fy / inverse_depth
        by_measured[:, :, 2] = -self._points / inverse_depth[:, None] * self._depth_noise
        return by_measured @ by_measured.transpose(0, 2, 1)

    def linearised(self, motion: NDArray[np.float64]) -> _Linearised:
        """At a motion, source to target."""
        rotation, translation = motion[:3, :3], motion[:3, 3]
        forward = self._forward[:, None]
        moved = np.where(
            forward, self._points @ rotation.T + translation, (self._points - translation) @ rotation
        )
        turn = np.where(forward[:, :, None], rotation, rotation.T)
        # A small motion of the source moves a carried point by the turned cross product, or against it.
        by_motion = np.empty((len(moved), 3, 6))
        crosses = _cross_matrices(np.where(forward, self._points, moved))
        by_motion[:, :, :3] = np.where(forward[:, :, None], -rotation @ crosses, crosses)
        by_motion[:, :, 3:] = np.where(forward[:, :, None], rotation, -np.eye(3))
        return self._measured(moved, turn, by_motion)

    def _measured(
        self, moved: NDArray[np.float64], turn: NDArray[np.float64], by_motion: NDArray[np.float64]
    ) -> _Linearised:
        """Residuals of points in the frame of the view they were carried into."""
        fx, fy = self._intrinsics.fx, self._intrinsics.fy
        x, y, z = moved[:, 0], moved[:, 1], np.maximum(moved[:, 2], _NEAREST)
        depth_known = np.isfinite(self._to_inverse_depth)
        residuals = np.stack(
            [
                fx * x / z + self._intrinsics.cx - self._to_pixels[:, 0],
                fy * y / z + self._intrinsics.cy - self._to_pixels[:, 1],
                np.where(depth_known, 1.0 / z - self._to_inverse_depth, 0.0),
            ],
            axis=1,
        )
        by_point = np.zeros((len(moved), 3, 3))
        by_point[:, 0, 0], by_point[:, 0, 2] = fx / z, -fx * x / z**2
        by_point[:, 1, 1], by_point[:, 1, 2] = fy / z, -fy * y / z**2
        by_point[:, 2, 2] = np.where(depth_known, -1.0 / z**2, 0.0)
        by_place = by_point @ turn
        covariance = by_place @ self._point_covariance @ by_place.transpose(0, 2, 1)
        covariance[:, 0, 0] += self._to_noise**2
        covariance[:, 1, 1] += self._to_noise**2
        covariance[:, 2, 2] += np.where(depth_known, self._depth_noise**2, 1.0)
        information = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
        squared = np.einsum("ni,nij,nj->n", residuals, information, residuals)
        in_image = residuals[:, :2]
        pixel_distances = np.einsum("ni,nij,nj->n", in_image, np.linalg.inv(covariance[:, :2, :2]), in_image)
        agree = (
            self._known
            & (moved[:, 2] > _NEAREST)
            & (pixel_distances < _LARGEST_OF_TWO)
            & (squared < _LARGEST_OF_THREE)
        )
        return _Linearised(residuals, by_point @ by_motion, information, pixel_distances, agree)


def _cross_matrices(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [N, 3, 3], the matrices that take the cross product with each vector."""
    matrices = np.zeros((len(vectors), 3, 3))
    matrices[:, 0, 1], matrices[:, 0, 2], matrices[:, 1, 2] = -vectors[:, 2], vectors[:, 1], -vectors[:, 0]
    return matrices - matrices.transpose(0, 2, 1)


def _motion_of(step: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [4, 4] of a small rotation vector and translation."""
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(step[:3]).as_matrix()
    motion[:3, 3] = step[3:]
    return motion


def _solve(matrix: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64] | None:
    try:
        solution = np.asarray(np.linalg.solve(matrix, right), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
    return solution if np.isfinite(solution).all() else None


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64] | None:
    inverse = _solve(matrix, np.eye(len(matrix)))
    if inverse is None or np.any(np.diag(inverse) <= 0.0):
        return None
    return 0.5 * (inverse + inverse.T)
