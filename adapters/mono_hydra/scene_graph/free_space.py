"""Free space: the voxels that rays of depth images have passed through."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapters.backend import CameraIntrinsics
from adapters.mono_hydra.scene_graph.options import SceneGraphOptions

_BLOCK_SIDE = 8
_FIRST_BLOCKS = 64


@dataclass(frozen=True)
class FreeVoxels:
    """The voxels known to be free.

    Attributes:
        size: Edge of a voxel, metres.
        indices: int32 [N, 3]; voxel i covers the world from ``i · size`` to ``(i + 1) · size``.
    """

    size: float
    indices: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def centres(self) -> NDArray[np.float64]:
        """Middles of the voxels, float64 [N, 3], metres in the world."""
        return (self.indices.astype(np.float64) + 0.5) * self.size

    @property
    def bounds(self) -> NDArray[np.float64]:
        """Lowest and highest corner of all voxels, float64 [2, 3], metres in the world.

        Raises:
            ValueError: No voxel is free.
        """
        corners = np.stack([self.indices.min(axis=0), self.indices.max(axis=0) + 1])
        return corners.astype(np.float64) * self.size


class FreeSpace:
    """Collects free voxels keyframe by keyframe.

    Voxels are kept in blocks of 8³ that are added where rays come by, so that memory grows with the volume
    explored.

    Args:
        options: Size of the voxels and how rays are followed.
        intrinsics: Camera of all depth images.
    """

    def __init__(self, options: SceneGraphOptions, intrinsics: CameraIntrinsics):
        self._size = options.free_voxel_size
        self._margin = options.free_surface_margin
        self._limit = options.free_ray_limit
        stride = options.free_ray_stride
        self._pixels = tuple(
            slice(min(stride, length) // 2, None, stride) for length in (intrinsics.height, intrinsics.width)
        )
        rows, columns = np.mgrid[: intrinsics.height, : intrinsics.width][(slice(None), *self._pixels)]
        x = (columns - intrinsics.cx) / intrinsics.fx
        y = (rows - intrinsics.cy) / intrinsics.fy
        self._directions = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)
        # Depths at which voxels are marked. Rays lie so close that none between two marks is missed by all.
        self._depths = np.arange(0.0, self._limit, self._size)
        self.clear()

    @property
    def voxel_size(self) -> float:
        """Edge of a voxel, metres."""
        return self._size

    def clear(self) -> None:
        """Forget everything, to start afresh with better poses."""
        self._rows: dict[tuple[int, int, int], int] = {}
        self._blocks = np.zeros((_FIRST_BLOCKS, *(_BLOCK_SIDE,) * 3), bool)

    def integrate(self, depth: NDArray[np.float32], camera_to_world: NDArray[np.float64]) -> None:
        """Mark the voxels between the camera and the surfaces it sees.

        Args:
            depth: float32 [H, W], metres along the optical axis, 0 where unknown.
            camera_to_world: float64 [4, 4].
        """
        seen = depth[self._pixels].reshape(-1)
        valid = seen > 0
        ends = np.minimum(seen[valid] - self._margin, self._limit)
        directions = self._directions[valid] @ camera_to_world[:3, :3].T
        steps, rays = np.nonzero(self._depths[:, None] < ends)
        if len(rays) == 0:
            return
        # In voxels from here on.
        points = directions[rays] * (self._depths[steps, None] / self._size)
        points += camera_to_world[:3, 3] / self._size
        voxels = np.floor(points).astype(np.int64)
        first_block = voxels.min(axis=0) // _BLOCK_SIDE
        counts = voxels.max(axis=0) // _BLOCK_SIDE - first_block + 1
        local = np.zeros(counts * _BLOCK_SIDE, bool)
        local[tuple((voxels - first_block * _BLOCK_SIDE).T)] = True
        split = local.reshape(counts[0], _BLOCK_SIDE, counts[1], _BLOCK_SIDE, counts[2], _BLOCK_SIDE)
        touched = np.argwhere(split.any(axis=(1, 3, 5)))
        marks = split.transpose(0, 2, 4, 1, 3, 5)[tuple(touched.T)]
        rows = self._rows_of(touched + first_block)
        self._blocks[rows] |= marks

    def voxels(self) -> FreeVoxels:
        """All free voxels so far, in no particular order."""
        rows, x, y, z = np.nonzero(self._blocks[: len(self._rows)])
        origins = np.array(list(self._rows), np.int32).reshape(-1, 3) * _BLOCK_SIDE
        indices = origins[rows] + np.stack([x, y, z], axis=-1).astype(np.int32)
        return FreeVoxels(self._size, indices)

    def _rows_of(self, blocks: NDArray[np.int64]) -> list[int]:
        """Where blocks are kept; room is made for new ones."""
        rows = [self._rows.setdefault(tuple(block), len(self._rows)) for block in blocks.tolist()]
        missing = len(self._rows) - len(self._blocks)
        if missing > 0:
            more = max(missing, len(self._blocks))
            self._blocks = np.concatenate([self._blocks, np.zeros((more, *self._blocks.shape[1:]), bool)])
        return rows
