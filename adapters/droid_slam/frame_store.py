"""Keeps every scaled frame until the end, when upstream wants to see them all again."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StoredFrame:
    """A frame as it was given to upstream.

    Attributes:
        index: Of the frame, which is its time stamp too.
        timestamp_ns: Of the frame.
        image: uint8 [3, h, w], blue, green, red.
    """

    index: int
    timestamp_ns: int
    image: NDArray[np.uint8]


class FrameStore:
    """Frames in memory up to a limit, the later ones in a file that is removed by :meth:`close`.

    Args:
        overflow: The file, made when it is needed.
        memory_bytes: How much may be held in memory.
        shape: Of every image, [3, h, w].
    """

    def __init__(self, overflow: Path, memory_bytes: int, shape: tuple[int, int, int]) -> None:
        self._overflow = overflow
        self._shape = shape
        self._frame_bytes = int(np.prod(shape))
        self._room = memory_bytes // self._frame_bytes
        self._in_memory: list[NDArray[np.uint8]] = []
        self._file: BinaryIO | None = None
        self._indices: list[int] = []
        self._timestamps_ns: list[int] = []

    def __len__(self) -> int:
        return len(self._indices)

    @property
    def on_disk(self) -> int:
        """How many frames went into the file."""
        return len(self) - len(self._in_memory)

    @property
    def indices(self) -> tuple[int, ...]:
        """Of all frames, in order."""
        return tuple(self._indices)

    @property
    def timestamps_ns(self) -> NDArray[np.int64]:
        """int64 [N], of all frames, in order."""
        return np.array(self._timestamps_ns, dtype=np.int64)

    def append(self, frame: StoredFrame) -> None:
        """Keep the next frame; its image must not be written to afterwards."""
        if len(self._in_memory) < self._room:
            self._in_memory.append(frame.image)
        else:
            if self._file is None:
                self._file = self._overflow.open("w+b")
            self._file.seek(self.on_disk * self._frame_bytes)
            self._file.write(frame.image.tobytes())
        self._indices.append(frame.index)
        self._timestamps_ns.append(frame.timestamp_ns)

    def __iter__(self) -> Iterator[StoredFrame]:
        for position, (index, timestamp_ns) in enumerate(
            zip(self._indices, self._timestamps_ns, strict=True)
        ):
            yield StoredFrame(index, timestamp_ns, self._image(position))

    def close(self) -> None:
        """Let go of all frames and remove the file."""
        self._in_memory.clear()
        if self._file is not None:
            self._file.close()
            self._overflow.unlink(missing_ok=True)
        self._file = None

    def _image(self, position: int) -> NDArray[np.uint8]:
        if position < len(self._in_memory):
            return self._in_memory[position]
        assert self._file is not None, "what is not in memory is in the file"
        self._file.seek((position - len(self._in_memory)) * self._frame_bytes)
        return np.frombuffer(self._file.read(self._frame_bytes), np.uint8).reshape(self._shape)
