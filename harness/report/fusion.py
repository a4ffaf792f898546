"""Depth images fused along a trajectory into a surface."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import open3d
from numpy.typing import NDArray

from harness.evaluation.surfaces import Surface
from sequences.model import Intrinsics

#: Structured-light sensors and networks alike are too noisy beyond it to add to a map, metres.
DEPTH_LIMIT = 6.0

_SMALLEST_VOXEL = 0.025
_LARGEST_VOXEL = 0.10
_VOXELS_ACROSS_SCENE = 300

#: Voxels seen by fewer depth images than this are left out: flying pixels at edges are seen once.
_LEAST_WEIGHT = 2.0

# Small blocks hug the surface: fewer voxels have to be updated.
_VOXELS_PER_BLOCK_SIDE = 8
_TRUNCATION_VOXELS = 4.0
# The hash map grows by itself; memory is allocated ahead for this many blocks.
_FIRST_BLOCKS = 8000


@dataclass(frozen=True)
class DepthImage:
    """A frame as it is fused.

    Attributes:
        index: Of the frame in its sequence.
        timestamp_ns: When it was taken.
        rgb: uint8 [H, W, 3].
        depth: float32 [H, W], metres along the optical axis, 0 where unknown.
    """

    index: int
    timestamp_ns: int
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]


def voxel_length(camera_positions: NDArray[np.float64], images: Iterable[DepthImage]) -> float:
    """Edge of a voxel that shows a desk in detail and a flat without filling the memory, metres."""
    path = float(np.linalg.norm(np.ptp(camera_positions, axis=0)))
    fused = (image.depth[(image.depth > 0) & (image.depth <= DEPTH_LIMIT)] for image in images)
    depths = [np.median(depth) for depth in fused if depth.size]
    extent = path + 2 * float(np.median(depths)) if depths else path
    return float(np.clip(extent / _VOXELS_ACROSS_SCENE, _SMALLEST_VOXEL, _LARGEST_VOXEL))


def fuse(
    images: Iterable[DepthImage],
    camera_to_world: NDArray[np.float64],
    intrinsics: Intrinsics,
    voxel: float,
) -> Surface:
    """Integrate depth images into a truncated signed distance field and extract its surface.

    After Curless and Levoy (SIGGRAPH 1996), as implemented by Open3D. Images without depth within
    ``DEPTH_LIMIT`` add nothing; without any other image the surface is empty.

    Args:
        images: At the size of ``intrinsics``.
        camera_to_world: float64 [N, 4, 4], a pose per image.
        intrinsics: Camera of all images.
        voxel: Edge of a voxel, metres.
    """
    core = open3d.core
    grid = open3d.t.geometry.VoxelBlockGrid(
        attr_names=("tsdf", "weight", "color"),
        attr_dtypes=(core.float32, core.uint16, core.uint16),
        attr_channels=((1), (1), (3)),
        voxel_size=voxel,
        block_resolution=_VOXELS_PER_BLOCK_SIDE,
        block_count=_FIRST_BLOCKS,
        device=core.Device("CPU:0"),
    )
    matrix = intrinsics.matrix()
    # Integration cuts the projection of a voxel off to a whole pixel instead of rounding it.
    projection = core.Tensor(matrix + np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]))
    matrix = core.Tensor(matrix)
    is_empty = True
    for image, pose in zip(images, camera_to_world, strict=True):
        depth = open3d.t.geometry.Image(image.depth)
        colour = open3d.t.geometry.Image(image.rgb.astype(np.float32) / 255)
        extrinsics = core.Tensor(np.linalg.inv(pose))
        blocks = _blocks_near_depth(grid, depth, matrix, extrinsics)
        if blocks is None:
            continue
        grid.integrate(blocks, depth, colour, projection, extrinsics, 1.0, DEPTH_LIMIT, _TRUNCATION_VOXELS)
        is_empty = False
    if is_empty:
        nothing = np.zeros((0, 3), np.float32)
        return Surface(nothing, nothing, nothing, nothing.astype(np.uint32))
    mesh = grid.extract_triangle_mesh(_LEAST_WEIGHT)
    return Surface(
        mesh.vertex.positions.numpy().astype(np.float32),
        mesh.vertex.normals.numpy().astype(np.float32),
        np.clip(mesh.vertex.colors.numpy(), 0, 1).astype(np.float32),
        mesh.triangle.indices.numpy().astype(np.uint32),
    )


def _blocks_near_depth(
    grid: open3d.t.geometry.VoxelBlockGrid,
    depth: open3d.t.geometry.Image,
    matrix: open3d.core.Tensor,
    extrinsics: open3d.core.Tensor,
) -> open3d.core.Tensor | None:
    """Coordinates of the blocks that an image adds to; None where it has no depth within the limit.

    Open3D looks at every fourth pixel and raises when none of those has such depth.
    """
    try:
        return grid.compute_unique_block_coordinates(
            depth, matrix, extrinsics, 1.0, DEPTH_LIMIT, _TRUNCATION_VOXELS
        )
    except RuntimeError as error:
        if "No block is touched" not in str(error):
            raise
        return None
