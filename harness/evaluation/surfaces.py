"""Triangle meshes in the world of ground truth, and how far two of them lie apart."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open3d
from numpy.typing import NDArray

#: A surface within this distance of the other counts as found, metres.
NEAR = 0.05

#: Distances are measured from at most this many vertices.
_MOST_SAMPLES = 60_000


@dataclass(frozen=True)
class Surface:
    """A triangle mesh in the world of ground truth.

    Attributes:
        vertices: float32 [V, 3], metres.
        normals: float32 [V, 3], unit vectors into free space.
        colours: float32 [V, 3], 0 to 1.
        triangles: uint32 [T, 3].
    """

    vertices: NDArray[np.float32]
    normals: NDArray[np.float32]
    colours: NDArray[np.float32]
    triangles: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.triangles)

    def ply(self) -> bytes:
        """The mesh as a binary PLY file.

        Raises:
            OSError: The directory for temporary files takes no more.
        """
        mesh = open3d.geometry.TriangleMesh(
            open3d.utility.Vector3dVector(self.vertices), open3d.utility.Vector3iVector(self.triangles)
        )
        mesh.vertex_colors = open3d.utility.Vector3dVector(self.colours)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "surface.ply"
            # Open3D writes to paths alone; the caller writes the bytes atomically.
            open3d.io.write_triangle_mesh(str(path), mesh)
            return path.read_bytes()


@dataclass(frozen=True)
class SurfaceDistances:
    """How far a surface lies from a reference surface, metres; shares from 0 to 1.

    Attributes:
        accuracy_mean_m: From points of the surface to the reference.
        accuracy_median_m: The same, median.
        accuracy_share: Share of the points nearer than ``NEAR``.
        completeness_mean_m: From points of the reference to the surface.
        completeness_median_m: The same, median.
        completeness_share: Share of the points nearer than ``NEAR``.
    """

    accuracy_mean_m: float
    accuracy_median_m: float
    accuracy_share: float
    completeness_mean_m: float
    completeness_median_m: float
    completeness_share: float


def raycasting_scene(surface: Surface) -> open3d.t.geometry.RaycastingScene:
    """The surface ready for rays and distance queries."""
    scene = open3d.t.geometry.RaycastingScene()
    scene.add_triangles(open3d.core.Tensor(surface.vertices), open3d.core.Tensor(surface.triangles))
    return scene


def distances_to(
    scene: open3d.t.geometry.RaycastingScene, points: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Distance of points, float32 [N, 3], to the nearest point of the scene's surface, metres."""
    return scene.compute_distance(open3d.core.Tensor(np.ascontiguousarray(points))).numpy()


def measure_distances(surface: Surface, reference: Surface) -> SurfaceDistances:
    """Compare two surfaces in both directions, from their vertices, which must lie about evenly."""
    return measure_distances_of_points(
        surface, evenly_chosen(surface.vertices), reference, evenly_chosen(reference.vertices)
    )


def measure_distances_of_points(
    surface: Surface,
    points: NDArray[np.float32],
    reference: Surface,
    reference_points: NDArray[np.float32],
) -> SurfaceDistances:
    """Compare two surfaces in both directions, from points that were chosen on each.

    Args:
        surface: To be measured.
        points: float32 [N, 3] on it; their distances to the reference are the accuracy.
        reference: What it is measured against.
        reference_points: float32 [M, 3] on it; their distances to the surface are the completeness.
    """
    accuracy = distances_to(raycasting_scene(reference), points)
    completeness = distances_to(raycasting_scene(surface), reference_points)
    return SurfaceDistances(
        float(accuracy.mean()),
        float(np.median(accuracy)),
        float((accuracy < NEAR).mean()),
        float(completeness.mean()),
        float(np.median(completeness)),
        float((completeness < NEAR).mean()),
    )


def evenly_chosen(points: NDArray[np.float32], most: int = _MOST_SAMPLES) -> NDArray[np.float32]:
    """Every n-th of the points, [N, ...], so that there are not more than ``most``."""
    return points[:: max(1, -(-len(points) // most))]
