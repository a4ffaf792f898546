"""Cityscapes: street scenes with 19 classes, and depth from the disparity that its authors give out.

Cordts et al., "The Cityscapes dataset for semantic urban scene understanding", CVPR 2016; layout, disparity
and label ids by the README and ``labels.py`` of its scripts. Images are rectified.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, FiniteFloat

from perception.settings import Settings
from perception.training.datasets.folders import (
    below_data_directory,
    listing_digest,
    require_folder,
    require_view,
)
from perception.training.source_parameters import checked_parameters
from perception.training.views import View, ViewSource
from sequences.errors import DataFileError
from sequences.images import read_depth, read_labels, read_rgb
from sequences.label_spaces import load_label_space
from sequences.model import LABEL_UNKNOWN, Intrinsics
from sequences.yaml_file import read_json

_LABEL_SPACE = "cityscapes19"
_SIZE = (2048, 1024)

#: Ids of label images run to this one; those that are not below are of no evaluated class: unlabelled, the
#: car that carries the camera, what rectification or the annotators left out, and rare classes.
_LAST_ID = 33
_CLASS_OF_ID = {
    7: "road",
    8: "sidewalk",
    11: "building",
    12: "wall",
    13: "fence",
    17: "pole",
    19: "traffic_light",
    20: "traffic_sign",
    21: "vegetation",
    22: "terrain",
    23: "sky",
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}

#: A disparity of d pixels is stored as 256 d + 1; 0 says that there is none.
_STEPS_PER_PIXEL, _ZERO_DISPARITY = 256, 1

_Positive = Annotated[FiniteFloat, Field(gt=0)]


class CityscapesParameters(Settings):
    """Which views of the data set.

    Attributes:
        directory: Folder with ``leftImg8bit``, ``gtFine``, ``disparity`` and ``camera``; a relative path lies
            below ``HARNESS_DATA``.
        part: ``train`` (2975 images as published), ``val`` (500) or ``test`` (1525, whose labels are kept
            back: all of them are unknown).
    """

    directory: str
    part: Literal["train", "val", "test"] = "train"


class _Intrinsic(BaseModel):
    """Pixels."""

    fx: _Positive
    fy: _Positive
    u0: Annotated[FiniteFloat, Field(gt=0, lt=_SIZE[0])]
    v0: Annotated[FiniteFloat, Field(gt=0, lt=_SIZE[1])]


class _Extrinsic(BaseModel):
    """Metres between the two cameras."""

    baseline: _Positive


class _CameraFile(BaseModel):
    """What is read of a file of a camera; there is more in it."""

    extrinsic: _Extrinsic
    intrinsic: _Intrinsic


@dataclass(frozen=True)
class _Files:
    """The four files of a view."""

    rgb: Path
    labels: Path
    disparity: Path
    camera: Path


#: Folder and ending of the files of a kind, in the order of the fields above.
_KINDS = (
    ("leftImg8bit", "_leftImg8bit.png"),
    ("gtFine", "_gtFine_labelIds.png"),
    ("disparity", "_disparity.png"),
    ("camera", "_camera.json"),
)


class CityscapesViews(ViewSource):
    """The finely annotated images of Cityscapes in the order of their names, with depth from disparity.

    Args:
        parameters: Of `CityscapesParameters`.

    Raises:
        SequenceError: A parameter is wrong, a folder is missing, or an image lacks one of its files.
    """

    name = "cityscapes"
    label_space: str | None = _LABEL_SPACE

    def __init__(self, **parameters: Any):
        self.settings = checked_parameters(self.name, CityscapesParameters, parameters)
        self._directory = below_data_directory(self.settings.directory)
        self._views = _find_views(self._directory, self.settings.part)
        self._labels, self._is_id = _class_table()

    def __len__(self) -> int:
        return len(self._views)

    def view(self, index: int) -> View:
        """Read one view.

        Raises:
            IndexError: There is no such view.
            DataFileError: One of its files is missing, damaged, of the wrong kind or of another size.
        """
        require_view(index, len(self))
        files = self._views[index]
        camera = read_json(files.camera, _CameraFile)
        ids = read_labels(files.labels, index, _SIZE)
        if not self._is_id[ids].all():
            strange = ids[~self._is_id[ids]][0]
            raise DataFileError(
                files.labels,
                f"has the id {strange}, and label ids are 0 to {_LAST_ID}; use the files that end in "
                f"{_KINDS[1][1]} as they are published",
            )
        lens = camera.intrinsic
        return View(
            rgb=read_rgb(files.rgb, index, _SIZE),
            intrinsics=Intrinsics(lens.fx, lens.fy, lens.u0, lens.v0, *_SIZE),
            depth=_depth(files.disparity, index, lens.fx * camera.extrinsic.baseline),
            labels=self._labels[ids],
        )

    def subjects(self) -> frozenset[str]:
        """The images."""
        return frozenset(f"Cityscapes image {view.rgb.stem}" for view in self._views)

    def identity(self) -> dict[str, object]:
        """The part, and names and sizes of all files."""
        files = (
            path for view in self._views for path in (view.rgb, view.labels, view.disparity, view.camera)
        )
        return {
            "source": self.name,
            "views": len(self),
            "part": self.settings.part,
            "files_sha256": listing_digest(self._directory, files),
        }


def _find_views(directory: Path, part: str) -> tuple[_Files, ...]:
    """The files of all views of a part, in order of city, sequence and frame."""
    kinds = [_files_of_kind(directory / folder / part, ending) for folder, ending in _KINDS]
    names = sorted(set().union(*kinds))
    if not names:
        raise DataFileError(directory / _KINDS[0][0] / part, "has no image; unpack the archive again")
    for name in names:
        for (folder, ending), files in zip(_KINDS, kinds, strict=True):
            if name not in files:
                raise DataFileError(
                    directory / folder / part / f"{name}{ending}",
                    "the file is missing, and other files of its image are there; unpack the archive of "
                    f"'{folder}' again",
                )
    return tuple(_Files(*(files[name] for files in kinds)) for name in names)


def _files_of_kind(folder: Path, ending: str) -> dict[str, Path]:
    """The files of all cities with an ending, by ``city/city_sequence_frame``."""
    require_folder(folder, f"a folder for every city, with files that end in {ending}")
    try:
        return {
            f"{city.name}/{name.removesuffix(ending)}": city / name
            for city in folder.iterdir()
            if city.is_dir()
            for name in os.listdir(city)
            if name.endswith(ending)
        }
    except OSError as error:
        raise DataFileError(folder, f"the folder cannot be read: {error.strerror}") from error


def _depth(path: Path, index: int, focal_times_baseline: float) -> NDArray[np.float32]:
    """Depth by a file of disparities, float32 [H, W], metres; 0 where there is none, or no end to it.

    Args:
        path: The file.
        index: Of the view, for messages.
        focal_times_baseline: Pixels times metres.
    """
    stored = read_depth(path, index, _SIZE, depth_scale=1.0).astype(np.float64)
    steps = stored - _ZERO_DISPARITY
    depth = np.zeros_like(steps)
    np.divide(focal_times_baseline * _STEPS_PER_PIXEL, steps, out=depth, where=steps > 0)
    return depth.astype(np.float32)


def _class_table() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """From the ids of label images to those of the label space, uint8 [256]; and bool [256], which exist."""
    id_by_name = {entry.name: entry.id for entry in load_label_space(_LABEL_SPACE).classes}
    table = np.full(256, LABEL_UNKNOWN, np.uint8)
    for own, name in _CLASS_OF_ID.items():
        table[own] = id_by_name[name]
    return table, np.arange(256) <= _LAST_ID
