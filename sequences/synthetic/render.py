"""Renders colour, depth, labels and normals of a scene by ray casting."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequences.model import LABEL_UNKNOWN, Intrinsics
from sequences.synthetic.mesh import Mesh
from sequences.synthetic.ray_casting import ray_casting_scene
from sequences.synthetic.scene import Scene

# Where the four extra rays of a pixel on an edge go: a grid turned so that no two share a row or column.
_EDGE_RAYS = np.array([[-0.375, -0.125], [0.125, -0.375], [0.375, 0.125], [-0.125, 0.375]], np.float32)

_PIECE = 16384

# Columns of the table of triangle facts.
_CORNERS, _NORMAL, _GRADIENTS, _DENSITY = slice(0, 15), slice(15, 18), (slice(18, 21), slice(21, 24)), 24


@dataclass(frozen=True)
class Rendering:
    """One image without any effect of a sensor.

    Attributes:
        rgb: float32 [H, W, 3], 0 to 255 and beyond where over-exposed.
        depth: float32 [H, W], metres along the optical axis, 0 where nothing is hit.
        labels: uint8 [H, W], NYU-40 ids, 255 where nothing is hit.
        normals: float32 [H, W, 3], unit length, in the camera frame, towards the camera.
        cosine: float32 [H, W], between the viewing ray and the surface normal; 0 where nothing is hit.
        shining: bool [H, W], surfaces that shine by themselves: window panes, screens, lamp shades.
        things: int32 [H, W], index of the thing that is seen, -1 for the building or where nothing is hit.
    """

    rgb: NDArray[np.float32]
    depth: NDArray[np.float32]
    labels: NDArray[np.uint8]
    normals: NDArray[np.float32]
    cosine: NDArray[np.float32]
    shining: NDArray[np.bool_]
    things: NDArray[np.int32]


@dataclass(frozen=True)
class _Hits:
    """What rays hit: indices of the rays that hit anything, and per hit triangle, weights and depth."""

    rays: NDArray[np.int64]
    triangles: NDArray[np.int64]
    weights: NDArray[np.float32]
    depth: NDArray[np.float32]


@dataclass(frozen=True)
class _Stage:
    """What rays can hit: one ray casting scene per mesh, and tables over the triangles of all of them.

    Attributes:
        scenes: Each with the index that its first triangle has in the tables.
        surfaces: int32 [T].
        labels: uint8 [T].
        things: int32 [T].
        shining: bool [T].
        textures: int32 [T].
        facts: float32 [T, 25], see ``_triangle_facts``.
    """

    scenes: tuple[tuple[Any, int], ...]
    surfaces: NDArray[np.int32]
    labels: NDArray[np.uint8]
    things: NDArray[np.int32]
    shining: NDArray[np.bool_]
    textures: NDArray[np.int32]
    facts: NDArray[np.float32]

    @classmethod
    def of(cls, mesh: Mesh, brightness: NDArray[np.float32]) -> "_Stage":
        """One mesh, with the factor on the texture at each vertex, float32 [V, 3]."""
        corners = mesh.vertices[mesh.triangles].astype(np.float64)
        texels = mesh.texels[mesh.triangles].astype(np.float64)
        return cls(
            ((ray_casting_scene(mesh.vertices, mesh.triangles), 0),),
            mesh.surfaces,
            mesh.labels,
            mesh.things,
            ~np.isnan(mesh.emission),
            mesh.textures,
            _triangle_facts(corners, texels, brightness[mesh.triangles]),
        )

    def joined(self, other: "_Stage") -> "_Stage":
        """Both together."""
        count = len(self.labels)
        return _Stage(
            self.scenes + tuple((scene, first + count) for scene, first in other.scenes),
            np.concatenate([self.surfaces, other.surfaces]),
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.things, other.things]),
            np.concatenate([self.shining, other.shining]),
            np.concatenate([self.textures, other.textures]),
            np.concatenate([self.facts, other.facts]),
        )

    def cast(self, rays: NDArray[np.float32]) -> _Hits:
        """What rays hit first; rays are float32 [N, 6], origin and direction."""
        import open3d as o3d

        tensor = o3d.core.Tensor(rays)
        (scene, _), *others = self.scenes
        distance, triangles, uv = _answer(scene, tensor)
        for scene, first in others:
            their_distance, their_triangles, their_uv = _answer(scene, tensor)
            nearer = np.flatnonzero(their_distance < distance)
            distance[nearer], uv[nearer] = their_distance[nearer], their_uv[nearer]
            triangles[nearer] = their_triangles[nearer] + first
        hit = np.flatnonzero(np.isfinite(distance))
        uv = uv[hit]
        weights = np.concatenate([1 - uv.sum(axis=1, keepdims=True), uv], axis=1)
        return _Hits(hit, triangles[hit].astype(np.int64), weights, distance[hit])


class Renderer:
    """Renders one scene through one camera. Safe to use from several threads.

    Args:
        scene: What to render.
        intrinsics: Of the camera.
    """

    def __init__(self, scene: Scene, intrinsics: Intrinsics):
        self._intrinsics = intrinsics
        self._atlas = scene.atlas
        self._crowd = scene.crowd
        self._flat = _Stage.of(scene.mesh, scene.brightness)
        columns, rows = np.meshgrid(
            np.arange(intrinsics.width, dtype=np.float32), np.arange(intrinsics.height, dtype=np.float32)
        )
        self._pixels = np.stack([columns.ravel(), rows.ravel()], -1)

    def render(self, camera_to_world: NDArray[np.float64], time: float = 0.0) -> Rendering:
        """Render a view.

        Args:
            camera_to_world: The camera's pose, float64 [4, 4].
            time: Seconds after the first image; only matters where people walk about.
        """
        stage = self._flat
        if self._crowd is not None:
            stage = stage.joined(_Stage.of(*self._crowd.at(time)))
        size = (self._intrinsics.height, self._intrinsics.width)
        pixels = self._pixels
        rotation = camera_to_world[:3, :3]
        directions = self._directions(pixels, rotation)
        hits = _cast(stage, camera_to_world[:3, 3], directions)

        depth = _scattered(hits.depth, hits.rays, len(pixels))
        surfaces = np.full(len(pixels), -1, np.int32)
        surfaces[hits.rays] = stage.surfaces[hits.triangles]
        things = np.full(len(pixels), -1, np.int32)
        things[hits.rays] = stage.things[hits.triangles]
        labels = np.full(len(pixels), LABEL_UNKNOWN, np.uint8)
        labels[hits.rays] = stage.labels[hits.triangles]
        colours, normals, cosine = self._shade(stage, hits, directions)
        rgb = _scattered(colours, hits.rays, len(pixels))
        edges = np.flatnonzero(_edges(surfaces.reshape(size), depth.reshape(size)))
        rgb[edges] = self._smooth_edges(stage, camera_to_world, pixels[edges])
        return Rendering(
            rgb=rgb.reshape(*size, 3),
            depth=depth.reshape(size),
            labels=labels.reshape(size),
            normals=_scattered(normals @ rotation.astype(np.float32), hits.rays, len(pixels)).reshape(
                *size, 3
            ),
            cosine=_scattered(cosine, hits.rays, len(pixels)).reshape(size),
            shining=_scattered(stage.shining[hits.triangles], hits.rays, len(pixels)).reshape(size),
            things=things.reshape(size),
        )

    def _directions(self, pixels: NDArray[np.float32], rotation: NDArray[np.float64]) -> NDArray[np.float32]:
        """Rays through pixel centres in the world, of length 1 along the optical axis, float32 [N, 3]."""
        camera = self._intrinsics
        x = (pixels[:, 0] - np.float32(camera.cx)) / np.float32(camera.fx)
        y = (pixels[:, 1] - np.float32(camera.cy)) / np.float32(camera.fy)
        right, down, forward = rotation.T.astype(np.float32)
        return x[:, None] * right + y[:, None] * down + forward

    def _shade(
        self, stage: _Stage, hits: _Hits, directions: NDArray[np.float32], *, finest: bool = True
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Colours, normals towards the camera in the world, and cosines between ray and normal.

        Goes through the hits in pieces that fit the processor's cache, which halves the time.
        """
        count = len(hits.rays)
        colours, normals = (np.empty((count, 3), np.float32) for _ in range(2))
        cosine = np.empty(count, np.float32)
        for start in range(0, count, _PIECE):
            piece = slice(start, start + _PIECE)
            part = _Hits(hits.rays[piece], hits.triangles[piece], hits.weights[piece], hits.depth[piece])
            colours[piece], normals[piece], cosine[piece] = self._shade_piece(stage, part, directions, finest)
        return colours, normals, cosine

    def _shade_piece(
        self, stage: _Stage, hits: _Hits, directions: NDArray[np.float32], finest: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        facts = stage.facts.take(hits.triangles, axis=0)
        values = np.einsum("nk,nkc->nc", hits.weights, facts[:, _CORNERS].reshape(-1, 3, 5))
        view = directions.take(hits.rays, axis=0)
        normals = facts[:, _NORMAL]
        along = _dot(view, normals)
        normals = np.where(along[:, None] > 0, -normals, normals)
        along = np.abs(along)
        cosine = np.maximum(along / np.sqrt(_dot(view, view)), np.float32(0.02))
        across = hits.depth / np.float32(self._intrinsics.fx)
        # Up the slope of the surface, away from the camera: there a pixel covers 1 / cosine of its width.
        slope = view + along[:, None] * normals
        slope /= np.maximum(np.sqrt(_dot(slope, slope)), np.float32(1e-6))[:, None]
        long_axis = np.stack([_dot(facts[:, gradient], slope) for gradient in _GRADIENTS], -1)
        long_axis *= (across / cosine)[:, None]
        # What the pixel covers is as wide as its area over its length; straight ahead it is a square.
        area = facts[:, _DENSITY] * across * across / cosine
        width = area / np.maximum(np.hypot(long_axis[:, 0], long_axis[:, 1]), np.sqrt(area))
        colours = self._atlas.sample(
            stage.textures[hits.triangles],
            values[:, :2],
            long_axis,
            width.astype(np.float32, copy=False),
            taps=2 if finest else 1,
        )
        return colours * values[:, 2:], normals, cosine

    def _smooth_edges(
        self, stage: _Stage, camera_to_world: NDArray[np.float64], pixels: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Pixels on the border between surfaces, each averaged over four rays, float32 [N, 3]."""
        spread = (pixels[:, None] + _EDGE_RAYS).reshape(-1, 2)
        directions = self._directions(spread, camera_to_world[:3, :3])
        hits = _cast(stage, camera_to_world[:3, 3], directions)
        colours = np.zeros((len(spread), 3), np.float32)
        # Four rays average more than the finest filter would.
        colours[hits.rays] = self._shade(stage, hits, directions, finest=False)[0]
        return colours.reshape(-1, len(_EDGE_RAYS), 3).mean(axis=1)


def _answer(scene: Any, rays: Any) -> tuple[NDArray[np.float32], NDArray[np.uint32], NDArray[np.float32]]:
    """Distance (infinite where nothing is hit), triangle and barycentric coordinates for every ray."""
    answer: dict[str, Any] = scene.cast_rays(rays)
    return answer["t_hit"].numpy(), answer["primitive_ids"].numpy(), answer["primitive_uvs"].numpy()


def _cast(stage: _Stage, origin: NDArray[np.float64], directions: NDArray[np.float32]) -> _Hits:
    """What rays from one point hit."""
    rays = np.empty((len(directions), 6), np.float32)
    rays[:, :3] = origin
    rays[:, 3:] = directions
    return stage.cast(rays)


def _dot(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Products of vectors row by row, [N, 3] with [N, 3]."""
    return first[:, 0] * second[:, 0] + first[:, 1] * second[:, 1] + first[:, 2] * second[:, 2]


def _scattered(values: NDArray[Any], rays: NDArray[np.int64], count: int) -> NDArray[Any]:
    """Values of the rays that hit something among ``count`` rays, zero for the others."""
    everywhere = np.zeros((count, *values.shape[1:]), values.dtype)
    everywhere[rays] = values
    return everywhere


def _edges(surfaces: NDArray[np.int32], depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels beside another surface or a jump in depth, bool [H, W]."""
    edges = np.zeros(surfaces.shape, bool)
    for first, second in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        nearer = np.minimum(depth[first], depth[second])
        border = (surfaces[first] != surfaces[second]) | (np.abs(depth[first] - depth[second]) > 0.1 * nearer)
        edges[first] |= border
        edges[second] |= border
    return edges


def _triangle_facts(
    corners: NDArray[np.float64], texels: NDArray[np.float64], brightness: NDArray[np.float32]
) -> NDArray[np.float32]:
    """All that shading needs to know about each triangle in one row, float32 [T, 25].

    In one table because fetching rows for every pixel is bound by memory. Columns: per corner texel column
    and row and brightness of red, green and blue; unit normal; change of texel column and of texel row per
    metre in x, y, z; square texels per square metre.
    """
    edges = corners[:, 1:] - corners[:, :1]
    steps = texels[:, 1:] - texels[:, :1]
    normals = np.cross(edges[:, 0], edges[:, 1])
    double_area = np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    normals = normals / double_area
    # Gradient of a linear function on a triangle: from the edges and the normal.
    dual = np.stack([np.cross(edges[:, 1], normals), np.cross(normals, edges[:, 0])], axis=1)
    gradients = np.einsum("tki,tkj->tij", steps, dual / double_area[:, None])
    density = np.linalg.norm(np.cross(gradients[:, 0], gradients[:, 1]), axis=1, keepdims=True)
    values = np.concatenate([texels, brightness], axis=2)
    count = len(corners)
    table = [values.reshape(count, 15), normals, gradients.reshape(count, 6), density]
    return np.concatenate(table, axis=1).astype(np.float32)
