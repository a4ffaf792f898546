"""The labelled images of NYU Depth V2 with 40 classes, out of the files as their authors give them.

Silberman, Hoiem, Kohli and Fergus, "Indoor segmentation and support inference from RGBD images", ECCV 2012.
The 40 classes are those of Gupta, Arbelaez and Malik, CVPR 2013.

Images are without lens distortion, and depth is on their pixels: the authors' toolbox made them so.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from perception.settings import Settings
from perception.training.augmentation import cropped
from perception.training.datasets.folders import (
    below_data_directory,
    listing_digest,
    require_folder,
    require_view,
)
from perception.training.source_parameters import checked_parameters
from perception.training.views import View, ViewSource
from sequences.errors import DataFileError, SequenceError
from sequences.label_spaces import load_label_space
from sequences.model import LABEL_UNKNOWN, Intrinsics

IMAGES_FILE = "nyu_depth_v2_labeled.mat"
SPLITS_FILE = "splits.mat"
CLASSES_FILE = "classMapping40.mat"

_WIDTH, _HEIGHT = 640, 480
#: The RGB camera by ``camera_params.m`` of the authors' toolbox. MATLAB counts pixels from 1, and so does the
#: toolbox where it uses these (``rgb_plane2rgb_world.m``).
_CAMERA = Intrinsics(
    fx=518.85790117450188,
    fy=519.46961112127485,
    cx=325.58244941119034 - 1,
    cy=253.73616633400465 - 1,
    width=_WIDTH,
    height=_HEIGHT,
)
#: Left, top, width and height of what ``get_projection_mask.m`` of the toolbox keeps: rows 45 to 471 and
#: columns 41 to 601, counted from 1. Around it images have a white frame and depth is made up.
_PROJECTION_MASK = (40, 44, 561, 427)

#: Dataset of the file by the name of the kind of depth.
_DEPTHS = {"filled": "depths", "raw": "rawDepths"}
_INDICES = {"train": "trainNdxs", "test": "testNdxs"}
_AGAIN = "download the file again"


class NyudV2Parameters(Settings):
    """Which views of the data set.

    Attributes:
        directory: Folder with ``nyu_depth_v2_labeled.mat``, ``splits.mat`` and ``classMapping40.mat``; a
            relative path lies below ``HARNESS_DATA``.
        part: ``train`` (795 images as published) or ``test`` (654).
        crop: ``projection_mask``: what the toolbox keeps, 561×427 pixels; null: all of 640×480.
        depth: ``filled``: holes of the sensor are filled in by colour, as published results have it; ``raw``:
            as it was measured, 0 where it was not.
    """

    directory: str
    part: Literal["train", "test"] = "train"
    crop: Literal["projection_mask"] | None = "projection_mask"
    depth: Literal["filled", "raw"] = "filled"


class NyudV2Views(ViewSource):
    """The labelled images of NYU Depth V2, in the order of the published split.

    The file is opened for every view, so that threads and processes share nothing.

    Args:
        parameters: Of `NyudV2Parameters`.

    Raises:
        SequenceError: A parameter is wrong, h5py is not installed, or a file is missing, damaged or not what
            it should be.
    """

    name = "nyudv2"
    label_space: str | None = "nyu40"

    def __init__(self, **parameters: Any):
        self.settings = checked_parameters(self.name, NyudV2Parameters, parameters)
        self._directory = below_data_directory(self.settings.directory)
        require_folder(self._directory, f"{IMAGES_FILE}, {SPLITS_FILE} and {CLASSES_FILE}")
        images = self._count_images()
        self._places = _read_split(self._directory / SPLITS_FILE, _INDICES[self.settings.part], images)
        self._labels = _read_class_table(self._directory / CLASSES_FILE)

    def __len__(self) -> int:
        return len(self._places)

    def view(self, index: int) -> View:
        """Read one view.

        Raises:
            IndexError: There is no such view.
            DataFileError: The file is gone or damaged, or has a label that is none.
        """
        require_view(index, len(self))
        place = int(self._places[index])
        path = self._directory / IMAGES_FILE
        with _opened(path) as file:
            try:
                # MATLAB puts the columns of an image one after the other.
                rgb = file["images"][place].transpose(2, 1, 0)
                depth = file[_DEPTHS[self.settings.depth]][place].T
                labels = file["labels"][place].T
            except OSError as error:
                raise DataFileError(
                    path, f"image {place + 1} (counted from 1) cannot be read ({error}); {_AGAIN}"
                ) from error
        if labels.max() >= len(self._labels):
            raise DataFileError(
                path,
                f"image {place + 1} (counted from 1) has label {labels.max()}, and {CLASSES_FILE} maps "
                f"{len(self._labels) - 1} classes; use the two files as they are published",
            )
        known = np.isfinite(depth) & (depth > 0)
        whole = View(
            rgb=np.ascontiguousarray(rgb),
            intrinsics=_CAMERA,
            depth=np.where(known, depth, np.float32(0)),
            labels=self._labels[labels],
        )
        return whole if self.settings.crop is None else cropped(whole, *_PROJECTION_MASK)

    def subjects(self) -> frozenset[str]:
        """The images."""
        return frozenset(f"NYU Depth V2 image {place}" for place in self._places)

    def identity(self) -> dict[str, object]:
        """Parameters but for the folder, the files, and which images and classes they say."""
        files = [self._directory / name for name in (IMAGES_FILE, SPLITS_FILE, CLASSES_FILE)]
        chosen = hashlib.sha256(self._places.tobytes() + self._labels.tobytes())
        return {
            "source": self.name,
            "views": len(self),
            **self.settings.model_dump(mode="json", exclude={"directory"}),
            "files_sha256": listing_digest(self._directory, files),
            "split_and_classes_sha256": chosen.hexdigest(),
        }

    def _count_images(self) -> int:
        """How many images the file has, after a look at what is in it."""
        path = self._directory / IMAGES_FILE
        depths = _DEPTHS[self.settings.depth]
        with _opened(path) as file:
            missing = [name for name in ("images", depths, "labels") if name not in file]
            if missing:
                raise DataFileError(path, f"has no variable {', '.join(missing)}; {_AGAIN}")
            count = file["images"].shape[0]
            for name, shape, kind in (
                ("images", (count, 3, _WIDTH, _HEIGHT), np.uint8),
                (depths, (count, _WIDTH, _HEIGHT), np.float32),
                ("labels", (count, _WIDTH, _HEIGHT), np.uint16),
            ):
                found = file[name]
                if found.shape != shape or found.dtype != kind:
                    raise DataFileError(
                        path,
                        f"'{name}' is {found.dtype} {list(found.shape)}, expected {np.dtype(kind)} "
                        f"{list(shape)}; use the file as it is published",
                    )
        return int(count)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A MATLAB file of version 7.3, which is an HDF5 file."""
    try:
        import h5py
    except ImportError as error:
        raise SequenceError(
            f"nyudv2: {path.name} is read with h5py, which cannot be imported ({error}): "
            "pip install 'slam-harness[nyud]'"
        ) from error
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError as error:
        raise DataFileError(path, "the file is missing; see docs/training-data.md") from error
    except OSError as error:
        raise DataFileError(
            path, f"is truncated, or no MATLAB file of version 7.3 ({error}); {_AGAIN}"
        ) from error
    with file:
        yield file


def _read_split(path: Path, variable: str, images: int) -> NDArray[np.int64]:
    """Places of the images of a part in the file, int64 [N], from 0."""
    numbers = _read_whole_numbers(path, variable)
    outside = numbers[(numbers < 1) | (numbers > images)]
    if len(outside):
        raise DataFileError(
            path, f"'{variable}' has image {outside[0]}, and {IMAGES_FILE} has images 1 to {images}"
        )
    if not len(numbers) or len(np.unique(numbers)) != len(numbers):
        raise DataFileError(path, f"'{variable}' is empty, or names an image twice; {_AGAIN}")
    return numbers - 1


def _read_class_table(path: Path) -> NDArray[np.uint8]:
    """From the 894 classes of the file, 0 being unlabelled, to NYU-40 ids; uint8 [895], 255 unknown."""
    classes = _read_whole_numbers(path, "mapClass")
    known = {0, *(entry.id for entry in load_label_space("nyu40").classes)}
    strange = sorted(set(classes.tolist()) - known)
    if strange:
        raise DataFileError(path, f"'mapClass' has {strange[0]}, and NYU-40 has classes 1 to 40; {_AGAIN}")
    return np.concatenate([[LABEL_UNKNOWN], np.where(classes == 0, LABEL_UNKNOWN, classes)]).astype(np.uint8)


def _read_whole_numbers(path: Path, variable: str) -> NDArray[np.int64]:
    """A vector out of a MATLAB file of a version before 7.3, int64 [N]."""
    try:
        with path.open("rb") as file:
            found = loadmat(file, variable_names=[variable]).get(variable)
    except FileNotFoundError as error:
        raise DataFileError(path, "the file is missing; see docs/training-data.md") from error
    except Exception as error:
        # Damaged files make SciPy raise whatever its parser stumbles over.
        raise DataFileError(path, f"is no MATLAB file, or damaged ({error}); {_AGAIN}") from error
    if found is None:
        raise DataFileError(path, f"has no variable '{variable}'; {_AGAIN}")
    if found.dtype.kind not in "uif" or not np.array_equal(found, np.rint(found)):
        raise DataFileError(path, f"'{variable}' is not made of whole numbers; {_AGAIN}")
    return found.reshape(-1).astype(np.int64)
