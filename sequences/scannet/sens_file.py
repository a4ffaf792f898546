"""ScanNet's .sens files: one file of camera matrices, compressed images, poses and IMU records.

Version 4 of the format, little-endian throughout: a header, frames one after the other, each with a header
of its own and two compressed images, and then IMU records. There is no table of where frames begin: the
headers of the frames are walked once, and nothing else of the file is read then. The file is mapped into
memory, so that a frame can be read from anywhere without reading what lies before it. IMU records are counted
and not decoded: nobody says how the sensor sits on the camera.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequences.errors import DataFileError

VERSION = 4
_LONGEST_SENSOR_NAME = 4096
#: Images with more rows or columns are none of a scanner.
LARGEST_SIZE = 8192
#: More frames than this are days of recording: the number is wrong.
_MOST_FRAMES = 10_000_000
_DOWNLOAD_AGAIN = "the download was cut off or the file is damaged; download it again"

_FRAME_HEADER = np.dtype(
    [
        ("camera_to_world", "<f4", (4, 4)),
        ("colour_us", "<u8"),
        ("depth_us", "<u8"),
        ("colour_bytes", "<u8"),
        ("depth_bytes", "<u8"),
    ]
)
_BLOB_SIZES = struct.Struct("<QQ")
#: Rotation rate, acceleration, magnetic field, attitude and gravity, 3 float64 each, and a uint64 time stamp.
_IMU_RECORD_BYTES = 5 * 3 * 8 + 8


class ColourCompression(IntEnum):
    """How colour images are stored."""

    RAW = 0
    PNG = 1
    JPEG = 2


class DepthCompression(IntEnum):
    """How depth images are stored; all are of 16-bit integers."""

    RAW = 0
    ZLIB = 1
    OCCI = 2


@dataclass(frozen=True)
class SensHeader:
    """What a file says once.

    Attributes:
        sensor_name: For people.
        colour_intrinsic: float64 [4, 4], pixels, as are all matrices with 32 bits of precision.
        colour_extrinsic: float64 [4, 4].
        depth_intrinsic: float64 [4, 4], pixels.
        depth_extrinsic: float64 [4, 4].
        colour_compression: How colour images are stored.
        depth_compression: How depth images are stored.
        colour_size: Width and height of colour images.
        depth_size: Width and height of depth images.
        depth_scale: Value of depth images at one metre.
    """

    sensor_name: str
    colour_intrinsic: NDArray[np.float64]
    colour_extrinsic: NDArray[np.float64]
    depth_intrinsic: NDArray[np.float64]
    depth_extrinsic: NDArray[np.float64]
    colour_compression: ColourCompression
    depth_compression: DepthCompression
    colour_size: tuple[int, int]
    depth_size: tuple[int, int]
    depth_scale: float


@dataclass(frozen=True)
class ImuPart:
    """How many IMU records there are.

    Attributes:
        stated: How many the file says it has; None where it ends before saying.
        whole: How many of them are there.
    """

    stated: int | None
    whole: int


class SensFile:
    """A file whose header and frame headers have been read. Used from several threads at once.

    Args:
        path: The file.

    Attributes:
        path: The file.
        header: What it says once.
        camera_to_world: float32 [N, 4, 4], metres; not finite where there is no pose.
        colour_us: uint64 [N], time stamps of colour images, microseconds.
        depth_us: uint64 [N], those of depth images.
        colour_bytes: int64 [N], sizes of compressed colour images; 0 where there is none.
        depth_bytes: int64 [N], sizes of compressed depth images.
        imu: How many IMU records there are.

    Raises:
        DataFileError: The file cannot be read, is no .sens file of version 4, or ends within its frames.
    """

    def __init__(self, path: Path):
        self.path = path
        header = _HeaderReader(path, self._mapping)
        self.header = _read_header(header)
        frames = header.frame_count()
        headers, self._frame_starts = _walk_frames(path, self._mapping, header.position, frames)
        self.camera_to_world: NDArray[np.float32] = headers["camera_to_world"].copy()
        self.colour_us: NDArray[np.uint64] = headers["colour_us"].copy()
        self.depth_us: NDArray[np.uint64] = headers["depth_us"].copy()
        self.colour_bytes: NDArray[np.int64] = headers["colour_bytes"].astype(np.int64)
        self.depth_bytes: NDArray[np.int64] = headers["depth_bytes"].astype(np.int64)
        # What was looked at on the way would otherwise count as memory of this process.
        self._mapping.madvise(mmap.MADV_DONTNEED)
        self.imu = _count_imu(self._mapping, self._depth_start(frames - 1) + int(self.depth_bytes[-1]))

    def __len__(self) -> int:
        return len(self._frame_starts)

    def __getstate__(self) -> dict[str, Any]:
        # A mapping belongs to its process; the other one makes its own.
        return {name: value for name, value in self.__dict__.items() if name != "_mapping"}

    def colour_blob(self, number: int) -> bytes:
        """The compressed colour image of a frame.

        Raises:
            DataFileError: The file has become shorter since it was opened.
        """
        return self._read(
            int(self._frame_starts[number]) + _FRAME_HEADER.itemsize, int(self.colour_bytes[number])
        )

    def depth_blob(self, number: int) -> bytes:
        """The compressed depth image of a frame; as :meth:`colour_blob`."""
        return self._read(self._depth_start(number), int(self.depth_bytes[number]))

    @cached_property
    def _mapping(self) -> mmap.mmap:
        try:
            with self.path.open("rb") as file:
                mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise DataFileError(self.path, f"the file cannot be read: {error.strerror}") from error
        except ValueError as error:  # what mmap says of an empty file
            raise DataFileError(self.path, "the file is empty; download it again") from error
        # Headers lie far apart: without this, the system would read the images between them as well.
        mapping.madvise(mmap.MADV_RANDOM)
        return mapping

    def _depth_start(self, number: int) -> int:
        return int(self._frame_starts[number]) + _FRAME_HEADER.itemsize + int(self.colour_bytes[number])

    def _read(self, start: int, size: int) -> bytes:
        if not size:
            return b""
        mapping = self._mapping
        # Touching a page that the file no longer has would end the process.
        if mapping.size() < start + size:
            raise DataFileError(self.path, "the file has become shorter since it was opened")
        first_page = start - start % mmap.PAGESIZE
        mapping.madvise(mmap.MADV_WILLNEED, first_page, start + size - first_page)
        content = mapping[start : start + size]
        # Otherwise all that was ever read would count as memory of this process.
        mapping.madvise(mmap.MADV_DONTNEED, first_page, start + size - first_page)
        return content


class _HeaderReader:
    """Takes values from the beginning of a file, one after the other."""

    def __init__(self, path: Path, mapping: mmap.mmap):
        self._path, self._mapping = path, mapping
        self.position = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        """The next values, laid out as :mod:`struct` says."""
        return struct.unpack(f"<{layout}", self.take_bytes(struct.calcsize(f"<{layout}")))

    def take_bytes(self, size: int) -> bytes:
        """The next bytes."""
        content = self._mapping[self.position : self.position + size]
        if len(content) < size:
            raise self.error(f"ends within its header, after {len(self._mapping)} bytes; {_DOWNLOAD_AGAIN}")
        self.position += size
        return content

    def matrix(self) -> NDArray[np.float64]:
        """The next 4×4 matrix."""
        return np.array(self.take("16f"), dtype=np.float64).reshape(4, 4)

    def frame_count(self) -> int:
        """How many frames follow."""
        (count,) = self.take("Q")
        if not 0 < count <= _MOST_FRAMES:
            raise self.error(f"says that it has {count} frames, which cannot be; {_DOWNLOAD_AGAIN}")
        return int(count)

    def error(self, problem: str) -> DataFileError:
        """What is wrong with the file."""
        return DataFileError(self._path, f"the .sens file {problem}")


def _read_header(reader: _HeaderReader) -> SensHeader:
    (version,) = reader.take("I")
    if version != VERSION:
        raise DataFileError(
            reader._path,
            f"is no .sens file of version {VERSION}: it begins with the number {version}; ScanNet's are of "
            f"version {VERSION}",
        )
    (length,) = reader.take("Q")
    if length > _LONGEST_SENSOR_NAME:
        raise reader.error(f"has a sensor name of {length} bytes, which cannot be; {_DOWNLOAD_AGAIN}")
    sensor_name = reader.take_bytes(int(length)).decode("utf-8", "replace")
    colour_intrinsic, colour_extrinsic, depth_intrinsic, depth_extrinsic = (reader.matrix() for _ in range(4))
    colour_code, depth_code, *sizes, depth_scale = reader.take("2i4If")
    if not all(0 < size <= LARGEST_SIZE for size in sizes):
        raise reader.error(f"has images of {sizes[0]}×{sizes[1]} and {sizes[2]}×{sizes[3]}, which cannot be")
    if not (np.isfinite(depth_scale) and depth_scale > 0):
        raise reader.error(f"says that one metre is {depth_scale:g} in depth images; it must be positive")
    return SensHeader(
        sensor_name,
        colour_intrinsic,
        colour_extrinsic,
        depth_intrinsic,
        depth_extrinsic,
        _colour_compression(reader, colour_code),
        _depth_compression(reader, depth_code),
        (sizes[0], sizes[1]),
        (sizes[2], sizes[3]),
        depth_scale,
    )


def _colour_compression(reader: _HeaderReader, code: int) -> ColourCompression:
    if code in set(ColourCompression):
        return ColourCompression(code)
    raise reader.error(
        f"stores colour images in an unknown way ({code}); raw, PNG and JPEG (0, 1, 2) can be read"
    )


def _depth_compression(reader: _HeaderReader, code: int) -> DepthCompression:
    if code in (DepthCompression.RAW, DepthCompression.ZLIB):
        return DepthCompression(code)
    if code == DepthCompression.OCCI:
        raise reader.error(
            "stores depth images in the format occi (2), the code of Occipital's Structure sensor, "
            "which only its maker's library reads; convert the file to zlib with ScanNet's tools"
        )
    raise reader.error(f"stores depth images in an unknown way ({code}); raw and zlib (0, 1) can be read")


def _walk_frames(
    path: Path, mapping: mmap.mmap, start: int, count: int
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """The headers of all frames, and where they are."""
    positions = list(_frame_positions(path, mapping, start, count))
    content = b"".join(mapping[position : position + _FRAME_HEADER.itemsize] for position in positions)
    return np.frombuffer(content, _FRAME_HEADER), np.array(positions, dtype=np.int64)


def _frame_positions(path: Path, mapping: mmap.mmap, start: int, count: int) -> Iterator[int]:
    size = len(mapping)
    for frame in range(count):
        images = start + _FRAME_HEADER.itemsize
        end = images
        if images <= size:
            end += sum(_BLOB_SIZES.unpack_from(mapping, images - _BLOB_SIZES.size))
        if end > size:
            raise DataFileError(
                path,
                f"the .sens file is cut off: of its {count} frames (0 to {count - 1}) frame {frame} is the "
                f"first that is missing; it would end at byte {end}, and the file ends at {size}; "
                f"{_DOWNLOAD_AGAIN}",
            )
        yield start
        start = end


def _count_imu(mapping: mmap.mmap, start: int) -> ImuPart:
    records = start + 8
    if records > len(mapping):
        return ImuPart(None, 0)
    (stated,) = struct.unpack_from("<Q", mapping, start)
    return ImuPart(stated, min(stated, (len(mapping) - records) // _IMU_RECORD_BYTES))
