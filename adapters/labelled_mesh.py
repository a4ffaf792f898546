"""The mesh that a backend hands over as its map, and its file (Turk: The PLY polygon file format. 1994)."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

#: The label of vertices (and pixels) whose class is not known.
LABEL_UNKNOWN = 255

_VERTEX = np.dtype(
    [(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")]
    + [(name, "u1") for name in ("red", "green", "blue", "label")]
)
_FACE = np.dtype([("count", "u1"), ("corners", "<i4", (3,))])
_PLY_TYPES = {"<f4": "float", "|u1": "uchar"}


@dataclass(frozen=True)
class LabelledMesh:
    """A triangle mesh with colours and labels.

    Attributes:
        vertices: float32 [V, 3], metres in the map's world.
        normals: float32 [V, 3], unit vectors into free space.
        colours: uint8 [V, 3], red, green, blue.
        labels: uint8 [V], 255 where unknown.
        triangles: int32 [T, 3], indices of vertices.
    """

    vertices: NDArray[np.float32]
    normals: NDArray[np.float32]
    colours: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    triangles: NDArray[np.int32]


def write_mesh(path: Path, mesh: LabelledMesh, world: str) -> None:
    """Write vertices with normal, colour and label, and triangles, atomically.

    Args:
        path: In a folder that exists; an older file is replaced.
        mesh: May be empty.
        world: What its coordinates are, for whoever reads the file's header, such as "metres, z up".

    Raises:
        OSError: The file cannot be written; there is then none, or the older one.
    """
    vertices = np.zeros(len(mesh.vertices), _VERTEX)
    for column, name in enumerate(("x", "y", "z")):
        vertices[name] = mesh.vertices[:, column]
        vertices[f"n{name}"] = mesh.normals[:, column]
    for column, name in enumerate(("red", "green", "blue")):
        vertices[name] = mesh.colours[:, column]
    vertices["label"] = mesh.labels
    faces = np.zeros(len(mesh.triangles), _FACE)
    faces["count"] = 3
    faces["corners"] = mesh.triangles
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment {world}; label: id of the class, 255 where unknown",
        f"element vertex {len(vertices)}",
        *(f"property {_PLY_TYPES[_VERTEX[name].str]} {name}" for name in _VERTEX.names or ()),
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "end_header",
    ]
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_bytes("\n".join(header).encode() + b"\n" + vertices.tobytes() + faces.tobytes())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
