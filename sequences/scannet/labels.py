"""Label images of a scene, out of folders or archives, brought to the frames and to a label space of ours."""

import logging
import re
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sequences.archive_damage import ARCHIVE_DAMAGE
from sequences.errors import DataFileError
from sequences.images import EncodedImage, decode, read_encoded, require_one_channel
from sequences.model import LABEL_UNKNOWN
from sequences.numbered_frames import numbered_files
from sequences.scannet.colour_grid import ColourGrid
from sequences.scannet.label_table import LabelTable
from sequences.scannet.place import ScenePlace

logger = logging.getLogger(__name__)

#: Filtered labels, which are better at the edges of objects, before those as they were projected.
_KINDS = ("label-filt", "label")
#: No frame has a number of more digits, and Python makes no number of thousands of them.
_NAME = re.compile(r"(\d{1,20})\.png", re.IGNORECASE | re.ASCII)


class LabelImages(Protocol):
    """Where label images come from."""

    @property
    def numbers(self) -> frozenset[int]:
        """Numbers of the frames that have one."""

    def encoded(self, number: int, frame: int) -> EncodedImage:
        """The image of a frame.

        Args:
            number: Of the frame in the recording.
            frame: Its index in the sequence, for messages.

        Raises:
            DataFileError: It cannot be read.
        """


@dataclass(frozen=True)
class LabelFolder:
    """Label images that are files of their own; :class:`LabelImages`."""

    files: dict[int, Path]

    @property
    def numbers(self) -> frozenset[int]:
        """Numbers of the frames that have one."""
        return frozenset(self.files)

    def encoded(self, number: int, frame: int) -> EncodedImage:
        """The image of a frame."""
        return read_encoded(self.files[number], frame, "label")


class LabelArchive:
    """Label images in a ZIP file, read straight out of it; :class:`LabelImages`.

    Args:
        path: The file.

    Raises:
        DataFileError: It cannot be read or is no ZIP file.
    """

    def __init__(self, path: Path):
        self._path = path
        self._names: dict[int, str] = {}
        for name in self._archive.namelist():
            if match := _NAME.fullmatch(name.rpartition("/")[2]):
                self._names[int(match[1])] = name

    def __getstate__(self) -> dict[str, Any]:
        # An open file belongs to its process; the other one opens its own.
        return {name: value for name, value in self.__dict__.items() if name != "_archive"}

    @property
    def numbers(self) -> frozenset[int]:
        """Numbers of the frames that have one."""
        return frozenset(self._names)

    def encoded(self, number: int, frame: int) -> EncodedImage:
        """The image of a frame."""
        name = self._names[number]
        try:
            return EncodedImage(self._archive.read(name), self._path, frame, "label")
        except OSError as error:
            raise self._unreadable(name, frame, error) from error
        except ARCHIVE_DAMAGE as error:
            raise self._unreadable(name, frame, error) from error

    def _unreadable(self, name: str, frame: int, error: Exception) -> DataFileError:
        image = EncodedImage(b"", self._path, frame, "label")
        reason = str(error) or type(error).__name__
        return image.error(f"({name}) cannot be read: {reason}; download the file again")

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self._path)
        except OSError as error:
            raise DataFileError(self._path, f"the file cannot be read: {error.strerror or error}") from error
        except ARCHIVE_DAMAGE as error:
            raise DataFileError(self._path, f"is no ZIP file: {error}; download it again") from error


@dataclass(frozen=True)
class FoundLabels:
    """Label images that a scene has.

    Attributes:
        images: Where they come from.
        path: The folder or archive.
        ids: ``raw`` or ``nyu40``: what they hold.
    """

    images: LabelImages
    path: Path
    ids: str


def find_label_images(place: ScenePlace, exported_ids: str) -> FoundLabels | None:
    """The best label images of a scene: filtered before unfiltered, a folder before an archive; None without.

    Args:
        place: The scene.
        exported_ids: What label images among its exported images hold.

    Raises:
        DataFileError: An archive is damaged, or two images have one number.
    """
    folders = [(folder, exported_ids) for folder in (place.exported,) if folder is not None]
    if place.folder != place.exported:
        folders.append((place.folder, "raw"))
    for kind in _KINDS:
        for folder, ids in folders:
            if (folder / kind).is_dir():
                images = LabelFolder(numbered_files(folder / kind, _NAME))
                return FoundLabels(images, folder / kind, ids)
        archive = place.beside(f"_2d-{kind}.zip")
        if archive is not None:
            return FoundLabels(LabelArchive(archive), archive, "raw")
    return None


class SceneLabels:
    """The labels of frames. Used from several threads at once.

    Args:
        images: Where label images come from.
        numbers: int64 [N], the number of every frame.
        table: What their ids mean.
        grid: Brings them to the pixels of the frames.
        size: Width and height of label images, which are those of colour images.
    """

    def __init__(
        self,
        images: LabelImages,
        numbers: NDArray[np.int64],
        table: LabelTable,
        grid: ColourGrid,
        size: tuple[int, int],
    ):
        self._images, self._numbers, self._table, self._grid, self._size = images, numbers, table, grid, size
        self._reported: set[int] = set()

    def read(self, index: int) -> NDArray[np.uint8]:
        """The labels of a frame, uint8 [h, w], 255 where unknown; unknown throughout without an image.

        Raises:
            DataFileError: The image is damaged, of the wrong kind or of another size.
        """
        number = int(self._numbers[index])
        if number not in self._images.numbers:
            intrinsics = self._grid.intrinsics
            return np.full((intrinsics.height, intrinsics.width), LABEL_UNKNOWN, np.uint8)
        image = self._images.encoded(number, index)
        decoded = decode(image, self._size, "stored")
        one_byte = decoded.dtype == np.uint8
        require_one_channel(image, decoded, np.dtype(np.uint8 if one_byte else np.uint16))
        ids = self._grid.labels(decoded, outside=0)
        self._report_unknown(image, ids[~self._table.is_known[ids]])
        return self._table.labels[ids]

    def _report_unknown(self, image: EncodedImage, ids: NDArray[Any]) -> None:
        """Say once of every id that the table does not have it."""
        new = set(np.unique(ids).tolist()) - self._reported
        if new:
            self._reported |= new
            logger.warning(
                "%s: %d ids in label images that %s does not have; their pixels are unknown: %s",
                image.origin,
                len(new),
                self._table.origin,
                ", ".join(map(str, sorted(new))),
            )
