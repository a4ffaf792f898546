"""Tells whether what a frame shows holds the camera in place, or lets it slide along a wall unnoticed.

Point-to-plane alignment solves a 6×6 system; a direction without constraint is an eigenvector of a small
eigenvalue (Gelfand et al.: Geometrically Stable Sampling for the ICP Algorithm. 3DIM 2003).
"""

import numpy as np
from numpy.typing import NDArray

# Normals from neighbours this many pixels apart are good enough, and quick.
_STEP = 8
# Neighbours with a larger step in depth, relative to it, lie on two surfaces.
_EDGE = 0.1
_LEAST_POINTS = 50


def geometric_constraint(depth: NDArray[np.float32], intrinsic_matrix: NDArray[np.float64]) -> float:
    """How well surfaces determine the motion in the direction where they do so least.

    Args:
        depth: float32 [H, W], metres, 0 where unknown.
        intrinsic_matrix: float64 [3, 3], pixels.

    Returns:
        The smallest eigenvalue of the mean of the constraints, turns scaled to the size of the scene: 0 when
        the camera can move freely in some direction, as in front of one plane, and at most 1/3.
    """
    vertices = _vertices(depth[::_STEP, ::_STEP], intrinsic_matrix)
    centre, right, below = vertices[:-1, :-1], vertices[:-1, 1:], vertices[1:, :-1]
    distance = centre[..., 2]
    usable = (distance > 0.0) & (right[..., 2] > 0.0) & (below[..., 2] > 0.0)
    for neighbour in (right, below):
        usable &= np.abs(neighbour[..., 2] - distance) < _EDGE * distance
    if np.count_nonzero(usable) < _LEAST_POINTS:
        return 0.0
    points = centre[usable]
    normals = np.cross(right[usable] - points, below[usable] - points)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = points - points.mean(axis=0)
    points /= np.sqrt(np.mean(np.sum(points**2, axis=1)))
    rows = np.hstack([np.cross(points, normals), normals])
    return float(np.linalg.eigvalsh(rows.T @ rows / len(rows))[0])


def brightness_gradient(rgb: NDArray[np.uint8]) -> float:
    """Mean step of brightness between neighbouring pixels, 0 to 1, of uint8 [H, W, 3]."""
    brightness = rgb.mean(axis=2) / 255.0
    return float(np.abs(np.diff(brightness, axis=0)).mean() + np.abs(np.diff(brightness, axis=1)).mean())


def _vertices(depth: NDArray[np.float32], intrinsic_matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = np.indices(depth.shape) * float(_STEP)
    (fx, _, cx), (_, fy, cy), _ = intrinsic_matrix
    return np.stack([(columns - cx) / fx * depth, (rows - cy) / fy * depth, depth], axis=-1)
