"""What readers of recordings share: a reader says what is in a folder, and this makes a sequence of it."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sequences.errors import MissingRecordingError, SequenceError
from sequences.model import (
    Frame,
    GroundTruth,
    ImuCalibration,
    ImuSamples,
    Intrinsics,
    LeftOut,
    SceneTruth,
    SequenceInfo,
)
from sequences.reader import DATA_DIRECTORY_VARIABLE, ReaderContext, SequenceReader
from sequences.yaml_file import problems

Parameters = TypeVar("Parameters", bound="RecordingParameters")

#: Parameters that say where a recording is or what is known of it, not what is made of it.
_NOT_IDENTIFYING = {"directory", "find", "published_frames"}


class RecordingParameters(BaseModel):
    """What a reader of recordings is told; a reader that takes more derives its own.

    Attributes:
        directory: The folder (or file); a relative one lies below ``HARNESS_DATA``.
        find: In its place: what the folder is called, wherever below ``HARNESS_DATA`` it is.
        published_frames: How many frames the recording has where it was published; a difference is noted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    directory: str | None = None
    find: str | None = None
    published_frames: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.directory is None) == (self.find is None):
            raise ValueError("give either directory: FOLDER or find: NAME")
        return self


@dataclass(frozen=True)
class FrameImages:
    """The images of one frame, as :class:`~sequences.model.Frame` has them."""

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32] | None = None
    labels: NDArray[np.uint8] | None = None


class FrameSource(Protocol):
    """Where the images of a recording come from. Used from several threads at once."""

    def read(self, index: int) -> FrameImages:
        """Read the images of one frame.

        Raises:
            DataFileError: One of them is missing, truncated or of the wrong kind; the message has the index.
        """


@dataclass(frozen=True)
class Recording:
    """Everything about a recording but its images, and where those come from.

    Attributes:
        intrinsics: Of the images that ``frames`` gives.
        timestamps_ns: int64 [N], one per frame, strictly increasing.
        frames: Where images come from.
        has_depth: Whether frames have depth.
        ground_truth: Camera-to-world poses, x right, y down, z forward; None without.
        label_space: Of the frames' labels, None without labels.
        imu_calibration: None without an IMU.
        imu_samples: None without an IMU.
        scene_truth: None unless rooms and objects are known.
        notes: What a reader of results should know, one sentence each.
        left_out: What is not in the sequence although the recording has it.
        calibration: Where the intrinsics come from.
    """

    intrinsics: Intrinsics
    timestamps_ns: NDArray[np.int64]
    frames: FrameSource
    has_depth: bool
    calibration: str
    ground_truth: GroundTruth | None = None
    label_space: str | None = None
    imu_calibration: ImuCalibration | None = None
    imu_samples: ImuSamples | None = None
    scene_truth: SceneTruth | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


class RecordedSequence(SequenceReader):
    """A recording on disk. A reader derives from it and implements ``recognises`` and ``read_recording``.

    Args:
        name: What the sequence is called in this experiment.
        path: The folder (or file).
        parameters: What the reader was told; by default nothing but the path.
        context: Directories, and where progress is reported; None without.
        extra_source: More entries for ``info.source``, over the reader's own.

    Raises:
        SequenceError: A file is missing, malformed or contradicts another.
    """

    reader_name: ClassVar[str]
    parameters_model: ClassVar[type[RecordingParameters]] = RecordingParameters

    def __init__(
        self,
        name: str,
        path: Path,
        parameters: RecordingParameters | None = None,
        context: ReaderContext | None = None,
        extra_source: dict[str, object] | None = None,
    ):
        if not path.exists():
            raise MissingRecordingError(f"sequence '{name}': there is no folder '{path}'")
        parameters = parameters or self.parameters_model(directory=str(path))
        self._recording = self.read_recording(path, parameters, context)
        self._info = SequenceInfo(
            name=name,
            intrinsics=self._recording.intrinsics,
            timestamps_ns=self._recording.timestamps_ns,
            has_depth=self._recording.has_depth,
            label_space=self._recording.label_space,
            imu=self._recording.imu_calibration,
            notes=(
                *(part.sentence() for part in self._recording.left_out if part.count),
                *self._recording.notes,
                *_frames_note(parameters.published_frames, len(self._recording.timestamps_ns)),
            ),
            left_out=self._recording.left_out,
            source={
                "reader": self.reader_name,
                "directory": str(path),
                "calibration": self._recording.calibration,
                **parameters.model_dump(exclude_unset=True, exclude=_NOT_IDENTIFYING),
                **(extra_source or {}),
            },
        )

    @classmethod
    def open(cls, name: str, parameters: dict[str, Any], context: ReaderContext) -> Self:
        """Open the recording that ``parameters`` names.

        Raises:
            MissingRecordingError: There is none of that name on this machine.
            SequenceError: Parameters are missing or unknown, or the recording's contents are wrong.
        """
        given = checked_parameters(name, cls.reader_name, parameters, cls.parameters_model)
        return cls(name, _path(name, given, context), given, context)

    @classmethod
    @abstractmethod
    def read_recording(
        cls, path: Path, parameters: RecordingParameters, context: ReaderContext | None
    ) -> Recording:
        """Say what is in a recording; decodes no images.

        Args:
            path: The folder (or file), which exists.
            parameters: What the reader was told, an instance of ``parameters_model``.
            context: Directories, and where progress is reported; None without.

        Raises:
            SequenceError: A file is missing, malformed or contradicts another.
        """

    @property
    def info(self) -> SequenceInfo:
        """What is known without reading images."""
        return self._info

    def frame(self, index: int) -> Frame:
        """Read one frame.

        Raises:
            DataFileError: An image of the frame is missing, truncated or of the wrong kind.
            IndexError: The sequence has no such frame.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"sequence '{self.info.name}' has frames 0 to {len(self) - 1}, not {index}")
        images = self._recording.frames.read(index)
        return Frame(index, int(self.info.timestamps_ns[index]), images.rgb, images.depth, images.labels)

    def ground_truth(self) -> GroundTruth | None:
        """Camera-to-world poses, None when the recording has none."""
        return self._recording.ground_truth

    def imu_between(self, after_ns: int, until_ns: int) -> ImuSamples | None:
        """The samples with ``after_ns < t <= until_ns``; None without an IMU."""
        samples = self._recording.imu_samples
        return None if samples is None else samples.between(after_ns, until_ns)

    def scene_truth(self) -> SceneTruth | None:
        """Rooms, objects and mesh of the scene, None unless they are known."""
        return self._recording.scene_truth


def checked_parameters(
    name: str, reader: str, parameters: dict[str, Any], model: type[Parameters]
) -> Parameters:
    """The parameters of a sequence, checked.

    Raises:
        SequenceError: One is unknown, missing or impossible; the message lists those that exist.
    """
    try:
        return model.model_validate(parameters)
    except ValidationError as error:
        raise SequenceError(
            f"sequence '{name}': {problems(error)}; reader '{reader}' takes the parameters "
            f"{', '.join(model.model_fields)}; given: {parameters}"
        ) from error


def _path(name: str, parameters: RecordingParameters, context: ReaderContext) -> Path:
    if parameters.directory is None:
        root = context.require_data_directory()
        raise MissingRecordingError(
            f"sequence '{name}': nothing below {DATA_DIRECTORY_VARIABLE} ('{root}') is called "
            f"'{parameters.find}' and is a recording of this kind"
        )
    path = Path(parameters.directory)
    return path if path.is_absolute() else context.require_data_directory() / path


def _frames_note(published: int | None, frames: int) -> tuple[str, ...]:
    if published in (None, frames):
        return ()
    return (f"The recording has {frames} usable frames here and {published} where it was published.",)
