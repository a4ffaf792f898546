"""The frames of a video in any order: always the one that decoding from the beginning gives at that place."""

import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sequences.errors import DataFileError
from sequences.lens import LensCorrection
from sequences.recording import FrameImages
from sequences.video_index import VideoIndex, checksum, open_video, read_image

#: How far decoding goes on to a later frame rather than look for a key frame near it.
_FURTHEST_READ_ON = 32
#: Of the frames that are passed over so, the last few are kept: threads that read a video together do not ask
#: in order.
_KEPT = 4
#: The decoder is sent to a frame a little before the one that is wanted: it often comes out one too late.
_AIMED_BEFORE = 2


class VideoFrames:
    """A :class:`~sequences.recording.FrameSource`.

    One decoder serves all threads, one after the other; it goes on where it is when the next frame, or one
    shortly behind it, is asked for. Otherwise it is sent near the frame. Where it comes out is not to be
    relied on: frames may depend on others that come later in the file, containers state rates that are none,
    and decoders show broken images when what a frame refers to was skipped. Therefore the image found there
    must be one of the index by time and checksum, at or before the frame that is wanted, and every image from
    there on must have the checksum of its place. If not, the video is decoded from its beginning.

    Args:
        path: The video.
        index: What is in it.
        lens: Removes lens distortion; None without.
    """

    def __init__(self, path: Path, index: VideoIndex, lens: LensCorrection | None):
        self._path, self._index, self._lens = path, index, lens
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._capture: cv2.VideoCapture | None = None
        self._next = 0
        self._was_sent = False
        self._passed: dict[int, NDArray[np.uint8]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"_path": self._path, "_index": self._index, "_lens": self._lens}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def read(self, index: int) -> FrameImages:
        """Decode one frame.

        Raises:
            DataFileError: The file is gone or is another than when it was indexed.
        """
        with self._lock:
            image = self._image(index)
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
        return FrameImages(self._lens.colour(rgb) if self._lens else rgb)

    def _image(self, index: int) -> NDArray[np.uint8]:
        image = self._passed.pop(index, None)
        if image is not None:
            return image
        capture = self._capture or self._from_beginning(index)
        if self._next <= index <= self._next + _FURTHEST_READ_ON:
            image = self._read_on(capture, index)
        else:
            image = self._send_near(capture, index)
        if image is None:
            image = self._read_on(self._from_beginning(index), index)
        if image is None:
            raise self._changed(index)
        return image

    def _read_on(self, capture: cv2.VideoCapture, index: int) -> NDArray[np.uint8] | None:
        """Decode up to a frame; None when what comes is not what the index says, or nothing comes."""
        while self._next <= index:
            if not self._was_sent and self._next < index - _KEPT:
                if not capture.grab():
                    return None
                self._next += 1
                continue
            image = read_image(capture)
            if image is None or (self._was_sent and checksum(image) != self._index.checksums[self._next]):
                return None
            self._next += 1
            if self._next <= index:
                self._keep(self._next - 1, image)
        return image

    def _keep(self, index: int, image: NDArray[np.uint8]) -> None:
        self._passed[index] = image
        if len(self._passed) > _KEPT:
            del self._passed[min(self._passed)]

    def _send_near(self, capture: cv2.VideoCapture, index: int) -> NDArray[np.uint8] | None:
        """Let the decoder look for a frame; None when it cannot be said where it came out, or too late."""
        self._was_sent = True
        capture.set(cv2.CAP_PROP_POS_MSEC, self._index.times_ms[max(0, index - _AIMED_BEFORE)])
        image = read_image(capture)
        if image is None:
            return None
        place = self._places.get((capture.get(cv2.CAP_PROP_POS_MSEC), checksum(image)))
        if place is None or place > index:
            return None
        self._next = place + 1
        return image if place == index else self._read_on(capture, index)

    def _from_beginning(self, index: int) -> cv2.VideoCapture:
        """A decoder in front of the first frame; ``index`` is for messages."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None
        try:
            state = self._path.stat()
        except OSError as error:
            raise DataFileError(
                self._path, f"frame {index}: the video cannot be read: {error.strerror}"
            ) from error
        if (state.st_size, state.st_mtime_ns) != (self._index.bytes_in_file, self._index.modified_ns):
            raise self._changed(index)
        self._capture = open_video(self._path)
        self._next, self._was_sent = 0, False
        return self._capture

    def _changed(self, index: int) -> DataFileError:
        return DataFileError(
            self._path, f"frame {index}: the video was changed after it was opened; open the sequence again"
        )

    @cached_property
    def _places(self) -> dict[tuple[float, int], int]:
        """Frames by time and checksum, without those that these do not tell apart."""
        places: dict[tuple[float, int], int] = {}
        twice = set()
        for place, key in enumerate(zip(self._index.times_ms, self._index.checksums, strict=True)):
            if places.setdefault(key, place) != place:
                twice.add(key)
        return {key: place for key, place in places.items() if key not in twice}
