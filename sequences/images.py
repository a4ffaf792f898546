"""Images of a sequence, decoded with every way in which a file can be wrong made a clear error."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sequences.errors import DataFileError

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"


@dataclass(frozen=True)
class EncodedImage:
    """An image before it is decoded.

    Attributes:
        content: PNG, JPEG or any other format that OpenCV decodes.
        origin: The file it is, or is part of, for messages.
        frame: Index of its frame, for messages.
        kind: ``colour``, ``depth`` or ``label``, for messages.
    """

    content: bytes
    origin: Path
    frame: int
    kind: str

    def error(self, problem: str) -> DataFileError:
        """What is wrong with it, with its file and frame."""
        return DataFileError(self.origin, f"frame {self.frame}: the {self.kind} image {problem}")


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
    return decode_rgb(read_encoded(path, frame, "colour"), size)


def read_depth(
    path: Path, frame: int, size: tuple[int, int], depth_scale: float, unknown: tuple[int, ...] = ()
) -> NDArray[np.float32]:
    """Read a depth image of 16-bit integers.

    Args:
        path: PNG of one channel.
        frame: Index of the frame, for messages.
        size: Width and height that the calibration states, pixels.
        depth_scale: Image value of one metre.
        unknown: Values that mean "unknown", beside 0.

    Returns:
        float32 [H, W], metres, 0 where unknown.

    Raises:
        DataFileError: The file is missing, truncated, not of one 16-bit channel or of another size.
    """
    return decode_depth(read_encoded(path, frame, "depth"), size, depth_scale, unknown)


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
    image = read_encoded(path, frame, "label")
    labels = decode(image, cv2.IMREAD_UNCHANGED)
    require_one_channel(image, labels, np.dtype(np.uint8))
    require_size(image, labels, size)
    return labels.astype(np.uint8, copy=False)


def read_encoded(path: Path, frame: int, kind: str) -> EncodedImage:
    """Read an image file without decoding it.

    Args:
        path: The file.
        frame: Index of the frame, for messages.
        kind: ``colour``, ``depth`` or ``label``, for messages.

    Raises:
        DataFileError: The file is missing or cannot be read.
    """
    try:
        return EncodedImage(path.read_bytes(), path, frame, kind)
    except FileNotFoundError as error:
        missing = EncodedImage(b"", path, frame, kind)
        raise missing.error("is missing; restore it or take it out of the list") from error
    except OSError as error:
        unreadable = EncodedImage(b"", path, frame, kind)
        raise unreadable.error(f"cannot be read: {error.strerror}") from error


def decode_rgb(image: EncodedImage, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode a colour image to uint8 [H, W, 3], RGB; a grey one gets three equal channels.

    Raises:
        DataFileError: It is truncated, no image or of another size.
    """
    decoded = decode(image, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    require_size(image, decoded, size)
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def decode_depth(
    image: EncodedImage, size: tuple[int, int], depth_scale: float, unknown: tuple[int, ...] = ()
) -> NDArray[np.float32]:
    """Decode a depth image of 16-bit integers to metres; as :func:`read_depth`."""
    decoded = decode(image, cv2.IMREAD_UNCHANGED)
    if decoded.dtype == np.uint8:
        raise image.error(
            "has 8 bits per pixel, too few for distances; export it as a 16-bit PNG of one channel"
        )
    require_one_channel(image, decoded, np.dtype(np.uint16))
    require_size(image, decoded, size)
    return depth_in_metres(decoded, depth_scale, unknown)


def depth_in_metres(
    values: NDArray[Any], depth_scale: float, unknown: tuple[int, ...] = ()
) -> NDArray[np.float32]:
    """Integers of a depth image, [H, W], as float32 metres, 0 where unknown."""
    depth = values.astype(np.float32) / np.float32(depth_scale)
    for value in unknown:
        depth[values == value] = 0.0
    return depth


def decode(image: EncodedImage, flags: int) -> NDArray[Any]:
    """Decode an image with OpenCV, looking for damage first.

    Raises:
        DataFileError: It is empty, truncated, damaged or no image.
    """
    damage = _damage(image.content)
    if damage is not None:
        raise image.error(f"is {damage}; download or export the file again")
    try:
        decoded = cv2.imdecode(np.frombuffer(image.content, np.uint8), flags)
    except cv2.error:
        decoded = None
    if decoded is None:
        raise image.error("cannot be decoded; download or export the file again")
    return decoded


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


def require_one_channel(image: EncodedImage, decoded: NDArray[Any], dtype: np.dtype[Any]) -> None:
    """Check the channels of a decoded image.

    Raises:
        DataFileError: There are several, or values are of another kind.
    """
    channels = 1 if decoded.ndim == 2 else decoded.shape[2]
    if channels != 1 or decoded.dtype != dtype:
        raise image.error(
            f"has {channels} channels of {decoded.dtype}, expected one of {dtype}; "
            f"export it as a PNG of one {dtype.itemsize * 8}-bit channel"
        )


def require_size(image: EncodedImage, decoded: NDArray[Any], size: tuple[int, int]) -> None:
    """Check the size of a decoded image.

    Raises:
        DataFileError: It is another than the calibration's.
    """
    height, width = decoded.shape[:2]
    if (width, height) != size:
        raise image.error(
            f"is {width}×{height}, the calibration says {size[0]}×{size[1]}; "
            "correct the calibration or use images of one size"
        )
