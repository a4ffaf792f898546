"""Reader of Replica as rendered for NICE-SLAM: numbered images, one trajectory file, exact depth."""

import re
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field

from sequences.errors import DataFileError
from sequences.frame_files import FrameFiles
from sequences.model import GroundTruth, Intrinsics, LeftOut
from sequences.numbered_frames import (
    NumberedPairs,
    NumberedParameters,
    nominal_timestamps_ns,
    numbered_files,
    pair_by_number,
    rate_note,
)
from sequences.pose_matrices import ground_truth_from_poses, read_pose_rows
from sequences.reader import ReaderContext
from sequences.recording import RecordedSequence, Recording, RecordingParameters
from sequences.yaml_file import read_json

TRAJECTORY_FILE = "traj.txt"
IMAGES_FOLDER = "results"
CAMERA_FILE = "cam_params.json"

_COLOUR = re.compile(r"frame(\d+)\.(?:jpg|png)")
_DEPTH = re.compile(r"depth(\d+)\.png")
_NAMES = "frame000000.jpg and depth000000.png"


class _Camera(BaseModel):
    """The camera of all scenes; by default as published."""

    w: int = Field(default=1200, gt=0)
    h: int = Field(default=680, gt=0)
    fx: float = Field(default=600.0, gt=0, allow_inf_nan=False)
    fy: float = Field(default=600.0, gt=0, allow_inf_nan=False)
    cx: float = Field(default=599.5, allow_inf_nan=False)
    cy: float = Field(default=339.5, allow_inf_nan=False)
    scale: float = Field(default=6553.5, gt=0, allow_inf_nan=False)

    def intrinsics(self) -> Intrinsics:
        return Intrinsics(self.fx, self.fy, self.cx, self.cy, self.w, self.h)


class _CameraFile(BaseModel):
    """Contents of ``cam_params.json``."""

    camera: _Camera


class ReplicaSequence(RecordedSequence):
    """A scene of Replica (Straub et al., 2019) as rendered by iMAP's authors and published with NICE-SLAM.

    The folder of a scene holds ``results/frame000000.jpg``, ``results/depth000000.png`` and ``traj.txt``;
    ``cam_params.json`` lies beside the folders of the scenes. Line n of ``traj.txt`` is the pose of frame n,
    both from 0, camera to world with x right, y down, z forward: NICE-SLAM's loader turns the second and the
    third axis round to come to the axes of its own renderer, which are those of OpenGL. Here the poses are
    taken as they are. The scene's mesh beside the folder has no labels and is not read.
    """

    reader_name: ClassVar[str] = "replica"
    parameters_model: ClassVar[type[RecordingParameters]] = NumberedParameters

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with ``traj.txt`` and a folder ``results``."""
        return (path / TRAJECTORY_FILE).is_file() and (path / IMAGES_FOLDER).is_dir()

    @classmethod
    def read_recording(
        cls, path: Path, parameters: RecordingParameters, context: ReaderContext | None
    ) -> Recording:
        """Read camera, names of images and trajectory.

        Raises:
            DataFileError: A file is missing or malformed, or there is not one pose for every frame number.
        """
        assert isinstance(parameters, NumberedParameters)
        camera, calibration = _camera(path)
        folder = path / IMAGES_FOLDER
        pairs = pair_by_number(
            folder, numbered_files(folder, _COLOUR), numbered_files(folder, _DEPTH), _NAMES
        )
        truth, rows = _ground_truth(path / TRAJECTORY_FILE, pairs, parameters.rate_hz)
        return Recording(
            intrinsics=camera.intrinsics(),
            timestamps_ns=nominal_timestamps_ns(pairs.numbers, parameters.rate_hz),
            frames=FrameFiles(pairs.rgb, (camera.w, camera.h), pairs.depth, camera.scale),
            has_depth=True,
            calibration=calibration,
            ground_truth=truth,
            notes=(*_camera_notes(path), rate_note(parameters.rate_hz)),
            left_out=(*pairs.left_out, rows),
        )


def _camera(path: Path) -> tuple[_Camera, str]:
    """The camera, and where it was found."""
    file = path.parent / CAMERA_FILE
    if not file.exists():
        return _Camera(), "published with the renders"
    return read_json(file, _CameraFile).camera, CAMERA_FILE


def _camera_notes(path: Path) -> tuple[str, ...]:
    if (path.parent / CAMERA_FILE).exists():
        return ()
    published = _Camera()
    return (
        f"There is no {CAMERA_FILE} beside the folder; as published: {published.w}x{published.h} pixels, "
        f"focal length {published.fx:g}, depth scale {published.scale:g}.",
    )


def _ground_truth(path: Path, pairs: NumberedPairs, rate_hz: float) -> tuple[GroundTruth, LeftOut]:
    """The poses, and how many rows hold none.

    Rows are numbered by their place alone. Were images taken out and the rest numbered anew, every pose would
    be a wrong one; so the rows have to end with the images.
    """
    poses = read_pose_rows(path)
    frames = int(pairs.numbers[-1]) + 1
    if len(poses) != frames:
        raise DataFileError(
            path,
            f"has {len(poses)} poses, and the {len(pairs.numbers)} frames with both images are numbered from "
            f"{pairs.numbers[0]} to {pairs.numbers[-1]}; line n must be the pose of frame n, counted from 0: "
            "restore what is missing, or leave out the last lines or images that have no partner",
        )
    truth = ground_truth_from_poses(path, nominal_timestamps_ns(np.arange(frames), rate_hz), poses)
    return truth, LeftOut("ground-truth rows", "NaN or infinite entries", truth.rows_dropped, len(poses))
