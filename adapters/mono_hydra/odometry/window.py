"""The sliding window: the last keyframes and their landmarks, refined together in a factor graph of gtsam.

Keyframes that have left the window but still see its landmarks stay as they are and hold the window in place,
as in Mur-Artal, Tardós: ORB-SLAM2. IEEE Transactions on Robotics 33(5), 2017, section III-C.

A corner with depth is a stereo observation: a second camera would see it ``focal length · baseline / depth``
further left. The noise of that disparity is the same at every depth when the noise of depth grows with its
square, which is how sensors of structured light behave.
"""

from collections import Counter
from dataclasses import dataclass, field

import gtsam
import numpy as np
from gtsam.symbol_shorthand import B, G, L, V, X
from numpy.typing import NDArray

from adapters.backend import CameraIntrinsics
from adapters.mono_hydra.odometry.feature_tracks import Tracks
from adapters.mono_hydra.odometry.options import OdometryOptions
from adapters.mono_hydra.odometry.pose_from_landmarks import Noise

# Any baseline gives the same result; it only has to be the same everywhere.
_BASELINE = 0.1
_HELD = 1e-5
_HUBER = 1.345
_OUTLIER = 5.0
_CONVERGED = 1e-3
# How much the direction of gravity is believed from one optimisation to the next, radians.
_GRAVITY_NOISE = 0.01
# Between estimates of the noise of depth the old one keeps this weight.
_NOISE_MEMORY = 0.8
_LEAST_FOR_NOISE = 50
_NOISE_RANGE = (0.25, 25.0)


@dataclass(frozen=True)
class _Deviations:
    """How well an inertial state is known: m/s, m/s², rad/s."""

    velocity: float
    accelerometer: float
    gyroscope: float


# Right after the alignment, and at a keyframe that has been through the window.
_FIRST_STATE = _Deviations(0.1, 0.05, 0.005)
_HELD_STATE = _Deviations(0.05, 0.02, 0.002)


@dataclass
class InertialState:
    """Velocity and biases at a keyframe, in the odometry's unit of length.

    Attributes:
        velocity: float64 [3], of the IMU in the world.
        bias: Of accelerometer and gyroscope.
        measurement: Preintegrated since the keyframe before; None where the chain begins.
    """

    velocity: NDArray[np.float64]
    bias: "gtsam.imuBias.ConstantBias"
    measurement: "gtsam.PreintegratedCombinedMeasurements | None"


@dataclass
class WindowKeyframe:
    """A keyframe in the window.

    Attributes:
        keyframe: Number of the keyframe.
        pose: float64 [4, 4], camera to world.
        tracks: Corners in its image.
        depth: float64 [N], measured at them, NaN where unknown.
        inertial: With an IMU that has been aligned.
    """

    keyframe: int
    pose: NDArray[np.float64]
    tracks: Tracks
    depth: NDArray[np.float64]
    inertial: InertialState | None = None
    factors: list[tuple[int, "gtsam.NonlinearFactor"]] = field(default_factory=list)


class SlidingWindow:
    """Keyframes, landmarks, and the graph between them.

    Args:
        options: Size and noise.
        intrinsics: Of the camera.
        inverse_depth_noise: What is known of it already, 1/m.
    """

    def __init__(
        self,
        options: OdometryOptions,
        intrinsics: CameraIntrinsics,
        inverse_depth_noise: float | None = None,
    ) -> None:
        self._options = options
        self._intrinsics = intrinsics
        self._camera = gtsam.Cal3_S2(intrinsics.fx, intrinsics.fy, 0.0, intrinsics.cx, intrinsics.cy)
        self._stereo = gtsam.Cal3_S2Stereo(
            intrinsics.fx, intrinsics.fy, 0.0, intrinsics.cx, intrinsics.cy, _BASELINE
        )
        self._landmarks: dict[int, NDArray[np.float64]] = {}
        self._inverse_depth_noise = inverse_depth_noise or options.inverse_depth_noise
        self._make_noise_models()
        self.keyframes: list[WindowKeyframe] = []
        #: float64 [3], where gravity points in the odometry's world, refined with the window; None without.
        self.gravity_direction: NDArray[np.float64] | None = None
        # The poses that are optimised are those of the IMU, or of the camera itself without one.
        self._camera_in_body = np.eye(4)

    @property
    def noise(self) -> Noise:
        """What is known of the noise of pixels and depth."""
        return Noise(self._options.pixel_noise, self._inverse_depth_noise)

    def landmarks_of(self, tracks: Tracks) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """The landmarks of some corners.

        Returns:
            bool [N], which have one, and float64 [M, 3], those, in the world.
        """
        found = [self._landmarks.get(track) for track in tracks.ids.tolist()]
        known = np.array([landmark is not None for landmark in found], dtype=bool)
        points = np.array([landmark for landmark in found if landmark is not None], dtype=np.float64)
        return known, points.reshape(-1, 3)

    def add(self, keyframe: WindowKeyframe) -> None:
        """Takes in a keyframe and makes landmarks of its corners with depth that have none."""
        self.keyframes.append(keyframe)
        self._make_landmarks(keyframe)
        self._make_factors(keyframe, set(self._landmarks))
        most = self._options.window_keyframes + self._options.window_keyframes // 2
        if len(self.keyframes) > most:
            del self.keyframes[0]
        self._drop_unseen_landmarks()

    def align_with_imu(
        self, gravity_direction: NDArray[np.float64], camera_in_body: NDArray[np.float64]
    ) -> None:
        """From now on keyframes with an inertial state are tied to each other by the IMU.

        gtsam's own transformation of samples from IMU to camera leaves out the angular acceleration, so that
        the graph's poses become those of the IMU instead.

        Args:
            gravity_direction: float64 [3], downwards in the odometry's world, unit length.
            camera_in_body: float64 [4, 4], takes points of the camera to the IMU, in the odometry's unit.
        """
        self.gravity_direction = gravity_direction
        self._camera_in_body = camera_in_body
        for keyframe in self.keyframes:
            observed = {track for track, _ in keyframe.factors}
            keyframe.factors = []
            self._make_factors(keyframe, observed)

    def _make_factors(self, keyframe: WindowKeyframe, landmarks: set[int]) -> None:
        """What a keyframe sees of some landmarks."""
        pose = X(keyframe.keyframe)
        fx = self._intrinsics.fx
        sensor = gtsam.Pose3(self._camera_in_body)
        for track, (column, row), depth in zip(
            keyframe.tracks.ids.tolist(),
            keyframe.tracks.pixels.astype(np.float64).tolist(),
            keyframe.depth.tolist(),
            strict=True,
        ):
            if track not in landmarks:
                continue
            factor: gtsam.NonlinearFactor
            if np.isnan(depth):
                factor = gtsam.GenericProjectionFactorCal3_S2(
                    np.array([column, row]), self._pixel_model, pose, L(track), self._camera, sensor
                )
            else:
                seen = gtsam.StereoPoint2(column, column - fx * _BASELINE / depth, row)
                factor = gtsam.GenericStereoFactor3D(
                    seen, self._stereo_model, pose, L(track), self._stereo, sensor
                )
            keyframe.factors.append((track, factor))

    def optimise(self) -> None:
        """Refines poses, landmarks, velocities and biases; then drops what does not fit."""
        held = max(len(self.keyframes) - self._options.window_keyframes, 1)
        graph, values = gtsam.NonlinearFactorGraph(), gtsam.Values()
        shared = self._landmarks_that_tie(held)
        chosen = set(shared)
        body_in_camera = np.linalg.inv(self._camera_in_body)
        for track in shared:
            values.insert(L(track), self._landmarks[track])
        for index, keyframe in enumerate(self.keyframes):
            pose = gtsam.Pose3(keyframe.pose @ body_in_camera)
            values.insert(X(keyframe.keyframe), pose)
            if index < held:
                graph.add(gtsam.PriorFactorPose3(X(keyframe.keyframe), pose, self._held_pose))
            for track, factor in keyframe.factors:
                if track in chosen:
                    graph.push_back(factor)
        self._add_inertial(graph, values, held)
        params = gtsam.LevenbergMarquardtParams()
        params.setMaxIterations(self._options.window_iterations)
        params.setRelativeErrorTol(_CONVERGED)
        params.setVerbosityLM("SILENT")
        try:
            result = gtsam.LevenbergMarquardtOptimizer(graph, values, params).optimize()
        except RuntimeError:
            # A landmark on the camera's plane, or nothing that holds a pose: the window stays as it was.
            return
        self._take_over(result, held, shared)

    def _make_noise_models(self) -> None:
        pixel = self._options.pixel_noise
        disparity = self._intrinsics.fx * _BASELINE * self._inverse_depth_noise
        # The column in the second image is that in the first less the disparity, so their errors go together.
        covariance = np.array(
            [[pixel**2, pixel**2, 0.0], [pixel**2, pixel**2 + disparity**2, 0.0], [0.0, 0.0, pixel**2]]
        )
        huber = gtsam.noiseModel.mEstimator.Huber.Create(_HUBER)
        self._stereo_model = gtsam.noiseModel.Robust.Create(
            huber, gtsam.noiseModel.Gaussian.Covariance(covariance)
        )
        self._pixel_model = gtsam.noiseModel.Robust.Create(huber, gtsam.noiseModel.Isotropic.Sigma(2, pixel))
        self._held_pose = gtsam.noiseModel.Isotropic.Sigma(6, _HELD)

    def _make_landmarks(self, keyframe: WindowKeyframe) -> None:
        new = np.array([track not in self._landmarks for track in keyframe.tracks.ids.tolist()], dtype=bool)
        new &= np.isfinite(keyframe.depth)
        points = self._in_world(keyframe, new)
        self._landmarks.update(zip(keyframe.tracks.ids[new].tolist(), points, strict=True))

    def _in_world(self, keyframe: WindowKeyframe, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Corners with depth as points in the world, float64 [M, 3]."""
        depth = keyframe.depth[chosen]
        column, row = keyframe.tracks.pixels[chosen].astype(np.float64).T
        camera = self._intrinsics
        points = np.stack(
            [(column - camera.cx) / camera.fx * depth, (row - camera.cy) / camera.fy * depth, depth], axis=1
        )
        return np.asarray(points @ keyframe.pose[:3, :3].T + keyframe.pose[:3, 3])

    def _landmarks_that_tie(self, held: int) -> list[int]:
        """Those seen more than once, and not by keyframes alone that do not move."""
        counts = Counter(track for keyframe in self.keyframes for track, _ in keyframe.factors)
        moving = {track for keyframe in self.keyframes[held:] for track, _ in keyframe.factors}
        return [track for track, count in counts.items() if count > 1 and track in moving]

    def _drop_unseen_landmarks(self) -> None:
        seen = {track for keyframe in self.keyframes for track, _ in keyframe.factors}
        self._landmarks = {track: point for track, point in self._landmarks.items() if track in seen}

    def _add_inertial(self, graph: "gtsam.NonlinearFactorGraph", values: "gtsam.Values", held: int) -> None:
        if self.gravity_direction is None:
            return
        direction = gtsam.Unit3(self.gravity_direction)
        values.insert(G(0), direction)
        graph.add(
            gtsam.PriorFactorUnit3(G(0), direction, gtsam.noiseModel.Isotropic.Sigma(2, _GRAVITY_NOISE))
        )
        for index, keyframe in enumerate(self.keyframes):
            state = keyframe.inertial
            if state is None:
                continue
            number = keyframe.keyframe
            values.insert(V(number), state.velocity)
            values.insert(B(number), state.bias)
            before = self.keyframes[index - 1] if index else None
            linked = False
            if before is not None and before.inertial is not None and state.measurement is not None:
                linked = True
                graph.add(
                    gtsam.CombinedImuFactorWithGravityDirection(
                        *(X(before.keyframe), V(before.keyframe), X(number), V(number)),
                        *(B(before.keyframe), B(number), G(0)),
                        state.measurement,
                    )
                )
            if index < held or not linked:
                # Held firmly, an early mistake in a bias would never be corrected.
                deviations = _HELD_STATE if linked else _FIRST_STATE
                velocity = gtsam.noiseModel.Isotropic.Sigma(3, deviations.velocity)
                bias = np.array([deviations.accelerometer] * 3 + [deviations.gyroscope] * 3)
                graph.add(gtsam.PriorFactorVector(V(number), state.velocity, velocity))
                graph.add(
                    gtsam.PriorFactorConstantBias(
                        B(number), state.bias, gtsam.noiseModel.Diagonal.Sigmas(bias)
                    )
                )

    def _take_over(self, result: "gtsam.Values", held: int, shared: list[int]) -> None:
        for keyframe in self.keyframes[held:]:
            keyframe.pose = result.atPose3(X(keyframe.keyframe)).matrix() @ self._camera_in_body
            if keyframe.inertial is not None:
                keyframe.inertial.velocity = result.atVector(V(keyframe.keyframe))
                keyframe.inertial.bias = result.atConstantBias(B(keyframe.keyframe))
        if self.gravity_direction is not None:
            self.gravity_direction = result.atUnit3(G(0)).point3()
        for track in shared:
            self._landmarks[track] = result.atPoint3(L(track))
        seen = set(shared)
        for keyframe in self.keyframes[held:]:
            alone = np.array([track not in seen for track in keyframe.tracks.ids.tolist()], dtype=bool)
            alone &= np.isfinite(keyframe.depth)
            # A landmark seen once moves along with its keyframe.
            moved = zip(keyframe.tracks.ids[alone].tolist(), self._in_world(keyframe, alone), strict=True)
            self._landmarks.update((track, point) for track, point in moved if track in self._landmarks)
        residuals = [self._drop_misfits(keyframe, seen) for keyframe in self.keyframes]
        self._estimate_depth_noise(np.concatenate(residuals))

    def _drop_misfits(self, keyframe: WindowKeyframe, shared: set[int]) -> NDArray[np.float64]:
        """Removes observations that do not fit and returns residuals of inverse depth of the others, 1/m."""
        known, points = self.landmarks_of(keyframe.tracks)
        if not len(points):
            return np.zeros(0)
        in_camera = (points - keyframe.pose[:3, 3]) @ keyframe.pose[:3, :3]
        z = np.maximum(in_camera[:, 2], 1e-3)
        camera = self._intrinsics
        pixels = keyframe.tracks.pixels[known]
        column_error = camera.fx * in_camera[:, 0] / z + camera.cx - pixels[:, 0]
        row_error = camera.fy * in_camera[:, 1] / z + camera.cy - pixels[:, 1]
        off = np.hypot(column_error, row_error) > _OUTLIER * self._options.pixel_noise
        off |= in_camera[:, 2] <= 0.0
        depth_error = 1.0 / z - 1.0 / keyframe.depth[known]
        depth_off = np.abs(depth_error) > 2.0 * _OUTLIER * self._inverse_depth_noise
        ids = keyframe.tracks.ids[known]
        gone = set(ids[off | depth_off].tolist())
        if gone:
            keyframe.factors = [entry for entry in keyframe.factors if entry[0] not in gone]
        fits = ~off & np.isfinite(depth_error) & np.array([track in shared for track in ids.tolist()])
        return np.asarray(depth_error[fits])

    def _estimate_depth_noise(self, residuals: NDArray[np.float64]) -> None:
        """Follows the noise of depth, so that a sensor is trusted more than a network."""
        if len(residuals) < _LEAST_FOR_NOISE:
            return
        found = 1.4826 * float(np.median(np.abs(residuals)))
        low, high = (factor * self._options.inverse_depth_noise for factor in _NOISE_RANGE)
        mixed = _NOISE_MEMORY * self._inverse_depth_noise + (1.0 - _NOISE_MEMORY) * found
        self._inverse_depth_noise = float(np.clip(mixed, low, high))
        self._make_noise_models()
