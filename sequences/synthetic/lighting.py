"""Bakes light into the vertices: lamps and windows with shadows, and two bounces between surfaces."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequences.synthetic.mesh import Mesh
from sequences.synthetic.ray_casting import ray_casting_scene
from sequences.synthetic.workshop import Light

_GAMMA = 2.2
_DIRECTIONS = 48
_BOUNCES = 2
_AMBIENT = 0.06
_REACH = 9.0
# The brightness that the middle one of all lit vertices gets, as a factor on the texture.
_MIDDLE_BRIGHTNESS = 0.66


def bake(mesh: Mesh, lights: list[Light], albedo: NDArray[np.float32]) -> NDArray[np.float32]:
    """Light every vertex.

    Args:
        mesh: The scene.
        lights: Lamps and windows.
        albedo: float32 [T, 3], mean reflectance of each triangle, 0 to 1, linear.

    Returns:
        float32 [V, 3]: the factor that a texture's 8-bit values are multiplied with. It already contains
        the display gamma, so that textures need not be made linear first.
    """
    shining = ~np.isnan(mesh.emission)
    direct = _direct(mesh, lights, ~shining)
    reflectance = np.where(shining[:, None], 0, albedo).astype(np.float32)
    irradiance = direct + _indirect(mesh, direct, reflectance) + np.float32(_AMBIENT)
    brightness = irradiance ** np.float32(1 / _GAMMA)
    lit = np.zeros(len(mesh.vertices), bool)
    lit[mesh.triangles[~shining]] = True
    brightness *= np.float32(_MIDDLE_BRIGHTNESS / np.median(brightness[lit]))
    # A soft shoulder keeps surfaces beside a lamp from burning out.
    knee, room = np.float32(0.75), np.float32(0.35)
    brightness = np.where(brightness > knee, knee + room * np.tanh((brightness - knee) / room), brightness)
    brightness[mesh.triangles[shining]] = mesh.emission[shining][:, None, None]
    return brightness.astype(np.float32)


def _direct(mesh: Mesh, lights: list[Light], opaque: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Irradiance straight from the lights, float32 [V, 3]; lamp shades and panes cast no shadow."""
    scene = ray_casting_scene(mesh.vertices, mesh.triangles[opaque])
    total = np.zeros_like(mesh.vertices)
    for light in lights:
        towards = light.position.astype(np.float32) - mesh.bake_points
        distance = np.maximum(np.linalg.norm(towards, axis=1), 0.1)
        cosine = np.einsum("ij,ij->i", towards, mesh.normals) / distance
        if light.normal is not None:
            cosine *= np.clip(-(towards @ light.normal.astype(np.float32)) / distance, 0, None)
        lit = np.flatnonzero((cosine > 0) & (distance < _REACH))
        rays = np.concatenate([mesh.bake_points[lit], towards[lit]], axis=1)
        hidden = scene.test_occlusions(_tensor(rays), tnear=0.0, tfar=0.97).numpy()
        lit = lit[~hidden]
        strength = cosine[lit] / distance[lit] ** 2
        total[lit] += strength[:, None] * light.intensity.astype(np.float32)
    return total


def _indirect(
    mesh: Mesh, direct: NDArray[np.float32], reflectance: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Irradiance by way of other surfaces: the mean over cosine-weighted directions, float32 [V, 3]."""
    scene = ray_casting_scene(mesh.vertices, mesh.triangles)
    seen = np.stack([_triangles_seen(scene, mesh, direction) for direction in _hemisphere(_DIRECTIONS)])
    indirect = np.zeros_like(direct)
    for _ in range(_BOUNCES):
        leaving = reflectance * (direct + indirect)[mesh.triangles].mean(axis=1)
        leaving = np.vstack([leaving, np.zeros((1, 3), np.float32)])
        indirect = np.zeros_like(direct)
        for triangles in seen:
            indirect += leaving[triangles]
        indirect /= np.float32(_DIRECTIONS)
    return indirect


def _triangles_seen(scene: Any, mesh: Mesh, direction: NDArray[np.float32]) -> NDArray[np.int64]:
    """The triangle that each vertex sees in a direction of its own tangent frame; -1 for none."""
    normals = mesh.normals
    helper = np.where(np.abs(normals[:, 2:]) < 0.9, *np.eye(3, dtype=np.float32)[[2, 0]])
    tangent = np.cross(helper, normals)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-6)
    heading = direction[0] * tangent + direction[1] * np.cross(normals, tangent) + direction[2] * normals
    rays = np.concatenate([mesh.bake_points, heading], axis=1)
    triangles = scene.cast_rays(_tensor(rays))["primitive_ids"].numpy().astype(np.int64)
    return np.where(triangles >= len(mesh.triangles), -1, triangles)


def _hemisphere(count: int) -> NDArray[np.float32]:
    """Cosine-weighted directions about +z on a spiral of golden angles, float32 [count, 3]."""
    index = np.arange(count) + 0.5
    radius, angle = np.sqrt(index / count), index * np.pi * (3 - np.sqrt(5))
    directions = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)], -1)
    return directions.astype(np.float32)


def _tensor(rays: NDArray[np.float32]) -> Any:
    import open3d as o3d

    return o3d.core.Tensor(np.ascontiguousarray(rays, np.float32))
