"""Reader of the RGB-D Dataset 7-Scenes: three files a frame, depth that is not registered to colour."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from sequences.depth_registration import DepthRegistration
from sequences.frame_files import FrameFiles
from sequences.model import GroundTruth, Intrinsics, LeftOut
from sequences.numbered_frames import (
    NumberedParameters,
    nominal_timestamps_ns,
    numbered_files,
    pair_by_number,
    rate_note,
)
from sequences.pose_matrices import ground_truth_from_poses, is_rigid_motion, read_pose_file
from sequences.reader import ReaderContext
from sequences.recording import FrameImages, RecordedSequence, Recording, RecordingParameters

#: Of the depth camera, the default of KinectFusion that the data set's page states.
DEPTH_CAMERA = Intrinsics(fx=585.0, fy=585.0, cx=320.0, cy=240.0, width=640, height=480)
DEPTH_SCALE = 1000.0
DEPTH_INVALID = 65535

_COLOUR = re.compile(r"frame-(\d+)\.color\.png")
_DEPTH = re.compile(r"frame-(\d+)\.depth\.png")
_POSE = re.compile(r"frame-(\d+)\.pose\.txt")
_FIRST_IMAGE = "frame-000000.color.png"
_NAMES = "frame-000000.color.png and frame-000000.depth.png"

_FocalLength = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Numbers = Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=4, max_length=4)]


class RegistrationParameters(BaseModel):
    """Where the colour camera sits and how it sees. The data set does not say; who uses it estimates.

    Attributes:
        colour_focal_length: Pixels, along rows and columns alike.
        colour_principal_point: Column and row, pixels.
        depth_to_colour: Four rows of four: takes points of the depth camera to the colour camera, metres.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    colour_focal_length: _FocalLength
    colour_principal_point: Annotated[list[float], Field(min_length=2, max_length=2)] = [320.0, 240.0]
    depth_to_colour: Annotated[list[_Numbers], Field(min_length=4, max_length=4)]

    @field_validator("depth_to_colour")
    @classmethod
    def _rigid(cls, rows: list[list[float]]) -> list[list[float]]:
        if not is_rigid_motion(np.array(rows)):
            raise ValueError("is no rigid motion: four rows, rotation and translation, last row 0 0 0 1")
        return rows

    def camera(self) -> Intrinsics:
        """The colour camera."""
        focal, (cx, cy) = self.colour_focal_length, self.colour_principal_point
        return replace(DEPTH_CAMERA, fx=focal, fy=focal, cx=cx, cy=cy)

    def motion(self) -> NDArray[np.float64]:
        """Takes points of the depth camera to the colour camera, float64 [4, 4]."""
        return np.array(self.depth_to_colour, dtype=np.float64)


class SevenScenesParameters(NumberedParameters):
    """What the reader is told.

    Attributes:
        registration: Registers depth to colour; without it frames stay as published.
    """

    registration: RegistrationParameters | None = None


@dataclass(frozen=True)
class _RegisteredFrames:
    """Frames whose depth is moved into the colour camera."""

    files: FrameFiles
    registration: DepthRegistration

    def read(self, index: int) -> FrameImages:
        images = self.files.read(index)
        assert images.depth is not None
        return replace(images, depth=self.registration.to_colour(images.depth))


class SevenScenesSequence(RecordedSequence):
    """A sequence of 7-Scenes (Shotton et al., "Scene Coordinate Regression Forests", CVPR 2013).

    A frame is ``frame-000000.color.png``, ``frame-000000.depth.png`` (millimetres; 65535 is invalid) and
    ``frame-000000.pose.txt`` (camera to world). KinectFusion tracked the depth camera, so the poses are its
    poses, and the published intrinsics are its intrinsics. As published, depth and poses agree with each
    other, and frames carry the intrinsics of the depth camera. The colour of a pixel is that of another
    point, the more so towards the edges: the colour camera sits beside and has another focal length. With
    ``registration`` depth is moved into the colour camera, and intrinsics and poses are that camera's.
    """

    reader_name: ClassVar[str] = "seven_scenes"
    parameters_model: ClassVar[type[RecordingParameters]] = SevenScenesParameters

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with ``frame-000000.color.png``."""
        return (path / _FIRST_IMAGE).is_file()

    @classmethod
    def own_name(cls, path: Path) -> str:
        """Scene and number: every scene has a ``seq-01``."""
        return f"{path.parent.name}-{path.name}"

    @classmethod
    def read_recording(
        cls, path: Path, parameters: RecordingParameters, context: ReaderContext | None
    ) -> Recording:
        """Read names of images and all poses.

        Raises:
            DataFileError: A file is malformed, no frame has both images, or no pose is usable.
        """
        assert isinstance(parameters, SevenScenesParameters)
        pairs = pair_by_number(path, numbered_files(path, _COLOUR), numbered_files(path, _DEPTH), _NAMES)
        frames = FrameFiles(
            pairs.rgb, (DEPTH_CAMERA.width, DEPTH_CAMERA.height), pairs.depth, DEPTH_SCALE, (DEPTH_INVALID,)
        )
        registration = parameters.registration
        truth, left_out = _ground_truth(path, set(pairs.numbers.tolist()), parameters)
        return Recording(
            intrinsics=registration.camera() if registration else DEPTH_CAMERA,
            timestamps_ns=nominal_timestamps_ns(pairs.numbers, parameters.rate_hz),
            frames=_registered(frames, registration) if registration else frames,
            has_depth=True,
            calibration="parameter registration" if registration else "published for the depth camera",
            ground_truth=truth,
            notes=(
                _registration_note(registration),
                *(() if truth else ("The folder has no pose files; trajectories cannot be scored.",)),
                rate_note(parameters.rate_hz),
            ),
            left_out=(*pairs.left_out, *left_out),
        )


def _registered(files: FrameFiles, registration: RegistrationParameters) -> _RegisteredFrames:
    return _RegisteredFrames(
        files, DepthRegistration(DEPTH_CAMERA, registration.camera(), registration.motion())
    )


def _ground_truth(
    path: Path, frames: set[int], parameters: SevenScenesParameters
) -> tuple[GroundTruth | None, tuple[LeftOut, ...]]:
    """Poses of the camera that the frames are of; None when the folder has no pose files."""
    files = numbered_files(path, _POSE)
    without_file = LeftOut(
        "ground-truth poses", "their file is missing", len(frames - set(files)), len(frames)
    )
    if not files:
        return None, (without_file,)
    poses = [read_pose_file(file) for file in files.values()]
    if parameters.registration:
        colour_to_depth = np.linalg.inv(parameters.registration.motion())
        poses = [pose if pose is None else pose @ colour_to_depth for pose in poses]
    timestamps_ns = nominal_timestamps_ns(np.array(list(files), dtype=np.int64), parameters.rate_hz)
    truth = ground_truth_from_poses(path, timestamps_ns, poses)
    dropped = LeftOut("ground-truth poses", "NaN or infinite entries", truth.rows_dropped, len(files))
    return truth, (without_file, dropped)


def _registration_note(registration: RegistrationParameters | None) -> str:
    if registration is None:
        return (
            "Depth is not registered to colour, as published: intrinsics, depth and poses are of the depth "
            "camera, and the image is taken by another camera beside it, whose intrinsics are not published."
        )
    return (
        "Depth was registered to colour with the given colour camera "
        f"(focal length {registration.colour_focal_length:g}), which the data set does not publish; "
        "intrinsics and poses are of the colour camera."
    )
