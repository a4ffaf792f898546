"""Writes a scene as a coloured, labelled PLY mesh (Turk, "The PLY polygon file format", 1994)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequences.synthetic.scene import Scene

_VERTEX = np.dtype(
    [(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")]
    + [(name, "u1") for name in ("red", "green", "blue", "label")]
)
_FACE = np.dtype([("count", "u1"), ("corners", "<i4", (3,))])
_PLY_TYPES = {"<f4": "float", "|u1": "uchar"}


def write_scene_mesh(path: Path, scene: Scene) -> None:
    """Write all surfaces in the world frame: vertices with normal, colour and NYU-40 label, and triangles."""
    mesh = scene.mesh
    vertices = np.zeros(len(mesh.vertices), _VERTEX)
    for column, name in enumerate(("x", "y", "z")):
        vertices[name] = mesh.vertices[:, column]
        vertices[f"n{name}"] = mesh.normals[:, column]
    # Surfaces share no vertices, so any triangle of a vertex tells its texture and label.
    textures, labels = np.zeros(len(vertices), np.int32), np.zeros(len(vertices), np.uint8)
    textures[mesh.triangles] = mesh.textures[:, None]
    labels[mesh.triangles] = mesh.labels[:, None]
    colours = _vertex_colours(scene, textures)
    for column, name in enumerate(("red", "green", "blue")):
        vertices[name] = colours[:, column]
    vertices["label"] = labels
    faces = np.zeros(len(mesh.triangles), _FACE)
    faces["count"] = 3
    faces["corners"] = mesh.triangles
    properties = [f"property {_PLY_TYPES[_VERTEX[name].str]} {name}" for name in _VERTEX.names or ()]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment world frame, metres, z up; label: NYU-40 id",
        f"element vertex {len(vertices)}",
        *properties,
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "end_header",
    ]
    path.write_bytes("\n".join(header).encode() + b"\n" + vertices.tobytes() + faces.tobytes())


def _vertex_colours(scene: Scene, textures: NDArray[np.int32]) -> NDArray[np.uint8]:
    """The lit texture around each vertex, uint8 [V, 3]."""
    count = len(textures)
    # Averaged over 16 texels: about half of the spacing of the vertices.
    colours = scene.atlas.sample(
        textures, scene.mesh.texels, np.zeros((count, 2), np.float32), np.full(count, 16, np.float32)
    )
    return np.clip(np.rint(colours * scene.brightness), 0, 255).astype(np.uint8)
