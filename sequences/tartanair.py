"""Reader of TartanAir recordings: rendered colour and depth of one camera, poses in north-east-down axes.

Source: Wang et al., "TartanAir: A Dataset to Push the Limits of Visual SLAM", IROS 2020; the authors' pages
``tartanair_tools/data_type.md`` (first release) and ``tartanair.org/modalities.html`` (second release).
"""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sequences.body_poses import TO_FORWARD_RIGHT_DOWN, body_poses, camera_poses
from sequences.calibration import CALIBRATION_FILE, read_calibration
from sequences.errors import DataFileError
from sequences.images import EncodedImage, decode, read_encoded, read_rgb, require_size
from sequences.model import GroundTruth, Intrinsics, LeftOut
from sequences.numbered_frames import (
    NumberedPairs,
    missing_numbers,
    nominal_timestamps_ns,
    numbered_files,
    pair_by_number,
)
from sequences.reader import ReaderContext
from sequences.recording import FrameImages, RecordedSequence, Recording, RecordingParameters
from sequences.text_table import Row, read_rows

_POSE_COLUMNS = "tx ty tz qx qy qz qw"
_NPY_SIGNATURE = b"\x93NUMPY"


@dataclass(frozen=True)
class _Release:
    """How one release of the data set names its files, and what its authors say about them.

    Attributes:
        cameras: What the left and the right camera are called in names of files.
        depth_ending: Of depth files.
        intrinsics: Of all cameras.
        rate_hz: Images a second.
        rate_source: Where that figure is from, as the end of a sentence.
    """

    cameras: dict[str, str]
    depth_ending: str
    intrinsics: Intrinsics
    rate_hz: float
    rate_source: str


_RELEASES = (
    _Release(
        {"left": "left", "right": "right"},
        ".npy",
        Intrinsics(320.0, 320.0, 320.0, 240.0, 640, 480),
        20.0,
        "nominal: the images were rendered along a path without a clock, and their authors hold 10 to 30 Hz "
        "for reasonable",
    ),
    _Release(
        {"left": "lcam_front", "right": "rcam_front"},
        ".png",
        Intrinsics(320.0, 320.0, 320.0, 320.0, 640, 640),
        10.0,
        "the rate that the authors state",
    ),
)


class TartanAirParameters(RecordingParameters):
    """What the reader is told.

    Attributes:
        camera: Which of the two cameras that look forward is read.
        rate_hz: Images a second; by default 20 for the first release, 10 for the second.
        largest_depth_m: Depth beyond it counts as unknown. The sky is a sphere at some thousands of metres
            (10000 in the authors' example). A point 1000 m away moves by a pixel when the camera moves by
            3 m, so that nothing beyond tells a map or a trajectory anything.
    """

    camera: Literal["left", "right"] = "left"
    rate_hz: float | None = Field(default=None, ge=0.1, le=100_000)
    largest_depth_m: float = Field(default=1000.0, gt=0)


class TartanAirSequence(RecordedSequence):
    """A folder of one trajectory (``P001``), of the first or the second release.

    Poses are published with x forward, y right, z down. They leave with the camera's axes turned to x right,
    y down, z forward: ``T @ A``, where A takes our axes to theirs. The world stays as published, its z axis
    pointing down. Frame numbers are those of the files, so that a missing image leaves a gap in time.

    The published principal point, (320, 240) for 640×480 pixels, is taken as it stands, counted from the
    centre of the first pixel. From where its authors count is not published; if from the corner of the first
    pixel, half a pixel is to be taken off. A ``calibration.txt`` in the folder replaces it.
    """

    reader_name: ClassVar[str] = "tartanair"
    parameters_model: ClassVar[type[RecordingParameters]] = TartanAirParameters

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with images of the left camera, and beside them its poses or its depth."""
        return any(
            files.images.is_dir() and (files.poses.is_file() or files.depth.is_dir())
            for files in (_Files(path, release, "left") for release in _RELEASES)
        )

    @classmethod
    def read_recording(
        cls, path: Path, parameters: RecordingParameters, context: ReaderContext | None
    ) -> Recording:
        """Read which images there are, the poses, and the calibration if there is one.

        Raises:
            SequenceError: A file is missing, malformed or contradicts another.
        """
        assert isinstance(parameters, TartanAirParameters)
        files = _find_files(path, parameters.camera)
        intrinsics, calibration = _calibration(path, files.release)
        images = files.numbered()
        rate_hz = parameters.rate_hz or files.release.rate_hz
        timestamps_ns = nominal_timestamps_ns(images.numbers, rate_hz)
        truth, truth_left_out = _read_ground_truth(files.poses, images.numbers, timestamps_ns)
        return Recording(
            intrinsics=intrinsics,
            timestamps_ns=timestamps_ns,
            frames=_TartanAirFrames(
                images.rgb,
                images.depth,
                (intrinsics.width, intrinsics.height),
                parameters.largest_depth_m,
            ),
            has_depth=bool(images.depth),
            calibration=calibration,
            ground_truth=truth,
            notes=_notes(files, parameters, bool(images.depth), truth is not None),
            left_out=(*images.left_out, *truth_left_out),
        )


@dataclass(frozen=True)
class _Files:
    """Where the files of one camera are."""

    directory: Path
    release: _Release
    camera: str

    @property
    def suffix(self) -> str:
        return self.release.cameras[self.camera]

    @property
    def images(self) -> Path:
        return self.directory / f"image_{self.suffix}"

    @property
    def depth(self) -> Path:
        return self.directory / f"depth_{self.suffix}"

    @property
    def poses(self) -> Path:
        return self.directory / f"pose_{self.suffix}.txt"

    @property
    def segmentation(self) -> Path:
        return self.directory / f"seg_{self.suffix}"

    def numbered(self) -> NumberedPairs:
        """The images, with their depth where there is a folder for it.

        Raises:
            DataFileError: There are no images, or none of them has depth.
        """
        image_end, depth_end = f"_{self.suffix}.png", f"_{self.suffix}_depth{self.release.depth_ending}"
        images = numbered_files(self.images, _name_ending_with(image_end))
        if not images:
            raise DataFileError(self.images, f"holds no images; they are called 000000{image_end} and so on")
        if self.depth.is_dir():
            depth = numbered_files(self.depth, _name_ending_with(depth_end))
            return pair_by_number(self.directory, images, depth, f"000000{image_end} and 000000{depth_end}")
        numbers = np.array(list(images), dtype=np.int64)
        return NumberedPairs(numbers, tuple(images.values()), (), (missing_numbers(list(images), first=0),))


@dataclass(frozen=True)
class _TartanAirFrames:
    """The images of a recording; a :class:`~sequences.recording.FrameSource`.

    Attributes:
        rgb: A colour image for every frame.
        depth: Depth in metres for every frame, ``.npy`` or ``.png``; empty without depth.
        size: Width and height of all of them, pixels.
        largest_depth_m: Depth beyond it is unknown.
    """

    rgb: tuple[Path, ...]
    depth: tuple[Path, ...]
    size: tuple[int, int]
    largest_depth_m: float

    def read(self, index: int) -> FrameImages:
        """Read the images of one frame.

        Raises:
            DataFileError: One of them is missing, truncated, of the wrong kind or of another size.
        """
        rgb = read_rgb(self.rgb[index], index, self.size)
        if not self.depth:
            return FrameImages(rgb)
        encoded = read_encoded(self.depth[index], index, "depth")
        is_array = encoded.origin.suffix == ".npy"
        depth = _metres_of_array(encoded, self.size) if is_array else _metres_of_png(encoded, self.size)
        # Written so that NaN is unknown, too.
        return FrameImages(rgb, np.where((depth > 0) & (depth <= self.largest_depth_m), depth, np.float32(0)))


def _find_files(path: Path, camera: str) -> _Files:
    candidates = [_Files(path, release, camera) for release in _RELEASES]
    for files in candidates:
        if files.images.is_dir():
            return files
    folders = " nor ".join(f"'{files.images.name}'" for files in candidates)
    raise DataFileError(path, f"has neither a folder {folders}: no images of the {camera} camera")


def _name_ending_with(ending: str) -> re.Pattern[str]:
    return re.compile(rf"([0-9]+){re.escape(ending)}")


def _calibration(path: Path, release: _Release) -> tuple[Intrinsics, str]:
    """The intrinsics and where they come from."""
    file = path / CALIBRATION_FILE
    if not file.exists():
        return release.intrinsics, "published with TartanAir"
    calibration = read_calibration(file)
    if calibration.distortion is not None or calibration.intrinsics.fy < 0:
        raise DataFileError(
            file, "TartanAir is rendered without lens distortion, y pointing down; fy must be positive"
        )
    return calibration.intrinsics, calibration.source


def _read_ground_truth(
    path: Path, numbers: NDArray[np.int64], timestamps_ns: NDArray[np.int64]
) -> tuple[GroundTruth | None, tuple[LeftOut, ...]]:
    """The camera's poses at the frames, and which rows of their file were left out."""
    if not path.is_file():
        return None, ()
    rows = list(read_rows(path, _POSE_COLUMNS))
    if len(rows) <= numbers[-1]:
        raise DataFileError(
            path,
            f"has {len(rows)} poses, one for every image from number 0 on, and there is an image number "
            f"{numbers[-1]}; download the file again",
        )
    of_frames = [rows[number] for number in numbers.tolist()]
    values = np.array([_numbers(path, row) for row in of_frames], dtype=np.float64)
    published = body_poses(path, [row.line for row in of_frames], timestamps_ns, values)
    return camera_poses(published, TO_FORWARD_RIGHT_DOWN), (
        LeftOut("ground-truth rows", "no frame has their number", len(rows) - len(of_frames), len(rows)),
        LeftOut("ground-truth rows", "NaN or infinite entries", published.rows_dropped, len(rows)),
    )


def _numbers(path: Path, row: Row) -> list[float]:
    try:
        return [float(cell) for cell in row.cells]
    except ValueError as error:
        raise DataFileError(path, f"not a row of numbers: {error}", row.line) from error


def _notes(
    files: _Files, parameters: TartanAirParameters, has_depth: bool, has_truth: bool
) -> tuple[str, ...]:
    rate = parameters.rate_hz or files.release.rate_hz
    source = files.release.rate_source if parameters.rate_hz is None else "as the parameter rate_hz says"
    notes = [f"The recording has no time stamps; images are taken to be {rate:g} a second ({source})."]
    if has_truth:
        notes.append(
            "The camera's axes were turned from x forward, y right, z down to x right, y down, z forward; "
            "the world is as published, z down."
        )
    else:
        notes.append(f"The folder has no {files.poses.name}; trajectories cannot be scored.")
    if has_depth:
        notes.append(f"Depth beyond {parameters.largest_depth_m:g} m (the sky) counts as unknown.")
    if files.segmentation.is_dir():
        notes.append(f"{files.segmentation.name} was not read: its ids are in no known label space.")
    return tuple(notes)


def _metres_of_array(encoded: EncodedImage, size: tuple[int, int]) -> NDArray[np.float32]:
    """Depth of the first release: an array of floating point numbers in NumPy's own format."""
    if not encoded.content.startswith(_NPY_SIGNATURE):
        raise encoded.error("is no NumPy array; download the file again")
    try:
        depth = np.load(io.BytesIO(encoded.content), allow_pickle=False)
    # What NumPy raises depends on which byte is damaged: the header is Python source to it.
    except (
        ValueError,
        TypeError,
        EOFError,
        OverflowError,
        MemoryError,
        RecursionError,
        SyntaxError,
    ) as error:
        raise encoded.error(f"is truncated or damaged ({error}); download the file again") from error
    except TokenError as error:
        raise encoded.error("has a damaged header; download the file again") from error
    if depth.dtype.kind != "f" or depth.ndim != 2:
        raise encoded.error(
            f"has {depth.ndim} dimensions of {depth.dtype}, expected two of floating point numbers, metres"
        )
    height, width = depth.shape
    require_size(encoded, (width, height), size)
    return depth.astype(np.float32)


def _metres_of_png(encoded: EncodedImage, size: tuple[int, int]) -> NDArray[np.float32]:
    """Depth of the second release: the four bytes of a float32 as the four channels of an image."""
    decoded = decode(encoded, size, "stored")
    if decoded.ndim != 3 or decoded.shape[2] != 4 or decoded.dtype != np.uint8:
        channels = 1 if decoded.ndim == 2 else decoded.shape[2]
        raise encoded.error(
            f"has {channels} channels of {decoded.dtype}, expected four of uint8, the bytes of a float32"
        )
    # OpenCV gives blue, green, red, alpha: in this order they are the bytes from the least significant up.
    return np.ascontiguousarray(decoded).view("<f4")[..., 0].astype(np.float32, copy=False)
