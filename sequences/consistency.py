"""Whether poses, images, intrinsics and IMU of a sequence agree: ground truth between two of its frames."""

from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sequences.association import associate
from sequences.errors import SequenceError
from sequences.matched_features import FeatureFinder, matched_features
from sequences.model import NANOSECONDS_PER_SECOND, Frame, Intrinsics, Sequence

_OUTSIDE = -1.0e4

#: Fewer features in common say nothing.
_FEWEST_MATCHES = 20
_LEAST_TRANSLATION_M = 1e-3
_LEAST_PARALLAX_PX = 1.0
_LEAST_ROTATION_DEG = 1.0
_LARGEST_GAP_IN_SAMPLES = 4


@dataclass(frozen=True)
class ReprojectionError:
    """How far two frames disagree, moved by the ground-truth poses and left where they are.

    Right poses make ``moved`` a small fraction of ``unmoved`` once the camera has moved enough between the
    frames; poses of the wrong handedness, direction or clock do not.

    Attributes:
        moved: With the first frame moved by the ground-truth poses.
        unmoved: With the camera taken as standing still.
        pixels: How many pixels ``moved`` rests on.
    """

    moved: float
    unmoved: float
    pixels: int


@dataclass(frozen=True)
class EpipolarError:
    """How far features are from where the ground-truth motion lets them be: on a line.

    Right poses, intrinsics and a right removal of distortion make ``distance`` a small fraction of
    ``parallax``, about a pixel at most. The scale of the positions does not show.

    Attributes:
        distance: Median distance to the epipolar line in the second image, pixels.
        inverted: The same with the motion inverted. It tells little where the camera hardly turns: a
            translation and its inverse have the same lines.
        parallax: Median way that features go beside what rotation explains, pixels.
        displacement: Median way that features go between the images, whatever the poses say, pixels.
        matches: How many features were found in both images.
    """

    distance: float
    inverted: float
    parallax: float
    displacement: float
    matches: int


@dataclass(frozen=True)
class GyroscopeError:
    """How far the gyroscope and ground truth disagree about a rotation of the camera.

    Right poses, clocks and a right ``imu_to_camera`` make ``difference`` a small fraction of ``rotation``.
    The gyroscope's bias is in it; that of a cheap one is some degrees a second (EuRoC's: 4.6), so frames
    should be a fraction of a second apart and the camera should turn fast.

    Attributes:
        difference: Angle of the rotation between the two rotations, degrees.
        rotation: By how much the camera turns according to ground truth, degrees.
        samples: How many samples lie between the frames.
    """

    difference: float
    rotation: float
    samples: int


def depth_reprojection_error(sequence: Sequence, first: int, second: int, step: int = 1) -> ReprojectionError:
    """Move the depth of one frame into another and compare distances.

    Args:
        sequence: Has depth and ground truth.
        first: Index of the frame that is moved.
        second: Index of the frame it is compared with.
        step: Every so many rows and columns a pixel is moved.

    Returns:
        Medians of ``|z_moved - z_seen| / z_seen``, fractions of the distance. Noise of the depth sensor is in
        them.

    Raises:
        SequenceError: Depth, ground truth or a pose at one of the frames is missing, or the two frames have
            no depth in common.
    """
    frames, depths = _frames_with_depth(sequence, first, second)
    intrinsics = sequence.info.intrinsics

    def differences(motion: NDArray[np.float64]) -> NDArray[np.float64]:
        columns, rows, distances = _move(depths[0], intrinsics, motion, step)
        seen = cv2.remap(depths[1], columns, rows, cv2.INTER_NEAREST)
        known = seen > 0
        return np.abs(distances[known] - seen[known]) / seen[known]

    moved, unmoved = differences(_motion(sequence, first, second)), differences(np.eye(4))
    _require_common_view(sequence, frames, moved, unmoved)
    return ReprojectionError(float(np.median(moved)), float(np.median(unmoved)), len(moved))


def colour_reprojection_error(
    sequence: Sequence, first: int, second: int, step: int = 1
) -> ReprojectionError:
    """Move the image of one frame into another by its depth and compare brightness.

    Sharper than :func:`depth_reprojection_error` where the motion is small or depth is noisy; needs texture
    and constant exposure.

    Args:
        sequence: Has depth and ground truth.
        first: Index of the frame that is moved.
        second: Index of the frame it is compared with.
        step: Every so many rows and columns a pixel is moved.

    Returns:
        Means of the absolute difference in grey levels, 0 to 255.

    Raises:
        SequenceError: As for :func:`depth_reprojection_error`.
    """
    frames, depths = _frames_with_depth(sequence, first, second)
    intrinsics = sequence.info.intrinsics
    grey = [cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in frames]

    def differences(motion: NDArray[np.float64]) -> NDArray[np.float64]:
        columns, rows, _ = _move(depths[0], intrinsics, motion, step)
        inside = (columns >= 0) & (columns <= intrinsics.width - 1)
        inside &= (rows >= 0) & (rows <= intrinsics.height - 1)
        seen = cv2.remap(grey[1], columns, rows, cv2.INTER_LINEAR)
        return np.abs(grey[0][::step, ::step][inside] - seen[inside]).astype(np.float64)

    moved, unmoved = differences(_motion(sequence, first, second)), differences(np.eye(4))
    _require_common_view(sequence, frames, moved, unmoved)
    return ReprojectionError(float(np.mean(moved)), float(np.mean(unmoved)), len(moved))


def epipolar_error(
    sequence: Sequence, first: int, second: int, find: FeatureFinder = matched_features
) -> EpipolarError:
    """Find features of one frame in another and compare with the lines that ground truth says they are on.

    Needs no depth. Features are SIFT's.

    Args:
        sequence: Has ground truth.
        first: Index of the frame whose features are looked for.
        second: Index of the frame they are looked for in.
        find: Finds them.

    Raises:
        SequenceError: Ground truth or a pose at one of the frames is missing, the camera does not move
            between the frames, or they have too little in common.
    """
    motion = _motion(sequence, first, second)
    between = f"sequence '{sequence.info.name}': between frames {first} and {second}"
    if np.linalg.norm(motion[:3, 3]) < _LEAST_TRANSLATION_M:
        raise SequenceError(
            f"{between} the camera moves by less than {_LEAST_TRANSLATION_M * 1000:g} mm according to ground "
            "truth; epipolar lines need motion, take frames further apart"
        )
    here, there = find(sequence.frame(first), sequence.frame(second))
    if len(here) < _FEWEST_MATCHES:
        raise SequenceError(
            f"{between} only {len(here)} features match, {_FEWEST_MATCHES} are needed; take frames closer "
            "together, or with more texture"
        )
    matrix = sequence.info.intrinsics.matrix()
    turned = here @ (matrix @ motion[:3, :3] @ np.linalg.inv(matrix)).T
    parallax = float(np.median(np.linalg.norm(turned[:, :2] / turned[:, 2:] - there[:, :2], axis=1)))
    if parallax < _LEAST_PARALLAX_PX:
        raise SequenceError(
            f"{between} features move by {parallax:.2g} pixels only beside what rotation explains; take "
            "frames further apart"
        )
    distances = _line_distances(here, there, matrix, motion)
    inverted = _line_distances(here, there, matrix, np.linalg.inv(motion))
    displacement = np.linalg.norm(here[:, :2] - there[:, :2], axis=1)
    return EpipolarError(
        distance=float(np.median(distances)),
        inverted=float(np.median(inverted)),
        parallax=parallax,
        displacement=float(np.median(displacement)),
        matches=len(here),
    )


def feature_reprojection_error(
    sequence: Sequence, first: int, second: int, find: FeatureFinder = matched_features
) -> ReprojectionError:
    """Find features of one frame in another, and compare with where depth and ground truth put them.

    The sharpest of all where there is texture: it needs neither constant exposure nor depth that differs from
    place to place. Features are SIFT's.

    Args:
        sequence: Has depth and ground truth.
        first: Index of the frame whose features are moved.
        second: Index of the frame they are looked for in.
        find: Finds them.

    Returns:
        Medians in pixels; ``unmoved`` is how far features are apart in the two images, whatever the poses
        say.

    Raises:
        SequenceError: Depth, ground truth or a pose at one of the frames is missing, or they have too little
            in common.
    """
    frames, (depth, _) = _frames_with_depth(sequence, first, second)
    motion = _motion(sequence, first, second)
    here, there = find(*frames)
    matrix = sequence.info.intrinsics.matrix()
    columns, rows = np.rint(here[:, :2]).astype(int).T
    distances = depth[np.minimum(rows, depth.shape[0] - 1), np.minimum(columns, depth.shape[1] - 1)]
    points = (here @ np.linalg.inv(matrix).T * distances[:, None]) @ motion[:3, :3].T + motion[:3, 3]
    usable = (distances > 0) & (points[:, 2] > 0)
    if usable.sum() < _FEWEST_MATCHES:
        raise SequenceError(
            f"sequence '{sequence.info.name}': frames {first} and {second} have only {usable.sum()} features "
            f"with depth in common, {_FEWEST_MATCHES} are needed"
        )
    landed = points[usable] @ matrix.T
    moved = np.linalg.norm(landed[:, :2] / landed[:, 2:] - there[usable, :2], axis=1)
    unmoved = np.linalg.norm(here[usable, :2] - there[usable, :2], axis=1)
    return ReprojectionError(float(np.median(moved)), float(np.median(unmoved)), int(usable.sum()))


def gyroscope_error(sequence: Sequence, first: int, second: int) -> GyroscopeError:
    """Integrate the gyroscope from one frame to another and compare with the rotation of ground truth.

    Rates are interpolated linearly between samples, and the bias is taken as zero.

    Args:
        sequence: Has ground truth and an IMU.
        first: Index of the frame to start from.
        second: Index of a later frame.

    Raises:
        SequenceError: Ground truth, IMU or a pose at one of the frames is missing, samples between the frames
            are missing, or the camera hardly turns between them.
    """
    if first >= second:
        raise SequenceError(
            f"frame {second} is not after frame {first}; the gyroscope is integrated forwards"
        )
    info = sequence.info
    if info.imu is None:
        raise SequenceError(f"sequence '{info.name}' has no IMU")
    truth = Rotation.from_matrix(_motion(sequence, first, second)[:3, :3]).inv()
    turned, samples = _integrated_gyroscope(sequence, first, second)
    imu_to_camera = Rotation.from_matrix(info.imu.imu_to_camera[:3, :3])
    measured_turn = imu_to_camera * turned * imu_to_camera.inv()
    rotation, measured, difference = (
        float(np.degrees(turn.magnitude())) for turn in (truth, measured_turn, truth.inv() * measured_turn)
    )
    if max(rotation, measured) < _LEAST_ROTATION_DEG:
        raise SequenceError(
            f"sequence '{info.name}': between frames {first} and {second} the camera turns by less than "
            f"{_LEAST_ROTATION_DEG:g}°; take frames further apart"
        )
    return GyroscopeError(difference, rotation, samples)


def camera_to_world(sequence: Sequence, index: int) -> NDArray[np.float64]:
    """The ground-truth pose of a frame: the nearest in time, at most half a frame period away.

    Returns:
        float64 [4, 4], rotation and translation, metres.

    Raises:
        SequenceError: There is none.
    """
    truth, info = sequence.ground_truth(), sequence.info
    if truth is None:
        raise SequenceError(f"sequence '{info.name}' has no ground truth")
    pairs = associate(info.timestamps_ns[[index]], truth.timestamps_ns, info.frame_period_ns // 2)
    if not len(pairs):
        raise SequenceError(
            f"sequence '{info.name}': frame {index} has no ground-truth pose within half a frame period"
        )
    row = int(pairs[0, 1])
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(truth.quaternions[row]).as_matrix()
    pose[:3, 3] = truth.positions[row]
    return pose


def _motion(sequence: Sequence, first: int, second: int) -> NDArray[np.float64]:
    """Takes points from the camera frame of the first to that of the second, float64 [4, 4]."""
    return np.linalg.inv(camera_to_world(sequence, second)) @ camera_to_world(sequence, first)


def _line_distances(
    here: NDArray[np.float64],
    there: NDArray[np.float64],
    matrix: NDArray[np.float64],
    motion: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Distances of points of the second image to the epipolar lines of those of the first, pixels.

    Hartley and Zisserman, "Multiple View Geometry", equation 9.2: ``F = K^-T [t]x R K^-1``.
    """
    x, y, z = motion[:3, 3]
    across = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    to_ray = np.linalg.inv(matrix)
    lines = here @ (to_ray.T @ across @ motion[:3, :3] @ to_ray).T
    length = np.linalg.norm(lines[:, :2], axis=1)
    # A feature at the point that the camera moves towards has no line.
    return np.abs((lines * there).sum(axis=1)) / np.maximum(length, np.finfo(np.float64).tiny)


def _integrated_gyroscope(sequence: Sequence, first: int, second: int) -> tuple[Rotation, int]:
    """Takes vectors of the IMU's frame at the second frame to that at the first; how many samples say so."""
    info = sequence.info
    assert info.imu is not None
    start, end = (int(info.timestamps_ns[index]) for index in (first, second))
    period = round(NANOSECONDS_PER_SECOND / info.imu.rate_hz)
    samples = sequence.imu_between(start - 2 * period, end + 2 * period)
    seconds = (samples.timestamps_ns - start) / NANOSECONDS_PER_SECOND if samples else np.empty(0)
    until = (end - start) / NANOSECONDS_PER_SECOND
    within = (seconds > 0) & (seconds < until)
    instants = np.concatenate([[0.0], seconds[within], [until]])
    if samples is None or np.diff(instants).max() > _LARGEST_GAP_IN_SAMPLES / info.imu.rate_hz:
        raise SequenceError(
            f"sequence '{info.name}': IMU samples are missing between frames {first} and {second}"
        )
    rates = np.column_stack([np.interp(instants, seconds, axis) for axis in samples.gyroscope.T])
    steps = (rates[1:] + rates[:-1]) / 2 * np.diff(instants)[:, None]
    turned = reduce(lambda turned, step: turned * step, Rotation.from_rotvec(steps))
    return turned, int(within.sum())


def _frames_with_depth(
    sequence: Sequence, first: int, second: int
) -> tuple[tuple[Frame, Frame], tuple[NDArray[np.float32], NDArray[np.float32]]]:
    frames = sequence.frame(first), sequence.frame(second)
    if frames[0].depth is None or frames[1].depth is None:
        raise SequenceError(f"sequence '{sequence.info.name}' has no depth")
    return frames, (frames[0].depth, frames[1].depth)


def _require_common_view(
    sequence: Sequence, frames: tuple[Frame, Frame], *differences: NDArray[np.float64]
) -> None:
    if not all(len(values) for values in differences):
        raise SequenceError(
            f"sequence '{sequence.info.name}': frames {frames[0].index} and {frames[1].index} show nothing "
            "in common"
        )


def _move(
    depth: NDArray[np.float32], intrinsics: Intrinsics, motion: NDArray[np.float64], step: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Where pixels land after their points have moved: columns, rows and distances.

    Each is an array of every ``step``-th row and column.

    Pixels without depth, or that end up behind the camera, land far outside the image.
    """
    rows, columns = np.mgrid[: depth.shape[0] : step, : depth.shape[1] : step]
    depth = depth[::step, ::step]
    rays = np.linalg.inv(intrinsics.matrix()) @ np.stack([columns, rows, np.ones_like(rows)]).reshape(3, -1)
    points = motion[:3, :3] @ (rays * depth.reshape(-1)) + motion[:3, 3:]
    in_front = (depth.reshape(-1) > 0) & (points[2] > 0)
    landed = intrinsics.matrix() @ points
    target = np.full((2, depth.size), _OUTSIDE, dtype=np.float32)
    np.divide(landed[:2], landed[2], out=target, where=in_front, casting="unsafe")
    return target[0].reshape(depth.shape), target[1].reshape(depth.shape), points[2].reshape(depth.shape)
