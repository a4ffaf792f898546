"""The files of a map that a backend hands over, and the one that says which there are."""

import json
from pathlib import Path
from typing import Any

MESH_FILE = "mesh.ply"
MAP_FILE = "map.json"


def write_map_description(
    directory: Path, scene_graph: str | None = None, label_space: str | None = None
) -> None:
    """Say that ``mesh.ply`` is a map in the world of the trajectory that is handed over.

    Args:
        directory: The backend's output directory.
        scene_graph: File of a scene graph beside it.
        label_space: File that says what labels mean.
    """
    names = {"mesh": MESH_FILE, "scene_graph": scene_graph, "label_space": label_space}
    write_json(directory / MAP_FILE, {"schema_version": 1, **names, "world": "trajectory"})


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write plain values as people can read them."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
