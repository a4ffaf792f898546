"""Whether poses, images and intrinsics of a sequence agree: one frame moved into another by ground truth."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sequences.association import associate
from sequences.errors import SequenceError
from sequences.model import Frame, Intrinsics, Sequence

_OUTSIDE = -1.0e4


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


def depth_reprojection_error(sequence: Sequence, first: int, second: int) -> ReprojectionError:
    """Move the depth of one frame into another and compare distances.

    Args:
        sequence: Has depth and ground truth.
        first: Index of the frame that is moved.
        second: Index of the frame it is compared with.

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
        columns, rows, distances = _move(depths[0], intrinsics, motion)
        seen = cv2.remap(depths[1], columns, rows, cv2.INTER_NEAREST)
        known = seen > 0
        return np.abs(distances[known] - seen[known]) / seen[known]

    moved, unmoved = differences(_motion(sequence, first, second)), differences(np.eye(4))
    _require_common_view(sequence, frames, moved, unmoved)
    return ReprojectionError(float(np.median(moved)), float(np.median(unmoved)), len(moved))


def colour_reprojection_error(sequence: Sequence, first: int, second: int) -> ReprojectionError:
    """Move the image of one frame into another by its depth and compare brightness.

    Sharper than :func:`depth_reprojection_error` where the motion is small or depth is noisy; needs texture
    and constant exposure.

    Args:
        sequence: Has depth and ground truth.
        first: Index of the frame that is moved.
        second: Index of the frame it is compared with.

    Returns:
        Means of the absolute difference in grey levels, 0 to 255.

    Raises:
        SequenceError: As for :func:`depth_reprojection_error`.
    """
    frames, depths = _frames_with_depth(sequence, first, second)
    intrinsics = sequence.info.intrinsics
    grey = [cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in frames]

    def differences(motion: NDArray[np.float64]) -> NDArray[np.float64]:
        columns, rows, _ = _move(depths[0], intrinsics, motion)
        inside = (columns >= 0) & (columns <= intrinsics.width - 1)
        inside &= (rows >= 0) & (rows <= intrinsics.height - 1)
        seen = cv2.remap(grey[1], columns, rows, cv2.INTER_LINEAR)
        return np.abs(grey[0][inside] - seen[inside]).astype(np.float64)

    moved, unmoved = differences(_motion(sequence, first, second)), differences(np.eye(4))
    _require_common_view(sequence, frames, moved, unmoved)
    return ReprojectionError(float(np.mean(moved)), float(np.mean(unmoved)), len(moved))


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
    depth: NDArray[np.float32], intrinsics: Intrinsics, motion: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Where every pixel lands after its point has moved: columns, rows and distances, each [H, W].

    Pixels without depth, or that end up behind the camera, land far outside the image.
    """
    rows, columns = np.indices(depth.shape)
    rays = np.linalg.inv(intrinsics.matrix()) @ np.stack([columns, rows, np.ones_like(rows)]).reshape(3, -1)
    points = motion[:3, :3] @ (rays * depth.reshape(-1)) + motion[:3, 3:]
    in_front = (depth.reshape(-1) > 0) & (points[2] > 0)
    landed = intrinsics.matrix() @ points
    target = np.full((2, depth.size), _OUTSIDE, dtype=np.float32)
    np.divide(landed[:2], landed[2], out=target, where=in_front, casting="unsafe")
    return target[0].reshape(depth.shape), target[1].reshape(depth.shape), points[2].reshape(depth.shape)
