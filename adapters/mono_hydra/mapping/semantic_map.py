"""The metric-semantic map: depth, colour and labels fused in sparse voxel blocks, and the mesh of them.

Depth becomes a truncated signed distance field (Curless and Levoy: A Volumetric Method for Building Complex
Models from Range Images. SIGGRAPH 1996) in the hashed blocks of Dong et al. (ASH: A Modern Framework for
Parallel Spatial Hashing in 3D Perception. TPAMI 2022), which Open3D has. Labels are fused by their likelihood
(McCormac et al.: SemanticFusion. ICRA 2017), per voxel.

Blocks, their memory and the mesh are Open3D's. The update of the voxels is ours: depth counts the less the
farther it is, which Open3D's update cannot, and one projection serves depth, colour and labels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapters.backend import CameraIntrinsics
from adapters.label_space import LabelRole, LabelSpace
from adapters.labelled_mesh import LABEL_UNKNOWN, LabelledMesh
from adapters.mono_hydra.dynamic_labels import dynamic_mask
from adapters.mono_hydra.mapping.label_evidence import NO_ROW, LabelEvidence
from adapters.mono_hydra.mapping.map_options import MapOptions
from adapters.mono_hydra.model import RgbdLabels
from adapters.rgbd_odometry.patient_open3d import o3d

_DEVICE = o3d.core.Device("CPU:0")
# Small blocks hug the surface: fewer voxels have to be updated.
_SIDE = 8
_VOXELS = _SIDE**3
# Voxels of a block in the order of its memory, x fastest.
_WITHIN_BLOCK = np.stack(np.unravel_index(np.arange(_VOXELS), (_SIDE,) * 3)[::-1], axis=1)


@dataclass(frozen=True)
class _Image:
    """What of a frame enters the map, at the map's stride.

    Attributes:
        depth: float32 [h, w], metres, 0 where nothing enters.
        rgb: uint8 [h, w, 3].
        labels: uint8 [h, w]; None without.
    """

    depth: NDArray[np.float32]
    rgb: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None


@dataclass(frozen=True)
class _Sight:
    """The voxels that an image says something about.

    Attributes:
        voxels: int64 [N], indices into the attributes of the grid, each once.
        pixels: int64 [N], indices into the image.
        distances: float32 [N], from voxel to surface along the optical axis, metres, above 0 in front.
        weights: float32 [N].
    """

    voxels: NDArray[np.int64]
    pixels: NDArray[np.int64]
    distances: NDArray[np.float32]
    weights: NDArray[np.float32]


class SemanticMap:
    """Takes frames at known poses and gives the mesh of what they saw.

    Args:
        options: Of the map.
        intrinsics: Camera of all frames.
        label_space: What labels mean; without it they are not used.
    """

    def __init__(
        self, options: MapOptions, intrinsics: CameraIntrinsics, label_space: LabelSpace | None
    ) -> None:
        self._options = options
        self._label_space = label_space
        self._dynamic = () if label_space is None else label_space.ids(LabelRole.DYNAMIC)
        stride = options.map_stride
        # Of every stride x stride pixels one in the middle is taken.
        self._first = (stride - 1) // 2
        self._matrix = np.array(
            [
                [intrinsics.fx / stride, 0.0, (intrinsics.cx - self._first) / stride],
                [0.0, intrinsics.fy / stride, (intrinsics.cy - self._first) / stride],
                [0.0, 0.0, 1.0],
            ]
        )
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        float32, int32 = o3d.core.float32, o3d.core.int32
        # A mesh can be made of weights and colours that are both float32 or both uint16.
        self._grid = o3d.t.geometry.VoxelBlockGrid(
            ("tsdf", "weight", "color", "label_row"),
            (float32, float32, float32, int32),
            ((1), (1), (3), (1)),
            self._options.voxel_size,
            _SIDE,
            self._options.map_block_count,
            _DEVICE,
        )
        self._evidence = (
            None
            if self._label_space is None
            else LabelEvidence(self._label_space, self._options.label_match_probability)
        )

    @property
    def nbytes(self) -> int:
        """Memory taken by the voxels."""
        names = ("tsdf", "weight", "color", "label_row")
        labels = 0 if self._evidence is None else self._evidence.nbytes
        return labels + sum(self._grid.attribute(name).numpy().nbytes for name in names)

    def integrate(self, frame: RgbdLabels, camera_to_world: NDArray[np.float64]) -> None:
        """Fuses one frame. A frame without depth within range changes nothing.

        Args:
            frame: At the size of the intrinsics.
            camera_to_world: float64 [4, 4].
        """
        image = self._image(frame)
        world_to_camera = np.asarray(np.linalg.inv(camera_to_world))
        blocks = self._blocks_in_sight(image.depth, world_to_camera)
        sight = self._sight(blocks, image.depth, world_to_camera)
        self._fuse_surface(sight, image.rgb)
        if self._evidence is not None and image.labels is not None:
            self._fuse_labels(self._evidence, sight, image.labels)

    def mesh(self) -> LabelledMesh:
        """The surface with more than ``map_least_weight``, in the world of the poses."""
        if self._grid.hashmap().size() == 0:
            return _empty_mesh()
        extracted = self._grid.extract_triangle_mesh(self._options.map_least_weight)
        if len(extracted.vertex.positions) == 0:
            return _empty_mesh()
        vertices = extracted.vertex.positions.numpy().astype(np.float32)
        # Open3D's order depends on which thread was first; this one is the same in every run.
        order = np.lexsort(vertices.T)
        place = np.empty(len(order), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        triangles = place[extracted.triangle.indices.numpy()]
        colours = np.clip(np.rint(extracted.vertex.colors.numpy()[order] * 255.0), 0, 255)
        return LabelledMesh(
            vertices[order],
            _unit(extracted.vertex.normals.numpy().astype(np.float32)[order]),
            colours.astype(np.uint8),
            self._labels_at(vertices[order]),
            triangles[np.lexsort(triangles.T)],
        )

    def _image(self, frame: RgbdLabels) -> _Image:
        options = self._options
        every = slice(self._first, None, options.map_stride)
        depth = frame.depth[every, every].astype(np.float32)
        depth[~((depth >= options.map_nearest_depth) & (depth <= options.map_farthest_depth))] = 0.0
        labels = None
        if frame.labels is not None:
            labels = np.ascontiguousarray(frame.labels[every, every])
            margin = -(-options.dynamic_margin // options.map_stride)
            is_dynamic = dynamic_mask(labels, self._dynamic, margin)
            if is_dynamic is not None:
                depth[is_dynamic] = 0.0
        return _Image(depth, np.ascontiguousarray(frame.rgb[every, every]), labels)

    def _blocks_in_sight(
        self, depth: NDArray[np.float32], world_to_camera: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Indices of the blocks near the surface that an image shows, which are made, and in front of it.

        What is in front of it must be free: something stood there and went, or was never there.
        """
        hashmap = self._grid.hashmap()
        near = self._blocks_near(depth, world_to_camera)
        if near is None:
            return np.zeros(0, dtype=np.int64)
        hashmap.activate(near)
        indices = hashmap.find(near)[0].numpy()
        known = hashmap.active_buf_indices().numpy()
        edge = _SIDE * self._options.voxel_size
        centres = (hashmap.key_tensor().numpy()[known] + 0.5) * edge
        points = centres @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
        inside, pixels = self._project(points, depth.shape)
        in_front = inside[points[inside, 2] < depth.reshape(-1)[pixels]]
        return np.union1d(indices, known[in_front]).astype(np.int64)

    def _blocks_near(
        self, depth: NDArray[np.float32], world_to_camera: NDArray[np.float64]
    ) -> "o3d.core.Tensor | None":
        """Coordinates of the blocks around the surface that an image shows; None where it has no depth.

        Open3D looks at every fourth pixel and raises when none of those has depth.
        """
        try:
            return self._grid.compute_unique_block_coordinates(
                o3d.t.geometry.Image(depth),
                o3d.core.Tensor(self._matrix),
                o3d.core.Tensor(world_to_camera),
                1.0,
                self._options.map_farthest_depth,
                self._options.truncation_distance / self._options.voxel_size,
            )
        except RuntimeError as error:
            if "No block is touched" not in str(error):
                raise
            return None

    def _sight(
        self, blocks: NDArray[np.int64], depth: NDArray[np.float32], world_to_camera: NDArray[np.float64]
    ) -> _Sight:
        options = self._options
        rotation = world_to_camera[:3, :3].T
        keys = self._grid.hashmap().key_tensor().numpy()[blocks]
        origins = (_SIDE * options.voxel_size * keys) @ rotation + world_to_camera[:3, 3]
        within = (options.voxel_size * _WITHIN_BLOCK) @ rotation
        points = (origins[:, None] + within).astype(np.float32).reshape(-1, 3)
        inside, pixels = self._project(points, depth.shape)
        measured = depth.reshape(-1)[pixels]
        distances = measured - points[inside, 2]
        kept = np.flatnonzero((measured > 0.0) & (distances >= -options.truncation_distance))
        inside, measured = inside[kept], measured[kept]
        weights = np.minimum(np.square(np.float32(options.map_full_weight_depth) / measured), np.float32(1.0))
        voxels = blocks[inside // _VOXELS] * _VOXELS + inside % _VOXELS
        return _Sight(voxels, pixels[kept], distances[kept], weights)

    def _project(
        self, points: NDArray[np.floating], shape: tuple[int, ...]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which points [N, 3] of the camera's frame an image of a shape shows, and the pixels they are in."""
        (fx, _, cx), (_, fy, cy), _ = self._matrix.astype(points.dtype)
        ahead = np.flatnonzero(points[:, 2] > 1e-3)
        x, y, z = points[ahead].T
        columns = np.rint(x / z * fx + cx)
        rows = np.rint(y / z * fy + cy)
        height, width = shape
        is_inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        pixels = rows[is_inside].astype(np.int64) * width + columns[is_inside].astype(np.int64)
        return ahead[is_inside], pixels

    def _fuse_surface(self, sight: _Sight, rgb: NDArray[np.uint8]) -> None:
        options = self._options
        tsdf, weight, colour = (self._attribute(name) for name in ("tsdf", "weight", "color"))
        truncated = np.minimum(sight.distances / np.float32(options.truncation_distance), np.float32(1.0))
        before = weight[sight.voxels]
        after = before + sight.weights
        part = sight.weights / after
        weight[sight.voxels] = np.minimum(after, np.float32(options.map_most_weight))
        tsdf[sight.voxels] += part * (truncated - tsdf[sight.voxels])
        # Air has no colour: that of what is behind it would bleed into edges.
        near = np.flatnonzero(truncated < 1.0)
        voxels = sight.voxels[near]
        old = colour[voxels]
        colour[voxels] = old + part[near, None] * (rgb.reshape(-1, 3)[sight.pixels[near]] - old)

    def _fuse_labels(self, evidence: LabelEvidence, sight: _Sight, labels: NDArray[np.uint8]) -> None:
        labels_at = labels.reshape(-1)[sight.pixels]
        near = sight.distances <= self._options.truncation_distance
        used = np.flatnonzero(near & evidence.is_class(labels_at))
        voxels = sight.voxels[used]
        row_of = self._attribute("label_row")
        rows = row_of[voxels]
        fresh = np.flatnonzero(rows == NO_ROW)
        rows[fresh] = evidence.new_rows(len(fresh))
        row_of[voxels] = rows
        evidence.observe(rows, labels_at[used])

    def _labels_at(self, vertices: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Labels of vertices, each on the edge between two voxels, uint8 [V]."""
        if self._evidence is None:
            return np.full(len(vertices), LABEL_UNKNOWN, dtype=np.uint8)
        places = vertices / np.float32(self._options.voxel_size)
        nearest = np.rint(places)
        away = places - nearest
        axis = np.abs(away).argmax(axis=1)
        along = np.take_along_axis(away, axis[:, None], axis=1)[:, 0]
        voxels = np.stack([nearest, nearest], axis=1).astype(np.int64)
        voxels[np.arange(len(voxels)), 1, axis] += np.where(along < 0.0, -1, 1)
        shares = np.stack([1.0 - np.abs(along), np.abs(along)], axis=1)
        return self._evidence.most_probable(
            self._label_rows(voxels.reshape(-1, 3)).reshape(-1, 2),
            shares,
            self._options.label_least_probability,
        )

    def _label_rows(self, voxels: NDArray[np.int64]) -> NDArray[np.int32]:
        """Rows of evidence of voxels at integer places, int64 [N, 3]."""
        blocks = np.floor_divide(voxels, _SIDE)
        x, y, z = (voxels - blocks * _SIDE).T
        indices, is_known = self._grid.hashmap().find(
            o3d.core.Tensor(np.ascontiguousarray(blocks, dtype=np.int32))
        )
        found = indices.numpy().astype(np.int64) * _VOXELS + (z * _SIDE + y) * _SIDE + x
        known = is_known.numpy()
        rows = np.full(len(voxels), NO_ROW, dtype=np.int32)
        rows[known] = self._attribute("label_row")[found[known]]
        return rows

    def _attribute(self, name: str) -> NDArray:
        """The memory of all voxels of an attribute: [N], colours [N, 3]."""
        values = self._grid.attribute(name).numpy()
        return values.reshape(-1, 3) if name == "color" else values.reshape(-1)


def _unit(normals: NDArray[np.float32]) -> NDArray[np.float32]:
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9).astype(np.float32)


def _empty_mesh() -> LabelledMesh:
    nothing = np.zeros((0, 3))
    return LabelledMesh(
        nothing.astype(np.float32),
        nothing.astype(np.float32),
        nothing.astype(np.uint8),
        np.zeros(0, dtype=np.uint8),
        nothing.astype(np.int32),
    )
