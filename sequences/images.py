"""Images of a sequence, decoded with every way in which a file can be wrong made a clear error."""

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sequences.errors import DataFileError

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"


def read_rgb(path: Path, frame: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Read a colour image.

    Args:
        path: PNG, JPEG or any other format that OpenCV decodes.
        frame: Index of the frame, for messages.
        size: Width and height that the calibration states, pixels.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        DataFileError: The file is missing, truncated, no image or of another size.
    """
    image = _decode(path, frame, "colour", cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    _require_size(path, frame, "colour", image, size)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def read_depth(path: Path, frame: int, size: tuple[int, int], depth_scale: float) -> NDArray[np.float32]:
    """Read a depth image of 16-bit integers.

    Args:
        path: PNG of one channel.
        frame: Index of the frame, for messages.
        size: Width and height that the calibration states, pixels.
        depth_scale: Image value of one metre.

    Returns:
        float32 [H, W], metres, 0 where unknown.

    Raises:
        DataFileError: The file is missing, truncated, not of one 16-bit channel or of another size.
    """
    image = _decode(path, frame, "depth", cv2.IMREAD_UNCHANGED)
    if image.dtype == np.uint8:
        raise DataFileError(
            path,
            f"frame {frame}: the depth image has 8 bits per pixel, too few for distances; "
            "export it as a 16-bit PNG of one channel",
        )
    _require_one_channel(path, frame, "depth", image, np.dtype(np.uint16))
    _require_size(path, frame, "depth", image, size)
    return image.astype(np.float32) / np.float32(depth_scale)


def read_labels(path: Path, frame: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Read an image of label ids.

    Args:
        path: PNG of one 8-bit channel.
        frame: Index of the frame, for messages.
        size: Width and height that the calibration states, pixels.

    Returns:
        uint8 [H, W], label ids.

    Raises:
        DataFileError: The file is missing, truncated, not of one 8-bit channel or of another size.
    """
    image = _decode(path, frame, "label", cv2.IMREAD_UNCHANGED)
    _require_one_channel(path, frame, "label", image, np.dtype(np.uint8))
    _require_size(path, frame, "label", image, size)
    return image.astype(np.uint8, copy=False)


def _decode(path: Path, frame: int, kind: str, flags: int) -> NDArray[Any]:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataFileError(
            path, f"frame {frame}: the {kind} image is missing; restore it or take it out of the list"
        ) from error
    except OSError as error:
        raise DataFileError(
            path, f"frame {frame}: the {kind} image cannot be read: {error.strerror}"
        ) from error
    damage = _damage(content)
    if damage is not None:
        raise DataFileError(
            path, f"frame {frame}: the {kind} image is {damage}; download or export the file again"
        )
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise DataFileError(
            path, f"frame {frame}: the {kind} image cannot be decoded; download or export the file again"
        )
    return image


def _damage(content: bytes) -> str | None:
    """What is wrong with an encoded image before it is decoded.

    Decoders differ in how much of a broken file they silently fill with zeros, so PNG chunks and the end of
    JPEG data are looked at here.
    """
    if not content:
        return "empty"
    if content.startswith(_PNG_SIGNATURE):
        return _png_damage(content)
    if content.startswith(_JPEG_SIGNATURE) and _JPEG_END not in content[-1024:]:
        return "truncated"
    return None


def _png_damage(content: bytes) -> str | None:
    """Follow the chunks to IEND and compare their checksums (PNG specification, section 5)."""
    position = len(_PNG_SIGNATURE)
    while True:
        header = content[position : position + 8]
        if len(header) < 8:
            return "truncated"
        length, kind = struct.unpack(">I4s", header)
        end = position + 8 + length
        stored_checksum = content[end : end + 4]
        if len(stored_checksum) < 4:
            return "truncated"
        if zlib.crc32(content[position + 4 : end]) != int.from_bytes(stored_checksum, "big"):
            return "damaged (a checksum inside it is wrong)"
        if kind == b"IEND":
            return None
        position = end + 4


def _require_one_channel(
    path: Path, frame: int, kind: str, image: NDArray[Any], dtype: np.dtype[Any]
) -> None:
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels != 1 or image.dtype != dtype:
        raise DataFileError(
            path,
            f"frame {frame}: the {kind} image has {channels} channels of {image.dtype}, expected one of "
            f"{dtype}; export it as a PNG of one {dtype.itemsize * 8}-bit channel",
        )


def _require_size(path: Path, frame: int, kind: str, image: NDArray[Any], size: tuple[int, int]) -> None:
    height, width = image.shape[:2]
    if (width, height) != size:
        raise DataFileError(
            path,
            f"frame {frame}: the {kind} image is {width}×{height}, the calibration says {size[0]}×{size[1]}; "
            "correct calibration.txt or use images of one size",
        )
