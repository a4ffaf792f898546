"""Small videos whose frames say which they are, and what is needed to change their times and rotation."""

import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 64, 48
RATE_HZ = 30.0
CALIBRATION = f"# fx fy cx cy width height\n60 60 31.5 23.5 {WIDTH} {HEIGHT}\n"

_BITS = 8
#: Boxes of the MP4 format (ISO/IEC 14496-12) that hold boxes.
_CONTAINERS = (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl")


def write_video(path: Path, codec: str, frames: int = 60) -> Path:
    """Write a video of something that moves, with each frame's number in it, and a calibration beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), RATE_HZ, (WIDTH, HEIGHT)
    )
    assert writer.isOpened(), f"OpenCV cannot write {codec} to {path.suffix}"
    for index in range(frames):
        writer.write(_picture(index))
    writer.release()
    path.with_name(f"{path.stem}.calibration.txt").write_text(CALIBRATION)
    return path


def number_in(rgb: NDArray[np.uint8]) -> int:
    """Which frame an image is: the first row of blocks is its number in binary, white for 1."""
    block = rgb.shape[1] // _BITS
    means = [rgb[4:12, bit * block + 2 : (bit + 1) * block - 2].mean() for bit in range(_BITS)]
    return sum(1 << bit for bit, mean in enumerate(means) if mean > 127)


def decoded_in_order(path: Path) -> list[NDArray[np.uint8]]:
    """All frames of a video as RGB, decoded from the first to the last."""
    capture, images = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), []
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    while True:
        succeeded, image = capture.read()
        if not succeeded:
            return images
        images.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def set_durations(path: Path, durations: list[int]) -> None:
    """Let every frame of an MP4 file be shown for so many ticks (15360 a second), in its box ``stts``.

    The box ``elst`` ends the video where it used to end; it is moved out of the way.
    """
    entries = b"".join(struct.pack(">II", 1, duration) for duration in durations)
    _replace(path, b"stts", lambda _: struct.pack(">II", 0, len(durations)) + entries)
    _replace(path, b"elst", lambda payload: payload[:8] + struct.pack(">I", 10**8) + payload[12:])


def set_rotation(path: Path) -> None:
    """Let an MP4 file say that players must turn the picture by 90°, in the matrix of its box ``tkhd``."""
    matrix = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    _replace(path, b"tkhd", lambda payload: payload[:40] + matrix + payload[76:])


def _replace(path: Path, kind: bytes, change: Callable[[bytes], bytes]) -> None:
    # The table of contents comes last in these files, so that no offset into the frames changes.
    path.write_bytes(_replaced(path.read_bytes(), kind, change))


def _replaced(content: bytes, kind: bytes, change: Callable[[bytes], bytes]) -> bytes:
    result, position = b"", 0
    while position < len(content):
        length, name = struct.unpack(">I4s", content[position : position + 8])
        payload = content[position + 8 : position + length]
        if name == kind:
            payload = change(payload)
        elif name in _CONTAINERS:
            payload = _replaced(payload, kind, change)
        result += struct.pack(">I4s", len(payload) + 8, name) + payload
        position += length
    return result


def _picture(index: int) -> NDArray[np.uint8]:
    rows, columns = np.indices((HEIGHT, WIDTH))
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    for channel, (across, down) in enumerate([(0.21, 0.13), (0.11, 0.27), (0.17, -0.19)]):
        picture[..., channel] = 127 + 90 * np.sin(across * (columns + 2 * index) + down * rows)
    block = WIDTH // _BITS
    for bit in range(_BITS):
        picture[:16, bit * block : (bit + 1) * block] = 255 * (index >> bit & 1)
    return picture
