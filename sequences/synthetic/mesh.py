"""Triangle meshes with texture coordinates, put together from tessellated surfaces and simple solids."""

import math
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Longest edge of a tessellated flat surface, metres. Light is baked into the vertices, so this is the
# resolution of the shadows.
TESSELLATION = 0.12
# How far from a vertex light is gathered, metres.
_OFF_THE_SURFACE = 0.005
_OFF_THE_BORDER = 0.015


@dataclass(frozen=True)
class Material:
    """A texture and the size it is laid out at.

    Attributes:
        texture: Index of the texture in the scene.
        width: Of the texture, texels.
        height: Of the texture, texels.
        metres_per_texel: Size of a texel on a surface.
        grained: The texture has a grain along its rows, which runs along the longer side of a surface.
    """

    texture: int
    width: int
    height: int
    metres_per_texel: float
    grained: bool = False


@dataclass(frozen=True)
class Placement:
    """Where an object stands: position [3] in metres and its turn about the vertical axis in radians."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    yaw: float = 0.0

    def matrix(self) -> NDArray[np.float64]:
        """Takes points of the object to the frame it is placed in, float64 [4, 4]."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return np.array([[c, -s, 0, self.x], [s, c, 0, self.y], [0, 0, 1, self.z], [0, 0, 0, 1.0]])


@dataclass(frozen=True)
class Mesh:
    """A textured, labelled triangle mesh in the world frame (z up, metres).

    Attributes:
        vertices: float32 [V, 3], metres.
        normals: float32 [V, 3], unit length, out of the surface.
        bake_points: float32 [V, 3], metres: the vertex moved a little off its surface and away from the
            surface's border, from where light is gathered.
        texels: float32 [V, 2], texture coordinates in texels: column, row.
        triangles: int32 [T, 3], counter-clockwise seen from outside.
        textures: int32 [T], index of the texture.
        labels: uint8 [T], NYU-40 ids.
        surfaces: int32 [T], index of the surface a triangle came from.
        emission: float32 [T], brightness of surfaces that shine by themselves, NaN for all others.
        things: int32 [T], index of the thing that a triangle belongs to, -1 for the building itself.
        thing_labels: NYU-40 id of each thing.
    """

    vertices: NDArray[np.float32]
    normals: NDArray[np.float32]
    bake_points: NDArray[np.float32]
    texels: NDArray[np.float32]
    triangles: NDArray[np.int32]
    textures: NDArray[np.int32]
    labels: NDArray[np.uint8]
    surfaces: NDArray[np.int32]
    emission: NDArray[np.float32]
    things: NDArray[np.int32]
    thing_labels: tuple[int, ...]


class MeshBuilder:
    """Collects surfaces, each a grid of points, in the frame of the object being built.

    Args:
        rng: Chooses which part of a texture a surface shows.
    """

    def __init__(self, rng: np.random.Generator):
        self._rng = rng
        self._transform = np.eye(4)
        self._vertices: list[NDArray[np.float64]] = []
        self._normals: list[NDArray[np.float64]] = []
        self._bake_points: list[NDArray[np.float64]] = []
        self._texels: list[NDArray[np.float64]] = []
        self._triangles: list[NDArray[np.int64]] = []
        self._surface_facts: list[tuple[int, int, int, float, int]] = []
        self._vertex_count = 0
        self._thing = -1
        self._thing_labels: list[int] = []
        self._named_things: dict[Hashable, int] = {}

    @contextmanager
    def placed(self, placement: Placement) -> Iterator[None]:
        """Everything added inside the ``with`` block stands at ``placement``; placements nest."""
        before = self._transform
        self._transform = before @ placement.matrix()
        try:
            yield
        finally:
            self._transform = before

    @contextmanager
    def thing(self, label: int | None, name: Hashable = None) -> Iterator[None]:
        """Everything added inside the ``with`` block is one thing, as a person would count.

        A thing inside another one is a thing of its own.

        Args:
            label: NYU-40 id; None for what is part of the building and no thing.
            name: Whoever opens a thing of the same name again adds to it; None is always a new one.
        """
        before = self._thing
        self._thing = -1 if label is None else self._named_things.get(name, len(self._thing_labels))
        if label is not None and self._thing == len(self._thing_labels):
            self._thing_labels.append(label)
            if name is not None:
                self._named_things[name] = self._thing
        try:
            yield
        finally:
            self._thing = before

    def to_world(self, point: tuple[float, float, float]) -> NDArray[np.float64]:
        """A point of the object's frame in the world, float64 [3], metres."""
        return self._transform[:3, :3] @ np.array(point) + self._transform[:3, 3]

    def grid(
        self,
        points: NDArray[np.float64],
        texels: NDArray[np.float64],
        texture: int,
        label: int,
        emission: float = math.nan,
    ) -> None:
        """Add a surface.

        Args:
            points: float64 [R, C, 3], metres; rows go down and columns right as seen from outside.
            texels: float64 [R, C, 2], texture coordinates in texels.
            texture: Index of the texture.
            label: NYU-40 id.
            emission: Brightness of a surface that shines by itself.
        """
        world = points @ self._transform[:3, :3].T + self._transform[:3, 3]
        self._append(world, _grid_normals(world), texels, (texture, label, emission))

    def _append(
        self,
        world: NDArray[np.float64],
        normals: NDArray[np.float64],
        texels: NDArray[np.float64],
        facts: tuple[int, int, float],
    ) -> None:
        """Add a grid of points in the world; normals are [R, C, 3], or [3] for a flat surface."""
        rows, columns = world.shape[:2]
        bake_points = world + _OFF_THE_SURFACE * normals
        if normals.ndim == 1:
            # Flat surfaces meet others at their border, where half of a vertex's surroundings is inside them.
            inward = world[0, 0] / 2 + world[-1, -1] / 2 - world
            distance = np.linalg.norm(inward, axis=-1, keepdims=True)
            bake_points += inward / np.maximum(distance, 1e-9) * np.minimum(_OFF_THE_BORDER, 0.3 * distance)
        index = np.arange(rows * columns).reshape(rows, columns) + self._vertex_count
        a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
        triangles = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
        self._vertices.append(world.reshape(-1, 3))
        self._normals.append(np.broadcast_to(normals, world.shape).reshape(-1, 3))
        self._bake_points.append(bake_points.reshape(-1, 3))
        self._texels.append(texels.reshape(-1, 2))
        self._triangles.append(triangles)
        self._surface_facts.append((len(triangles), *facts, self._thing))
        self._vertex_count += rows * columns

    def quad(
        self,
        top_left: tuple[float, float, float] | NDArray[np.float64],
        right: tuple[float, float, float] | NDArray[np.float64],
        down: tuple[float, float, float] | NDArray[np.float64],
        material: Material,
        label: int,
        *,
        region: tuple[float, float, float, float] | None = None,
        emission: float = math.nan,
    ) -> None:
        """Add a flat parallelogram, seen from its outside.

        Args:
            top_left: A corner, metres.
            right: Edge to the corner at its right, metres.
            down: Edge to the corner below, metres.
            material: Its texture.
            label: NYU-40 id.
            region: Part of the texture (left, top, right, bottom in texels) to stretch over it. Without,
                a piece of the texture of the surface's size is taken from a random place.
            emission: Brightness of a surface that shines by itself.
        """
        width, height = float(np.linalg.norm(right)), float(np.linalg.norm(down))
        if min(width, height) < 1e-6:
            return
        a = np.linspace(0, 1, math.ceil(width / TESSELLATION) + 1)
        b = np.linspace(0, 1, math.ceil(height / TESSELLATION) + 1)
        b_grid, a_grid = np.meshgrid(b, a, indexing="ij")
        points = np.asarray(top_left) + a_grid[..., None] * right + b_grid[..., None] * np.asarray(down)
        if region is None and material.grained and height > width:
            region = self._random_region(material, height, width)
            a_grid, b_grid = b_grid, a_grid
        elif region is None:
            region = self._random_region(material, width, height)
        texels = np.stack(
            [region[0] + a_grid * (region[2] - region[0]), region[1] + b_grid * (region[3] - region[1])], -1
        )
        world = points @ self._transform[:3, :3].T + self._transform[:3, 3]
        normal = self._transform[:3, :3] @ _unit(np.cross(down, right))
        self._append(world, normal, texels, (material.texture, label, emission))

    def box(
        self,
        minimum: tuple[float, float, float],
        maximum: tuple[float, float, float],
        material: Material,
        label: int,
        *,
        front: tuple[float, float, float, float] | None = None,
        emission: float = math.nan,
    ) -> None:
        """Add a box along the axes of the object's frame; its front is the side towards +y.

        Args:
            minimum: Least corner, metres.
            maximum: Greatest corner, metres.
            material: Texture of all sides.
            label: NYU-40 id.
            front: Part of the texture to stretch over every upright side.
            emission: Brightness of a box that shines by itself.
        """
        (x0, y0, z0), (x1, y1, z1) = minimum, maximum
        w, d, h = x1 - x0, y1 - y0, z1 - z0
        sides = [
            ((x1, y1, z1), (-w, 0, 0), (0, 0, -h)),
            ((x0, y0, z1), (w, 0, 0), (0, 0, -h)),
            ((x1, y0, z1), (0, d, 0), (0, 0, -h)),
            ((x0, y1, z1), (0, -d, 0), (0, 0, -h)),
        ]
        for corner, right, down in sides:
            self.quad(corner, right, down, material, label, region=front, emission=emission)
        lid = None if front is None else (front[0], front[1], front[0] + 4, front[1] + 4)
        self.quad((x0, y1, z1), (w, 0, 0), (0, -d, 0), material, label, region=lid, emission=emission)
        if z0 > 1e-6:
            self.quad((x0, y0, z0), (w, 0, 0), (0, d, 0), material, label, region=lid, emission=emission)

    def lathe(
        self,
        profile: list[tuple[float, float]],
        material: Material,
        label: int,
        *,
        centre: tuple[float, float] = (0.0, 0.0),
        emission: float = math.nan,
    ) -> None:
        """Add a solid of revolution about a vertical axis.

        Args:
            profile: Radius and height from top to bottom, metres.
            material: Its texture.
            label: NYU-40 id.
            centre: Where the axis stands in the object's frame, metres.
            emission: Brightness of a solid that shines by itself.
        """
        radius, height = np.array(profile).T
        angle = np.linspace(0, 2 * np.pi, 21)
        points = np.stack(
            [
                centre[0] + radius[:, None] * np.cos(angle),
                centre[1] + radius[:, None] * np.sin(angle),
                np.broadcast_to(height[:, None], (len(radius), len(angle))),
            ],
            axis=-1,
        )
        length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(radius), np.diff(height)))])
        girth = 2 * np.pi * float(radius.max())
        left, top, right, bottom = self._random_region(material, girth, float(length[-1]))
        across = np.linspace(left, right, len(angle))
        along = top + length / length[-1] * (bottom - top)
        texels = np.stack(np.broadcast_arrays(across[None, :], along[:, None]), axis=-1)
        self.grid(points, texels, material.texture, label, emission)

    def cushion(
        self,
        centre: tuple[float, float, float],
        size: tuple[float, float, float],
        material: Material,
        label: int,
    ) -> None:
        """Add a soft, rounded block (a superellipsoid): pillows, seats, duvets.

        Args:
            centre: Of the block, metres.
            size: Its extents, metres.
            material: Its texture.
            label: NYU-40 id.
        """
        latitude = np.linspace(np.pi / 2, -np.pi / 2, 13)[:, None]
        longitude = np.linspace(-np.pi, np.pi, 29)[None, :]
        across, upward = _power(np.cos(latitude), 0.35), _power(np.sin(latitude), 0.6)
        unit = np.stack(
            np.broadcast_arrays(
                across * _power(np.cos(longitude), 0.3), across * _power(np.sin(longitude), 0.3), upward
            ),
            axis=-1,
        )
        points = np.array(centre) + unit * np.array(size) / 2
        # Laid over it from above, so that patterns are not squeezed at the poles.
        spread = np.array([size[0] + size[2], size[1] + size[2]])
        left, top, right, bottom = self._random_region(material, *spread)
        flat = 0.5 + 0.5 * unit[..., :2] * (1 - 0.35 * unit[..., 2:])
        texels = np.array([left, top]) + flat * np.array([right - left, bottom - top])
        self.grid(points, texels, material.texture, label)

    def _random_region(
        self, material: Material, width: float, height: float
    ) -> tuple[float, float, float, float]:
        """A piece of the texture of the given size in metres, inside the texture when it fits."""
        wide, high = width / material.metres_per_texel, height / material.metres_per_texel
        left = self._rng.uniform(0, max(material.width - wide, 1.0))
        top = self._rng.uniform(0, max(material.height - high, 1.0))
        return left, top, left + wide, top + high

    def build(self) -> Mesh:
        """Everything collected, as one mesh."""
        counts, textures, labels, emission, things = (
            np.array(column) for column in zip(*self._surface_facts, strict=True)
        )
        return Mesh(
            vertices=np.concatenate(self._vertices).astype(np.float32),
            normals=np.concatenate(self._normals).astype(np.float32),
            bake_points=np.concatenate(self._bake_points).astype(np.float32),
            texels=np.concatenate(self._texels).astype(np.float32),
            triangles=np.concatenate(self._triangles).astype(np.int32),
            textures=np.repeat(textures, counts).astype(np.int32),
            labels=np.repeat(labels, counts).astype(np.uint8),
            surfaces=np.repeat(np.arange(len(counts)), counts).astype(np.int32),
            emission=np.repeat(emission, counts).astype(np.float32),
            things=np.repeat(things, counts).astype(np.int32),
            thing_labels=tuple(self._thing_labels),
        )


def _grid_normals(grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normals of a curved surface at the points of its grid, both [R, C, 3]."""
    normals = _unit(np.cross(np.gradient(grid, axis=0), np.gradient(grid, axis=1)))
    # A row that is a single point (a pole) has no tangent of its own.
    for row, beside in ((0, 1), (-1, -2)):
        if np.ptp(grid[row], axis=0).max() < 1e-9:
            normals[row] = _unit(normals[beside].mean(axis=0))
    return normals


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors [..., 3] scaled to length one; zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _power(value: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """A power that keeps the sign."""
    return np.sign(value) * np.abs(value) ** exponent
