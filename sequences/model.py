"""What a sequence is made of: intrinsics, frames, IMU samples, ground truth."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NANOSECONDS_PER_SECOND = 1_000_000_000
LABEL_UNKNOWN = 255


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera without distortion.

    Attributes:
        fx: Focal length along image columns, pixels.
        fy: Focal length along image rows, pixels.
        cx: Principal point, column; the centre of the first pixel is 0.0.
        cy: Principal point, row; the centre of the first pixel is 0.0.
        width: Image width, pixels.
        height: Image height, pixels.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def matrix(self) -> NDArray[np.float64]:
        """The 3×3 camera matrix, pixels."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class ImuSamples:
    """A run of IMU samples in the IMU's own frame of reference.

    Attributes:
        timestamps_ns: int64 [N], on the clock of the frames.
        gyroscope: float64 [N, 3], rad/s.
        accelerometer: float64 [N, 3], m/s², specific force (gravity shows upwards at rest).
    """

    timestamps_ns: NDArray[np.int64]
    gyroscope: NDArray[np.float64]
    accelerometer: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.timestamps_ns)

    def between(self, after_ns: int, until_ns: int) -> "ImuSamples":
        """The samples with ``after_ns < t <= until_ns``."""
        first, last = np.searchsorted(self.timestamps_ns, [after_ns, until_ns], side="right")
        return ImuSamples(
            self.timestamps_ns[first:last], self.gyroscope[first:last], self.accelerometer[first:last]
        )


@dataclass(frozen=True)
class ImuCalibration:
    """How the IMU sits on the camera and how noisy it is.

    Attributes:
        rate_hz: Samples a second.
        gyroscope_noise: White noise density, rad/s/√Hz.
        gyroscope_walk: Bias random walk, rad/s²/√Hz.
        accelerometer_noise: White noise density, m/s²/√Hz.
        accelerometer_walk: Bias random walk, m/s³/√Hz.
        imu_to_camera: float64 [4, 4], takes points of the IMU frame to the camera frame.
    """

    rate_hz: float
    gyroscope_noise: float
    gyroscope_walk: float
    accelerometer_noise: float
    accelerometer_walk: float
    imu_to_camera: NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """One image of a sequence with what else was recorded at that instant. Never a pose.

    Attributes:
        index: Position in the sequence, from 0.
        timestamp_ns: Nanoseconds on the sequence's clock.
        rgb: uint8 [H, W, 3], without lens distortion.
        depth: float32 [H, W], metres along the optical axis, registered to ``rgb``, 0 where unknown;
            None when the recording has none.
        labels: uint8 [H, W], ids of the sequence's label space, 255 where unknown; None without labels.
    """

    index: int
    timestamp_ns: int
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32] | None = None
    labels: NDArray[np.uint8] | None = None

    def without_sensor(self) -> "Frame":
        """The same frame with colour alone: what a monocular method may see."""
        return replace(self, depth=None, labels=None)


@dataclass(frozen=True)
class GroundTruth:
    """Ground-truth poses with the unusable rows already taken out.

    Attributes:
        timestamps_ns: int64 [N], strictly increasing.
        positions: float64 [N, 3], camera centre in the world, metres.
        quaternions: float64 [N, 4], camera to world, x y z w, unit length.
        rows_dropped: How many rows had NaN or infinite entries and were left out with their timestamps.
    """

    timestamps_ns: NDArray[np.int64]
    positions: NDArray[np.float64]
    quaternions: NDArray[np.float64]
    rows_dropped: int = 0

    def __len__(self) -> int:
        return len(self.timestamps_ns)


@dataclass(frozen=True)
class SceneRoom:
    """A room of a scene.

    Attributes:
        kind: What it is used for: ``kitchen``, ``study``.
        minimum: float64 [3], least corner of the space between floor, walls and ceiling, metres in the world.
        maximum: float64 [3], its greatest corner.
        floor: float64 [N, 2], corners of the floor in order, metres in the world.
    """

    kind: str
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    floor: NDArray[np.float64]


@dataclass(frozen=True)
class SceneObject:
    """A thing in a scene that a person would count as one: a table with its legs, a pillow on a bed.

    Attributes:
        label: Id of its class in the scene's label space.
        name: Of its class.
        minimum: float64 [3], least corner of its box along the axes of the world, metres.
        maximum: float64 [3], its greatest corner.
        room: Index of the room it belongs to; None when it belongs to none.
        pixels: How many pixels of all frames together show it.
        frames: How many frames show it with at least one pixel.
    """

    label: int
    name: str
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    room: int | None
    pixels: int
    frames: int


@dataclass(frozen=True)
class SceneTruth:
    """The scene as it really is, in the world of the ground-truth poses. What moves is not part of it.

    Attributes:
        mesh_path: A PLY file of all surfaces, with the property ``label`` at its vertices.
        label_space: Name of the labels' space.
        objects: Things that can be told apart; walls, floors and ceilings are none. Empty: not known.
        rooms: All rooms. Empty: not known.
    """

    mesh_path: Path
    label_space: str
    objects: tuple[SceneObject, ...]
    rooms: tuple[SceneRoom, ...]


@dataclass(frozen=True)
class LeftOut:
    """Something that a recording has and the sequence made of it has not.

    Attributes:
        what: Several of it: ``colour images``.
        reason: Why, as the end of a sentence: ``no depth image within 20 ms``.
        count: How many were left out; 0 says that it was looked for and not met.
        total: How many there are in all.
        by_design: Whether it is nothing to worry about, however much it is.
    """

    what: str
    reason: str
    count: int
    total: int
    by_design: bool = False

    def sentence(self) -> str:
        """For people."""
        return f"{self.count} of {self.total} {self.what} left out: {self.reason}."


@dataclass(frozen=True)
class SequenceInfo:
    """What is known about a sequence without reading its images.

    Attributes:
        name: Unique within an experiment; letters, digits, ``_``, ``-`` and ``.`` alone.
        intrinsics: Of the images that ``Frame.rgb`` holds, after distortion was removed.
        timestamps_ns: int64 [N], one per frame, strictly increasing.
        has_depth: Frames carry sensor depth.
        label_space: Name of the labels' space (``nyu40``, ``scannet20``), None without labels.
        imu: Calibration of the IMU, None without one.
        notes: What the reader met and a reader of results should know, one sentence each.
        left_out: The same in figures: what is not in the sequence although the recording has it.
        source: What identifies the data: reader, location, parameters; JSON-compatible.
    """

    name: str
    intrinsics: Intrinsics
    timestamps_ns: NDArray[np.int64]
    has_depth: bool
    label_space: str | None = None
    imu: ImuCalibration | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    source: dict[str, object] = field(default_factory=dict)

    @property
    def frame_period_ns(self) -> int:
        """Median time between two frames, nanoseconds; one second for a single frame."""
        if len(self.timestamps_ns) < 2:
            return NANOSECONDS_PER_SECOND
        return int(np.median(np.diff(self.timestamps_ns)))


class Sequence(ABC):
    """One recording. Frames are read when asked for and never kept."""

    @property
    @abstractmethod
    def info(self) -> SequenceInfo:
        """What is known without reading images."""

    @abstractmethod
    def frame(self, index: int) -> Frame:
        """Read one frame. Called from several threads at once.

        Raises:
            DataFileError: A file of the frame is missing, truncated or of the wrong kind.
            IndexError: The sequence has no such frame.
        """

    @abstractmethod
    def ground_truth(self) -> GroundTruth | None:
        """The poses to compare with, None when the recording has none."""

    def scene_truth(self) -> SceneTruth | None:
        """The scene to compare maps and scene graphs with, None when it is not known."""
        return None

    def imu_between(self, after_ns: int, until_ns: int) -> ImuSamples | None:
        """The IMU samples with ``after_ns < t <= until_ns``; None when the recording has no IMU."""
        return None

    def __len__(self) -> int:
        return len(self.info.timestamps_ns)

    def __iter__(self) -> Iterator[Frame]:
        return (self.frame(index) for index in range(len(self)))
