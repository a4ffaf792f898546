"""Reader of recordings in ASL layout (``mav0``): images of one camera, IMU samples, poses of the camera."""

import os
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sequences.body_poses import camera_poses
from sequences.euroc.sensor_files import SENSOR_FILE, read_camera, read_imu, read_sensor_to_body
from sequences.euroc.tables import (
    IMAGES_FOLDER,
    TABLE_FILE,
    read_image_table,
    read_imu_table,
    read_pose_table,
)
from sequences.frame_files import FrameFiles
from sequences.image_list import ImageList, require_files
from sequences.lens import DISTORTION_REMOVED, LensCorrection
from sequences.model import GroundTruth, ImuCalibration, ImuSamples, LeftOut
from sequences.optional_files import require_overlap
from sequences.reader import ReaderContext
from sequences.recording import RecordedSequence, Recording, RecordingParameters

VEHICLE_FOLDER = "mav0"
IMU_FOLDER = "imu0"
GROUND_TRUTH_FOLDER = "state_groundtruth_estimate0"
#: What the trackers saw, from which the data set's authors estimated the ground truth.
_TRACKERS = {"leica0": "measures positions alone, no rotations", "vicon0": "is the tracker's raw output"}


class EurocParameters(RecordingParameters):
    """What the reader is told.

    Attributes:
        camera: Which of the two cameras is read; the sequence is monocular.
    """

    camera: Literal["cam0", "cam1"] = "cam0"


class EurocSequence(RecordedSequence):
    """A folder in ASL layout: the one that holds ``mav0``, or ``mav0`` itself.

    The published ground truth is the body's, which is the IMU's; poses leave as those of the camera,
    ``T_world_body @ T_body_camera``, with ``T_BS`` of the camera. Images are grey and leave with three equal
    channels, without lens distortion.
    """

    reader_name: ClassVar[str] = "euroc"
    parameters_model: ClassVar[type[RecordingParameters]] = EurocParameters

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with ``cam0/data.csv`` and ``cam0/sensor.yaml``, by itself or below ``mav0``."""
        camera = _vehicle(path) / "cam0"
        return (camera / TABLE_FILE).is_file() and (camera / SENSOR_FILE).is_file()

    @classmethod
    def read_recording(
        cls, path: Path, parameters: RecordingParameters, context: ReaderContext | None
    ) -> Recording:
        """Read tables and calibrations.

        Raises:
            SequenceError: A file is missing, malformed or contradicts another.
        """
        assert isinstance(parameters, EurocParameters)
        vehicle = _vehicle(path)
        camera = vehicle / parameters.camera
        sensor = read_camera(camera / SENSOR_FILE)
        calibration = sensor.calibration
        images = read_image_table(camera)
        require_files(camera / TABLE_FILE, images.files)
        imu_calibration, imu_samples = _read_imu(vehicle, sensor.camera_to_body)
        truth, truth_left_out, truth_notes = _read_ground_truth(
            vehicle, sensor.camera_to_body, images.timestamps_ns
        )
        return Recording(
            intrinsics=calibration.intrinsics,
            timestamps_ns=images.timestamps_ns,
            frames=FrameFiles(
                rgb=images.files,
                size=(calibration.intrinsics.width, calibration.intrinsics.height),
                lens=LensCorrection(calibration) if calibration.distortion else None,
            ),
            has_depth=False,
            calibration=calibration.source,
            ground_truth=truth,
            imu_calibration=imu_calibration,
            imu_samples=imu_samples,
            notes=(*((DISTORTION_REMOVED,) if calibration.distortion else ()), *truth_notes),
            left_out=(_images_not_listed(camera, images), *truth_left_out),
        )


def _vehicle(path: Path) -> Path:
    """The folder with a folder for every sensor."""
    return path / VEHICLE_FOLDER if (path / VEHICLE_FOLDER).is_dir() else path


def _images_not_listed(camera: Path, images: ImageList) -> LeftOut:
    folder = camera / IMAGES_FOLDER
    listed = {file.name for file in images.files}
    present = {name for name in os.listdir(folder) if name.lower().endswith(".png")}
    reason = f"{TABLE_FILE} does not list them"
    return LeftOut("images", reason, len(present - listed), len(present | listed), by_design=True)


def _read_imu(
    vehicle: Path, camera_to_body: NDArray[np.float64]
) -> tuple[ImuCalibration | None, ImuSamples | None]:
    folder = vehicle / IMU_FOLDER
    if not folder.is_dir():
        return None, None
    return read_imu(folder / SENSOR_FILE, camera_to_body), read_imu_table(folder / TABLE_FILE)


def _read_ground_truth(
    vehicle: Path, camera_to_body: NDArray[np.float64], frames_ns: NDArray[np.int64]
) -> tuple[GroundTruth | None, tuple[LeftOut, ...], tuple[str, ...]]:
    """The camera's poses, which rows were left out, and notes."""
    folder = vehicle / GROUND_TRUTH_FOLDER
    if not folder.is_dir():
        return None, (), (_no_ground_truth(vehicle),)
    path = folder / TABLE_FILE
    poses = read_pose_table(path)
    require_overlap(path, frames_ns, poses.timestamps_ns)
    if (folder / SENSOR_FILE).is_file():
        # The identity where what was tracked is the body itself, as it is said to be in the published files.
        camera_to_body = np.linalg.inv(read_sensor_to_body(folder / SENSOR_FILE)) @ camera_to_body
    rows = len(poses) + poses.rows_dropped
    left_out = LeftOut("ground-truth rows", "NaN or infinite entries", poses.rows_dropped, rows)
    notes = ("Ground truth was moved from the body (the IMU) to the camera with the camera's T_BS.",)
    return (
        camera_poses(poses, camera_to_body),
        (left_out,),
        (*notes, *_frames_outside(frames_ns, poses.timestamps_ns)),
    )


def _no_ground_truth(vehicle: Path) -> str:
    trackers = [f"{name} {what}" for name, what in _TRACKERS.items() if (vehicle / name).is_dir()]
    unused = f" ({' and '.join(trackers)}: not used)" if trackers else ""
    return f"The recording has no {GROUND_TRUTH_FOLDER}{unused}; trajectories cannot be scored."


def _frames_outside(frames_ns: NDArray[np.int64], poses_ns: NDArray[np.int64]) -> tuple[str, ...]:
    outside = int(((frames_ns < poses_ns[0]) | (frames_ns > poses_ns[-1])).sum())
    if not outside:
        return ()
    return (
        f"{outside} of {len(frames_ns)} frames are before or after the ground truth; they are run and not "
        "scored.",
    )
