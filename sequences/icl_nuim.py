"""Reader of ICL-NUIM recordings in TUM layout, whose camera has its y axis pointing up (negative fy)."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from sequences.calibration import CALIBRATION_FILE, Calibration
from sequences.errors import DataFileError
from sequences.model import GroundTruth
from sequences.reader import ReaderContext
from sequences.recording import Recording, RecordingParameters
from sequences.tum import RGB_LIST, TumSequence, y_axis_points_up


class IclNuimSequence(TumSequence):
    """An ICL-NUIM recording, rendered with a left-handed camera, so that the published fy is negative.

    The data set is that of Handa et al., "A Benchmark for RGB-D Visual Odometry, 3D Reconstruction and SLAM",
    ICRA 2014. Images stay as they are, upright. Camera and world are both mirrored at their xz plane: with
    S = diag(1, -1, 1), fy changes its sign and a pose T becomes S T S, which is a rigid motion again.
    Mirroring the camera alone would leave a pose with determinant -1.
    """

    reader_name: ClassVar[str] = "icl_nuim"

    @classmethod
    def recognises(cls, directory: Path) -> bool:
        """A folder with ``rgb.txt`` and a calibration with negative ``fy``."""
        return (directory / RGB_LIST).is_file() and y_axis_points_up(directory)

    @classmethod
    def read_recording(
        cls, path: Path, parameters: RecordingParameters, context: ReaderContext | None
    ) -> Recording:
        """Read a folder in TUM layout and mirror camera and world.

        Raises:
            SequenceError: A file is missing, malformed or contradicts another.
        """
        recording = super().read_recording(path, parameters, context)
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
