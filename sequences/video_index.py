"""What is in a video, found out by decoding all of it once: its frames, and when each is shown."""

import hashlib
import json
import logging
import os
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from sequences.errors import DataFileError

logger = logging.getLogger(__name__)

#: Raised when indices of another making must not be read any more.
_FORMAT = 1


class VideoIndex(BaseModel):
    """The frames of a video, in the order in which they are decoded when nothing is skipped.

    Attributes:
        bytes_in_file: Size of the file.
        modified_ns: When it was last changed.
        times_ms: When each frame is shown, as the container says; not always increasing.
        checksums: CRC-32 of each frame as it is decoded, blue, green, red.
        promised: How many frames the container says there are; often an estimate, 0 where it says nothing.
        rate_hz: Frames a second that the container states; 0 where it states none.
        width: Of all frames, as they are stored, pixels.
        height: The same.
        rotation: By how many degrees the container says frames are to be turned for people to look at.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes_in_file: int
    modified_ns: int
    times_ms: tuple[float, ...]
    checksums: tuple[int, ...]
    promised: int
    rate_hz: float
    width: int
    height: int
    rotation: int

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if not self.checksums or len(self.times_ms) != len(self.checksums):
            raise ValueError("a time and a checksum belong to every frame")
        return self

    def __len__(self) -> int:
        return len(self.checksums)


def checksum(image: NDArray[np.uint8]) -> int:
    """What a decoded frame is compared by."""
    return zlib.crc32(image.data)


def open_video(path: Path) -> cv2.VideoCapture:
    """Open a video for decoding. Frames come as they are stored, never turned.

    Raises:
        DataFileError: It is no video, or in a format that this OpenCV does not decode.
    """
    # FFmpeg alone: other parts of OpenCV would take a digit in the name for the first of many images.
    capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise DataFileError(
            path,
            "cannot be opened as a video: it is none, its end is missing (where most MP4 files keep their "
            "table of contents), or OpenCV here has no decoder for it; copy it again, or convert it",
        )
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    return capture


def index_video(
    path: Path, cache_directory: Path | None, progress: Callable[[str, int, int], None]
) -> VideoIndex:
    """Look up what is in a video, or decode it from beginning to end to find out.

    Args:
        path: The video.
        cache_directory: Where indices are kept; None keeps none.
        progress: Told about every frame that is decoded.

    Raises:
        DataFileError: It is no video, or not a frame of it can be decoded.
    """
    if cache_directory is None:
        return _make_index(path, progress)
    file = _index_file(path, cache_directory)
    try:
        return VideoIndex.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        # There is none yet, or a broken one.
        index = _make_index(path, progress)
    try:
        _write_whole(file, index.model_dump_json().encode())
    except OSError as error:
        logger.warning("the index of %s cannot be kept in %s: %s", path, cache_directory, error.strerror)
    return index


def _index_file(path: Path, cache_directory: Path) -> Path:
    """Named after all that the decoded frames depend on."""
    state = path.stat()
    ingredients = [_FORMAT, cv2.__version__, str(path.resolve()), state.st_size, state.st_mtime_ns]
    name = hashlib.sha256(json.dumps(ingredients).encode()).hexdigest()[:32]
    return cache_directory / "videos" / f"{name}.json"


def _make_index(path: Path, progress: Callable[[str, int, int], None]) -> VideoIndex:
    state = path.stat()
    capture = open_video(path)
    try:
        promised = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        times_ms: list[float] = []
        checksums: list[int] = []
        size: tuple[int, int] | None = None
        while (image := read_image(capture)) is not None:
            height, width = image.shape[:2]
            if size not in (None, (width, height)):
                raise DataFileError(
                    path, f"frame {len(checksums)} is {width}×{height}, those before it have another size"
                )
            size = width, height
            times_ms.append(capture.get(cv2.CAP_PROP_POS_MSEC))
            checksums.append(checksum(image))
            progress(f"indexing {path.name}", len(checksums), max(promised, len(checksums)))
        if size is None:
            raise DataFileError(path, "not a frame of it can be decoded; copy or export the video again")
        return VideoIndex(
            bytes_in_file=state.st_size,
            modified_ns=state.st_mtime_ns,
            times_ms=tuple(times_ms),
            checksums=tuple(checksums),
            promised=promised,
            rate_hz=max(0.0, capture.get(cv2.CAP_PROP_FPS)),
            width=size[0],
            height=size[1],
            rotation=int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360,
        )
    finally:
        capture.release()


def read_image(capture: cv2.VideoCapture) -> NDArray[np.uint8] | None:
    """Decode the next frame: uint8 [H, W, 3], blue, green, red; None when there is none."""
    succeeded, image = capture.read()
    return image.astype(np.uint8, copy=False) if succeeded else None


def _write_whole(file: Path, content: bytes) -> None:
    """Write a file that appears under its name only when all of it is there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as partial:
            partial.write(content)
        os.replace(name, file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
