"""Images out of a .sens file."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sequences.images import EncodedImage, decode, depth_in_metres
from sequences.scannet.sens_file import ColourCompression, DepthCompression, SensFile


@dataclass(frozen=True)
class SensImages:
    """The images of those frames of a file that have both; :class:`~sequences.scannet.scene.SceneImages`.

    Attributes:
        file: The file.
        numbers: int64 [N], numbers in the file of the frames that are used.
    """

    file: SensFile
    numbers: NDArray[np.int64]

    def colour(self, index: int) -> NDArray[np.uint8]:
        """The colour image of a frame, uint8 [H, W, 3], blue first.

        Raises:
            DataFileError: It is damaged or of another size than the file says.
        """
        blob = self.file.colour_blob(int(self.numbers[index]))
        image = EncodedImage(blob, self.file.path, index, "colour")
        width, height = self.file.header.colour_size
        if self.file.header.colour_compression == ColourCompression.RAW:
            _require_bytes(image, blob, width * height * 3)
            return np.frombuffer(blob, np.uint8).reshape(height, width, 3)[..., ::-1]
        return decode_colour(image, (width, height))

    def depth(self, index: int) -> NDArray[np.float32]:
        """The depth image of a frame, float32 [h, w], metres, 0 where unknown.

        Raises:
            DataFileError: It is damaged or of another size than the file says.
        """
        blob = self.file.depth_blob(int(self.numbers[index]))
        image = EncodedImage(blob, self.file.path, index, "depth")
        width, height = self.file.header.depth_size
        if self.file.header.depth_compression == DepthCompression.ZLIB:
            blob = _inflate(image, width * height * 2)
        else:
            _require_bytes(image, blob, width * height * 2)
        return depth_in_metres(
            np.frombuffer(blob, "<u2").reshape(height, width), self.file.header.depth_scale
        )


def decode_colour(image: EncodedImage, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode a colour image to uint8 [H, W, 3], blue first: channels are swapped after it was made smaller.

    Raises:
        DataFileError: It is damaged, no image or of another size.
    """
    return decode(image, size, "bgr").astype(np.uint8, copy=False)


def _inflate(image: EncodedImage, size: int) -> bytes:
    """Decompress depth values, never to more than there should be."""
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(image.content, size + 1)
    except zlib.error as error:
        raise image.error(f"is damaged ({error}); download the file again") from error
    if len(content) > size:
        raise image.error(f"decompresses to more than the {size} bytes of its size; download the file again")
    if not inflater.eof:
        raise image.error("is truncated; download the file again")
    _require_bytes(image, content, size)
    return content


def _require_bytes(image: EncodedImage, content: bytes, expected: int) -> None:
    if len(content) != expected:
        raise image.error(
            f"is of {len(content)} bytes, expected {expected} by the size that the file states; "
            "download the file again"
        )
