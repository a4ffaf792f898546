"""Objects: clusters of mesh vertices that have the same label."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adapters.label_space import LabelClass, LabelRole, LabelSpace
from adapters.labelled_mesh import LabelledMesh
from adapters.mono_hydra.scene_graph.graphs import connected_pieces
from adapters.mono_hydra.scene_graph.options import SceneGraphOptions

# Fine enough that the vertices in one cell are near each other whatever the tolerance.
_CELLS_PER_TOLERANCE = 5


@dataclass(frozen=True)
class ObjectBox:
    """A box that stands upright.

    Attributes:
        centre: float64 [3], metres in the world.
        dimensions: float64 [3], edges along its own x, y and z, metres.
        yaw: Angle from the world's x to its own about z, radians; 0 for boxes along the axes of the world.
    """

    centre: NDArray[np.float64]
    dimensions: NDArray[np.float64]
    yaw: float


@dataclass(frozen=True)
class SceneObject:
    """One thing.

    Attributes:
        label_class: What it is.
        vertex_indices: int64 [N], its vertices in the mesh, rising.
        centroid: float64 [3], mean of its vertices, metres in the world.
        box: Around its vertices.
    """

    label_class: LabelClass
    vertex_indices: NDArray[np.int64]
    centroid: NDArray[np.float64]
    box: ObjectBox


def find_objects(
    mesh: LabelledMesh, label_space: LabelSpace, options: SceneGraphOptions
) -> list[SceneObject]:
    """Cluster the vertices of every class of objects, class by class, the largest cluster first."""
    return [
        _scene_object(mesh.vertices, indices, entry, options)
        for entry in label_space.classes
        if entry.role is LabelRole.OBJECT
        for indices in _clusters(mesh, entry.id, options)
    ]


def _scene_object(
    vertices: NDArray[np.float32],
    indices: NDArray[np.int64],
    label_class: LabelClass,
    options: SceneGraphOptions,
) -> SceneObject:
    points = vertices[indices].astype(np.float64)
    box = _oriented_box(points) if options.object_box == "oriented" else _axis_aligned_box(points)
    return SceneObject(label_class, indices, points.mean(axis=0), box)


def _clusters(mesh: LabelledMesh, label: int, options: SceneGraphOptions) -> list[NDArray[np.int64]]:
    """Indices of the vertices of every cluster that is large enough, the largest first."""
    indices = np.flatnonzero(mesh.labels == label)
    if len(indices) < options.object_least_vertices:
        return []
    cluster = euclidean_clusters(mesh.vertices[indices].astype(np.float64), options.object_tolerance)
    sizes = np.bincount(cluster)
    members = np.split(indices[np.argsort(cluster, kind="stable")], np.cumsum(sizes)[:-1])
    order = np.argsort(-sizes, kind="stable")
    return [members[index] for index in order if sizes[index] >= options.object_least_vertices]


def euclidean_clusters(points: NDArray[np.float64], tolerance: float) -> NDArray[np.int64]:
    """Join all points that are at most ``tolerance`` apart.

    Points are first gathered in small cells, which makes dense surfaces as cheap as coarse ones; only where
    one point of a cell does not decide whether two clusters touch are all of its points looked at.

    Args:
        points: float64 [N, 3], at least one, metres.
        tolerance: Metres.

    Returns:
        int64 [N], the cluster of each point, from 0.
    """
    edge = tolerance / _CELLS_PER_TOLERANCE
    _, first, cell, counts = np.unique(
        np.floor(points / edge), axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    reach = tolerance + 2 * np.sqrt(3) * edge
    pairs = cKDTree(points[first]).query_pairs(reach, output_type="ndarray")
    gaps = np.linalg.norm(points[first[pairs[:, 0]]] - points[first[pairs[:, 1]]], axis=1)
    certain = pairs[gaps <= tolerance]
    cluster = connected_pieces(certain, len(first))
    doubtful = pairs[gaps > tolerance]
    doubtful = doubtful[cluster[doubtful[:, 0]] != cluster[doubtful[:, 1]]]
    members = np.argsort(cell, kind="stable")
    touching = _touch(points[members], np.cumsum(counts) - counts, counts, doubtful, tolerance)
    return connected_pieces(np.concatenate([certain, doubtful[touching]]), len(first))[cell]


def _touch(
    points: NDArray[np.float64],
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
    pairs: NDArray[np.int64],
    tolerance: float,
) -> NDArray[np.bool_]:
    """Whether any point of one cell is near any point of the other.

    Args:
        points: float64 [N, 3], cell by cell.
        starts: int64 [C], the first point of each cell.
        counts: int64 [C], how many it has.
        pairs: int64 [P, 2], of cells.
        tolerance: What is near.

    Returns:
        bool [P].
    """
    combinations = counts[pairs].prod(axis=1)
    firsts = np.cumsum(combinations) - combinations
    pair = np.repeat(np.arange(len(pairs)), combinations)
    within = np.arange(len(pair)) - firsts[pair]
    second_counts = counts[pairs[pair, 1]]
    one = points[starts[pairs[pair, 0]] + within // second_counts]
    other = points[starts[pairs[pair, 1]] + within % second_counts]
    near = np.linalg.norm(one - other, axis=1) <= tolerance
    return np.bincount(pair[near], minlength=len(pairs)) > 0


def _axis_aligned_box(points: NDArray[np.float64]) -> ObjectBox:
    low, high = points.min(axis=0), points.max(axis=0)
    return ObjectBox((low + high) / 2, high - low, 0.0)


def _oriented_box(points: NDArray[np.float64]) -> ObjectBox:
    """The box with the smallest base; its x is the longer side, and its yaw from -90° to 90°."""
    level = _axis_aligned_box(points)
    # In single precision: distances from the middle keep it exact.
    (x, y), (width, depth), degrees = cv2.minAreaRect((points - level.centre)[:, :2].astype(np.float32))
    if depth > width:
        width, depth, degrees = depth, width, degrees + 90.0
    yaw = np.radians((degrees + 90.0) % 180.0 - 90.0)
    dimensions = np.array([width, depth, level.dimensions[2]])
    return ObjectBox(level.centre + np.array([x, y, 0.0]), dimensions, float(yaw))
