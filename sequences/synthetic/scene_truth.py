"""What is in a synthetic scene, for scoring maps and scene graphs: its rooms and its things."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequences.label_spaces import load_label_space
from sequences.model import SceneObject, SceneRoom, SceneTruth
from sequences.synthetic.labels import LABEL_SPACE
from sequences.synthetic.scene import Scene


def scene_truth(scene: Scene, mesh_path: Path, seen: NDArray[np.int64]) -> SceneTruth:
    """List the rooms and the things of a scene.

    A thing belongs to the room that the middle of its box is in, or nearest to.

    Args:
        scene: The scene.
        mesh_path: Where its mesh is written.
        seen: int64 [frames, things], how many pixels of a frame show a thing.
    """
    names = {entry.id: entry.name for entry in load_label_space(LABEL_SPACE).classes}
    pixels, frames = seen.sum(axis=0), (seen > 0).sum(axis=0)
    objects = []
    for thing, (minimum, maximum) in enumerate(_boxes(scene)):
        label = scene.mesh.thing_labels[thing]
        room = _nearest_room(scene, (minimum + maximum)[:2] / 2)
        objects.append(
            SceneObject(label, names[label], minimum, maximum, room, int(pixels[thing]), int(frames[thing]))
        )
    return SceneTruth(mesh_path, LABEL_SPACE, tuple(objects), _rooms(scene))


def _rooms(scene: Scene) -> tuple[SceneRoom, ...]:
    rooms = []
    for room in scene.plan.rooms:
        (x0, y0), (x1, y1) = room.minimum, room.maximum
        floor = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        top = np.append(room.maximum, scene.plan.height)
        rooms.append(SceneRoom(room.kind.value, np.append(room.minimum, 0.0), top, floor))
    return tuple(rooms)


def _boxes(scene: Scene) -> NDArray[np.float64]:
    """Least and greatest corner of every thing, float64 [things, 2, 3]."""
    mesh = scene.mesh
    boxes = np.empty((len(mesh.thing_labels), 2, 3))
    boxes[:, 0], boxes[:, 1] = np.inf, -np.inf
    corners = mesh.vertices[mesh.triangles].astype(np.float64)
    part_of_thing = mesh.things >= 0
    things = mesh.things[part_of_thing]
    np.minimum.at(boxes[:, 0], things, corners[part_of_thing].min(axis=1))
    np.maximum.at(boxes[:, 1], things, corners[part_of_thing].max(axis=1))
    return boxes


def _nearest_room(scene: Scene, point: NDArray[np.float64]) -> int:
    distances = [
        np.linalg.norm(point - np.clip(point, room.minimum, room.maximum)) for room in scene.plan.rooms
    ]
    return int(np.argmin(distances))
