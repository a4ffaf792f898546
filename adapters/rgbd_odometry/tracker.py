"""Decides for every frame where the camera is, or that it is not known."""

from collections import Counter
from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.backend import CameraIntrinsics
from adapters.rgbd_odometry.alignment import Method, align
from adapters.rgbd_odometry.model import TsdfModel
from adapters.rgbd_odometry.observability import brightness_gradient, geometric_constraint
from adapters.rgbd_odometry.options import RgbdOdometryOptions
from adapters.rgbd_odometry.patient_open3d import o3d
from adapters.rotations import rotation_angle

_LEAST_VALID_DEPTH = 0.05
# Ray casting estimates the range of depth in tiles of this many pixels a side.
_TILE = 8


class Attempt(Enum):
    """The ways to place a frame, in the order they are tried."""

    MODEL_FROM_PREDICTION = "model_from_prediction"
    MODEL_FROM_LAST_POSE = "model_from_last_pose"
    LAST_FRAME = "last_frame"


class FrameToModelTracker:
    """Keeps the model, the last good frame and the velocity.

    A frame is aligned with the model as seen from where constant velocity would put the camera, or, after the
    first frame and after a loss, where a patient alignment with the last good frame puts it; failing that,
    as seen from the last good pose with more iterations; failing that, with the last good frame itself, by
    brightness too. Where geometry alone would let the camera slide, as in front of one wall, only the last
    way is tried. What none of them places plausibly has no pose and does not enter the model, and the next
    frame starts from the last good pose again.
    """

    def __init__(self, options: RgbdOdometryOptions, intrinsics: CameraIntrinsics) -> None:
        self._options = options
        # Taking every n-th pixel from the first on keeps the centre of pixel (0, 0) where it was.
        scale = 1.0 / options.stride
        matrix = np.array(
            [
                [intrinsics.fx * scale, 0.0, intrinsics.cx * scale],
                [0.0, intrinsics.fy * scale, intrinsics.cy * scale],
                [0.0, 0.0, 1.0],
            ]
        )
        self._intrinsic = o3d.core.Tensor(matrix)
        self._model = TsdfModel(options, matrix)
        self._pose = np.eye(4)
        self._velocity: NDArray[np.float64] | None = None
        self._last_image: o3d.t.geometry.RGBDImage | None = None
        self._placed_by: Counter[Attempt] = Counter()
        self._rejected = 0

    @property
    def has_model(self) -> bool:
        """Whether any frame was taken in yet."""
        return self._last_image is not None

    def track(self, rgb: NDArray[np.uint8], depth: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Places a frame and fuses it into the model.

        Args:
            rgb: uint8 [H, W, 3].
            depth: float32 [H, W], metres, 0 where unknown.

        Returns:
            Camera to world, float64 [4, 4]; None when the frame could not be placed.
        """
        stride = self._options.stride
        depth = np.ascontiguousarray(_whole_tiles(depth[::stride, ::stride]))
        depth[(depth < self._options.nearest_depth) | (depth > self._options.farthest_depth)] = 0.0
        if np.count_nonzero(depth) < _LEAST_VALID_DEPTH * depth.size:
            self._give_up()
            return None
        colour = np.ascontiguousarray(_whole_tiles(rgb[::stride, ::stride]))
        image = _rgbd_image(colour, depth)
        if self.has_model:
            pose = self._place(image, depth.shape, self._promising(colour, depth))
            if pose is None:
                self._give_up()
                return None
            self._velocity = np.linalg.inv(self._pose) @ pose
            self._pose = pose
        self._model.integrate(depth, self._pose)
        self._last_image = image
        return self._pose.copy()

    def statistics(self) -> dict[str, Any]:
        """How frames were placed, for the record."""
        return {
            "frames_rejected": self._rejected,
            "model_restarts": self._model.restarts,
            "model_blocks": self._model.block_count,
            **{f"frames_placed_by_{attempt.value}": self._placed_by[attempt] for attempt in Attempt},
        }

    def _give_up(self) -> None:
        self._velocity = None
        if self.has_model:
            self._rejected += 1

    def _promising(self, colour: NDArray[np.uint8], depth: NDArray[np.float32]) -> set[Attempt]:
        """The attempts that what the frame shows can decide."""
        promising = set()
        if geometric_constraint(depth, self._intrinsic.numpy()) >= self._options.least_geometric_constraint:
            promising |= {Attempt.MODEL_FROM_PREDICTION, Attempt.MODEL_FROM_LAST_POSE}
        if brightness_gradient(colour) >= self._options.least_brightness_gradient:
            promising.add(Attempt.LAST_FRAME)
        return promising

    def _place(
        self, image: "o3d.t.geometry.RGBDImage", shape: tuple[int, int], promising: set[Attempt]
    ) -> NDArray[np.float64] | None:
        ways: dict[Attempt, Callable[[], NDArray[np.float64] | None]] = {
            Attempt.MODEL_FROM_PREDICTION: lambda: self._against_model(
                image,
                shape,
                self._predicted_pose(image),
                self._options.retry_iterations if self._velocity is None else self._options.iterations,
            ),
            Attempt.MODEL_FROM_LAST_POSE: lambda: self._against_model(
                image, shape, self._pose, self._options.retry_iterations
            ),
            Attempt.LAST_FRAME: lambda: self._against(
                image, self._last_image, self._pose, Method.HYBRID, self._options.retry_iterations
            ),
        }
        for attempt, place in ways.items():
            pose = place() if attempt in promising else None
            if pose is not None and self._is_plausible(pose):
                self._placed_by[attempt] += 1
                return pose
        return None

    def _predicted_pose(self, image: "o3d.t.geometry.RGBDImage") -> NDArray[np.float64]:
        if self._velocity is not None:
            return np.asarray(self._pose @ self._velocity)
        # The whole motion is unknown, so pairs may be far apart and the way to the solution is long.
        alignment = align(
            image,
            self._last_image,
            self._intrinsic,
            Method.POINT_TO_PLANE,
            self._options.start_iterations,
            self._options.farthest_depth,
            self._options.start_depth_outlier,
        )
        return self._pose if alignment is None else np.asarray(self._pose @ alignment.source_to_target)

    def _against_model(
        self,
        image: "o3d.t.geometry.RGBDImage",
        shape: tuple[int, int],
        viewpoint: NDArray[np.float64],
        iterations: tuple[int, ...],
    ) -> NDArray[np.float64] | None:
        depth = self._model.depth_from(viewpoint, *shape)
        seen = o3d.t.geometry.RGBDImage(image.color, o3d.t.geometry.Image(depth))
        return self._against(image, seen, viewpoint, Method.POINT_TO_PLANE, iterations)

    def _against(
        self,
        image: "o3d.t.geometry.RGBDImage",
        target: "o3d.t.geometry.RGBDImage",
        target_pose: NDArray[np.float64],
        method: Method,
        iterations: tuple[int, ...],
    ) -> NDArray[np.float64] | None:
        alignment = align(
            image,
            target,
            self._intrinsic,
            method,
            iterations,
            self._options.farthest_depth,
            self._options.depth_outlier,
        )
        if alignment is None or alignment.fitness < self._options.least_fitness:
            return None
        return np.asarray(target_pose @ alignment.source_to_target)

    def _is_plausible(self, pose: NDArray[np.float64]) -> bool:
        motion = np.linalg.inv(self._pose) @ pose
        return bool(
            np.linalg.norm(motion[:3, 3]) <= self._options.largest_translation
            and np.degrees(rotation_angle(motion[:3, :3])) <= self._options.largest_rotation
        )


def _whole_tiles(image: NDArray[Any]) -> NDArray[Any]:
    """The image without the last rows and columns that fill no tile: Open3D's ray casting hangs on those."""
    rows, columns = (length - length % _TILE for length in image.shape[:2])
    return image[:rows, :columns]


def _rgbd_image(rgb: NDArray[np.uint8], depth: NDArray[np.float32]) -> "o3d.t.geometry.RGBDImage":
    """Colour as float32 in [0, 1] and depth in metres, as the odometry wants them."""
    colour = o3d.t.geometry.Image(o3d.core.Tensor(rgb)).to(o3d.core.float32, False, 1.0 / 255.0)
    return o3d.t.geometry.RGBDImage(colour, o3d.t.geometry.Image(o3d.core.Tensor(depth[:, :, None])))
