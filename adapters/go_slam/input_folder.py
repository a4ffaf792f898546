"""The folder of frames that upstream's loader for ScanNet reads.

``color/N.jpg``, ``depth/N.png`` (uint16) and ``pose/N.txt`` for N from 0 on, without leading zeros. The same
three are found below ``frames/`` as well, which is where a scene of ScanNet has them.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adapters.backend import BackendInputError

_FOLDERS = ("color", "depth", "pose")
_NO_SUBSAMPLING = 0
# Hardly larger than at the strongest compression, and several times as fast.
_PNG_COMPRESSION = 1
_LARGEST_DEPTH = np.iinfo(np.uint16).max
# All poses are this one: the loader wants the files, and the truth must not be in them.
_POSE = "\n".join(" ".join(map(str, row)) for row in np.eye(4).tolist()) + "\n"


class InputFolder:
    """Frames on their way to upstream.

    Args:
        path: The folder; made anew, whatever was there before.
        depth_scale: Units of the depth images per metre.
        jpeg_quality: Of the colour images.
    """

    def __init__(self, path: Path, depth_scale: float, jpeg_quality: int) -> None:
        self.path = path
        self.frames = 0
        self.pixels_out_of_range = 0
        self._depth_scale = depth_scale
        self._jpeg_quality = jpeg_quality
        self.remove()
        for name in _FOLDERS:
            (path / name).mkdir(parents=True)
        scene = path / "frames"
        scene.mkdir()
        for name in _FOLDERS:
            (scene / name).symlink_to(Path("..", name))

    def add(self, rgb: NDArray[np.uint8], depth: NDArray[np.float32] | None) -> None:
        """Write the next frame.

        Args:
            rgb: uint8 [H, W, 3].
            depth: float32 [H, W], metres, 0 where unknown. None in mode ``mono``, where upstream opens depth
                images all the same: they are written with 0 everywhere. That can tell it nothing, since the
                harness sends no depth in that mode.

        Raises:
            BackendInputError: The frame cannot be written.
        """
        units = np.zeros(rgb.shape[:2], dtype=np.uint16) if depth is None else self._in_units(depth)
        number = self.frames
        try:
            Image.fromarray(np.ascontiguousarray(rgb)).save(
                self.path / "color" / f"{number}.jpg", quality=self._jpeg_quality, subsampling=_NO_SUBSAMPLING
            )
            Image.fromarray(units).save(
                self.path / "depth" / f"{number}.png", compress_level=_PNG_COMPRESSION
            )
            (self.path / "pose" / f"{number}.txt").write_text(_POSE, encoding="ascii")
        except OSError as error:
            raise BackendInputError(
                f"frame {number} cannot be written to {self.path}: {error.strerror or error}; all frames are"
                " kept there until upstream has read them, about half a megabyte each"
            ) from error
        self.frames += 1

    def remove(self) -> None:
        """Delete it with all frames; nothing happens when it is not there."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _in_units(self, depth: NDArray[np.float32]) -> NDArray[np.uint16]:
        """What a depth image can hold; anything farther is unknown rather than near, and counted."""
        units: NDArray[Any] = np.rint(depth * np.float32(self._depth_scale))
        beyond = units > _LARGEST_DEPTH
        self.pixels_out_of_range += int(np.count_nonzero(beyond))
        return np.where(beyond, 0, units).astype(np.uint16)
