"""Reader of ICL-NUIM recordings, whose camera has its y axis pointing up (negative fy)."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from sequences.calibration import CALIBRATION_FILE, Calibration
from sequences.errors import DataFileError, SequenceError
from sequences.icl_nuim_archive import archive_calibration, is_archive, read_archive
from sequences.model import GroundTruth
from sequences.numbered_frames import NumberedParameters
from sequences.reader import ReaderContext
from sequences.recording import Recording, RecordingParameters
from sequences.tum import RGB_LIST, TumSequence, y_axis_points_up


class IclNuimSequence(TumSequence):
    """An ICL-NUIM recording, rendered with a left-handed camera, so that the published fy is negative.

    The data set is that of Handa et al., "A Benchmark for RGB-D Visual Odometry, 3D Reconstruction and SLAM",
    ICRA 2014. Two layouts are read: that of TUM, with lists and a calibration, and that of the archives of
    "TUM RGB-D compatible PNGs", whose images and poses are numbered in place of times.

    Images stay as they are, upright. Camera and world are both mirrored at their xz plane: with
    S = diag(1, -1, 1), fy changes its sign and a pose T becomes S T S, which is a rigid motion again.
    Mirroring the camera alone would leave a pose with determinant -1.

    In the archives a pose belongs to the image of its own number, and the first image has none: the images of
    living room 0 are numbered from 0 to 1508, its poses from 1 to 1508. Of frames 1 to 20 of office 3, moved
    by the poses, the mean photometric difference (0-255) is 2.0 so, and 3.8 with the poses of the images
    before or after.
    """

    reader_name: ClassVar[str] = "icl_nuim"
    parameters_model: ClassVar[type[RecordingParameters]] = NumberedParameters

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Lists and a calibration with negative ``fy``, or the files of a published archive."""
        if (path / RGB_LIST).is_file():
            return y_axis_points_up(path)
        return is_archive(path)

    @classmethod
    def read_recording(
        cls, path: Path, parameters: RecordingParameters, context: ReaderContext | None
    ) -> Recording:
        """Read a folder in one of the two layouts and mirror camera and world.

        Raises:
            SequenceError: A file is missing, malformed or contradicts another.
        """
        assert isinstance(parameters, NumberedParameters)
        if (path / RGB_LIST).is_file():
            if "rate_hz" in parameters.model_fields_set:
                raise SequenceError(
                    f"{path}: rate_hz is for the published archives alone; here the times are in {RGB_LIST}"
                )
            recording = super().read_recording(path, parameters, context)
        else:
            calibration = archive_calibration(path)
            cls._require_axes(path, calibration)
            recording = read_archive(path, calibration, parameters.rate_hz)
        intrinsics, truth = recording.intrinsics, recording.ground_truth
        return replace(
            recording,
            intrinsics=replace(intrinsics, fy=-intrinsics.fy),
            ground_truth=mirror_y(truth) if truth else None,
            # A mesh beside the images would lie in the world as it was before it was mirrored.
            scene_truth=None,
            notes=(
                *recording.notes,
                "Camera and ground truth were mirrored (y to -y) so that fy is positive; images are "
                "unchanged.",
            ),
        )

    @classmethod
    def _require_axes(cls, directory: Path, calibration: Calibration) -> None:
        if calibration.intrinsics.fy > 0:
            raise DataFileError(
                directory / CALIBRATION_FILE,
                "fy is positive: the camera's y axis points down, as in TUM RGB-D; use the reader tum, or "
                "make fy negative if these are ICL-NUIM's poses as published",
            )


def mirror_y(truth: GroundTruth) -> GroundTruth:
    """Poses S T S with S = diag(1, -1, 1); a rotation's axis is a pseudovector and keeps its y entry."""
    return replace(
        truth,
        positions=truth.positions * np.array([1.0, -1.0, 1.0]),
        quaternions=truth.quaternions * np.array([-1.0, 1.0, -1.0, 1.0]),
    )
