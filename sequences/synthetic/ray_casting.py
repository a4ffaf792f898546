"""The one place that imports Open3D: builds its ray casting scene."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequences.errors import SequenceError


def ray_casting_scene(vertices: NDArray[np.float32], triangles: NDArray[np.int32]) -> Any:
    """An ``open3d.t.geometry.RaycastingScene`` with one mesh in it.

    Args:
        vertices: float32 [V, 3], metres.
        triangles: int32 [T, 3].

    Raises:
        SequenceError: Open3D is not installed.
    """
    try:
        import open3d as o3d
    except ImportError as error:
        raise SequenceError(
            f"synthetic sequences are ray cast with Open3D, which cannot be imported ({error}): "
            "pip install 'slam-harness[synthetic]'"
        ) from error
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(o3d.core.Tensor(vertices), o3d.core.Tensor(triangles.astype(np.uint32)))
    return scene
