"""Turns the world so that z points up."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

# Surfaces within this of horizontal may correct what was assumed to be up, degrees.
_NEARLY_HORIZONTAL_DEG = (25.0, 12.0, 6.0)
# As a part of all vertices; with fewer there is no floor to be seen.
_LEAST_HORIZONTAL = 0.02


def upward_by_cameras(camera_to_world: NDArray[np.float64]) -> NDArray[np.float64]:
    """Up, when cameras are held upright on the whole: rows of images run downwards.

    Args:
        camera_to_world: float64 [N, 4, 4].
    """
    mean = -camera_to_world[:, :3, 1].mean(axis=0)
    length = np.linalg.norm(mean)
    return np.asarray(mean / length) if length > 1e-6 else np.array([0.0, 0.0, 1.0])


def upward_by_surfaces(up: NDArray[np.float64], normals: NDArray[np.floating]) -> NDArray[np.float64]:
    """Up, corrected by floors, ceilings and tables.

    Args:
        up: float64 [3], about right.
        normals: float [V, 3], of the map's vertices, which lie about evenly.

    Returns:
        float64 [3], unit length; ``up`` itself where no surface is nearly horizontal.
    """
    normals = normals.astype(np.float64)
    for degrees in _NEARLY_HORIZONTAL_DEG:
        along = normals @ up
        horizontal = np.abs(along) > np.cos(np.radians(degrees))
        if horizontal.sum() < max(_LEAST_HORIZONTAL * len(normals), 1):
            return up
        mean = (normals[horizontal] * np.sign(along[horizontal])[:, None]).mean(axis=0)
        up = mean / np.linalg.norm(mean)
    return up


def turn_upright(up: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest rotation that takes ``up``, float64 [3], to z: float64 [3, 3]."""
    rotation, _ = Rotation.align_vectors(np.array([[0.0, 0.0, 1.0]]), up[None])
    return np.asarray(rotation.as_matrix())
