"""Reader of any folder of images with a calibration: for recordings that are in no data set's layout."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sequences.calibration import CALIBRATION_FILE, Calibration, read_calibration, require_depth_scale
from sequences.errors import DataFileError
from sequences.frame_files import FrameFiles
from sequences.image_list import ImageList
from sequences.image_names import TIMES_FILE, natural_order, places_in_series, times_in_names
from sequences.lens import DISTORTION_REMOVED, LensCorrection
from sequences.model import LeftOut
from sequences.numbered_frames import NumberedParameters, nominal_timestamps_ns
from sequences.optional_files import find_ground_truth, find_labels, read_label_space
from sequences.reader import ReaderContext
from sequences.recording import RecordedSequence, Recording, RecordingParameters
from sequences.text_table import read_rows
from sequences.timestamps import seconds_text_to_nanoseconds

GROUND_TRUTH_FILE = "groundtruth.txt"
DEPTH_FOLDER = "depth"

#: Where the images may be; the folder itself comes last, since it may hold a picture or two for people.
_IMAGE_FOLDERS = ("images", "rgb", "")
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")

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
    those of ``times.txt``; else their names, if all are decimal seconds (``1305031102.175304``), numbers of
    16 digits (microseconds) or of 18 or 19 (nanoseconds); else nominal, by the number that changes from name
    to name. Optional beside them: ``depth/`` (16-bit PNG files of the same names), ``labels/`` and
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
    images: dict[tuple[str | int | Decimal, ...], Path] = {}
    for file in (folder / name for name in sorted(_names_of_images(folder, suffixes))):
        first = images.setdefault(natural_order(file.stem), file)
        if first is not file:
            raise DataFileError(
                folder, f"{first.name} and {file.name} have the same place in the order; keep one of them"
            )
    return [images[place] for place in sorted(images)]


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
    named = times_in_names(files)
    if named is not None:
        _forbid_rate(path, parameters, "the names of the images are their times")
        timestamps_ns, unit = named
        return _Times(timestamps_ns, notes=(f"Names of images were taken as time stamps in {unit}.",))
    places, left_out = places_in_series(files)
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
