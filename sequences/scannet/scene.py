"""A ScanNet scene as both of its forms tell it: two cameras, numbered frames, poses, images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sequences.errors import DataFileError
from sequences.model import LeftOut
from sequences.pose_matrices import is_rigid_motion

#: How far the entries of a camera matrix that should be 0 may be from it, pixels.
_LARGEST_SKEW = 1e-3


@dataclass(frozen=True)
class ScannedCamera:
    """One of the two cameras of a scanner.

    Attributes:
        matrix: float64 [3, 3], intrinsics in pixels; the centre of the first pixel is (0, 0).
        to_rig: float64 [4, 4], takes points of the camera to the frame that both cameras share, metres.
        width: Of its images, pixels.
        height: Of its images, pixels.
    """

    matrix: NDArray[np.float64]
    to_rig: NDArray[np.float64]
    width: int
    height: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.width, self.height


class SceneImages(Protocol):
    """Where the images of a scene come from. Used from several threads at once."""

    def colour(self, index: int) -> NDArray[np.uint8]:
        """The colour image of a frame as it was recorded, uint8 [H, W, 3], blue first as OpenCV has it.

        Raises:
            DataFileError: It is missing, damaged or of the wrong kind.
        """

    def depth(self, index: int) -> NDArray[np.float32]:
        """The depth image of a frame, float32 [h, w], metres, 0 where unknown.

        Raises:
            DataFileError: It is missing, damaged or of the wrong kind.
        """


@dataclass(frozen=True)
class ScenePoses:
    """The poses that a scene has.

    Attributes:
        matrices: float64 [4, 4] each, camera to world, metres; None where tracking was lost.
        frames: int64 [M], which of the scene's frames they belong to, increasing.
    """

    matrices: tuple[NDArray[np.float64] | None, ...]
    frames: NDArray[np.int64]

    @property
    def usable(self) -> int:
        """How many there are."""
        return sum(matrix is not None for matrix in self.matrices)


@dataclass(frozen=True)
class Scene:
    """What a scene holds, whatever its form.

    Attributes:
        colour: The camera of colour images.
        depth: The camera of depth images.
        numbers: int64 [N], the number of every frame in the scene, increasing; it names label images.
        poses: Those of the depth camera.
        stamps_us: uint64 [N] microseconds by the name of the clock, the one to be preferred first.
        images: Where images come from; by position, not by number.
        calibration: Where the camera matrices come from.
        label_ids: ``raw`` or ``nyu40``: what the scene's own folder of labels holds.
        notes: Sentences for whoever reads results.
        left_out: What is not among the frames.
    """

    colour: ScannedCamera
    depth: ScannedCamera
    numbers: NDArray[np.int64]
    poses: ScenePoses
    stamps_us: dict[str, NDArray[np.uint64]]
    images: SceneImages
    calibration: str
    label_ids: str = "raw"
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def scanned_camera(
    name: str,
    intrinsic: tuple[Path, NDArray[np.float64]],
    extrinsic: tuple[Path, NDArray[np.float64]],
    size: tuple[int, int],
) -> ScannedCamera:
    """Check the two matrices of a camera.

    Args:
        name: ``colour`` or ``depth``, for messages.
        intrinsic: The file it is from, and float64 [4, 4] with the camera matrix in its upper left.
        extrinsic: The file it is from, and float64 [4, 4], camera to rig.
        size: Width and height of its images, pixels.

    Raises:
        DataFileError: A matrix is not what it should be, or does not belong to images of that size.
    """
    path, whole = intrinsic
    matrix, (width, height) = whole[:3, :3], size
    below_diagonal = matrix[np.tril_indices(3, -1)]
    if not np.isfinite(matrix).all() or (np.abs([matrix[0, 1], *below_diagonal]) > _LARGEST_SKEW).any():
        raise DataFileError(
            path, f"the intrinsics of the {name} camera are no camera matrix: {matrix.tolist()}"
        )
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0 or abs(matrix[2, 2] - 1) > _LARGEST_SKEW:
        raise DataFileError(
            path, f"the intrinsics of the {name} camera have a focal length that is not positive"
        )
    if not (0 < matrix[0, 2] < width and 0 < matrix[1, 2] < height):
        raise DataFileError(
            path,
            f"the principal point ({matrix[0, 2]:g}, {matrix[1, 2]:g}) of the {name} camera lies outside of "
            f"its images of {width}×{height}; where images were resized, intrinsics must be as well",
        )
    path, to_rig = extrinsic
    if not (np.isfinite(to_rig).all() and is_rigid_motion(to_rig)):
        raise DataFileError(
            path, f"the extrinsics of the {name} camera are no rigid motion: {to_rig.tolist()}"
        )
    return ScannedCamera(matrix, to_rig, width, height)
