"""Reader of any folder of images with a calibration: for recordings that are in no data set's layout."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sequences.calibration import CALIBRATION_FILE, Calibration, read_calibration, require_depth_scale
from sequences.errors import DataFileError
from sequences.frame_files import FrameFiles
from sequences.image_list import ImageList
from sequences.lens import DISTORTION_REMOVED, LensCorrection
from sequences.model import LeftOut
from sequences.numbered_frames import LARGEST_NUMBER, NumberedParameters, nominal_timestamps_ns
from sequences.optional_files import find_ground_truth, find_labels, read_label_space
from sequences.reader import ReaderContext
from sequences.recording import RecordedSequence, Recording, RecordingParameters
from sequences.text_table import read_rows
from sequences.timestamps import seconds_text_to_nanoseconds

TIMES_FILE = "times.txt"
GROUND_TRUTH_FILE = "groundtruth.txt"
DEPTH_FOLDER = "depth"

#: Where the images may be; the folder itself comes last, since it may hold a picture or two for people.
_IMAGE_FOLDERS = ("images", "rgb", "")
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
#: 115 days: what is shorter is a number of frames, or a time in another unit.
_NANOSECONDS_NAME = re.compile(r"\d{16,}", re.ASCII)
_NUMBERED_NAME = re.compile(r"(?P<series>.*?)(?P<number>\d+)", re.ASCII | re.DOTALL)
_LARGEST_NANOSECONDS = 2**63 - 1

#: What shows, all together, that a folder is in the layout of a data set that has a reader of its own.
_OTHER_LAYOUTS = (
    ("rgb.txt",),
    ("associations.txt",),
    ("mav0",),
    ("cam0",),
    ("frame-000000.color.png",),
    ("results", "traj.txt"),
    ("image_left",),
    ("image_lcam_front",),
    ("color", "pose"),
)


@dataclass(frozen=True)
class _Times:
    """When the images were taken: int64 [N] nanoseconds, increasing, and what is to be said about it."""

    timestamps_ns: NDArray[np.int64]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


class ImageFolderSequence(RecordedSequence):
    """A folder with ``calibration.txt``, and images in it or in its subfolder ``images`` or ``rgb``.

    Images are taken in the order of the numbers in their names (``2.png`` before ``10.png``). Their times are
    those of ``times.txt``; else their names, if all are numbers of 16 digits and more, as nanoseconds; else
    nominal. Optional beside them: ``depth/`` (16-bit PNG files of the same names), ``labels/`` and
    ``groundtruth.txt`` as in the TUM layout.
    """

    reader_name: ClassVar[str] = "images"
    parameters_model: ClassVar[type[RecordingParameters]] = NumberedParameters

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with a calibration and images that is in none of the data sets' layouts."""
        if not (path / CALIBRATION_FILE).is_file() or (path / f"{path.name}.sens").exists():
            return False
        if any(all((path / name).exists() for name in layout) for layout in _OTHER_LAYOUTS):
            return False
        return any(_has_image(path / folder) for folder in _IMAGE_FOLDERS)

    @classmethod
    def read_recording(
        cls, path: Path, parameters: RecordingParameters, context: ReaderContext | None
    ) -> Recording:
        """Read names of images, calibration, and what else is in the folder.

        Raises:
            DataFileError: A file is missing, malformed or contradicts another.
        """
        assert isinstance(parameters, NumberedParameters)
        calibration = read_calibration(path / CALIBRATION_FILE)
        require_y_down(path / CALIBRATION_FILE, calibration)
        files, outside = _find_images(path)
        times = _times(path, files, parameters)
        images, depth, without_partner = _pair_with_depth(path, ImageList(times.timestamps_ns, files))
        labels = find_labels(path, (file.stem for file in images.files))
        truth = find_ground_truth(path / GROUND_TRUTH_FILE, images.timestamps_ns)
        return Recording(
            intrinsics=calibration.intrinsics,
            timestamps_ns=images.timestamps_ns,
            frames=FrameFiles(
                rgb=images.files,
                size=(calibration.intrinsics.width, calibration.intrinsics.height),
                depth=depth,
                depth_scale=require_depth_scale(calibration, path / CALIBRATION_FILE) if depth else None,
                labels=labels,
                lens=LensCorrection(calibration) if calibration.distortion else None,
            ),
            has_depth=depth is not None,
            calibration=calibration.source,
            ground_truth=truth.truth,
            label_space=read_label_space(path) if labels else None,
            notes=(
                *((DISTORTION_REMOVED,) if calibration.distortion else ()),
                *times.notes,
                *truth.notes,
            ),
            left_out=(*outside, *times.left_out, *without_partner, *truth.left_out),
        )


def require_y_down(file: Path, calibration: Calibration) -> None:
    """Refuse a camera whose y axis points up.

    Raises:
        DataFileError: ``fy`` is negative.
    """
    if calibration.intrinsics.fy < 0:
        raise DataFileError(
            file,
            "fy is negative: the camera's y axis points up; make it positive, with poses of a camera whose y "
            "axis points down",
        )


def _has_image(folder: Path) -> bool:
    return next(_names_of_images(folder), None) is not None


def _count_images(folder: Path) -> int:
    return sum(1 for _ in _names_of_images(folder))


def _names_of_images(folder: Path, suffixes: tuple[str, ...] = _IMAGE_SUFFIXES) -> Iterator[str]:
    """In any order; none where there is no folder, or nobody may look into it."""
    try:
        with os.scandir(folder) as entries:
            # Some systems leave hidden files that are called like images beside them (._1.png).
            yield from (
                entry.name
                for entry in entries
                if entry.name.lower().endswith(suffixes) and not entry.name.startswith(".")
            )
    except OSError:
        return


def _images_in(folder: Path, suffixes: tuple[str, ...] = _IMAGE_SUFFIXES) -> list[Path]:
    """Images of a folder in the order of the numbers in their names.

    Raises:
        DataFileError: Two of them have one place in the order.
    """
    images: dict[tuple[str | int, ...], Path] = {}
    for file in (folder / name for name in sorted(_names_of_images(folder, suffixes))):
        first = images.setdefault(natural_order(file.stem), file)
        if first is not file:
            raise DataFileError(
                folder, f"{first.name} and {file.name} have the same place in the order; keep one of them"
            )
    return [images[place] for place in sorted(images)]


def natural_order(stem: str) -> tuple[str | int, ...]:
    """Text and numbers of a name in turn, text first, so that names compare as people read them."""
    parts = re.split(r"(\d+)", stem, flags=re.ASCII)
    return tuple(int(part) if position % 2 else part for position, part in enumerate(parts))


def _find_images(path: Path) -> tuple[tuple[Path, ...], tuple[LeftOut, ...]]:
    """The images of a recording in order, and those that lie beside their folder."""
    folders = [name for name in _IMAGE_FOLDERS if _count_images(path / name)]
    if not folders:
        raise DataFileError(
            path, f"there are no images in it, nor in images or rgb ({', '.join(_IMAGE_SUFFIXES)})"
        )
    if {"images", "rgb"} <= set(folders):
        raise DataFileError(path, "there are images both in images and in rgb; keep one of the two folders")
    images = tuple(_images_in(path / folders[0]))
    if folders[0] == _IMAGE_FOLDERS[-1]:
        return images, ()
    reason, beside = f"they lie beside the folder {folders[0]}", _count_images(path)
    return images, (LeftOut("images", reason, beside, beside + len(images)),)


def _times(path: Path, files: tuple[Path, ...], parameters: NumberedParameters) -> _Times:
    if (path / TIMES_FILE).exists():
        _forbid_rate(path, parameters, f"the times are in {TIMES_FILE}")
        return _Times(_read_times(path / TIMES_FILE, len(files)))
    stems = [file.stem for file in files]
    if all(_NANOSECONDS_NAME.fullmatch(stem) for stem in stems):
        _forbid_rate(path, parameters, "the names of the images are their times")
        if int(stems[-1]) > _LARGEST_NANOSECONDS:
            raise DataFileError(files[-1], "the name is no time stamp in nanoseconds, it is too large")
        return _Times(
            np.array([int(stem) for stem in stems], dtype=np.int64),
            notes=("Names of images were taken as time stamps in nanoseconds.",),
        )
    places, left_out = _places(stems)
    return _Times(
        nominal_timestamps_ns(places, parameters.rate_hz),
        left_out,
        (
            f"The recording has no time stamps ({TIMES_FILE}); the first image is at 0 s, the next ones are "
            f"1/{parameters.rate_hz:g} s apart; a number missing in the names leaves a gap.",
        ),
    )


def _forbid_rate(path: Path, parameters: NumberedParameters, why: str) -> None:
    if "rate_hz" in parameters.model_fields_set:
        raise DataFileError(path, f"rate_hz is for recordings without time stamps; here {why}")


def _read_times(path: Path, images: int) -> NDArray[np.int64]:
    times: list[int] = []
    for row in read_rows(path, "timestamp"):
        try:
            time_ns = seconds_text_to_nanoseconds(row.cells[0])
        except ValueError as error:
            raise DataFileError(path, str(error), row.line) from error
        if times and time_ns <= times[-1]:
            raise DataFileError(path, f"the time stamp {row.cells[0]} is not after that above it", row.line)
        times.append(time_ns)
    if len(times) != images:
        raise DataFileError(
            path, f"has {len(times)} time stamps, and there are {images} images; one line for every image"
        )
    return np.array(times, dtype=np.int64)


def _places(stems: list[str]) -> tuple[NDArray[np.int64], tuple[LeftOut, ...]]:
    """Places of images in their series. One that is missing leaves a gap where names are plainly numbered.

    The step of the series is the least difference between two numbers: of ``0005``, ``0010`` and ``0020`` the
    third is missing.
    """
    plain = np.arange(len(stems), dtype=np.int64)
    numbered = [match for stem in stems if (match := _NUMBERED_NAME.fullmatch(stem))]
    if len(numbered) < max(2, len(stems)) or len({match["series"] for match in numbered}) > 1:
        return plain, ()
    numbers = [int(match["number"]) for match in numbered]
    step = min(after - before for before, after in pairwise(numbers))
    offsets = [number - numbers[0] for number in numbers]
    expected = offsets[-1] // step + 1
    if expected > LARGEST_NUMBER or any(offset % step for offset in offsets):
        return plain, ()
    missing = LeftOut("numbers in the names", "no image has them", expected - len(stems), expected)
    return np.array([offset // step for offset in offsets], dtype=np.int64), (missing,)


def _pair_with_depth(
    path: Path, images: ImageList
) -> tuple[ImageList, tuple[Path, ...] | None, tuple[LeftOut, ...]]:
    """The images that have a depth image of the same name, and those; all images where there is no depth."""
    folder = path / DEPTH_FOLDER
    if not folder.is_dir():
        return images, None, ()
    depth = {file.stem: file for file in _images_in(folder, (".png",))}
    paired = [position for position, file in enumerate(images.files) if file.stem in depth]
    if not paired:
        raise DataFileError(
            folder,
            f"none of its {len(depth)} PNG images is called like a colour image, {images.files[0].stem}.png "
            "for one; rename them, or the folder to run without depth",
        )
    chosen = images.select(np.array(paired, dtype=np.int64))
    left_out = (
        _without_partner("colour images", "depth image", len(images), len(paired)),
        _without_partner("depth images", "colour image", len(depth), len(paired)),
    )
    return chosen, tuple(depth[file.stem] for file in chosen.files), left_out


def _without_partner(what: str, partner: str, total: int, paired: int) -> LeftOut:
    return LeftOut(what, f"no {partner} has the same name", total - paired, total)
