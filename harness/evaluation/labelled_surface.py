"""Triangle meshes with a label per vertex, and their files.

The files are binary PLY (Turk, "The PLY polygon file format", 1994).
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import open3d
from numpy.typing import NDArray

from harness.errors import EvaluationError
from harness.evaluation.alignment import Similarity
from harness.evaluation.surfaces import Surface, raycasting_scene
from sequences.model import LABEL_UNKNOWN

_TYPES = {
    "char": "i1",
    "int8": "i1",
    "uchar": "u1",
    "uint8": "u1",
    "short": "<i2",
    "int16": "<i2",
    "ushort": "<u2",
    "uint16": "<u2",
    "int": "<i4",
    "int32": "<i4",
    "uint": "<u4",
    "uint32": "<u4",
    "float": "<f4",
    "float32": "<f4",
    "double": "<f8",
    "float64": "<f8",
}
_VERTEX_PROPERTIES = ("x", "y", "z", "red", "green", "blue", "label")
_NORMAL = ("nx", "ny", "nz")

# A header longer than this is none.
_LONGEST_HEADER = 64 * 1024


@dataclass(frozen=True)
class LabelledSurface:
    """A surface whose vertices have labels.

    Attributes:
        surface: The mesh.
        labels: uint8 [V], 255 where unknown.
    """

    surface: Surface
    labels: NDArray[np.uint8]

    def moved(self, fit: Similarity) -> "LabelledSurface":
        """The same in another world."""
        surface = replace(
            self.surface,
            vertices=fit.apply(self.surface.vertices.astype(np.float64)).astype(np.float32),
            normals=(self.surface.normals @ fit.rotation.T).astype(np.float32),
        )
        return replace(self, surface=surface)


@dataclass(frozen=True)
class NearestSurface:
    """What of a labelled surface lies nearest to some points.

    Attributes:
        distances: float32 [N], metres.
        labels: uint8 [N], of the nearest corner of the triangle that lies nearest.
    """

    distances: NDArray[np.float32]
    labels: NDArray[np.uint8]


def nearest_labels(labelled: LabelledSurface, points: NDArray[np.float32]) -> NearestSurface:
    """Look up the label of the surface nearest to each of the points, float32 [N, 3]."""
    scene = raycasting_scene(labelled.surface)
    answer = scene.compute_closest_points(open3d.core.Tensor(np.ascontiguousarray(points)))
    u, v = answer["primitive_uvs"].numpy().T
    corner = np.stack([1 - u - v, u, v], axis=1).argmax(axis=1)
    triangles = labelled.surface.triangles[answer["primitive_ids"].numpy()]
    distances = np.linalg.norm(answer["points"].numpy() - points, axis=1)
    return NearestSurface(distances, labelled.labels[triangles[np.arange(len(points)), corner]])


@dataclass(frozen=True)
class _Element:
    """One kind of rows that a PLY file holds: its name, how many there are, and what a row is made of."""

    name: str
    count: int
    properties: tuple[tuple[str, ...], ...]


def read_labelled_ply(path: Path) -> LabelledSurface:
    """Read vertices with colour and label, and triangles, from a little-endian binary PLY file.

    Normals that the file lacks are those of the triangles around, weighted by area. Labels may be of any
    whole type; those that are no label of 8 bits are unknown.

    Raises:
        EvaluationError: The file is missing, truncated, of another layout, or holds no triangle or values
            that are not finite; says which.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error
    elements, start = _read_header(path, content)
    if [element.name for element in elements[:2]] != ["vertex", "face"]:
        raise EvaluationError(f"{path} does not hold vertices and then faces")
    vertices, start = _read_vertices(path, content, start, elements[0])
    triangles = _read_triangles(path, content, start, elements[1])
    if not len(triangles):
        raise EvaluationError(f"{path} holds no triangle")
    if triangles.min() < 0 or triangles.max() >= len(vertices):
        raise EvaluationError(f"{path} has triangles of vertices that it does not have")
    positions = _columns(vertices, ("x", "y", "z"))
    if set(_NORMAL) <= set(vertices.dtype.names or ()):
        normals = _columns(vertices, _NORMAL)
    else:
        normals = _normals_of_triangles(positions, triangles)
    surface = Surface(
        vertices=positions.astype(np.float32),
        normals=normals.astype(np.float32),
        colours=(_columns(vertices, ("red", "green", "blue")) / 255).astype(np.float32),
        triangles=triangles.astype(np.uint32),
    )
    if not (np.isfinite(surface.vertices).all() and np.isfinite(surface.normals).all()):
        raise EvaluationError(f"{path} has vertices or normals that are NaN or infinite")
    labels = vertices["label"]
    known = (labels >= 0) & (labels < LABEL_UNKNOWN)
    return LabelledSurface(surface, np.where(known, labels, LABEL_UNKNOWN).astype(np.uint8))


def _normals_of_triangles(
    positions: NDArray[np.float64], triangles: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Unit normals of vertices; zero for a vertex without a triangle that has an area."""
    corners = positions[triangles]
    # Twice the area long, so that large triangles count for more.
    of_triangles = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(positions)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], of_triangles)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)


def _read_header(path: Path, content: bytes) -> tuple[list[_Element], int]:
    """The elements that a file declares, and where its data begins."""
    end = content.find(b"end_header\n", 0, _LONGEST_HEADER)
    if not content.startswith(b"ply") or end < 0:
        raise EvaluationError(f"{path} is no PLY file, or its header is cut off")
    lines = [line.split() for line in content[:end].decode("ascii", "replace").splitlines()]
    if ["format", "binary_little_endian", "1.0"] not in lines:
        raise EvaluationError(f"{path} is not in the format binary_little_endian 1.0")
    elements: list[_Element] = []
    for words in lines:
        match words:
            case ["element", name, count] if count.isdigit():
                elements.append(_Element(name, int(count), ()))
            case ["property", *kind] if elements and kind:
                known = elements[-1]
                elements[-1] = replace(known, properties=(*known.properties, tuple(kind)))
    return elements, end + len(b"end_header\n")


def _read_vertices(path: Path, content: bytes, start: int, element: _Element) -> tuple[NDArray[np.void], int]:
    columns = []
    for kind in element.properties:
        if len(kind) != 2 or kind[0] not in _TYPES:
            raise EvaluationError(f"{path} has a vertex property that is not understood: {' '.join(kind)}")
        columns.append((kind[1], _TYPES[kind[0]]))
    names = [name for name, _ in columns]
    missing = [name for name in _VERTEX_PROPERTIES if name not in names]
    if missing or len({*names}) < len(names):
        raise EvaluationError(
            f"{path}: vertices need each of the properties {', '.join(_VERTEX_PROPERTIES)} once; "
            f"missing: {', '.join(missing) or 'none'}"
        )
    for name in ("red", "green", "blue"):
        if dict(columns)[name] != "u1":
            raise EvaluationError(f"{path}: the property {name} must be uchar")
    if np.dtype(dict(columns)["label"]).kind not in "iu":
        raise EvaluationError(f"{path}: the property label must be a whole number, uchar for example")
    return _rows(path, content, start, np.dtype(columns), element)


def _read_triangles(path: Path, content: bytes, start: int, element: _Element) -> NDArray[np.int64]:
    match element.properties:
        case (("list", "uchar" | "uint8", index_type, "vertex_indices" | "vertex_index"),) if (
            index_type in _TYPES
        ):
            row = np.dtype([("count", "u1"), ("corners", _TYPES[index_type], (3,))])
        case _:
            raise EvaluationError(f"{path}: faces must be a list of vertex_indices and nothing else")
    faces, _ = _rows(path, content, start, row, element)
    if (faces["count"] != 3).any():
        raise EvaluationError(f"{path} has faces that are no triangles")
    return faces["corners"].astype(np.int64)


def _rows(
    path: Path, content: bytes, start: int, row: np.dtype[np.void], element: _Element
) -> tuple[NDArray[np.void], int]:
    end = start + row.itemsize * element.count
    if end > len(content):
        raise EvaluationError(
            f"{path} is truncated: its header promises {element.count} rows of {element.name} "
            f"and {end} bytes, it has {len(content)}"
        )
    return np.frombuffer(content[start:end], row), end


def _columns(rows: NDArray[np.void], names: tuple[str, ...]) -> NDArray[np.float64]:
    return np.stack([rows[name] for name in names], axis=1).astype(np.float64)
