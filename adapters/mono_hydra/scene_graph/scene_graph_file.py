"""Writes a scene graph to a file that the tools of spark-dsg open."""

import os
from pathlib import Path

import spark_dsg

#: What the file is called where nobody says otherwise.
SCENE_GRAPH_FILE = "dsg_with_mesh.json"

_LAST_BYTES = 16


def write_scene_graph(path: Path, graph: spark_dsg.DynamicSceneGraph) -> None:
    """Write all layers and the mesh as JSON: all of it or nothing.

    Args:
        path: Ends in ``.json``; its folder exists.
        graph: As ``build_scene_graph`` makes it.

    Raises:
        OSError: The file cannot be written.
    """
    # The library looks at the ending for the format.
    partial = path.with_name(f".{path.stem}.partial.json")
    try:
        graph.save(partial, include_mesh=True)
        if not _is_complete(partial):
            raise OSError(f"the scene graph cannot be written to '{path}': its folder is full or missing")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _is_complete(path: Path) -> bool:
    """Whether a JSON object was written to its end; the library keeps silent when it was not."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LAST_BYTES))
        return file.read().rstrip().endswith(b"}")
