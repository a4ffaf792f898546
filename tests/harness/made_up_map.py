"""Makes meshes, scene graphs and the files of maps, to be scored and read back."""

import json
from pathlib import Path

import numpy as np

from harness.evaluation.labelled_surface import LabelledSurface
from harness.evaluation.surfaces import Surface
from sequences.label_spaces import load_label_space

WALL, FLOOR, CHAIR, TABLE = 1, 2, 5, 7
UNKNOWN = 255

_LAYERS = {"OBJECTS": 2, "PLACES": 3, "ROOMS": 4, "BUILDINGS": 5}
_VERTEX = np.dtype(
    [(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")]
    + [(name, "u1") for name in ("red", "green", "blue", "label")]
)
_FACE = np.dtype([("count", "u1"), ("corners", "<i4", (3,))])


def sheet(
    label: int,
    origin: tuple[float, float, float],
    first: tuple[float, float, float],
    second: tuple[float, float, float],
    spacing: float = 0.1,
) -> LabelledSurface:
    """A rectangle over two edges from a corner, its front towards their cross product."""
    sides = np.array([first, second], dtype=float)
    columns, rows = (max(1, round(float(np.linalg.norm(side)) / spacing)) for side in sides)
    u, v = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1))
    vertices = origin + u.reshape(-1, 1) * sides[0] + v.reshape(-1, 1) * sides[1]
    corner = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    below = corner + columns + 1
    triangles = np.concatenate(
        [np.stack([corner, corner + 1, below + 1], 1), np.stack([corner, below + 1, below], 1)]
    )
    normal = np.cross(*sides)
    normals = np.tile(normal / np.linalg.norm(normal), (len(vertices), 1))
    return LabelledSurface(
        Surface(
            vertices.astype(np.float32),
            normals.astype(np.float32),
            np.full((len(vertices), 3), 0.5, np.float32),
            triangles.astype(np.uint32),
        ),
        np.full(len(vertices), label, np.uint8),
    )


def joined(*parts: LabelledSurface) -> LabelledSurface:
    """Several surfaces as one."""
    offsets = np.cumsum([0, *(len(part.labels) for part in parts)])
    surfaces = [part.surface for part in parts]
    return LabelledSurface(
        Surface(
            np.concatenate([each.vertices for each in surfaces]),
            np.concatenate([each.normals for each in surfaces]),
            np.concatenate([each.colours for each in surfaces]),
            np.concatenate(
                [each.triangles + np.uint32(offset) for each, offset in zip(surfaces, offsets, strict=False)]
            ),
        ),
        np.concatenate([part.labels for part in parts]),
    )


def ply(labelled: LabelledSurface) -> bytes:
    """The file of a mesh in the format that backends write."""
    surface = labelled.surface
    vertices = np.zeros(len(labelled.labels), _VERTEX)
    for column, name in enumerate("xyz"):
        vertices[name] = surface.vertices[:, column]
        vertices[f"n{name}"] = surface.normals[:, column]
    for column, name in enumerate(("red", "green", "blue")):
        vertices[name] = np.round(surface.colours[:, column] * 255)
    vertices["label"] = labelled.labels
    faces = np.zeros(len(surface.triangles), _FACE)
    faces["count"], faces["corners"] = 3, surface.triangles
    kinds = {"<f4": "float", "|u1": "uchar"}
    header = [
        *("ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}"),
        *(f"property {kinds[_VERTEX[name].str]} {name}" for name in _VERTEX.names or ()),
        *(f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"),
    ]
    return "\n".join(header).encode() + b"\n" + vertices.tobytes() + faces.tobytes()


def graph_node(
    number: int,
    layer: str,
    position: tuple[float, float, float],
    name: str = "",
    label: int | None = None,
    size: tuple[float, float, float] | None = None,
) -> dict[str, object]:
    """One node as spark-dsg 1.1 writes it, as far as it matters; a size gives it a box around it."""
    box = {
        "type": "INVALID" if size is None else "AABB",
        "dimensions": size or (0, 0, 0),
        "world_P_center": position,
        "world_R_center": {"w": 1.0, "x": 0.0, "y": 0.0, "z": 0.0},
    }
    attributes = {
        "type": "ObjectNodeAttributes",
        "position": position,
        "name": name,
        "bounding_box": box,
        "semantic_label": 4294967295 if label is None else label,
    }
    return {"id": number, "layer": _LAYERS[layer], "partition": 0, "attributes": attributes}


def graph_json(nodes: list[dict[str, object]], edges: list[tuple[int, int]]) -> str:
    """A scene graph as spark-dsg 1.1 writes it, as far as it matters."""
    return json.dumps(
        {
            "layer_names": {name: {"layer": number, "partition": 0} for name, number in _LAYERS.items()},
            "nodes": nodes,
            "edges": [{"source": first, "target": second, "info": {}} for first, second in edges],
        }
    )


def write_map(
    directory: Path, mesh: LabelledSurface, nodes: list[dict[str, object]], edges: list[tuple[int, int]]
) -> None:
    """Write a whole map in the label space NYU-40."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "mesh.ply").write_bytes(ply(mesh))
    (directory / "graph.json").write_text(graph_json(nodes, edges))
    (directory / "labels.json").write_text(load_label_space("nyu40").model_dump_json(exclude_defaults=True))
    (directory / "map.json").write_text(
        json.dumps(
            {
                "schema_version": 1,
                "mesh": "mesh.ply",
                "scene_graph": "graph.json",
                "label_space": "labels.json",
            }
            | {"world": "trajectory"}
        )
    )
