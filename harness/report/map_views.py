"""Pictures of surfaces by ray casting: the same on every machine, without OpenGL."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import open3d
from numpy.typing import NDArray

from harness.evaluation.surfaces import Surface, evenly_chosen, raycasting_scene
from sequences.model import Intrinsics

# Rays per pixel side; the picture is then made smaller, which smooths its edges.
_SUPERSAMPLING = 2

# Back faces in front of a visible surface: a ceiling, a wall, a cupboard. More are rare.
_CULLED_LAYERS = 6

#: Behind all surfaces: neither white nor grey, which walls are.
BACKGROUND = np.array([0.80, 0.86, 0.93], dtype=np.float32)

_AMBIENT = 0.6

_OVERVIEW_ELEVATION_DEG = 55.0
_OVERVIEW_FIELD_OF_VIEW_DEG = 40.0
_OVERVIEW_MARGIN = 1.06

# Views are fitted to so many points of a surface.
_VIEW_POINTS = 20_000

#: A camera that is held upright tilts less than this against the axis that points up, degrees.
_UPRIGHT_WITHIN_DEG = 30.0

#: Mean viewing direction shorter than this: the camera looked around, no direction is its own.
_LOOKED_AROUND_BELOW = 0.35


@dataclass(frozen=True)
class View:
    """A camera to render from.

    Attributes:
        intrinsics: With the size of the picture.
        camera_to_world: float64 [4, 4].
    """

    intrinsics: Intrinsics
    camera_to_world: NDArray[np.float64]

    def pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where points, float64 [N, 3], before the camera are in the picture: float64 [N, 2], column, row."""
        in_camera = (points - self.camera_to_world[:3, 3]) @ self.camera_to_world[:3, :3]
        homogeneous = in_camera @ self.intrinsics.matrix().T
        return homogeneous[:, :2] / homogeneous[:, 2:]


def inside_view(intrinsics: Intrinsics, camera_to_world: NDArray[np.float64], width: int) -> View:
    """What the camera of the recording saw from a pose."""
    factor = width / intrinsics.width
    height = round(intrinsics.height * factor)
    scaled = Intrinsics(
        intrinsics.fx * factor,
        intrinsics.fy * factor,
        (intrinsics.cx + 0.5) * factor - 0.5,
        (intrinsics.cy + 0.5) * factor - 0.5,
        width,
        height,
    )
    return View(scaled, camera_to_world)


@dataclass(frozen=True)
class Stance:
    """Where up is, and from which side a scene is looked at.

    Attributes:
        up: float64 [3], unit vector.
        heading: float64 [3], horizontal unit vector to look along.
    """

    up: NDArray[np.float64]
    heading: NDArray[np.float64]


def stance(surface: Surface, camera_to_world: NDArray[np.float64]) -> Stance:
    """Look at a scene as its recording did: up as it was held, from the side it was seen from.

    Args:
        surface: The scene.
        camera_to_world: float64 [N, 4, 4], poses of the recording.
    """
    up = _upwards(camera_to_world)
    return Stance(up, _heading(surface, camera_to_world, up))


def overview(surface: Surface, camera_to_world: NDArray[np.float64], width: int, height: int) -> View:
    """A view of a whole surface obliquely from above.

    Args:
        surface: Fills the picture.
        camera_to_world: float64 [N, 4, 4], poses of the recording.
        width: Of the picture, pixels.
        height: Of the picture, pixels.
    """
    points = evenly_chosen(surface.vertices, _VIEW_POINTS)
    return oblique_view(points, stance(surface, camera_to_world), _OVERVIEW_ELEVATION_DEG, width, height)


def oblique_view(
    points: NDArray[np.float64] | NDArray[np.float32],
    stance: Stance,
    elevation_deg: float,
    width: int,
    height: int,
) -> View:
    """A view from above in which all but the outermost hundredth of the points is in the picture.

    Args:
        points: [N, 3], metres.
        stance: From which side.
        elevation_deg: Between the horizontal and the direction looked along.
        width: Of the picture, pixels.
        height: Of the picture, pixels.
    """
    elevation = np.radians(elevation_deg)
    forward = np.cos(elevation) * stance.heading - np.sin(elevation) * stance.up
    right = np.cross(forward, stance.up)
    right /= np.linalg.norm(right)
    rotation = np.column_stack([right, np.cross(forward, right), forward])

    focal_length = 0.5 * width / np.tan(np.radians(_OVERVIEW_FIELD_OF_VIEW_DEG) / 2)
    # In the camera's axes: centre the points, then step back until the outermost are in the picture.
    points = points @ rotation
    low, high = np.percentile(points, [1, 99], axis=0)
    centre = (low + high) / 2
    half_tangents = np.array([width, height]) / (2 * focal_length * _OVERVIEW_MARGIN)
    needed = np.abs(points[:, :2] - centre[:2]) / half_tangents - (points[:, 2] - centre[2])[:, None]
    centre[2] -= np.percentile(needed, 99.5)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, rotation @ centre
    intrinsics = Intrinsics(
        focal_length, focal_length, width / 2 - 0.5, height / 2 - 0.5, width=width, height=height
    )
    return View(intrinsics, pose)


def cropped(view: View, points: NDArray[np.float64], width: int, tallest: int) -> View:
    """The part of a view that some points take, enlarged to a width, or to a height if that is reached first.

    Args:
        view: The camera, all points before it.
        points: float64 [N, 3], metres.
        width: Of the picture, pixels.
        tallest: Largest height of the picture, pixels.
    """
    pixels = view.pixels(points)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    size = (high - low) * _OVERVIEW_MARGIN
    factor = min(width / size[0], tallest / size[1])
    height = round(size[1] * factor)
    camera = view.intrinsics
    centre = (low + high) / 2
    return View(
        Intrinsics(
            fx=camera.fx * factor,
            fy=camera.fy * factor,
            cx=(camera.cx - centre[0]) * factor + width / 2 - 0.5,
            cy=(camera.cy - centre[1]) * factor + height / 2 - 0.5,
            width=width,
            height=height,
        ),
        view.camera_to_world,
    )


def solid_part(surface: Surface) -> NDArray[np.float64]:
    """Some vertices of a surface, float64 [N, 3], without stray ones far outside: what a view shall show."""
    points = evenly_chosen(surface.vertices, _VIEW_POINTS).astype(np.float64)
    low, high = np.percentile(points, [0.5, 99.5], axis=0)
    return points[((points >= low) & (points <= high)).all(axis=1)]


def _upwards(camera_to_world: NDArray[np.float64]) -> NDArray[np.float64]:
    """The world's upward direction: image rows run downwards when a camera is held upright."""
    mean = -camera_to_world[:, :3, 1].mean(axis=0)
    mean /= max(float(np.linalg.norm(mean)), 1e-9)
    axis = np.zeros(3)
    largest = int(np.argmax(np.abs(mean)))
    axis[largest] = np.sign(mean[largest]) or 1.0
    return axis if mean @ axis > np.cos(np.radians(_UPRIGHT_WITHIN_DEG)) else mean


def _heading(
    surface: Surface, camera_to_world: NDArray[np.float64], up: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The horizontal direction to look along: the camera's own, or across the longer side of the scene."""
    horizontal = np.eye(3) - np.outer(up, up)
    mean = horizontal @ camera_to_world[:, :3, 2].mean(axis=0)
    if np.linalg.norm(mean) < _LOOKED_AROUND_BELOW:
        points = evenly_chosen(surface.vertices, _VIEW_POINTS) @ horizontal
        _, _, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
        mean = np.cross(up, axes[0])
        # The sign of an axis is arbitrary; the same scene shall look the same in every picture.
        mean *= np.sign(mean[np.abs(mean).argmax()])
    return mean / np.linalg.norm(mean)


class SurfaceRenderer:
    """Renders one surface from several views."""

    def __init__(self, surface: Surface):
        self._surface = surface
        self._scene = raycasting_scene(surface)

    def render(self, view: View, *paints: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
        """Shade what the view sees; faces seen from behind are looked through.

        Args:
            view: The camera.
            paints: float32 [V, 3] each, colours to give the vertices.

        Returns:
            A picture per paint, uint8 [H, W, 3].
        """
        rays = _rays(view)
        triangles, coordinates = self._front_faces(rays)
        hit = triangles >= 0
        corners = self._surface.triangles[triangles[hit]]
        u, v = coordinates[hit].T
        weights = np.stack([1 - u - v, u, v], axis=1)
        normals = _interpolated(self._surface.normals, corners, weights)
        directions = rays[hit, 3:]
        lengths = np.sqrt(_dot(normals, normals) * _dot(directions, directions))
        cosines = np.abs(_dot(normals, directions)) / np.maximum(lengths, 1e-9)
        shade = (_AMBIENT + (1 - _AMBIENT) * cosines)[:, None]
        pictures = []
        for paint in paints:
            samples = np.tile(BACKGROUND, (len(rays), 1))
            samples[hit] = _interpolated(paint, corners, weights) * shade
            pictures.append(_reduced(samples, view.intrinsics))
        return pictures

    def _front_faces(self, rays: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """First triangle that each ray, float32 [R, 6], meets from its front, and where on it.

        Returns:
            int64 [R], the triangle or -1, and float32 [R, 2], barycentric coordinates.
        """
        rays = rays.copy()
        triangles = np.full(len(rays), -1, dtype=np.int64)
        coordinates = np.zeros((len(rays), 2), dtype=np.float32)
        active = np.arange(len(rays))
        for _ in range(_CULLED_LAYERS + 1):
            answer = self._scene.cast_rays(open3d.core.Tensor(rays[active]))
            distance = answer["t_hit"].numpy()
            met = np.isfinite(distance)
            front = met & (_dot(answer["primitive_normals"].numpy(), rays[active, 3:]) < 0)
            triangles[active[front]] = answer["primitive_ids"].numpy()[front]
            coordinates[active[front]] = answer["primitive_uvs"].numpy()[front]
            behind = met & ~front
            active, distance = active[behind], distance[behind]
            if not len(active):
                break
            rays[active, :3] += rays[active, 3:] * (distance * (1 + 1e-5) + 1e-4)[:, None]
        return triangles, coordinates


def _interpolated(
    values: NDArray[np.float32], corners: NDArray[np.uint32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Values of vertices at points in triangles: float32 [N, 3] by corners and weights [N, 3]."""
    return np.einsum("ncv,nc->nv", values[corners], weights)


def _dot(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.einsum("nv,nv->n", first, second)


def _reduced(samples: NDArray[np.float32], intrinsics: Intrinsics) -> NDArray[np.uint8]:
    width, height = intrinsics.width, intrinsics.height
    picture = samples.reshape(height * _SUPERSAMPLING, width * _SUPERSAMPLING, 3)
    smooth = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return np.round(np.clip(smooth, 0, 1) * 255).astype(np.uint8)


def _rays(view: View) -> NDArray[np.float32]:
    """float32 [R, 6], origin and direction through every sample, row by row."""
    camera = view.intrinsics
    # Rays of Open3D pass through u + 0.5, v + 0.5; ours count from the centre of the first pixel.
    sampled = replace(
        camera,
        fx=camera.fx * _SUPERSAMPLING,
        fy=camera.fy * _SUPERSAMPLING,
        cx=(camera.cx + 0.5) * _SUPERSAMPLING,
        cy=(camera.cy + 0.5) * _SUPERSAMPLING,
        width=camera.width * _SUPERSAMPLING,
        height=camera.height * _SUPERSAMPLING,
    )
    rays = open3d.t.geometry.RaycastingScene.create_rays_pinhole(
        open3d.core.Tensor(sampled.matrix()),
        open3d.core.Tensor(np.linalg.inv(view.camera_to_world)),
        sampled.width,
        sampled.height,
    )
    return rays.numpy().reshape(-1, 6)
