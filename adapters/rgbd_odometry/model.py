"""The map that frames are aligned with: a truncated signed distance field in sparse voxel blocks.

Newcombe et al.: KinectFusion: Real-Time Dense Surface Mapping and Tracking. ISMAR 2011. The sparse blocks are
those of Dong et al.: ASH: A Modern Framework for Parallel Spatial Hashing in 3D Perception. TPAMI 2022.
"""

import numpy as np
from numpy.typing import NDArray

from adapters.rgbd_odometry.options import RgbdOdometryOptions
from adapters.rgbd_odometry.patient_open3d import o3d

_DEVICE = o3d.core.Device("CPU:0")
_BLOCK_RESOLUTION = 16
# A voxel counts as surface once this many frames saw it, or as many as there were.
_TRUSTED_WEIGHT = 3.0
# Ray casting cuts what a block covers of the image into pieces of at most this many pixels a side.
_PIECE = 128
# Side of an image that is one such piece, pixels.
_TINY = 64
_HALF_A_PIXEL = np.array([[0.0, 0.0, 0.5], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])


class TsdfModel:
    """Fuses depth images at known poses and shows the surface from any pose, depth only.

    Args:
        options: Voxel size, truncation distance, depth range and block limit.
        intrinsic_matrix: float64 [3, 3] of the images that are fused and shown, pixels.
    """

    def __init__(self, options: RgbdOdometryOptions, intrinsic_matrix: NDArray[np.float64]) -> None:
        self._options = options
        self._intrinsic = o3d.core.Tensor(intrinsic_matrix)
        # Integration takes the pixel whose number is the projection rounded down, so there the centre of
        # pixel (0, 0) must be at half a pixel.
        self._integration_intrinsic = o3d.core.Tensor(intrinsic_matrix + _HALF_A_PIXEL)
        self._truncation_voxels = options.truncation_distance / options.voxel_size
        # Integration without colour takes 16-bit depth alone; the scale uses all of its range.
        self._depth_scale = 65535.0 / options.farthest_depth
        self.restarts = 0
        self._visible: o3d.core.Tensor | None = None
        self._frames = 0
        self._begin()

    @property
    def block_count(self) -> int:
        """Blocks in use."""
        return int(self._grid.hashmap().size())

    def integrate(self, depth: NDArray[np.float32], camera_to_world: NDArray[np.float64]) -> None:
        """Fuses one image; restarts the model with it alone if it would not fit any more.

        Args:
            depth: float32 [H, W], metres, 0 where unknown.
            camera_to_world: float64 [4, 4].
        """
        scaled = np.round(depth * self._depth_scale).astype(np.uint16)
        image = o3d.t.geometry.Image(o3d.core.Tensor(scaled[:, :, None]))
        extrinsic = o3d.core.Tensor(np.linalg.inv(camera_to_world))
        projection = (self._depth_scale, self._options.farthest_depth, self._truncation_voxels)
        visible = self._grid.compute_unique_block_coordinates(image, self._intrinsic, extrinsic, *projection)
        if self._blocks_with(visible) > self._options.block_limit and self._frames > 0:
            self._begin()
            self.restarts += 1
        if self._frames == 0:
            self._reserve_pieces(*depth.shape)
        self._grid.integrate(visible, image, self._integration_intrinsic, extrinsic, *projection)
        self._visible = visible
        self._frames += 1

    def depth_from(self, camera_to_world: NDArray[np.float64], height: int, width: int) -> "o3d.core.Tensor":
        """The surface as seen from a pose near that of the last frame.

        Args:
            camera_to_world: float64 [4, 4].
            height: Of the image, pixels.
            width: Of the image, pixels.

        Returns:
            float32 [H, W, 1], metres, 0 where the model has no surface.
        """
        # Ray casting shows every surface half a voxel too far along all axes of the world.
        viewpoint = camera_to_world.copy()
        viewpoint[:3, 3] += 0.5 * self._options.voxel_size
        rendered = self._grid.ray_cast(
            self._visible,
            self._intrinsic,
            o3d.core.Tensor(np.linalg.inv(viewpoint)),
            width,
            height,
            ["depth"],
            1.0,
            max(self._options.nearest_depth, 0.01),
            self._options.farthest_depth,
            min(_TRUSTED_WEIGHT, float(self._frames)),
            self._truncation_voxels,
        )
        return rendered["depth"]

    def _begin(self) -> None:
        self._grid = o3d.t.geometry.VoxelBlockGrid(
            ("tsdf", "weight"),
            (o3d.core.float32, o3d.core.float32),
            ((1), (1)),
            self._options.voxel_size,
            _BLOCK_RESOLUTION,
            self._options.block_limit,
            _DEVICE,
        )
        self._visible = None
        self._frames = 0

    def _reserve_pieces(self, height: int, width: int) -> None:
        """Makes ray casting remember as many pieces as the model can ever have in an image of this size.

        Its buffer starts small and grows after the cast that it was too small for: what did not fit has holes
        in that image, and when the buffer is exactly full the last piece is missing. It never shrinks, so one
        cast of as many pieces, here copies of one block over a tiny image, is enough.
        """
        pieces_per_block = -(-height // _PIECE) * -(-width // _PIECE)
        blocks = np.tile(np.array([0, 0, 1], np.int32), (self._options.block_limit * pieces_per_block + 1, 1))
        # The block begins one block's edge ahead and fills the image; the image is one piece.
        edge = _BLOCK_RESOLUTION * self._options.voxel_size
        intrinsic = np.array([[_TINY, 0.0, 0.0], [0.0, _TINY, 0.0], [0.0, 0.0, 1.0]])
        # That this one cast does not find room is the purpose, and its image is not used.
        with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
            self._grid.ray_cast(
                o3d.core.Tensor(blocks),
                o3d.core.Tensor(intrinsic),
                o3d.core.Tensor(np.eye(4)),
                _TINY,
                _TINY,
                ["depth"],
                1.0,
                0.5 * edge,
                4.0 * edge,
                1.0,
                self._truncation_voxels,
            )

    def _blocks_with(self, visible: "o3d.core.Tensor") -> int:
        _, known = self._grid.hashmap().find(visible)
        return self.block_count + len(visible) - int(known.to(o3d.core.int64).sum().item())
