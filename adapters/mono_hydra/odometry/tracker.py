"""Where the camera is, frame by frame: optical flow, pose from landmarks, keyframes, the window, the IMU."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from adapters.backend import CameraIntrinsics
from adapters.mono_hydra.model import Anchor, Link, RgbdLabels
from adapters.mono_hydra.odometry.depth_reading import read_depth
from adapters.mono_hydra.odometry.feature_tracks import FeatureTracker, Tracks
from adapters.mono_hydra.odometry.inertial import NO_STEPS, ImuSteps
from adapters.mono_hydra.odometry.inertial_chain import InertialChain
from adapters.mono_hydra.odometry.options import OdometryOptions
from adapters.mono_hydra.odometry.pose_from_landmarks import PoseFit, find_pose, fit_pose
from adapters.mono_hydra.odometry.window import SlidingWindow, WindowKeyframe

# Less motion than this since the last keyframe is none.
_STILL_PIXELS = 3.0
_STILL_DEGREES = 1.0
# A part of the landmarks that must agree besides the least number, or the pose is chance.
_LEAST_AGREEMENT = 0.3
_NANO = 1e-9


class OdometryState(Enum):
    """How a frame got its pose."""

    INITIALISING = "initialising"
    """It has none: nothing was seen yet that a pose could be measured against."""
    TRACKED = "tracked"
    """From landmarks."""
    COASTED = "coasted"
    """From the IMU alone."""
    RELOCALISED = "relocalised"
    """Against a keyframe, after tracking was lost."""
    RESTARTED = "restarted"
    """Nowhere in particular: tracking began afresh, and only a loop can say where."""
    LOST = "lost"
    """It has none."""


@dataclass(frozen=True)
class OdometryResult:
    """What is known after a frame.

    Attributes:
        state: How the frame got its pose.
        camera_to_world: float64 [4, 4], in the unit of depth; None without a pose.
        keyframe: Number of the keyframe that the frame became, None otherwise.
        image: The keyframe's image with depth and labels as they were used.
        link: What ties that keyframe to the one before.
        anchor: What it was recognised by when tracking was lost.
    """

    state: OdometryState
    camera_to_world: NDArray[np.float64] | None = None
    keyframe: int | None = None
    image: RgbdLabels | None = None
    link: Link = Link.TRACKED
    anchor: Anchor | None = None


#: Finds a frame among the keyframes.
Relocaliser = Callable[[RgbdLabels], Anchor | None]


class PredictionAligner(Protocol):
    """Fuses depth and labels of a frame with those of the frames before it."""

    def remember(self, frame: RgbdLabels, camera_to_world: NDArray[np.float64]) -> None:
        """Keeps a frame for those to come."""

    def align(self, frame: RgbdLabels, camera_to_world: NDArray[np.float64]) -> RgbdLabels:
        """The frame, fused with those that are remembered."""

    def clear(self) -> None:
        """Forgets all frames: poses have jumped."""


class RgbdInertialOdometry:
    """Odometry from images and depth, with an IMU where there is one.

    Args:
        options: What to do when.
        intrinsics: Of the camera.
        chain: The IMU's part; None without IMU.
        relocalise: Asked when tracking is lost.
        aligner: Improves depth and labels of keyframes; None to take them as they are.
    """

    def __init__(
        self,
        options: OdometryOptions,
        intrinsics: CameraIntrinsics,
        chain: InertialChain | None,
        relocalise: Relocaliser,
        aligner: PredictionAligner | None = None,
    ) -> None:
        self._options = options
        self._intrinsics = intrinsics
        self._matrix = np.array(
            [[intrinsics.fx, 0.0, intrinsics.cx], [0.0, intrinsics.fy, intrinsics.cy], [0.0, 0.0, 1.0]]
        )
        self._chain = chain
        self._relocalise = relocalise
        self._aligner = aligner
        self._features = FeatureTracker(options)
        self._window = SlidingWindow(options, intrinsics)
        self._pose = np.eye(4)
        self._shift_per_s = np.zeros(3)
        self._turn_per_s = np.zeros(3)
        self._time_ns = 0
        # When landmarks were seen last.
        self._seen_ns = 0
        self._keyframe_time_ns = 0
        self._keyframe_corners = 1
        self._keyframe_depth = 1.0
        self._restarts = 0
        #: Camera to world of every keyframe, as far as it is known today.
        self.keyframe_poses: list[NDArray[np.float64]] = []

    @property
    def inverse_depth_noise(self) -> float:
        """Standard deviation of inverse depth, as far as is known, 1/m."""
        return self._window.noise.inverse_depth

    @property
    def restarts(self) -> int:
        """How often tracking began afresh without knowing where."""
        return self._restarts

    def track(
        self, frame: RgbdLabels, forbidden: NDArray[np.bool_] | None, steps: ImuSteps = NO_STEPS
    ) -> OdometryResult:
        """Places a frame.

        Args:
            frame: Depth in its own unit.
            forbidden: bool [H, W], where things move by themselves; None for nowhere.
            steps: IMU since the frame before.
        """
        gray = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)
        if self._chain is not None:
            self._chain.integrate(steps)
        if not self.keyframe_poses:
            return self._begin(gray, frame, forbidden)
        seconds = (frame.timestamp_ns - self._time_ns) * _NANO
        predicted = self._predict(seconds, steps)
        # The last good image is kept, so that a few unusable ones do no harm.
        found = self._follow(gray, predicted, forbidden) if seconds <= self._options.restart_after_s else None
        if found is None:
            return self._without_flow(gray, frame, forbidden)
        tracks, fit, known = found
        self._note_motion(fit.camera_to_world, seconds)
        self._pose, self._time_ns = fit.camera_to_world, frame.timestamp_ns
        self._seen_ns = frame.timestamp_ns
        # Corners without a landmark stay: the next keyframe may find depth there.
        keep = ~known
        keep[known] = fit.inliers
        self._features.accept(gray, tracks.kept(keep))
        if self._wants_keyframe(int(fit.inliers.sum()), frame.timestamp_ns):
            return self._add_keyframe(gray, frame, forbidden, OdometryState.TRACKED)
        if self._aligner is not None:
            self._aligner.remember(frame, self._pose)
        return OdometryResult(OdometryState.TRACKED, self._pose.copy())

    def _begin(
        self, gray: NDArray[np.uint8], frame: RgbdLabels, forbidden: NDArray[np.bool_] | None
    ) -> OdometryResult:
        fresh = self._features.fresh_corners(gray, forbidden)
        if not self._can_start_from(fresh, frame):
            return OdometryResult(OdometryState.INITIALISING)
        self._features.accept(gray, fresh)
        self._time_ns = self._seen_ns = frame.timestamp_ns
        return self._add_keyframe(gray, frame, forbidden, OdometryState.TRACKED, Link.NONE)

    def _can_start_from(self, corners: Tracks, frame: RgbdLabels) -> bool:
        """Whether enough corners have depth."""
        depth = read_depth(frame.depth, corners.pixels, self._options)
        return bool(np.isfinite(depth).sum() >= 2 * self._options.least_inliers)

    def _predict(self, seconds: float, steps: ImuSteps) -> NDArray[np.float64]:
        """Where the camera should be, by the IMU or by going on as before."""
        if self._chain is not None:
            pose = self._chain.predict()
            if pose is not None:
                return pose
        predicted = self._pose.copy()
        turn = Rotation.from_rotvec(self._turn_per_s * seconds).as_matrix()
        if self._chain is not None and len(steps):
            turn = self._chain.rotation_of(steps)
        predicted[:3, 3] += self._pose[:3, :3] @ (self._shift_per_s * seconds)
        predicted[:3, :3] = self._pose[:3, :3] @ turn
        return predicted

    def _note_motion(self, pose: NDArray[np.float64], seconds: float) -> None:
        motion = np.linalg.inv(self._pose) @ pose
        self._shift_per_s = motion[:3, 3] / seconds
        self._turn_per_s = Rotation.from_matrix(motion[:3, :3]).as_rotvec() / seconds

    def _follow(
        self,
        gray: NDArray[np.uint8],
        predicted: NDArray[np.float64],
        forbidden: NDArray[np.bool_] | None,
    ) -> tuple[Tracks, PoseFit, NDArray[np.bool_]] | None:
        """The frame's corners and pose by flow from the last one; None when that fails."""
        for expected in (self._expected_pixels(predicted), self._features.tracks.pixels):
            tracks = self._features.follow(gray, expected, forbidden)
            found = self._fit(tracks, predicted)
            if found is not None:
                return tracks, *found
        return None

    def _fit(
        self, tracks: Tracks, predicted: NDArray[np.float64]
    ) -> tuple[PoseFit, NDArray[np.bool_]] | None:
        known, landmarks = self._window.landmarks_of(tracks)
        if len(landmarks) < self._options.least_inliers:
            return None
        pixels = tracks.pixels[known]
        # Depth at the corners is looked at in keyframes alone; landmarks already hold it.
        without_depth = np.full(len(pixels), np.nan)
        noise = self._window.noise
        fit = fit_pose(landmarks, pixels, without_depth, predicted, self._intrinsics, noise)
        if not self._is_enough(fit):
            start = find_pose(landmarks, pixels, self._intrinsics)
            if start is None:
                return None
            fit = fit_pose(landmarks, pixels, without_depth, start, self._intrinsics, noise)
        return (fit, known) if self._is_enough(fit) else None

    def _is_enough(self, fit: PoseFit) -> bool:
        count = int(fit.inliers.sum())
        return count >= self._options.least_inliers and count >= _LEAST_AGREEMENT * len(fit.inliers)

    def _expected_pixels(self, predicted: NDArray[np.float64]) -> NDArray[np.float32]:
        """Where corners should be seen from a pose: by their landmark, or as if they were far away."""
        tracks = self._features.tracks
        known, landmarks = self._window.landmarks_of(tracks)
        turn = predicted[:3, :3].T @ self._pose[:3, :3]
        rays = np.concatenate([tracks.pixels, np.ones((len(tracks), 1), np.float32)], axis=1)
        points = rays @ (turn @ np.linalg.inv(self._matrix)).T
        if len(landmarks):
            points[known] = (landmarks - predicted[:3, 3]) @ predicted[:3, :3]
        front = points[:, 2] > 1e-3
        expected = tracks.pixels.astype(np.float64)
        projected = points[front] @ self._matrix.T
        expected[front] = projected[:, :2] / projected[:, 2:]
        height, width = self._intrinsics.height, self._intrinsics.width
        outside = (expected < 0).any(axis=1) | (expected[:, 0] >= width) | (expected[:, 1] >= height)
        expected[outside] = tracks.pixels[outside]
        return expected.astype(np.float32)

    def _without_flow(
        self, gray: NDArray[np.uint8], frame: RgbdLabels, forbidden: NDArray[np.bool_] | None
    ) -> OdometryResult:
        """Flow has failed: go on by the IMU, or relocalise, or start afresh, or be lost."""
        gap_s = (frame.timestamp_ns - self._seen_ns) * _NANO
        coasted = None
        if self._chain is not None and gap_s <= self._options.imu_longest_gap_s:
            coasted = self._chain.predict()
        fresh = self._features.fresh_corners(gray, forbidden)
        if not self._can_start_from(fresh, frame):
            if coasted is None:
                return OdometryResult(OdometryState.LOST)
            return OdometryResult(OdometryState.COASTED, coasted)
        if coasted is not None:
            self._restart_at(coasted, frame.timestamp_ns, gray, fresh)
            return self._add_keyframe(gray, frame, forbidden, OdometryState.COASTED, Link.COASTED)
        anchor = self._relocalise(frame)
        if anchor is None and gap_s < self._options.restart_after_s:
            return OdometryResult(OdometryState.LOST)
        self._forget_the_past(frame.timestamp_ns)
        if anchor is None:
            self._restarts += 1
            self._restart_at(self._pose, frame.timestamp_ns, gray, fresh)
            return self._add_keyframe(gray, frame, forbidden, OdometryState.RESTARTED, Link.NONE)
        pose = self.keyframe_poses[anchor.keyframe] @ anchor.camera_to_keyframe
        self._restart_at(pose, frame.timestamp_ns, gray, fresh)
        result = self._add_keyframe(gray, frame, forbidden, OdometryState.RELOCALISED, Link.NONE)
        return replace(result, anchor=anchor)

    def _restart_at(
        self, pose: NDArray[np.float64], timestamp_ns: int, gray: NDArray[np.uint8], corners: Tracks
    ) -> None:
        """Goes on from a pose with new corners."""
        self._features.accept(gray, corners)
        self._pose, self._time_ns = pose.copy(), timestamp_ns
        self._shift_per_s, self._turn_per_s = np.zeros(3), np.zeros(3)

    def _forget_the_past(self, timestamp_ns: int) -> None:
        """Nothing that was seen before ties up with what comes."""
        self._seen_ns = timestamp_ns
        noise = self._window.noise.inverse_depth
        self._window = SlidingWindow(self._options, self._intrinsics, noise)
        if self._chain is not None:
            self._chain.break_off()
        if self._aligner is not None:
            self._aligner.clear()

    def _wants_keyframe(self, inliers: int, timestamp_ns: int) -> bool:
        options = self._options
        motion = np.linalg.inv(self.keyframe_poses[-1]) @ self._pose
        angle = np.degrees(Rotation.from_matrix(motion[:3, :3]).magnitude())
        parallax = float(np.linalg.norm(motion[:3, 3])) * self._intrinsics.fx / self._keyframe_depth
        if parallax < _STILL_PIXELS and angle < _STILL_DEGREES:
            return inliers < 0.5 * options.keyframe_overlap * self._keyframe_corners
        return (
            inliers < options.keyframe_overlap * self._keyframe_corners
            or parallax > options.keyframe_parallax
            or angle > options.keyframe_rotation
            or (timestamp_ns - self._keyframe_time_ns) * _NANO >= options.keyframe_longest_s
        )

    def _add_keyframe(
        self,
        gray: NDArray[np.uint8],
        frame: RgbdLabels,
        forbidden: NDArray[np.bool_] | None,
        state: OdometryState,
        link: Link = Link.TRACKED,
    ) -> OdometryResult:
        """Makes the frame at the current pose a keyframe and refines the window."""
        image = frame
        if self._aligner is not None:
            image = self._aligner.align(frame, self._pose)
            self._aligner.remember(frame, self._pose)
        self._features.replenish(gray, forbidden)
        tracks = self._features.tracks
        depth = read_depth(image.depth, tracks.pixels, self._options)
        keyframe = WindowKeyframe(len(self.keyframe_poses), self._pose.copy(), tracks, depth)
        self._keyframe_time_ns = frame.timestamp_ns
        self.keyframe_poses.append(keyframe.pose)
        if self._chain is not None:
            keyframe.inertial = self._chain.state_at_keyframe(frame.timestamp_ns)
        self._window.add(keyframe)
        if len(self._window.keyframes) > 1:
            self._window.optimise()
        for refined in self._window.keyframes:
            self.keyframe_poses[refined.keyframe] = refined.pose
        if self._chain is not None:
            self._chain.keyframe_added(self._window)
        self._pose = keyframe.pose.copy()
        known, landmarks = self._window.landmarks_of(tracks)
        self._keyframe_corners = max(int(known.sum()), 1)
        in_camera = (landmarks - self._pose[:3, 3]) @ self._pose[:3, :3]
        self._keyframe_depth = max(float(np.median(in_camera[:, 2])), 0.1) if len(landmarks) else 1.0
        return OdometryResult(state, self._pose.copy(), keyframe.keyframe, image, link)
