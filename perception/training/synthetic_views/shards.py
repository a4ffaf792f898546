"""Views of one flat in one file: a plain zip archive of PNG images, any of which is read by itself.

The archive checks every image by its CRC-32. Colours and labels are exact. Depth is rounded to a fifth of a
millimetre in 16 bits, which makes it a ninth of its size as compressed float32; beyond 13.1 m it is unknown.
"""

import json
import os
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from perception.training.views import View
from sequences.errors import DataFileError, SequenceError
from sequences.model import Intrinsics

_LIST_FILE = "views.json"
_DEPTH_SCALE = 5000
_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 6]
#: What a damaged archive makes zipfile and those who read it raise.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, KeyError, ValueError)
_FILE_MODE = 0o644


def write_shard(path: Path, views: Iterable[View]) -> None:
    """Write views into a file, all of them or nothing.

    Raises:
        SequenceError: The file cannot be written.
    """
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".part", dir=path.parent)
    partial = Path(name)
    try:
        with open(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            cameras = []
            for index, view in enumerate(views):
                if view.depth is None or view.labels is None:
                    raise ValueError("a shard holds views with depth and labels")
                _add(archive, _member(index, "rgb"), view.rgb[..., ::-1])
                _add(archive, _member(index, "depth"), _coded_depth(view.depth))
                _add(archive, _member(index, "labels"), view.labels)
                cameras.append(asdict(view.intrinsics))
            archive.writestr(_entry(_LIST_FILE), json.dumps({"cameras": cameras}))
        partial.chmod(_FILE_MODE)
        os.replace(partial, path)
    except OSError as error:
        raise SequenceError(f"'{path}' cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def damage_of(path: Path, views: int) -> str | None:
    """What is wrong with a shard, every byte of which is read; None for nothing.

    Args:
        path: Of the shard.
        views: How many it should hold.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
            count = len(_listed(archive))
    except (*_DAMAGE, OSError) as error:
        return f"is damaged ({error})"
    if wrong is not None:
        return f"is damaged ({wrong})"
    return None if count == views else f"has {count} views in place of {views}"


class Shard:
    """A file of views that is kept open. Safe to use from several threads, not from a forked process.

    Raises:
        DataFileError: It is missing or damaged.
    """

    def __init__(self, path: Path):
        self._path = path
        self._turn = threading.Lock()
        try:
            self._archive = zipfile.ZipFile(path)
            self._cameras = [Intrinsics(**camera) for camera in _listed(self._archive)]
        except (*_DAMAGE, TypeError, OSError) as error:
            raise DataFileError(path, f"cannot be read ({error})") from error

    def __len__(self) -> int:
        return len(self._cameras)

    def view(self, index: int) -> View:
        """Read a view.

        Raises:
            DataFileError: It is damaged.
        """
        try:
            with self._turn:
                content = [self._archive.read(_member(index, kind)) for kind in ("rgb", "depth", "labels")]
        except (*_DAMAGE, OSError) as error:
            raise DataFileError(self._path, f"view {index} is damaged ({error})") from error
        rgb, depth, labels = (cv2.imdecode(np.frombuffer(c, np.uint8), cv2.IMREAD_UNCHANGED) for c in content)
        if rgb is None or depth is None or labels is None:
            raise DataFileError(self._path, f"view {index} is damaged (no image)")
        metres = depth.astype(np.float32) / np.float32(_DEPTH_SCALE)
        return View(cv2.cvtColor(rgb, cv2.COLOR_BGR2RGB), self._cameras[index], metres, labels)


def _member(index: int, kind: str) -> str:
    return f"{index:04d}.{kind}.png"


def _entry(name: str) -> zipfile.ZipInfo:
    """With a time that does not change, so that the same views make the same file."""
    return zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))


def _add(archive: zipfile.ZipFile, name: str, image: NDArray[Any]) -> None:
    coded, content = cv2.imencode(".png", np.ascontiguousarray(image), _PNG_OPTIONS)
    if not coded:
        raise ValueError(f"{name} cannot be coded as PNG")
    archive.writestr(_entry(name), content.tobytes())


def _listed(archive: zipfile.ZipFile) -> list[dict[str, Any]]:
    cameras = json.loads(archive.read(_LIST_FILE))["cameras"]
    return list(cameras)


def _coded_depth(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    scaled = np.rint(depth.astype(np.float64) * _DEPTH_SCALE)
    return np.where(scaled > np.iinfo(np.uint16).max, 0, scaled).astype(np.uint16)
