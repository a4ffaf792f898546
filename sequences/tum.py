"""Reader of recordings in the layout of the TUM RGB-D benchmark."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sequences.association import associate
from sequences.calibration import (
    CALIBRATION_FILE,
    find_calibration,
    read_calibration,
    require_depth_scale,
)
from sequences.errors import DataFileError, SequenceError
from sequences.image_list import ImageList, read_image_list, require_files
from sequences.images import read_depth, read_labels, read_rgb
from sequences.imu_files import CALIBRATION_FILE as IMU_CALIBRATION_FILE
from sequences.imu_files import SAMPLES_FILE, has_imu, read_imu_calibration, read_imu_samples
from sequences.lens import LensCorrection
from sequences.model import Frame, GroundTruth, ImuSamples, Intrinsics, SceneTruth, SequenceInfo
from sequences.reader import ReaderContext, SequenceReader
from sequences.scene_truth_file import find_scene_truth
from sequences.text_table import read_text
from sequences.timestamps import nanoseconds_to_seconds_text
from sequences.trajectory_file import read_ground_truth

RGB_LIST = "rgb.txt"
DEPTH_LIST = "depth.txt"
GROUND_TRUTH_FILE = "groundtruth.txt"
LABELS_FOLDER = "labels"
LABEL_SPACE_FILE = "LABEL_SPACE"

# The tolerance that the benchmark's own tools use by default.
LARGEST_ASSOCIATION_TOLERANCE_NS = 20_000_000


@dataclass(frozen=True)
class _Images:
    """What belongs to the frames, one entry per frame.

    Attributes:
        rgb: Colour images; their times are the frames' times.
        depth: Depth images, None without depth.
        note: What association left out, None when it left out nothing.
    """

    rgb: ImageList
    depth: ImageList | None
    note: str | None


class TumSequence(SequenceReader):
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

    Args:
        name: What the sequence is called in this experiment.
        directory: The folder.
        extra_source: More entries for ``info.source``, over the reader's own.

    Raises:
        SequenceError: A file is missing, malformed or contradicts another.
    """

    reader_name: ClassVar[str] = "tum"

    def __init__(self, name: str, directory: Path, extra_source: dict[str, object] | None = None):
        if not directory.is_dir():
            raise SequenceError(f"sequence '{name}': there is no folder '{directory}'")
        self._directory = directory
        self._calibration = find_calibration(directory)
        self._require_axes()
        self._images = _read_lists(directory)
        self._depth_scale = (
            require_depth_scale(self._calibration, directory / CALIBRATION_FILE)
            if self._images.depth is not None
            else None
        )
        self._labels = _find_labels(directory, self._images.rgb)
        self._imu_samples = read_imu_samples(directory / SAMPLES_FILE) if has_imu(directory) else None
        self._ground_truth, truth_notes = self._read_ground_truth()
        self._scene_truth = self._find_scene_truth()
        self._info = SequenceInfo(
            name=name,
            intrinsics=self._frame_intrinsics(),
            timestamps_ns=self._images.rgb.timestamps_ns,
            has_depth=self._images.depth is not None,
            label_space=_read_label_space(directory) if self._labels else None,
            imu=read_imu_calibration(directory / IMU_CALIBRATION_FILE) if has_imu(directory) else None,
            notes=(*self._image_notes(), *truth_notes),
            source={
                "reader": self.reader_name,
                "directory": str(directory),
                "calibration": self._calibration.source,
                **(extra_source or {}),
            },
        )

    @classmethod
    def open(cls, name: str, parameters: dict[str, Any], context: ReaderContext) -> Self:
        """Open the folder ``parameters["directory"]``; a relative one lies below the data directory.

        Raises:
            SequenceError: Parameters are missing or unknown, or the folder's contents are wrong.
        """
        directory = parameters.get("directory")
        if set(parameters) != {"directory"} or not isinstance(directory, str):
            raise SequenceError(
                f"sequence '{name}': reader '{cls.reader_name}' takes one parameter, directory: FOLDER; "
                f"given: {parameters}"
            )
        path = Path(directory)
        return cls(name, path if path.is_absolute() else context.require_data_directory() / path)

    @classmethod
    def recognises(cls, directory: Path) -> bool:
        """A folder with ``rgb.txt`` whose calibration, if readable, has a y axis that points down."""
        return (directory / RGB_LIST).is_file() and not y_axis_points_up(directory)

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
        lens = self._lens
        size = (self.info.intrinsics.width, self.info.intrinsics.height)
        rgb = read_rgb(self._images.rgb.files[index], index, size)
        depth = labels = None
        if self._images.depth is not None and self._depth_scale is not None:
            depth = read_depth(self._images.depth.files[index], index, size, self._depth_scale)
            depth = lens.depth(depth) if lens else depth
        if self._labels is not None:
            labels = read_labels(self._labels[index], index, size)
            labels = lens.labels(labels) if lens else labels
        return Frame(
            index=index,
            timestamp_ns=int(self.info.timestamps_ns[index]),
            rgb=lens.colour(rgb) if lens else rgb,
            depth=depth,
            labels=labels,
        )

    def imu_between(self, after_ns: int, until_ns: int) -> ImuSamples | None:
        """The samples of ``imu.csv`` with ``after_ns < t <= until_ns``; None without that file."""
        return None if self._imu_samples is None else self._imu_samples.between(after_ns, until_ns)

    def ground_truth(self) -> GroundTruth | None:
        """Camera-to-world poses, None without ``groundtruth.txt``."""
        return self._ground_truth

    def scene_truth(self) -> SceneTruth | None:
        """Rooms and objects of ``scene.json``, None unless that file and ``mesh.ply`` are there."""
        return self._scene_truth

    @cached_property
    def _lens(self) -> LensCorrection | None:
        return LensCorrection(self._calibration) if self._calibration.distortion else None

    def _require_axes(self) -> None:
        if self._calibration.intrinsics.fy < 0:
            raise DataFileError(
                self._directory / CALIBRATION_FILE,
                "fy is negative: the camera's y axis points up, as in ICL-NUIM; use the reader icl_nuim",
            )

    def _find_scene_truth(self) -> SceneTruth | None:
        return find_scene_truth(self._directory)

    def _frame_intrinsics(self) -> Intrinsics:
        return self._calibration.intrinsics

    def _image_notes(self) -> list[str]:
        notes = []
        if self._images.note:
            notes.append(self._images.note)
        if self._calibration.distortion:
            notes.append(
                "Lens distortion was removed from the images; intrinsics are those of the pinhole camera."
            )
        if not (self._directory / CALIBRATION_FILE).exists():
            notes.append(f"The folder has no {CALIBRATION_FILE}; used: {self._calibration.source}.")
        return notes

    def _read_ground_truth(self) -> tuple[GroundTruth | None, list[str]]:
        path = self._directory / GROUND_TRUTH_FILE
        if not path.exists():
            return None, [f"The folder has no {GROUND_TRUTH_FILE}; trajectories cannot be scored."]
        truth, repeated = read_ground_truth(path)
        _require_overlap(path, self._images.rgb.timestamps_ns, truth.timestamps_ns)
        notes = []
        if truth.rows_dropped:
            notes.append(
                f"{truth.rows_dropped} ground-truth rows with NaN or infinite entries were left out."
            )
        if repeated:
            notes.append(f"{repeated} ground-truth rows that repeat the time stamp above were left out.")
        return truth, notes


def y_axis_points_up(directory: Path) -> bool:
    """Whether the calibration in a folder is readable and has a negative ``fy``."""
    try:
        return read_calibration(directory / CALIBRATION_FILE).intrinsics.fy < 0
    except DataFileError:
        # What is wrong with it is said when the sequence is opened, not while folders are looked through.
        return False


def _read_lists(directory: Path) -> _Images:
    rgb = read_image_list(directory / RGB_LIST)
    require_files(directory / RGB_LIST, rgb.files)
    if not (directory / DEPTH_LIST).exists():
        return _Images(rgb, None, None)
    depth = read_image_list(directory / DEPTH_LIST)
    require_files(directory / DEPTH_LIST, depth.files)

    tolerance_ns = _association_tolerance_ns(rgb.timestamps_ns)
    pairs = associate(rgb.timestamps_ns, depth.timestamps_ns, tolerance_ns)
    if not len(pairs):
        raise DataFileError(
            directory / DEPTH_LIST,
            f"no depth image is within {tolerance_ns / 1e6:g} ms of a colour image: colour covers "
            f"{_time_range(rgb.timestamps_ns)}, depth {_time_range(depth.timestamps_ns)}; "
            "both lists must be on one clock",
        )
    without_depth, without_rgb = len(rgb) - len(pairs), len(depth) - len(pairs)
    note = None
    if without_depth or without_rgb:
        note = (
            f"{without_depth} of {len(rgb)} colour images have no depth image within "
            f"{tolerance_ns / 1e6:g} ms and were left out; {without_rgb} of {len(depth)} depth images "
            "belong to no colour image."
        )
    return _Images(rgb.select(pairs[:, 0]), depth.select(pairs[:, 1]), note)


def _association_tolerance_ns(timestamps_ns: NDArray[np.int64]) -> int:
    """Half a frame period, at most the benchmark's 20 ms."""
    if len(timestamps_ns) < 2:
        return LARGEST_ASSOCIATION_TOLERANCE_NS
    half_period = int(np.median(np.diff(timestamps_ns))) // 2
    return min(half_period, LARGEST_ASSOCIATION_TOLERANCE_NS)


def _find_labels(directory: Path, rgb: ImageList) -> tuple[Path, ...] | None:
    folder = directory / LABELS_FOLDER
    if not folder.is_dir():
        return None
    files = tuple(folder / f"{file.stem}.png" for file in rgb.files)
    require_files(folder, files)
    return files


def _read_label_space(directory: Path) -> str:
    path = directory / LABELS_FOLDER / LABEL_SPACE_FILE
    name = read_text(path).strip()
    if not name or len(name.split()) != 1:
        raise DataFileError(path, "must hold one word, the name of the label space: nyu40 or scannet20")
    return name


def _require_overlap(path: Path, frames_ns: NDArray[np.int64], poses_ns: NDArray[np.int64]) -> None:
    if poses_ns[-1] < frames_ns[0] or frames_ns[-1] < poses_ns[0]:
        raise DataFileError(
            path,
            f"ground truth and frames do not overlap in time: frames cover {_time_range(frames_ns)}, "
            f"ground truth covers {_time_range(poses_ns)}; both must be on one clock",
        )


def _time_range(timestamps_ns: NDArray[np.int64]) -> str:
    first, last = (nanoseconds_to_seconds_text(int(t)) for t in (timestamps_ns[0], timestamps_ns[-1]))
    return f"{first} s to {last} s"
