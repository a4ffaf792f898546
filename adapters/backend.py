"""The server side's view of a SLAM system: what a backend implements and what passes through it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.label_space import LabelSpace


class Mode(str, Enum):
    """What a backend is fed with."""

    MONO = "mono"
    RGBD = "rgbd"


class TrackingState(str, Enum):
    """How a backend stands after a frame."""

    INITIALISING = "initialising"
    OK = "ok"
    LOST = "lost"


@dataclass(frozen=True)
class Capabilities:
    """What a backend says of itself before anything is sent to it.

    Attributes:
        name: The backend's name.
        version: Version of the SLAM system behind it.
        modes: Modes it can run in.
        takes_semantics: Uses semantic labels when they are sent.
        takes_imu: Uses IMU samples when they are sent.
        deterministic: The same input gives the same trajectory, bit for bit.
        live_poses: Acknowledgements carry the pose known at that moment.
        ground_truth_is_input: Ground truth reaches it in some form; reports mark its results.
    """

    name: str
    version: str
    modes: tuple[Mode, ...]
    takes_semantics: bool = False
    takes_imu: bool = False
    deterministic: bool = False
    live_poses: bool = True
    ground_truth_is_input: bool = False

    def agrees_with(self, declared: "Capabilities") -> bool:
        """Whether these say the same but for the version, which a container may have another of."""
        return replace(self, version=declared.version) == declared


@dataclass(frozen=True)
class CameraIntrinsics:
    """A pinhole camera without distortion; pixels, the centre of the first pixel is (0, 0)."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int


@dataclass(frozen=True)
class StartRequest:
    """Everything a backend is told before the first frame.

    Attributes:
        intrinsics: Camera of every frame that follows.
        mode: Whether frames carry depth.
        seed: For every random number the backend draws.
        frame_rate_hz: Rate at which the sensor recorded.
        options: Options of the backend itself.
        output_directory: Where the backend may write files.
        realtime: Frames come at the sensor's rate: those that come while a backend waits are lost.
        imu: Calibration of the IMU, None without one: ``rate_hz``, noise densities ``gyroscope_noise``,
            ``gyroscope_walk``, ``accelerometer_noise``, ``accelerometer_walk``, and ``imu_to_camera`` as
            16 numbers, row by row.
        label_space: What the labels of frames mean; None when no frame carries labels.
    """

    intrinsics: CameraIntrinsics
    mode: Mode
    seed: int
    frame_rate_hz: float
    options: dict[str, Any]
    output_directory: Path
    realtime: bool = False
    imu: dict[str, Any] | None = None
    label_space: LabelSpace | None = None


@dataclass(frozen=True)
class RgbdFrame:
    """One frame as a backend gets it.

    Attributes:
        index: Position in the sequence, increasing, not always by one.
        timestamp_ns: Nanoseconds, strictly increasing.
        rgb: uint8 [H, W, 3].
        depth: float32 [H, W], metres along the optical axis, 0 where unknown; None in mode ``mono``.
        semantics: uint8 [H, W], ids of the label space that ``start`` brought, 255 where unknown; an id that
            is none of its classes is unknown as well. None where not predicted.
        imu: float64 [N, 6], rows gx gy gz ax ay az (rad/s, m/s²; specific force, gravity shows upwards at
            rest) in the IMU's own frame of reference, of all samples after the frame that was sent before
            this one, up to this one. None without IMU, and with the first frame.
        imu_timestamps_ns: int64 [N], when each row of ``imu`` was taken, on the clock of ``timestamp_ns``,
            strictly increasing; None where ``imu`` is.
    """

    index: int
    timestamp_ns: int
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32] | None = None
    semantics: NDArray[np.uint8] | None = None
    imu: NDArray[np.float64] | None = None
    imu_timestamps_ns: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class TrackingResult:
    """What a backend knows right after a frame.

    Attributes:
        state: How tracking stands.
        camera_to_world: float64 [4, 4], the live pose, None when there is none.
        waited_seconds: What ``track`` waited on purpose for threads of its own that do other work, such as
            mapping. It is no time that the frame took and is told apart.
    """

    state: TrackingState
    camera_to_world: NDArray[np.float64] | None = None
    waited_seconds: float = 0.0


@dataclass(frozen=True)
class Trajectory:
    """Camera poses in the backend's own world.

    Attributes:
        timestamps_ns: int64 [N], each that of a frame sent, strictly increasing.
        poses: float64 [N, 7], camera to world: x y z in metres (mode ``mono``: any unit), then the unit
            quaternion x y z w.
    """

    timestamps_ns: NDArray[np.int64]
    poses: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.timestamps_ns)


@dataclass(frozen=True)
class BackendResult:
    """What a backend hands over at the end.

    Attributes:
        trajectory: A pose for every frame that has one, after all optimisation.
        keyframe_indices: Indices of the frames that were kept as keyframes.
        files: Names of the files written under the output directory.
        statistics: Numbers the backend wants in the record (loops closed, maps started); JSON-compatible.
        other_processes_peak_bytes: Most memory that processes of the backend beside the server's own held.
    """

    trajectory: Trajectory
    keyframe_indices: tuple[int, ...] = ()
    files: tuple[str, ...] = ()
    statistics: dict[str, Any] = field(default_factory=dict)
    other_processes_peak_bytes: int = 0


class BackendInputError(Exception):
    """A backend refuses what it was sent; the message reaches the user as it stands."""


class Backend(ABC):
    """A SLAM system behind the protocol. ``start`` once, ``track`` for every frame, ``finish`` once."""

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can do; asked for before ``start``."""

    @abstractmethod
    def start(self, request: StartRequest) -> None:
        """Load everything that is needed, so that the first frame is as fast as the others.

        Raises:
            BackendInputError: An option or the camera cannot be worked with.
        """

    @abstractmethod
    def track(self, frame: RgbdFrame) -> TrackingResult:
        """Take the next frame. Shapes, order and finiteness have been checked.

        Raises:
            BackendInputError: This frame cannot be worked with.
        """

    @abstractmethod
    def finish(self) -> BackendResult:
        """Finish all optimisation and hand over the trajectory."""

    def close(self) -> None:  # noqa: B027 - most backends hold nothing
        """Release what is held; called however the conversation ended."""
