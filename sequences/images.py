"""Images of a sequence, decoded with every way in which a file can be wrong made a clear error."""

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from sequences.errors import DataFileError

#: How pixels leave: three channels of 8 bits in one of two orders, or as they are stored.
Channels = Literal["rgb", "bgr", "stored"]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"


@dataclass(frozen=True)
class EncodedImage:
    """An image before it is decoded.

    Attributes:
        content: PNG, JPEG or another format that both OpenCV and Pillow know (BMP, TIFF, WebP, PNM).
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
        path: PNG, JPEG or another format that both OpenCV and Pillow know (BMP, TIFF, WebP, PNM).
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
    labels = decode(image, size, "stored")
    require_one_channel(image, labels, np.dtype(np.uint8))
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
        DataFileError: It is damaged, no image or of another size.
    """
    return decode(image, size, "rgb").astype(np.uint8, copy=False)


def decode_depth(
    image: EncodedImage, size: tuple[int, int], depth_scale: float, unknown: tuple[int, ...] = ()
) -> NDArray[np.float32]:
    """Decode a depth image of 16-bit integers to metres; as :func:`read_depth`."""
    decoded = decode(image, size, "stored")
    if decoded.dtype == np.uint8:
        raise image.error(
            "has 8 bits per pixel, too few for distances; export it as a 16-bit PNG of one channel"
        )
    require_one_channel(image, decoded, np.dtype(np.uint16))
    return depth_in_metres(decoded, depth_scale, unknown)


def depth_in_metres(
    values: NDArray[Any], depth_scale: float, unknown: tuple[int, ...] = ()
) -> NDArray[np.float32]:
    """Integers of a depth image, [H, W], as float32 metres, 0 where unknown."""
    depth = values.astype(np.float32) / np.float32(depth_scale)
    for value in unknown:
        depth[values == value] = 0.0
    return depth


def decode(image: EncodedImage, size: tuple[int, int], channels: Channels) -> NDArray[Any]:
    """Decode an image, looking at its size and for damage first.

    The size is that of the header: a file of some kilobytes can state a size that would fill the memory.

    Args:
        image: The image.
        size: Width and height that it must have, pixels.
        channels: How pixels leave; whatever orientation a camera wrote beside them is ignored.

    Returns:
        [H, W], or [H, W, C] for several channels. What is stored leaves blue first, then alpha.

    Raises:
        DataFileError: It is empty, truncated, damaged, no image or of another size.
    """
    if not image.content:
        raise image.error("is empty; download or export the file again")
    if image.content.startswith(_JPEG_SIGNATURE):
        return _decode_jpeg(image, size, channels)
    is_png = image.content.startswith(_PNG_SIGNATURE)
    require_size(image, _png_size(image) if is_png else _size_by_pillow(image), size)
    return _decode_by_opencv(image, channels)


def _decode_jpeg(image: EncodedImage, size: tuple[int, int], channels: Channels) -> NDArray[Any]:
    """Decode a JPEG. Whatever libjpeg merely warns of is an error: it has made up pixels then."""
    try:
        height, width, stored, _ = simplejpeg.decode_jpeg_header(image.content)
        require_size(image, (width, height), size)
        if channels != "stored":
            return simplejpeg.decode_jpeg(image.content, channels.upper())
        decoded = simplejpeg.decode_jpeg(image.content, "GRAY" if stored == "Gray" else "BGR")
        return decoded[..., 0] if stored == "Gray" else decoded
    except KeyError:  # a subsampling that the library has no name for
        return _decode_rare_jpeg(image, size, channels)
    except ValueError as error:
        if "subsampling level" in str(error):
            return _decode_rare_jpeg(image, size, channels)
        raise image.error(f"is truncated or damaged ({error}); download or export the file again") from error


def _decode_rare_jpeg(image: EncodedImage, size: tuple[int, int], channels: Channels) -> NDArray[Any]:
    """Decode a JPEG that simplejpeg does not take: CMYK as printers use it, channels of unusual sizes."""
    require_size(image, _size_by_pillow(image), size)
    if _JPEG_END not in image.content[-1024:]:
        raise image.error("is truncated or damaged (it has no end); download or export the file again")
    return _decode_by_opencv(image, channels)


def _decode_by_opencv(image: EncodedImage, channels: Channels) -> NDArray[Any]:
    as_colour = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    flags = cv2.IMREAD_UNCHANGED if channels == "stored" else as_colour
    try:
        decoded = cv2.imdecode(np.frombuffer(image.content, np.uint8), flags)
    except cv2.error:
        decoded = None
    if decoded is None:
        raise image.error("cannot be decoded; download or export the file again")
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB) if channels == "rgb" else decoded


def _size_by_pillow(image: EncodedImage) -> tuple[int, int]:
    """Width and height by the header of a file of any format."""
    try:
        with Image.open(io.BytesIO(image.content)) as opened:
            return opened.size
    except Image.DecompressionBombError as error:
        raise image.error(f"is far too large ({error})") from error
    # The reader of PNM raises ValueError.
    except (OSError, ValueError) as error:
        raise image.error("cannot be decoded; download or export the file again") from error


def _png_size(image: EncodedImage) -> tuple[int, int]:
    """Width and height, after all chunks up to IEND were held against their checksums.

    Decoders differ in how much of a broken file they silently fill with zeros. The chunks are those of the
    PNG specification, section 5.

    Raises:
        DataFileError: The file ends before its last chunk, or a checksum is wrong.
    """
    content, position = image.content, len(_PNG_SIGNATURE)
    while True:
        header = content[position : position + 8]
        length, kind = struct.unpack(">I4s", header) if len(header) == 8 else (0, b"")
        end = position + 8 + length
        stored_checksum = content[end : end + 4]
        if len(stored_checksum) < 4:
            raise image.error("is truncated; download or export the file again")
        if zlib.crc32(content[position + 4 : end]) != int.from_bytes(stored_checksum, "big"):
            raise image.error("is damaged (a checksum inside it is wrong); download or export the file again")
        if kind == b"IEND":
            break
        position = end + 4
    if len(content) < 24 or content[12:16] != b"IHDR":
        raise image.error("has no size in it; download or export the file again")
    width, height = struct.unpack_from(">2I", content, 16)
    return width, height


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


def require_size(image: EncodedImage, found: tuple[int, int], size: tuple[int, int]) -> None:
    """Compare the width and height of an image.

    Raises:
        DataFileError: They are other than the calibration's.
    """
    if found != size:
        raise image.error(
            f"is {found[0]}×{found[1]}, the calibration says {size[0]}×{size[1]}; "
            "correct the calibration or use images of one size"
        )
