"""The metric-semantic SLAM system behind the protocol: tracking here, everything else in a second process."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from adapters.backend import (
    Backend,
    BackendInputError,
    BackendResult,
    Capabilities,
    RgbdFrame,
    StartRequest,
    TrackingResult,
    TrackingState,
)
from adapters.label_space import LabelRole
from adapters.mono_hydra import mono_hydra_capabilities
from adapters.mono_hydra.back_end_messages import BackEndSetup, Finish, NewKeyframe
from adapters.mono_hydra.back_end_process import BackEndProcess
from adapters.mono_hydra.dynamic_labels import dynamic_mask
from adapters.mono_hydra.frame_log import FinalTrajectory, FrameLog
from adapters.mono_hydra.mapping.temporal_alignment import TemporalAligner
from adapters.mono_hydra.model import Anchor, RgbdLabels
from adapters.mono_hydra.odometry.inertial import ImuClock, calibration_from_request
from adapters.mono_hydra.odometry.inertial_chain import InertialChain
from adapters.mono_hydra.odometry.tracker import OdometryResult, OdometryState, RgbdInertialOdometry
from adapters.mono_hydra.options import MonoHydraOptions
from adapters.mono_hydra.stage_clock import StageClock
from adapters.options import parse_options

_STATES = {
    OdometryState.INITIALISING: TrackingState.INITIALISING,
    OdometryState.LOST: TrackingState.LOST,
    # It has a pose, and none that could be trusted before a loop ties it to the rest.
    OdometryState.RESTARTED: TrackingState.LOST,
}
_NANO = 1e-9
# Two cores: one for tracking, one for the process behind it.
_OPENCV_THREADS = 1


class MonoHydraBackend(Backend):
    """One run.

    Args:
        start_back_end: Starts what is behind tracking.
    """

    def __init__(self, start_back_end: Callable[[BackEndSetup], BackEndProcess] = BackEndProcess) -> None:
        self._start_back_end = start_back_end
        self._back_end: BackEndProcess | None = None

    def capabilities(self) -> Capabilities:
        """See :func:`adapters.mono_hydra.mono_hydra_capabilities`."""
        return mono_hydra_capabilities()

    def start(self, request: StartRequest) -> None:
        """Starts the process behind tracking and waits until it is ready."""
        cv2.setNumThreads(_OPENCV_THREADS)
        options = parse_options(MonoHydraOptions, request.options)
        self._options = options
        self._realtime = request.realtime
        self._clock = StageClock()
        self._frames = FrameLog(options.restart_after_s)
        self._states: dict[OdometryState, int] = dict.fromkeys(OdometryState, 0)
        space = request.label_space
        self._dynamic = () if space is None else space.ids(LabelRole.DYNAMIC)
        chain = None
        if request.imu is not None and options.use_imu:
            chain = InertialChain(options, calibration_from_request(request.imu))
        self._chain = chain
        self._imu_clock = ImuClock()
        aligner = TemporalAligner(options, request.intrinsics) if options.temporal_alignment else None
        self._odometry = RgbdInertialOdometry(options, request.intrinsics, chain, self._locate, aligner)
        self._keyframe_indices: list[int] = []
        self._keyframe_times_s: list[float] = []
        self._live = _LivePose()
        self._first_ns: int | None = None
        self._waited_seconds = 0.0
        self._waited_for_location = 0.0
        self._keyframes_without_map = 0
        setup = BackEndSetup(options, request.intrinsics, space, request.seed, request.output_directory)
        self._back_end = self._start_back_end(setup)

    def track(self, frame: RgbdFrame) -> TrackingResult:
        """Places the frame; hands it on when it is a keyframe."""
        if self._back_end is None:
            raise BackendInputError("a frame arrived before start")
        assert frame.depth is not None, "the mode is rgbd"
        if self._first_ns is None:
            self._first_ns = frame.timestamp_ns
        image = RgbdLabels(frame.index, frame.timestamp_ns, frame.rgb, frame.depth, frame.semantics)
        steps = self._imu_clock.steps_until(frame.timestamp_ns, frame.imu, frame.imu_timestamps_ns)
        forbidden = dynamic_mask(frame.semantics, self._dynamic, self._options.dynamic_margin)
        self._waited_for_location = 0.0
        with self._clock.stage("tracking"):
            result = self._odometry.track(image, forbidden, steps)
        self._states[result.state] += 1
        waited = self._waited_for_location
        if result.image is not None:
            waited += self._hand_on(result.image, result)
        self._waited_seconds += waited
        state = _STATES.get(result.state, TrackingState.OK)
        pose = self._note(frame.timestamp_ns, result)
        if state is TrackingState.OK and not (self._connected(result) and pose is not None):
            # It is followed, and nobody knows where.
            state = TrackingState.LOST
        return TrackingResult(state, pose if state is TrackingState.OK else None, waited)

    def finish(self) -> BackendResult:
        """Has everything solved and written, and puts the trajectory together."""
        if self._back_end is None:
            raise BackendInputError("finish arrived before start")
        scales = self._scales()
        poses = np.array(self._odometry.keyframe_poses, dtype=np.float64).reshape(-1, 4, 4)
        upwards = () if self._chain is None else tuple(self._chain.upwards)
        finished = self._back_end.finish(Finish(poses, scales, upwards))
        final = self._frames.trajectory(finished.poses, scales, finished.connected)
        return BackendResult(
            trajectory=final.trajectory,
            keyframe_indices=tuple(self._keyframe_indices),
            files=finished.files,
            statistics=self._statistics(finished.statistics, scales, final),
            other_processes_peak_bytes=finished.peak_memory_bytes,
        )

    def close(self) -> None:
        """Ends the process behind tracking."""
        if self._back_end is not None:
            self._back_end.close()
        self._back_end = None

    def _hand_on(self, image: RgbdLabels, result: OdometryResult) -> float:
        """Gives a keyframe to the back end; returns the seconds waited for it to catch up."""
        assert self._back_end is not None
        assert result.keyframe is not None
        self._keyframe_indices.append(image.index)
        self._keyframe_times_s.append(self._seconds(image.timestamp_ns))
        waited, for_map = 0.0, True
        if self._realtime:
            for_map = self._back_end.waiting_keyframes < self._options.waiting_keyframes
            self._keyframes_without_map += not for_map
        else:
            waited = self._back_end.wait_for_keyframes(self._options.waiting_keyframes)
        known = self._odometry.keyframe_poses
        first = max(0, len(known) - 2 * self._options.window_keyframes)
        poses = {number: known[number].copy() for number in range(first, len(known))}
        noise = self._odometry.inverse_depth_noise
        self._back_end.send_keyframe(
            NewKeyframe(result.keyframe, image, poses, result.link, result.anchor, for_map, noise)
        )
        return waited

    def _locate(self, frame: RgbdLabels) -> Anchor | None:
        """Finds a frame among the keyframes. At the sensor's rate only when nothing else is to be done."""
        assert self._back_end is not None
        if self._realtime and self._back_end.waiting_keyframes:
            return None
        self._waited_for_location += self._back_end.wait_for_keyframes(0)
        return self._back_end.locate(frame).anchor

    def _connected(self, result: OdometryResult) -> bool:
        """Whether the frame's place is known against the first keyframe's, as far as is known."""
        assert self._back_end is not None
        return not self._odometry.restarts or result.anchor is not None or self._back_end.connected

    def _note(self, timestamp_ns: int, result: OdometryResult) -> NDArray[np.float64] | None:
        """Remembers the frame, and returns its live pose in metres."""
        pose = result.camera_to_world
        if pose is None:
            self._frames.miss(timestamp_ns)
            return None
        assert self._back_end is not None
        keyframe = len(self._odometry.keyframe_poses) - 1
        relative = np.linalg.inv(self._odometry.keyframe_poses[keyframe]) @ pose
        self._frames.place(timestamp_ns, keyframe, relative)
        scale = 1.0 if self._chain is None else self._chain.scale
        return self._live.advance(self._back_end.correction @ pose, scale)

    def _scales(self) -> NDArray[np.float64]:
        times = np.array(self._keyframe_times_s)
        if self._chain is None or not self._options.estimate_scale:
            return np.ones(len(times))
        return self._chain.scale_filter.at(times)

    def _seconds(self, timestamp_ns: int) -> float:
        return timestamp_ns * _NANO

    def _statistics(
        self, of_back_end: dict[str, Any], scales: NDArray[np.float64], final: FinalTrajectory
    ) -> dict[str, Any]:
        stages = {**self._clock.summary(), **of_back_end.pop("stage_ms")}
        return {
            "keyframes": len(self._keyframe_indices),
            "keyframes_without_map": self._keyframes_without_map,
            **{f"frames_{state.value}": count for state, count in self._states.items()},
            "frames_interpolated": final.interpolated,
            "frames_not_connected": final.not_connected,
            "tracking_restarts": self._odometry.restarts,
            "imu_aligned": self._chain is not None and bool(self._chain.upwards),
            "depth_scale_first": round(float(scales[0]), 4) if len(scales) else None,
            "depth_scale_last": round(float(scales[-1]), 4) if len(scales) else None,
            "seconds_waited_for_mapping": round(self._waited_seconds, 3),
            **of_back_end,
            "stage_ms": stages,
        }


class _LivePose:
    """The pose as it is known at the moment, in metres, of a pose in a unit that changes a little."""

    def __init__(self) -> None:
        self._position: NDArray[np.float64] | None = None
        self._last = np.zeros(3)

    def advance(self, pose: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
        """The next pose, of which only the step since the one before is divided by the scale."""
        if self._position is None:
            self._position = pose[:3, 3] / scale
        else:
            self._position = self._position + (pose[:3, 3] - self._last) / scale
        self._last = pose[:3, 3].copy()
        metric = pose.copy()
        metric[:3, 3] = self._position
        return metric
