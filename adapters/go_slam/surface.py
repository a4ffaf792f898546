"""Upstream's mesh as the map of a backend: normals and labels added, in the file layout that reports read."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.labelled_mesh import LABEL_UNKNOWN, LabelledMesh, write_mesh
from adapters.map_files import MAP_FILE, MESH_FILE, write_map_description

RAW_MESH_FILE = Path("mesh", "final_raw_mesh.ply")
#: Vertices that are asked which side of the surface the cameras were on.
_WITNESSES = 2000
_UNCOLOURED = 128


@dataclass(frozen=True)
class MapFiles:
    """What became of a mesh.

    Attributes:
        files: Names of what was written.
        statistics: Its size, or why there is none.
    """

    files: tuple[str, ...] = ()
    statistics: dict[str, Any] = field(default_factory=dict)


class MeshError(ValueError):
    """A mesh cannot be read; the message says why."""


def write_map(raw_mesh: Path, directory: Path, camera_positions: NDArray[np.float64]) -> MapFiles:
    """Write upstream's mesh as a map. A mesh that is missing or damaged harms nothing but itself.

    It needs no moving: upstream's world is that of its poses.

    Args:
        raw_mesh: The PLY file that upstream wrote.
        directory: Where the map goes.
        camera_positions: float64 [N, 3], in the world of the mesh; there is at least one.
    """
    try:
        mesh = read_mesh(raw_mesh, camera_positions)
    except MeshError as error:
        return MapFiles(statistics={"no_mesh_because": str(error)})
    write_mesh(directory / MESH_FILE, mesh, "world of the first camera, unit of the trajectory")
    write_map_description(directory)
    sizes = {"mesh_vertices": len(mesh.vertices), "mesh_triangles": len(mesh.triangles)}
    return MapFiles((MESH_FILE, MAP_FILE), sizes)


def read_mesh(path: Path, camera_positions: NDArray[np.float64]) -> LabelledMesh:
    """Read a PLY file with triangles and, perhaps, colours.

    Args:
        path: The file.
        camera_positions: float64 [N, 3], from where the surface was seen: normals look there.

    Raises:
        MeshError: It is missing or damaged, or has no triangles, or values that are not finite.
    """
    vertices, colours, triangles = _read_ply(path)
    if not len(triangles):
        raise MeshError(f"{path.name} has no triangles")
    if not np.isfinite(vertices).all():
        raise MeshError(f"{path.name} has vertices that are NaN or infinite")
    if triangles.min() < 0 or triangles.max() >= len(vertices):
        raise MeshError(f"{path.name} has triangles of vertices that it does not have")
    normals = _vertex_normals(vertices, triangles)
    if _looks_away(vertices, normals, camera_positions):
        normals, triangles = -normals, triangles[:, ::-1]
    labels = np.full(len(vertices), LABEL_UNKNOWN, dtype=np.uint8)
    return LabelledMesh(vertices, normals, colours, labels, triangles)


def _read_ply(path: Path) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.int32]]:
    # Only here, so that whoever imports this package needs no package that the server side alone needs.
    from plyfile import PlyData, PlyParseError

    known = {"face": {"vertex_indices": 3, "vertex_index": 3}}
    try:
        content = PlyData.read(path, known_list_len=known)
        points = content["vertex"].data
        vertices = np.stack([points[name] for name in ("x", "y", "z")], axis=1).astype(np.float32)
        faces = content["face"].data
        (name,) = (name for name in faces.dtype.names if name in known["face"])
        corners = faces[name]
        if corners.ndim == 1:  # of a file in text form, an array for every face
            corners = np.reshape(list(corners), (-1, 3))
        triangles = corners.astype(np.int32)
    except FileNotFoundError as error:
        raise MeshError(f"GO-SLAM wrote no {RAW_MESH_FILE}") from error
    except (OSError, PlyParseError, KeyError, ValueError) as error:
        raise MeshError(f"{path.name} cannot be read: {error}") from error
    channels = ("red", "green", "blue")
    if all(name in points.dtype.names and points.dtype[name] == np.uint8 for name in channels):
        colours = np.stack([points[name] for name in channels], axis=1)
    else:
        colours = np.full((len(points), 3), _UNCOLOURED, dtype=np.uint8)
    return vertices, colours, triangles


def _vertex_normals(vertices: NDArray[np.float32], triangles: NDArray[np.int32]) -> NDArray[np.float32]:
    """Unit normals float32 [V, 3]: those of the triangles around each vertex, weighted by their area.

    Zero where a vertex has no triangle.
    """
    first, second, third = (vertices[triangles[:, corner]].astype(np.float64) for corner in range(3))
    doubled = np.cross(second - first, third - first)
    summed = np.stack(
        [
            sum(np.bincount(triangles[:, corner], doubled[:, axis], len(vertices)) for corner in range(3))
            for axis in range(3)
        ],
        axis=1,
    )
    lengths = np.linalg.norm(summed, axis=1, keepdims=True)
    return np.divide(summed, lengths, out=np.zeros_like(summed), where=lengths > 0).astype(np.float32)


def _looks_away(
    vertices: NDArray[np.float32], normals: NDArray[np.float32], camera_positions: NDArray[np.float64]
) -> bool:
    """Whether most of the surface has its back to the camera that was nearest to it."""
    chosen = slice(None, None, max(1, len(vertices) // _WITNESSES))
    sampled = vertices[chosen].astype(np.float64)
    towards = camera_positions[None] - sampled[:, None]
    nearest = np.argmin(np.linalg.norm(towards, axis=2), axis=1)
    facing = np.einsum("vi,vi->v", normals[chosen], towards[np.arange(len(sampled)), nearest])
    return bool(np.count_nonzero(facing < 0) > np.count_nonzero(facing > 0))
