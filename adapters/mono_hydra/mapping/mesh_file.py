"""Writes labelled meshes as binary PLY files (Turk: The PLY polygon file format. 1994)."""

import os
from pathlib import Path

import numpy as np

from adapters.mono_hydra.model import LabelledMesh

_VERTEX = np.dtype(
    [(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")]
    + [(name, "u1") for name in ("red", "green", "blue", "label")]
)
_FACE = np.dtype([("count", "u1"), ("corners", "<i4", (3,))])
_PLY_TYPES = {"<f4": "float", "|u1": "uchar"}


def write_mesh(path: Path, mesh: LabelledMesh) -> None:
    """Write vertices with normal, colour and label, and triangles, atomically.

    Args:
        path: In a folder that exists; an older file is replaced.
        mesh: May be empty.

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
        "comment world frame, metres, z up; label: id of the class, 255 where unknown",
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
