"""The IMU's part of the odometry: samples since the last keyframe, alignment, prediction."""

import logging

import gtsam
import numpy as np
from numpy.typing import NDArray

from adapters.mono_hydra.odometry.inertial import (
    GRAVITY,
    NO_STEPS,
    ImuCalibration,
    ImuSteps,
    preintegrated,
    preintegration_params,
    rotation_of,
)
from adapters.mono_hydra.odometry.inertial_alignment import InertialAlignment, Keypose, align_with_imu
from adapters.mono_hydra.odometry.options import OdometryOptions
from adapters.mono_hydra.odometry.scale import ScaleFilter, ScaleMeasurement
from adapters.mono_hydra.odometry.window import InertialState, SlidingWindow, WindowKeyframe

_log = logging.getLogger(__name__)

_LEAST_KEYFRAMES = 8
_MOST_KEYFRAMES = 24
_LEAST_SECONDS = 2.0
_LONGEST_SECONDS = 8.0
# An alignment worse than this is chance.
_LARGEST_RESIDUAL = 0.03
_LARGEST_SCALE_DEVIATION = 0.08
# Biases beyond these are no biases of a working IMU that somebody holds in the hand.
_LARGEST_GYROSCOPE_BIAS = 0.2
# The scale's own prior does not count again in every measurement: it enters the filter once.
_OPEN_SCALE = 0.5
# A step longer than this is a hole in the samples, and what happened in it is not known.
_LONGEST_STEP_S = 0.03
_NANO = 1e-9


class InertialChain:
    """Keeps the IMU of the last keyframes and what was learned from it.

    Args:
        options: Scale, and whether it is estimated.
        calibration: Of the IMU.
    """

    def __init__(self, options: OdometryOptions, calibration: ImuCalibration) -> None:
        self._options = options
        self._calibration = calibration
        self._since_keyframe: list[ImuSteps] = []
        self._has_hole = False
        self._history: list[_Entry] = []
        self._state: InertialState | None = None
        self._state_pose = np.eye(4)
        self._gravity: NDArray[np.float64] | None = None
        self._camera_in_imu = np.eye(4)
        self._gyroscope_bias = np.zeros(3)
        self._next_measurement_s = 0.0
        self.scale_filter = ScaleFilter(options.scale_prior, options.scale_walk)
        #: Numbers of keyframes, and upwards in their camera's frame, float64 [3].
        self.upwards: list[tuple[int, NDArray[np.float64]]] = []

    @property
    def aligned(self) -> bool:
        """Whether poses can be predicted from the IMU alone."""
        return self._state is not None

    @property
    def scale(self) -> float:
        """Units of the odometry per metre, today."""
        return self.scale_filter.scale if self._options.estimate_scale else 1.0

    def integrate(self, steps: ImuSteps) -> None:
        """Takes in the IMU of one frame."""
        self._since_keyframe.append(steps)
        self._has_hole |= not len(steps) or float(steps[:, 0].max()) > _LONGEST_STEP_S

    def rotation_of(self, steps: ImuSteps) -> NDArray[np.float64]:
        """How the camera turned during some steps, float64 [3, 3], end to start."""
        return rotation_of(steps, self._gyroscope_bias, self._calibration)

    def predict(self) -> NDArray[np.float64] | None:
        """The camera's pose now, from the last keyframe by the IMU alone.

        Returns:
            float64 [4, 4]; None before alignment, and when samples are missing.
        """
        if self._state is None or self._has_hole:
            return None
        measurement = self._measure(_joined(self._since_keyframe), self._state.bias)
        return self._predicted(measurement).pose().matrix() @ self._camera_in_imu

    def state_at_keyframe(self, timestamp_ns: int) -> InertialState | None:
        """Velocity and bias for a keyframe that is being made; None before alignment."""
        steps = NO_STEPS if self._has_hole else _joined(self._since_keyframe)
        self._since_keyframe, self._has_hole = [], False
        self._history.append(_Entry(timestamp_ns * _NANO, steps))
        if self._state is None or not len(steps):
            self._state = None
            return None
        measurement = self._measure(steps, self._state.bias)
        velocity = self._predicted(measurement).velocity()
        return InertialState(np.asarray(velocity), self._state.bias, measurement)

    def keyframe_added(self, sliding: SlidingWindow) -> None:
        """Reads refined states from the window, and aligns where that is due.

        Args:
            sliding: After optimisation; its last keyframe is the new one. Gets inertial states and the
                direction of gravity when the alignment succeeds.
        """
        window = sliding.keyframes
        # The window's keyframes are the last of the history; those before keep the pose they left with.
        for entry, keyframe in zip(reversed(self._history), reversed(window), strict=False):
            entry.pose = keyframe.pose
        self._history = self._history[-_MOST_KEYFRAMES:]
        newest = self._history[-1]
        if window[-1].inertial is not None:
            self._state, self._state_pose = window[-1].inertial, window[-1].pose
            self._gyroscope_bias = self._state.bias.gyroscope()
            if sliding.gravity_direction is not None:
                self._gravity = GRAVITY * sliding.gravity_direction
                up = -window[-1].pose[:3, :3].T @ sliding.gravity_direction
                self.upwards.append((window[-1].keyframe, up))
        if self.aligned and newest.time_s < self._next_measurement_s:
            return
        alignment = self._align()
        if alignment is None:
            return
        if self._options.estimate_scale:
            stretch = self._stretch()
            middle = (stretch[0].time_s + newest.time_s) / 2
            self.scale_filter.add(ScaleMeasurement(middle, alignment.scale, alignment.scale_deviation))
            _log.info(
                "scale of depth %.3f ± %.3f after %.3f ± %.3f in %d keyframes",
                *(self.scale_filter.scale, self.scale_filter.deviation),
                *(alignment.scale, alignment.scale_deviation, len(stretch)),
            )
        # Measurements that share no sample: the next one waits until the stretch is new.
        self._next_measurement_s = newest.time_s + (newest.time_s - self._stretch()[0].time_s)
        if not self.aligned:
            self._gravity = alignment.gravity
            imu_in_camera = self._calibration.imu_to_camera.copy()
            imu_in_camera[:3, 3] *= self.scale
            self._camera_in_imu = np.asarray(np.linalg.inv(imu_in_camera))
            sliding.align_with_imu(alignment.gravity / GRAVITY, self._camera_in_imu)
            self._hand_out_states(window, alignment)

    def break_off(self) -> None:
        """Tracking began somewhere else: nothing of the past links up."""
        self._history = []
        self._state = None
        self._since_keyframe, self._has_hole = [], False

    def _predicted(self, measurement: "gtsam.PreintegratedCombinedMeasurements") -> "gtsam.NavState":
        assert self._state is not None
        imu_pose = gtsam.Pose3(self._state_pose @ np.linalg.inv(self._camera_in_imu))
        return measurement.predict(gtsam.NavState(imu_pose, self._state.velocity), self._state.bias)

    def _measure(
        self, steps: ImuSteps, bias: "gtsam.imuBias.ConstantBias"
    ) -> "gtsam.PreintegratedCombinedMeasurements":
        assert self._gravity is not None
        params = preintegration_params(self._calibration, self._gravity, self.scale)
        return preintegrated(steps, params, bias, self.scale)

    def _stretch(self) -> list["_Entry"]:
        """The newest keyframes that follow each other with IMU between them, float back to a limit."""
        newest = self._history[-1].time_s
        stretch: list[_Entry] = []
        for entry in reversed(self._history):
            stretch.append(entry)
            if not len(entry.steps) or newest - entry.time_s > _LONGEST_SECONDS:
                break
        return stretch[::-1]

    def _align(self) -> InertialAlignment | None:
        stretch = self._stretch()
        if len(stretch) < _LEAST_KEYFRAMES or stretch[-1].time_s - stretch[0].time_s < _LEAST_SECONDS:
            return None
        prior = (1.0, _OPEN_SCALE) if self._options.estimate_scale else None
        keyposes = [Keypose(entry.pose, entry.steps) for entry in stretch]
        alignment = align_with_imu(keyposes, self._calibration, prior)
        if alignment is None:
            return None
        plausible = (
            alignment.residual <= _LARGEST_RESIDUAL
            and np.linalg.norm(alignment.gyroscope_bias) <= _LARGEST_GYROSCOPE_BIAS
            and alignment.scale_deviation <= _LARGEST_SCALE_DEVIATION
        )
        return alignment if plausible else None

    def _hand_out_states(self, window: list[WindowKeyframe], alignment: InertialAlignment) -> None:
        """Gives the window's keyframes velocity, bias and preintegrated measurements."""
        scale = self.scale
        bias = gtsam.imuBias.ConstantBias(alignment.accelerometer_bias * scale, alignment.gyroscope_bias)
        count = min(len(window), len(alignment.velocities))
        first = True
        for keyframe, velocity, entry in zip(
            window[-count:], alignment.velocities[-count:], self._history[-count:], strict=True
        ):
            measurement = None if first else self._measure(entry.steps, bias)
            keyframe.inertial = InertialState(velocity * scale, bias, measurement)
            first = False
        self._state, self._state_pose = window[-1].inertial, window[-1].pose
        self._gyroscope_bias = alignment.gyroscope_bias
        _log.info("aligned with the IMU: residual %.1f mm", 1e3 * alignment.residual)


class _Entry:
    """A keyframe's time and pose, and the IMU since the one before."""

    def __init__(self, time_s: float, steps: ImuSteps) -> None:
        self.time_s = time_s
        self.steps = steps
        self.pose = np.eye(4)


def _joined(parts: list[ImuSteps]) -> ImuSteps:
    return np.concatenate(parts) if parts else NO_STEPS
