"""ScanNet25k, the subset ``scannet_frames_25k`` of ScanNet: about every hundredth frame of its scenes.

Dai et al., "ScanNet: Richly-annotated 3D reconstructions of indoor scenes", CVPR 2017. Frames are read by
`sequences.scannet`: they are those of the depth camera, and colour and labels are brought to its pixels by
the intrinsics of both cameras. Depth was registered to colour by ScanNet's authors; see
`sequences.scannet.colour_grid`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

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
from sequences.numbered_frames import numbered_files
from sequences.scannet import ScanNetParameters, ScanNetSequence
from sequences.text_table import read_rows

_SCENE = re.compile(r"scene\d{4}_\d{2}", re.ASCII)
#: Folder of a kind of file, and what its files are called; the group is the number of the frame.
_KINDS = {
    "color": re.compile(r"(\d+)\.jpg", re.ASCII),
    "depth": re.compile(r"(\d+)\.png", re.ASCII),
    "label": re.compile(r"(\d+)\.png", re.ASCII),
}
#: An open scene keeps the map between its two cameras, some 15 MB.
_MOST_OPEN = 16


class ScanNet25kParameters(Settings):
    """Which views of the data set.

    Attributes:
        directory: Folder ``scannet_frames_25k``, with a folder for every scene; a relative path lies below
            ``HARNESS_DATA``.
        scenes: File with the names of the scenes, a line each: ``scannetv2_train.txt`` (1201 scenes) or
            ``scannetv2_val.txt`` (312) of ScanNet's benchmark; a relative path lies below ``HARNESS_DATA``.
        label_space: What labels are brought to: ``scannet20``, the classes of the benchmark, or ``nyu40``.
    """

    directory: str
    scenes: str
    label_space: Literal["scannet20", "nyu40"] = "scannet20"


@dataclass(frozen=True)
class _Frame:
    """One frame of a scene: its position among the frames, and its files."""

    scene: Path
    position: int
    files: tuple[Path, ...]


class ScanNet25kViews(ViewSource):
    """Frames of ScanNet25k: scenes in the order of the list, frames of a scene in the order of their numbers.

    Ids that NYU-40 does not have occur in ScanNet's own labels (its issue 20). Their pixels are unknown, with
    a warning that names them.

    Args:
        parameters: Of `ScanNet25kParameters`.

    Raises:
        SequenceError: A parameter is wrong, a scene of the list is missing, or a frame lacks a file.
    """

    name = "scannet25k"

    def __init__(self, **parameters: Any):
        self.settings = checked_parameters(self.name, ScanNet25kParameters, parameters)
        self.label_space: str | None = self.settings.label_space
        self._directory = below_data_directory(self.settings.directory)
        require_folder(self._directory, "a folder for every scene: scene0000_00")
        scenes = _read_scenes(below_data_directory(self.settings.scenes))
        self._frames = tuple(frame for scene in scenes for frame in _frames(self._directory / scene))

    def __len__(self) -> int:
        return len(self._frames)

    def view(self, index: int) -> View:
        """Read one view.

        Raises:
            IndexError: There is no such view.
            DataFileError: One of its files, or one of its scene's, is missing, damaged, of the wrong kind or
                of another size.
        """
        require_view(index, len(self))
        wanted = self._frames[index]
        scene = _opened(wanted.scene, self.settings.label_space)
        frame = scene.frame(wanted.position)
        return View(frame.rgb, scene.info.intrinsics, frame.depth, frame.labels)

    def subjects(self) -> frozenset[str]:
        """The rooms: scene0000_00 and scene0000_01 are two scans of one."""
        return frozenset(f"ScanNet {frame.scene.name.partition('_')[0]}" for frame in self._frames)

    def identity(self) -> dict[str, object]:
        """The label space, and names and sizes of all images; which scenes there are is in the names."""
        files = (path for frame in self._frames for path in frame.files)
        return {
            "source": self.name,
            "views": len(self),
            "label_space": self.settings.label_space,
            "files_sha256": listing_digest(self._directory, files),
        }


@lru_cache(maxsize=_MOST_OPEN)
def _opened(folder: Path, label_space: Literal["scannet20", "nyu40"]) -> ScanNetSequence:
    """A scene: its matrices, and where its images are."""
    told = ScanNetParameters(directory=str(folder), source="exported", label_space=label_space)
    scene = ScanNetSequence(folder.name, folder, told)
    if scene.info.label_space is None:
        raise DataFileError(
            folder,
            "its labels have ids of ScanNet's own, as exported scenes have; scannet_frames_25k, with "
            "intrinsics_depth.txt in the scene's folder, has those of NYU-40",
        )
    return scene


def _read_scenes(path: Path) -> tuple[str, ...]:
    """The names of scenes, in the order of the list."""
    names: dict[str, None] = {}
    for row in read_rows(path, "scene"):
        (name,) = row.cells
        if not _SCENE.fullmatch(name) or name in names:
            raise DataFileError(
                path, f"'{name}' is no scene such as scene0000_00, or is here twice", row.line
            )
        names[name] = None
    if not names:
        raise DataFileError(path, "names no scene; use scannetv2_train.txt of ScanNet's benchmark")
    return tuple(names)


def _frames(scene: Path) -> Iterator[_Frame]:
    """The frames of a scene, each with its three files."""
    require_folder(scene, f"{', '.join(_KINDS)}; it is in the list of scenes")
    kinds = {kind: numbered_files(scene / kind, name) for kind, name in _KINDS.items()}
    numbers = sorted(set().union(*kinds.values()))
    if not numbers:
        raise DataFileError(scene, "has no frame; unpack the archive again")
    for position, number in enumerate(numbers):
        lacking = next((kind for kind, files in kinds.items() if number not in files), None)
        if lacking is not None:
            raise DataFileError(
                scene / lacking,
                f"has no image {number:06d}, and other folders of the scene have; unpack the archive again",
            )
        yield _Frame(scene, position, tuple(files[number] for files in kinds.values()))
