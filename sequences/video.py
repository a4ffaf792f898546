"""Reader of videos with a calibration beside them."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sequences.calibration import CALIBRATION_FILE, EXAMPLE, Calibration, read_calibration
from sequences.errors import DataFileError
from sequences.image_folder import require_y_down
from sequences.lens import DISTORTION_REMOVED, LensCorrection
from sequences.model import NANOSECONDS_PER_SECOND, LeftOut
from sequences.optional_files import find_ground_truth
from sequences.reader import ReaderContext, ignore_progress
from sequences.recording import RecordedSequence, Recording, RecordingParameters
from sequences.video_frames import VideoFrames
from sequences.video_index import VideoIndex, index_video

VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm")

#: Of these, how many frames there are is worked out from duration and rate, which need not be constant.
_SUFFIXES_WITH_ESTIMATES = (".mkv", ".webm")
_NANOSECONDS_PER_MILLISECOND = 1_000_000
#: Where they know no rate, containers state the ticks of their clock: 1000 a second and more.
_TICKS_HZ = 1000.0


class VideoParameters(RecordingParameters):
    """What the reader is told.

    Attributes:
        rate_hz: Frames a second, in place of the times in the video.
    """

    rate_hz: float | None = Field(default=None, ge=0.1, le=100_000)


@dataclass(frozen=True)
class _Times:
    """When the frames were taken: int64 [N] nanoseconds, increasing, and what is to be said about it."""

    timestamps_ns: NDArray[np.int64]
    notes: tuple[str, ...] = ()


class VideoSequence(RecordedSequence):
    """A video ``clip.mp4`` with ``clip.calibration.txt``, or ``calibration.txt`` for all of its folder.

    Ground truth may be in ``clip.groundtruth.txt``, in the TUM format, on the clock of the video. Frames are
    all that can be decoded, at the times at which the video shows them, as they are stored: where the camera
    was held upright and the file says to turn the picture, it is not turned, and the calibration must be that
    of the picture lying on its side.
    """

    reader_name: ClassVar[str] = "video"
    parameters_model: ClassVar[type[RecordingParameters]] = VideoParameters
    file_suffixes: ClassVar[tuple[str, ...]] = VIDEO_SUFFIXES

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A file with the ending of a video, and a calibration beside it."""
        return (
            path.suffix.lower() in VIDEO_SUFFIXES
            and path.is_file()
            and any(file.is_file() for file in _calibration_files(path))
        )

    @classmethod
    def read_recording(
        cls, path: Path, parameters: RecordingParameters, context: ReaderContext | None
    ) -> Recording:
        """Read calibration and ground truth, and decode the video once unless that has been done before.

        Raises:
            DataFileError: A file is missing, malformed or contradicts another.
        """
        assert isinstance(parameters, VideoParameters)
        if not path.is_file():
            raise DataFileError(path, "is no file; a video is a file of its own")
        calibration = _read_calibration(path)
        index = index_video(
            path,
            context.cache_directory if context else None,
            context.progress if context else ignore_progress,
        )
        _require_size(path, index, calibration)
        times = _times(path, index, parameters.rate_hz)
        truth = find_ground_truth(path.with_name(f"{path.stem}.groundtruth.txt"), times.timestamps_ns)
        lens = LensCorrection(calibration) if calibration.distortion else None
        return Recording(
            intrinsics=calibration.intrinsics,
            timestamps_ns=times.timestamps_ns,
            frames=VideoFrames(path, index, lens),
            has_depth=False,
            calibration=calibration.source,
            ground_truth=truth.truth,
            notes=(
                *((DISTORTION_REMOVED,) if lens else ()),
                *times.notes,
                *_rotation_note(index),
                *truth.notes,
            ),
            left_out=(_not_decoded(path, index), *truth.left_out),
        )


def _calibration_files(path: Path) -> tuple[Path, Path]:
    """Where the calibration of a video may be: for it alone, or for all videos of the folder."""
    return path.with_name(f"{path.stem}.{CALIBRATION_FILE}"), path.with_name(CALIBRATION_FILE)


def _read_calibration(path: Path) -> Calibration:
    own, shared = _calibration_files(path)
    file = own if own.exists() else shared
    if not file.exists():
        raise DataFileError(
            own,
            f"the camera calibration of {path.name} is missing; write it like this, with your camera's "
            f"values (depth_scale may be left out):\n{EXAMPLE}",
        )
    calibration = read_calibration(file)
    require_y_down(file, calibration)
    return calibration


def _require_size(path: Path, index: VideoIndex, calibration: Calibration) -> None:
    intrinsics = calibration.intrinsics
    if (index.width, index.height) != (intrinsics.width, intrinsics.height):
        turned = (
            " (as stored; players turn the picture, which is not done here)" if index.rotation % 180 else ""
        )
        raise DataFileError(
            path,
            f"the video is {index.width}×{index.height}{turned}, {calibration.source} says "
            f"{intrinsics.width}×{intrinsics.height}; correct the calibration, or calibrate with videos of "
            "this size",
        )


def _times(path: Path, index: VideoIndex, rate_hz: float | None) -> _Times:
    places = np.arange(len(index))
    if rate_hz is not None:
        return _Times(
            _at_rate(places, rate_hz),
            (f"The times in the video were not used; frames are 1/{rate_hz:g} s apart, as asked for.",),
        )
    stated = np.rint(np.array(index.times_ms) * _NANOSECONDS_PER_MILLISECOND).astype(np.int64)
    usable = np.ones(len(stated), dtype=bool)
    usable[1:] = stated[1:] > np.maximum.accumulate(stated)[:-1]
    if usable.all():
        return _Times(stated)
    broken = int((~usable).sum())
    problem = f"{broken} of the {len(stated)} time stamps in the video are not after those before them"
    if 0 < index.rate_hz < _TICKS_HZ:
        by_rate = stated[0] + _at_rate(places, index.rate_hz)
        off_by = np.abs(stated - by_rate)[usable].max()
        if off_by <= NANOSECONDS_PER_SECOND / (2 * index.rate_hz):
            note = f"{problem}; frames are 1/{index.rate_hz:g} s apart, the rate that the video states."
            return _Times(by_rate, (note,))
    raise DataFileError(
        path,
        f"{problem}, and the others are not at the rate that it states, {index.rate_hz:g} Hz; give the "
        "parameter rate_hz if frames were taken at a constant rate, or repair the video's times",
    )


def _at_rate(places: NDArray[np.int64], rate_hz: float) -> NDArray[np.int64]:
    return np.rint(places * (NANOSECONDS_PER_SECOND / rate_hz)).astype(np.int64)


def _rotation_note(index: VideoIndex) -> tuple[str, ...]:
    if index.rotation == 0:
        return ()
    return (
        f"The video says to turn the picture by {index.rotation}° for people to look at; frames are as "
        "stored.",
    )


def _not_decoded(path: Path, index: VideoIndex) -> LeftOut:
    """Frames that the container promises and that are not there."""
    missing = max(0, index.promised - len(index))
    if path.suffix.lower() in _SUFFIXES_WITH_ESTIMATES and index.rate_hz > 0:
        # At a varying rate fewer frames may well reach to the end.
        ends_ms = 1e3 * (index.promised - 2) / index.rate_hz
        missing = 0 if max(index.times_ms) >= ends_ms else missing
    return LeftOut(
        "video frames", "the file promises them and they do not decode", missing, missing + len(index)
    )
