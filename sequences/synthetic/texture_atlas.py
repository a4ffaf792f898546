"""All textures of a scene in one image with all their mip levels, sampled without gaps or aliasing."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_SHEET_WIDTH = 8192
_LEVELS = 8
_REMAP_COLUMNS = 256


@dataclass(frozen=True)
class TextureAtlas:
    """Textures packed for sampling.

    Attributes:
        sheet: uint8 [H, W, 3], every level of every texture with a border that repeats its far side.
        regions: float32 [N · levels, 4], width, height, left and top of each level in the sheet.
        sizes: float32 [N, 2], width and height of each texture, texels of level 0.
    """

    sheet: NDArray[np.uint8]
    regions: NDArray[np.float32]
    sizes: NDArray[np.float32]

    @classmethod
    def pack(cls, images: list[NDArray[np.uint8]]) -> "TextureAtlas":
        """Build the mip levels of every image and pack them in rows, highest first."""
        levels = [level for image in images for level in _mip_levels(image)]
        sizes = np.array([(level.shape[1], level.shape[0]) for level in levels])
        origins = np.zeros_like(sizes)
        column = row = row_height = 0
        for index in np.argsort(-sizes[:, 1], kind="stable"):
            width, height = sizes[index] + 2
            if column + width > _SHEET_WIDTH:
                column, row, row_height = 0, row + row_height, 0
            origins[index] = column + 1, row + 1
            column += width
            row_height = max(row_height, int(height))
        sheet = np.zeros((row + row_height, _SHEET_WIDTH, 3), np.uint8)
        for level, (left, top), (width, height) in zip(levels, origins, sizes, strict=True):
            padded = np.pad(level, ((1, 1), (1, 1), (0, 0)), mode="wrap")
            sheet[top - 1 : top + height + 1, left - 1 : left + width + 1] = padded
        regions = np.concatenate([sizes, origins], axis=1).astype(np.float32)
        return cls(sheet, regions, sizes[::_LEVELS].astype(np.float32))

    def joined(self, other: "TextureAtlas") -> "TextureAtlas":
        """Both atlases in one; this one's textures come first and are sampled as before, bit for bit."""
        below = np.array([0, 0, 0, len(self.sheet)], np.float32)
        return TextureAtlas(
            np.concatenate([self.sheet, other.sheet]),
            np.concatenate([self.regions, other.regions + below]),
            np.concatenate([self.sizes, other.sizes]),
        )

    def sample(
        self,
        textures: NDArray[np.int32],
        texels: NDArray[np.float32],
        footprint_axis: NDArray[np.float32],
        footprint_width: NDArray[np.float32],
        taps: int = 2,
    ) -> NDArray[np.float32]:
        """Filtered colours: trilinear between mip levels, anisotropic.

        Args:
            textures: int32 [N], indices of the textures.
            texels: float32 [N, 2], column and row in level 0; textures repeat outside their size.
            footprint_axis: float32 [N, 2], long axis of what a pixel covers, texels of level 0.
            footprint_width: float32 [N], short axis of what a pixel covers, texels of level 0.

            taps: How many samples are taken along the long axis.

        Returns:
            float32 [N, 3], 0 to 255.
        """
        length = np.hypot(footprint_axis[:, 0], footprint_axis[:, 1])
        filter_width = np.maximum(np.maximum(footprint_width, length / np.float32(taps)), np.float32(1.0))
        level = np.minimum(np.log2(filter_width), np.float32(_LEVELS - 1.001))
        below = level.astype(np.int32)
        blend = (level - below)[:, None]
        entries = textures * _LEVELS + below
        levels = [
            (self.regions.take(entries, axis=0), 1 - blend),
            (self.regions.take(entries + 1, axis=0), blend),
        ]
        size = self.sizes.take(textures, axis=0)
        place, step = texels / size, footprint_axis / size
        total = np.zeros((len(textures), 3), np.float32)
        for tap in range(taps):
            turn = place + np.float32((tap + 0.5) / taps - 0.5) * step
            turn -= np.floor(turn)
            for region, weight in levels:
                total += weight * self._bilinear(turn, region)
        return total / np.float32(taps)

    def _bilinear(self, turn: NDArray[np.float32], region: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Bilinear samples of regions of the sheet at places 0 to 1 in each, uint8 [N, 3]."""
        count = len(turn)
        rows = -(-count // _REMAP_COLUMNS)
        place = np.zeros((rows * _REMAP_COLUMNS, 2), np.float32)
        np.multiply(turn, region[:, :2], out=place[:count])
        place[:count] += region[:, 2:]
        # Texel centres are at half-integers.
        place -= np.float32(0.5)
        colours = cv2.remap(self.sheet, place.reshape(rows, _REMAP_COLUMNS, 2), None, cv2.INTER_LINEAR)
        return colours.reshape(-1, 3)[:count]


def _mip_levels(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    levels = [image]
    while len(levels) < _LEVELS:
        height, width = (max(1, side // 2) for side in levels[-1].shape[:2])
        levels.append(cv2.resize(levels[-1], (width, height), interpolation=cv2.INTER_AREA))
    return levels
