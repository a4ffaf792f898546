"""Reader of ICL-NUIM recordings in TUM layout, whose camera has its y axis pointing up (negative fy)."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from sequences.calibration import CALIBRATION_FILE
from sequences.errors import DataFileError
from sequences.model import GroundTruth, Intrinsics, SceneTruth
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

    def _require_axes(self) -> None:
        if self._calibration.intrinsics.fy > 0:
            raise DataFileError(
                self._directory / CALIBRATION_FILE,
                "fy is positive: the camera's y axis points down, as in TUM RGB-D; use the reader tum, or "
                "make fy negative if these are ICL-NUIM's poses as published",
            )

    def _find_scene_truth(self) -> SceneTruth | None:
        # A mesh beside the images would lie in the world as it was before it was mirrored.
        return None

    def _frame_intrinsics(self) -> Intrinsics:
        return replace(self._calibration.intrinsics, fy=-self._calibration.intrinsics.fy)

    def _image_notes(self) -> list[str]:
        return [
            *super()._image_notes(),
            "Camera and ground truth were mirrored (y to -y) so that fy is positive; images are unchanged.",
        ]

    def _read_ground_truth(self) -> tuple[GroundTruth | None, list[str]]:
        truth, notes = super()._read_ground_truth()
        return (mirror_y(truth) if truth else None), notes


def mirror_y(truth: GroundTruth) -> GroundTruth:
    """Poses S T S with S = diag(1, -1, 1); a rotation's axis is a pseudovector and keeps its y entry."""
    return replace(
        truth,
        positions=truth.positions * np.array([1.0, -1.0, 1.0]),
        quaternions=truth.quaternions * np.array([-1.0, 1.0, -1.0, 1.0]),
    )
