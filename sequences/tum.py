"""Reader of recordings in the layout of the TUM RGB-D benchmark."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sequences.association import associate
from sequences.calibration import (
    CALIBRATION_FILE,
    Calibration,
    find_calibration,
    read_calibration,
    require_depth_scale,
)
from sequences.errors import DataFileError
from sequences.frame_files import FrameFiles
from sequences.image_list import ImageList, read_image_list
from sequences.imu_files import CALIBRATION_FILE as IMU_CALIBRATION_FILE
from sequences.imu_files import SAMPLES_FILE, has_imu, read_imu_calibration, read_imu_samples
from sequences.lens import DISTORTION_REMOVED, LensCorrection
from sequences.model import LeftOut
from sequences.optional_files import find_ground_truth, find_labels, read_label_space, time_range
from sequences.reader import ReaderContext
from sequences.recording import RecordedSequence, Recording, RecordingParameters
from sequences.scene_truth_file import find_scene_truth

RGB_LIST = "rgb.txt"
DEPTH_LIST = "depth.txt"
GROUND_TRUTH_FILE = "groundtruth.txt"

# The tolerance that the benchmark's own tools use by default.
LARGEST_ASSOCIATION_TOLERANCE_NS = 20_000_000


@dataclass(frozen=True)
class _Images:
    """What belongs to the frames, one entry per frame.

    Attributes:
        rgb: Colour images; their times are the frames' times.
        depth: Depth images, None without depth.
        left_out: What association left out.
    """

    rgb: ImageList
    depth: ImageList | None
    left_out: tuple[LeftOut, ...] = ()


class TumSequence(RecordedSequence):
    """A folder in TUM RGB-D layout, with optional calibration, labels, IMU samples and scene.

    The layout is that of Sturm et al., "A Benchmark for the Evaluation of RGB-D SLAM Systems", IROS 2012.

    Lens distortion is removed from colour (bilinear) and from depth and labels (nearest neighbour) with one
    map. The benchmark registers depth to colour with an ideal 525-pixel camera, so two other treatments of
    depth were measured on freiburg1_xyz (86 pairs of frames, 0.5 s and 1 s apart, moved by ground truth):

    ==========================  ==========================  ===================================
    depth                       median depth difference     mean photometric difference (0-255)
    ==========================  ==========================  ===================================
    corrected with the map      1.34 %                      23.65
    left untouched              1.42 %                      23.74
    resampled from 525 pixels   1.42 %                      25.36
    ==========================  ==========================  ===================================
    """

    reader_name: ClassVar[str] = "tum"

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with ``rgb.txt`` whose calibration, if readable, has a y axis that points down."""
        return (path / RGB_LIST).is_file() and not y_axis_points_up(path)

    @classmethod
    def read_recording(
        cls, path: Path, parameters: RecordingParameters, context: ReaderContext | None
    ) -> Recording:
        """Read lists, calibration, ground truth and what else is in the folder.

        Raises:
            SequenceError: A file is missing, malformed or contradicts another.
        """
        calibration = find_calibration(path)
        cls._require_axes(path, calibration)
        images = _read_lists(path)
        labels = find_labels(path, (file.stem for file in images.rgb.files))
        truth = find_ground_truth(path / GROUND_TRUTH_FILE, images.rgb.timestamps_ns)
        return Recording(
            intrinsics=calibration.intrinsics,
            timestamps_ns=images.rgb.timestamps_ns,
            frames=FrameFiles(
                rgb=images.rgb.files,
                size=(calibration.intrinsics.width, calibration.intrinsics.height),
                depth=images.depth.files if images.depth else None,
                depth_scale=require_depth_scale(calibration, path / CALIBRATION_FILE)
                if images.depth
                else None,
                labels=labels,
                lens=LensCorrection(calibration) if calibration.distortion else None,
            ),
            has_depth=images.depth is not None,
            calibration=calibration.source,
            ground_truth=truth.truth,
            label_space=read_label_space(path) if labels else None,
            imu_calibration=read_imu_calibration(path / IMU_CALIBRATION_FILE) if has_imu(path) else None,
            imu_samples=read_imu_samples(path / SAMPLES_FILE) if has_imu(path) else None,
            scene_truth=find_scene_truth(path),
            notes=(*_calibration_notes(path, calibration), *truth.notes),
            left_out=(*images.left_out, *truth.left_out),
        )

    @classmethod
    def _require_axes(cls, directory: Path, calibration: Calibration) -> None:
        if calibration.intrinsics.fy < 0:
            raise DataFileError(
                directory / CALIBRATION_FILE,
                "fy is negative: the camera's y axis points up, as in ICL-NUIM; use the reader icl_nuim",
            )


def y_axis_points_up(directory: Path) -> bool:
    """Whether the calibration in a folder is readable and has a negative ``fy``."""
    try:
        return read_calibration(directory / CALIBRATION_FILE).intrinsics.fy < 0
    except DataFileError:
        # What is wrong with it is said when the sequence is opened, not while folders are looked through.
        return False


def _read_lists(directory: Path) -> _Images:
    rgb = read_image_list(directory / RGB_LIST)
    if not (directory / DEPTH_LIST).exists():
        return _Images(rgb, None)
    depth = read_image_list(directory / DEPTH_LIST)

    tolerance_ns = _association_tolerance_ns(rgb.timestamps_ns)
    pairs = associate(rgb.timestamps_ns, depth.timestamps_ns, tolerance_ns)
    if not len(pairs):
        raise DataFileError(
            directory / DEPTH_LIST,
            f"no depth image is within {tolerance_ns / 1e6:g} ms of a colour image: colour covers "
            f"{time_range(rgb.timestamps_ns)}, depth {time_range(depth.timestamps_ns)}; "
            "both lists must be on one clock",
        )
    within = f"within {tolerance_ns / 1e6:g} ms"
    left_out = (
        LeftOut("colour images", f"no depth image {within}", len(rgb) - len(pairs), len(rgb)),
        LeftOut("depth images", f"no colour image {within}", len(depth) - len(pairs), len(depth)),
    )
    return _Images(rgb.select(pairs[:, 0]), depth.select(pairs[:, 1]), left_out)


def _association_tolerance_ns(timestamps_ns: NDArray[np.int64]) -> int:
    """Half a frame period, at most the benchmark's 20 ms."""
    if len(timestamps_ns) < 2:
        return LARGEST_ASSOCIATION_TOLERANCE_NS
    half_period = int(np.median(np.diff(timestamps_ns))) // 2
    return min(half_period, LARGEST_ASSOCIATION_TOLERANCE_NS)


def _calibration_notes(directory: Path, calibration: Calibration) -> list[str]:
    notes = []
    if calibration.distortion:
        notes.append(DISTORTION_REMOVED)
    if not (directory / CALIBRATION_FILE).exists():
        notes.append(f"The folder has no {CALIBRATION_FILE}; used: {calibration.source}.")
    return notes
