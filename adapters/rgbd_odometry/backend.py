"""RGB-D odometry behind the protocol: every frame is aligned with a model of all frames before it."""

import numpy as np
from numpy.typing import NDArray

from adapters.backend import (
    Backend,
    BackendInputError,
    BackendResult,
    Capabilities,
    Mode,
    RgbdFrame,
    StartRequest,
    TrackingResult,
    TrackingState,
    Trajectory,
)
from adapters.options import parse_options
from adapters.rgbd_odometry import rgbd_odometry_capabilities
from adapters.rgbd_odometry.options import RgbdOdometryOptions
from adapters.rgbd_odometry.tracker import FrameToModelTracker
from adapters.rotations import quaternion_from_rotation


class RgbdOdometryBackend(Backend):
    """Live poses are final: nothing is corrected later, and a frame that could not be placed has no pose."""

    def __init__(self) -> None:
        self._tracker: FrameToModelTracker | None = None
        self._timestamps_ns: list[int] = []
        self._poses: list[NDArray[np.float64]] = []

    def capabilities(self) -> Capabilities:
        """See :func:`adapters.rgbd_odometry.rgbd_odometry_capabilities`."""
        return rgbd_odometry_capabilities()

    def start(self, request: StartRequest) -> None:
        """Takes the memory of the model."""
        if request.mode is not Mode.RGBD:
            raise BackendInputError(f"rgbd-odometry needs depth and cannot run in mode {request.mode.value}")
        options = parse_options(RgbdOdometryOptions, request.options)
        self._tracker = FrameToModelTracker(options, request.intrinsics)

    def track(self, frame: RgbdFrame) -> TrackingResult:
        """Places the frame and fuses it into the model."""
        if self._tracker is None or frame.depth is None:
            raise BackendInputError("a frame arrived before start or without depth")
        camera_to_world = self._tracker.track(frame.rgb, frame.depth)
        if camera_to_world is None:
            lost = self._tracker.has_model
            return TrackingResult(TrackingState.LOST if lost else TrackingState.INITIALISING)
        self._timestamps_ns.append(frame.timestamp_ns)
        self._poses.append(
            np.concatenate([camera_to_world[:3, 3], quaternion_from_rotation(camera_to_world[:3, :3])])
        )
        return TrackingResult(TrackingState.OK, camera_to_world)

    def finish(self) -> BackendResult:
        """Hands over the poses found on the way."""
        if self._tracker is None:
            raise BackendInputError("finish arrived before start")
        trajectory = Trajectory(
            np.array(self._timestamps_ns, dtype=np.int64),
            np.array(self._poses, dtype=np.float64).reshape(-1, 7),
        )
        return BackendResult(trajectory=trajectory, statistics=self._tracker.statistics())

    def close(self) -> None:
        """Lets go of the model."""
        self._tracker = None
