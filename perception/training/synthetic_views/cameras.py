"""Where cameras stand in a flat and where they look: anywhere that is clear of walls and furniture."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from perception.training.synthetic_views.settings import SyntheticViewSettings
from sequences.errors import SequenceError
from sequences.synthetic.camera_path import CAMERA_IN_BODY
from sequences.synthetic.ray_casting import ray_casting_scene
from sequences.synthetic.scene import Scene

# Half of the cameras stand about the path through the flat, so that doorways have their share.
_NEAR_PATH = 0.5
_PATH_SPREAD_M = 0.25
_CANDIDATES = 256
_MOST_ROUNDS = 100


def random_poses(
    rng: np.random.Generator, scene: Scene, settings: SyntheticViewSettings
) -> Iterator[NDArray[np.float64]]:
    """Poses of cameras in a flat, camera to world, float64 [4, 4], without end.

    Raises:
        SequenceError: There is no place in the flat that is clear.
    """
    for position in _clear_places(rng, scene, settings):
        yaw = rng.uniform(-math.pi, math.pi)
        # Turned about y a body looks down.
        pitch = -math.radians(rng.uniform(*settings.pitch_deg))
        roll = math.radians(rng.uniform(-settings.roll_deg, settings.roll_deg))
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix() @ CAMERA_IN_BODY
        pose[:3, 3] = position
        yield pose


def _clear_places(
    rng: np.random.Generator, scene: Scene, settings: SyntheticViewSettings
) -> Iterator[NDArray[np.float64]]:
    import open3d as o3d

    surfaces = ray_casting_scene(scene.mesh.vertices, scene.mesh.triangles)
    for _ in range(_MOST_ROUNDS):
        places = np.column_stack(
            [_places_on_floor(rng, scene), rng.uniform(*settings.camera_height_m, _CANDIDATES)]
        )
        distance = surfaces.compute_distance(o3d.core.Tensor(places.astype(np.float32))).numpy()
        yield from places[distance >= settings.clearance_m]
    raise SequenceError(
        f"in {_MOST_ROUNDS * _CANDIDATES} places of a synthetic flat there were not enough views; lower "
        "'clearance_m', 'least_median_depth_m' or 'least_classes'"
    )


def _places_on_floor(rng: np.random.Generator, scene: Scene) -> NDArray[np.float64]:
    """Some of them near the path and some in any room, float64 [candidates, 2]."""
    times = rng.uniform(0, scene.path.duration, _CANDIDATES)
    near_path = scene.path.motion(times).positions[:, :2] + rng.normal(0, _PATH_SPREAD_M, (_CANDIDATES, 2))
    rooms = rng.integers(len(scene.plan.rooms), size=_CANDIDATES)
    least = np.array([room.minimum for room in scene.plan.rooms])[rooms]
    greatest = np.array([room.maximum for room in scene.plan.rooms])[rooms]
    anywhere = rng.uniform(least, greatest)
    return np.where(rng.uniform(size=(_CANDIDATES, 1)) < _NEAR_PATH, near_path, anywhere)
