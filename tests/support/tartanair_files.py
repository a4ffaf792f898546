"""Small recordings in the layouts of TartanAir's two releases, written byte by byte from their description.

The true camera poses are ``seen_room.camera_path``; what is written is converted from them by hand.
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from seen_room import CAMERA, camera_path, view

FRAMES = 5
#: What the renderer says where there is the sky.
SKY_M = 10_000.0
CALIBRATION = (
    "# fx fy cx cy width height\n"
    f"{CAMERA.fx} {CAMERA.fy} {CAMERA.cx} {CAMERA.cy} {CAMERA.width} {CAMERA.height}\n"
)


@dataclass(frozen=True)
class TartanAirFiles:
    """What to write.

    Attributes:
        camera: ``left`` or ``right`` of the first release, ``lcam_front`` or ``rcam_front`` of the second.
        depth: Whether to write depth.
        poses: Whether to write poses.
        numbers: Of the images; the poses begin at 0 and go to the last of them.
    """

    camera: str = "left"
    depth: bool = True
    poses: bool = True
    numbers: tuple[int, ...] = tuple(range(FRAMES))

    def write(self, directory: Path) -> Path:
        """Write the recording and return its folder."""
        path = camera_path(self.numbers[-1] + 1)
        images, depths = directory / f"image_{self.camera}", directory / f"depth_{self.camera}"
        images.mkdir(parents=True)
        if self.depth:
            depths.mkdir()
        for number in self.numbers:
            rgb, depth, _ = view(path[number])
            cv2.imwrite(str(images / f"{number:06d}_{self.camera}.png"), rgb[..., ::-1])
            depth = depth.copy()
            depth[0] = SKY_M
            if self.depth and "front" in self.camera:
                (depths / f"{number:06d}_{self.camera}_depth.png").write_bytes(float_png(depth))
            elif self.depth:
                (depths / f"{number:06d}_{self.camera}_depth.npy").write_bytes(npy(depth))
        if self.poses:
            lines = "".join(f"{pose_line(pose)}\n" for pose in path)
            (directory / f"pose_{self.camera}.txt").write_text(lines)
        (directory / "calibration.txt").write_text(CALIBRATION)
        return directory


def write_tartanair_sequence(directory: Path, **changes: object) -> Path:
    """Write a recording of five frames; ``changes`` are fields of :class:`TartanAirFiles`."""
    return TartanAirFiles(**changes).write(directory)


def pose_line(camera_to_world: NDArray[np.float64]) -> str:
    """A pose as published: x forward is our z axis, y right our x axis, z down our y axis."""
    right, down, forward = camera_to_world[:3, :3].T
    quaternion = Rotation.from_matrix(np.column_stack([forward, right, down])).as_quat()
    return " ".join(f"{number:.9e}" for number in (*camera_to_world[:3, 3], *quaternion))


def npy(array: NDArray[np.generic], kind: str = "<f4") -> bytes:
    """NumPy's file format 1.0: signature, version, length of the header, header, data row by row."""
    shape = ", ".join(str(length) for length in array.shape)
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape},), }}"
    header = header.ljust((len(header) + 11 + 63) // 64 * 64 - 11) + "\n"
    return (
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + array.astype(kind).tobytes()
    )


def float_png(depth: NDArray[np.float32]) -> bytes:
    """An RGBA image of the bytes of float32: blue is the least significant, then green, red, alpha."""
    height, width = depth.shape
    least_first = depth.astype("<f4").view(np.uint8).reshape(height, width, 4)
    rgba = least_first[..., [2, 1, 0, 3]]
    rows = b"".join(b"\x00" + row.tobytes() for row in rgba)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
