"""Whether two keyframes show the same place, and the motion between them.

Matches by descriptor give a first motion (PnP in RANSAC); the motion tells where else to look for matches;
all of them give the final one. It is believed when many matches all over both images agree and the surface
seen by one camera is not where the other looks through.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapters.backend import CameraIntrinsics
from adapters.mono_hydra.loops.features import SURFACE_CELL, KeyframeFeatures
from adapters.mono_hydra.loops.matching import descriptor_distances, mutual_matches
from adapters.mono_hydra.loops.options import LoopOptions
from adapters.mono_hydra.loops.two_view_alignment import Alignment, Observations, align
from adapters.mono_hydra.odometry.pose_from_landmarks import pose_by_ransac

_RANSAC_ITERATIONS = 500
_RANSAC_CONFIDENCE = 0.999
# This part of the least inliers must be found without knowing the motion.
_UNGUIDED_PART = 0.4
# How far from where it is expected a feature is looked for, pixels.
_SEARCH_RADIUS = 8.0
_GRID = (8, 6)
_NEAREST = 0.05
# Error of a motion as a multiple of its length and of the relative noise of depth: what loops on synthetic
# recordings with depth like that of a sensor and of a network were found to have.
_SHARED_ERROR = 3.0
_NO_MATCH = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class RelativePose:
    """Where one keyframe is, seen from another.

    Attributes:
        source: Number of a keyframe.
        target: Number of another.
        source_to_target: float64 [4, 4], takes points of the source camera to the target camera, metres.
        covariance: float64 [6, 6] of a small motion of the source in its own frame, rotation (rad), then
            translation (m): that of gtsam's ``BetweenFactorPose3(target, source, source_to_target)``.
        inliers: Matches that agree.
        inlier_ratio: Part of the matches found without knowing the motion that agree.
        overlap: Part of the surface seen by either that the other sees too, of the one that shares less;
            where the other has no depth, it is taken to see the same.
        reprojection_error: Median distance of the inliers from where they should be, pixels.
    """

    source: int
    target: int
    source_to_target: NDArray[np.float64]
    covariance: NDArray[np.float64]
    inliers: int
    inlier_ratio: float
    overlap: float
    reprojection_error: float


def verify(
    source: KeyframeFeatures, target: KeyframeFeatures, intrinsics: CameraIntrinsics, options: LoopOptions
) -> RelativePose | None:
    """The motion between two keyframes; None when they do not show the same place or too little of it.

    The same input gives the same result: RANSAC draws from a generator that starts anew for each call.

    Args:
        source: A keyframe.
        target: Another.
        intrinsics: Of both.
        options: What is asked of a loop.
    """
    distances = descriptor_distances(source.descriptors, target.descriptors)
    rows, columns = mutual_matches(distances, options.loop_match_distance, options.loop_match_ratio)
    start = _first_motion(source, target, rows, columns, intrinsics)
    if start is None:
        return None
    first = _align(start, source, target, rows, columns, intrinsics, options)
    if first is None:
        return None
    # Matches that are looked for near a motion agree with it now and then by chance, so what speaks for the
    # motion are those found without it.
    ratio = float(np.mean(first.inliers))
    places = (source.pixels[rows[first.inliers]], target.pixels[columns[first.inliers]])
    if (
        np.count_nonzero(first.inliers) < _UNGUIDED_PART * options.loop_least_inliers
        or ratio < options.loop_least_inlier_ratio
        or min(_cells(pixels, intrinsics) for pixels in places) < options.loop_least_cells
    ):
        return None
    rows, columns = _guided_matches(distances, source, target, first.source_to_target, intrinsics, options)
    final = _align(first.source_to_target, source, target, rows, columns, intrinsics, options)
    if final is None:
        return None
    count = int(np.count_nonzero(final.inliers))
    agreement, overlap = _shared_surface(source, target, final.source_to_target, intrinsics, options)
    if count < options.loop_least_inliers or agreement < options.loop_least_depth_agreement:
        return None
    translation, rotation = _common_noise(source, target, final.source_to_target, options)
    common = np.diag([rotation**2] * 3 + [translation**2] * 3)
    return RelativePose(
        source.keyframe,
        target.keyframe,
        final.source_to_target,
        final.covariance + common,
        count,
        ratio,
        overlap,
        final.reprojection_error,
    )


def _common_noise(
    source: KeyframeFeatures,
    target: KeyframeFeatures,
    source_to_target: NDArray[np.float64],
    options: LoopOptions,
) -> tuple[float, float]:
    """What many matches do not average out, metres and radians.

    Neighbours share the error of their depth, which makes the motion too long or too short by a part of it;
    two views from the same place agree whatever their depth says.
    """
    depths = np.concatenate([source.points[:, 2], target.points[:, 2]])
    depth = float(np.nanmedian(depths)) if np.isfinite(depths).any() else 1.0
    noise = max(source.inverse_depth_noise, target.inverse_depth_noise)
    shift = float(np.linalg.norm(source_to_target[:3, 3]))
    shared = _SHARED_ERROR * noise * depth * shift
    return (
        float(np.hypot(options.loop_translation_noise, shared)),
        float(np.hypot(np.radians(options.loop_rotation_noise), shared / depth)),
    )


def project(
    points: NDArray[np.floating], intrinsics: CameraIntrinsics
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Where points of the camera's frame are seen.

    Args:
        points: [..., 3], metres; NaN is allowed.
        intrinsics: Of the camera.

    Returns:
        Pixels float64 [..., 2], and bool [...], whether they lie in front of the camera and in the image.
    """
    z = points[..., 2]
    in_front = z > _NEAREST
    depth = np.where(in_front, z, 1.0)
    pixels = np.stack(
        [
            intrinsics.fx * points[..., 0] / depth + intrinsics.cx,
            intrinsics.fy * points[..., 1] / depth + intrinsics.cy,
        ],
        axis=-1,
    )
    inside = (
        in_front
        & (pixels >= -0.5).all(axis=-1)
        & (pixels[..., 0] < intrinsics.width - 0.5)
        & (pixels[..., 1] < intrinsics.height - 0.5)
    )
    return pixels, inside


def _first_motion(
    source: KeyframeFeatures,
    target: KeyframeFeatures,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    intrinsics: CameraIntrinsics,
) -> NDArray[np.float64] | None:
    """Source to target from the points of the keyframe with more depth; None without agreement."""
    source_known = np.isfinite(source.points[rows, 2])
    target_known = np.isfinite(target.points[columns, 2])
    if np.count_nonzero(source_known) >= np.count_nonzero(target_known):
        return _pose_by_ransac(
            source.points[rows[source_known]], target.pixels[columns[source_known]], intrinsics
        )
    backwards = _pose_by_ransac(
        target.points[columns[target_known]], source.pixels[rows[target_known]], intrinsics
    )
    return None if backwards is None else _inverse(backwards)


def _pose_by_ransac(
    points: NDArray[np.float32], pixels: NDArray[np.float32], intrinsics: CameraIntrinsics
) -> NDArray[np.float64] | None:
    """float64 [4, 4] from the points' frame to the camera that sees them at the pixels."""
    return pose_by_ransac(points, pixels, intrinsics, _RANSAC_ITERATIONS, _RANSAC_CONFIDENCE)


def _align(
    start: NDArray[np.float64],
    source: KeyframeFeatures,
    target: KeyframeFeatures,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    intrinsics: CameraIntrinsics,
    options: LoopOptions,
) -> Alignment | None:
    try:
        return align(
            start,
            _observations(source, rows, options),
            _observations(target, columns, options),
            intrinsics,
            max(source.inverse_depth_noise, target.inverse_depth_noise),
        )
    except np.linalg.LinAlgError:
        # From a start made of wrong matches the motion has run away, out of reach of floating point.
        return None


def _observations(keyframe: KeyframeFeatures, chosen: NDArray[np.intp], options: LoopOptions) -> Observations:
    return Observations(
        keyframe.pixels[chosen].astype(np.float64),
        1.0 / keyframe.points[chosen, 2].astype(np.float64),
        options.loop_pixel_noise * keyframe.scales[chosen].astype(np.float64),
    )


def _guided_matches(
    distances: NDArray[np.uint16],
    source: KeyframeFeatures,
    target: KeyframeFeatures,
    source_to_target: NDArray[np.float64],
    intrinsics: CameraIntrinsics,
    options: LoopOptions,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Matches near where the motion puts the features of either keyframe."""
    target_to_source = _inverse(source_to_target)
    near = _near(source, target.pixels, source_to_target, intrinsics)
    near |= _near(target, source.pixels, target_to_source, intrinsics).T
    return mutual_matches(np.where(near, distances, _NO_MATCH), options.loop_match_distance)


def _near(
    keyframe: KeyframeFeatures,
    pixels: NDArray[np.float32],
    motion: NDArray[np.float64],
    intrinsics: CameraIntrinsics,
) -> NDArray[np.bool_]:
    """Mask [N, M]: which pixels of another view are near where each feature with depth must be seen."""
    expected, inside = project(keyframe.points @ motion[:3, :3].T + motion[:3, 3], intrinsics)
    expected = np.where(inside[:, None], expected, np.inf).astype(np.float32)
    near = np.abs(expected[:, None, 0] - pixels[None, :, 0]) < _SEARCH_RADIUS
    near &= np.abs(expected[:, None, 1] - pixels[None, :, 1]) < _SEARCH_RADIUS
    return near


def _cells(pixels: NDArray[np.float32], intrinsics: CameraIntrinsics) -> int:
    """In how many cells of a grid over the image pixels lie."""
    columns = (pixels[:, 0] * _GRID[0] / intrinsics.width).astype(np.intp)
    rows = (pixels[:, 1] * _GRID[1] / intrinsics.height).astype(np.intp)
    return len(np.unique(rows * _GRID[0] + columns))


def _shared_surface(
    source: KeyframeFeatures,
    target: KeyframeFeatures,
    source_to_target: NDArray[np.float64],
    intrinsics: CameraIntrinsics,
    options: LoopOptions,
) -> tuple[float, float]:
    """How well the surfaces seen in both views fit, and how much of them is the same.

    What lies behind the other's surface may be hidden by it and says nothing; what lies before it would have
    been seen.

    Returns:
        Agreement: of the surface that both cameras must have seen, the part that is where it should be.
        Overlap: of all that is seen, the part that is there, and with it as much again at most where the
        other has no depth: a sensor's holes are elsewhere even in the same view. Each from the view that says
        less.
    """
    tolerance = options.loop_depth_tolerance
    views = (
        (source, target, source_to_target),
        (target, source, _inverse(source_to_target)),
    )
    agreements, overlaps = [], []
    for seen, by, motion in views:
        points = seen.surface.reshape(-1, 3) @ motion[:3, :3].T + motion[:3, 3]
        pixels, inside = project(points, intrinsics)
        # Cells cut by the edge of the image have no middle in it.
        last = np.array(by.surface.shape[1::-1]) - 1
        columns, rows = np.clip(np.rint(pixels[inside]).astype(np.intp) // SURFACE_CELL, 0, last).T
        ratio = points[inside, 2] / by.surface[rows, columns, 2]
        agree = int(np.count_nonzero(np.abs(ratio - 1.0) <= tolerance))
        before = int(np.count_nonzero(ratio < 1.0 - tolerance))
        known = int(np.count_nonzero(np.isfinite(points[:, 2])))
        agreements.append(agree / max(agree + before, 1))
        holes = int(np.count_nonzero(np.isnan(ratio)))
        overlaps.append((agree + min(holes, agree)) / max(known, 1))
    return min(agreements), min(overlaps)


def _inverse(motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """The motion back, float64 [4, 4]."""
    return np.asarray(np.linalg.inv(motion), dtype=np.float64)
