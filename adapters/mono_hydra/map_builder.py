"""Makes map, mesh and scene graph from keyframes, anew where their poses have changed, and writes them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.label_space import LabelRole, LabelSpace
from adapters.labelled_mesh import write_mesh
from adapters.map_files import MAP_FILE, MESH_FILE, write_json, write_map_description
from adapters.mono_hydra.back_end_messages import BackEndSetup
from adapters.mono_hydra.dynamic_labels import dynamic_mask
from adapters.mono_hydra.keyframe_store import KeyframeStore
from adapters.mono_hydra.mapping.semantic_map import SemanticMap
from adapters.mono_hydra.model import RgbdLabels
from adapters.mono_hydra.scene_graph.build import build_scene_graph
from adapters.mono_hydra.scene_graph.free_space import FreeSpace
from adapters.mono_hydra.scene_graph.scene_graph_file import SCENE_GRAPH_FILE, write_scene_graph
from adapters.mono_hydra.stage_clock import StageClock

LABEL_SPACE_FILE = "label_space.json"
_NO_LABELS = LabelSpace("none", ())


class MapBuilder:
    """Holds the keyframes that make the map.

    Args:
        setup: Options, camera and label space.
        clock: Told how long things take.
    """

    def __init__(self, setup: BackEndSetup, clock: StageClock) -> None:
        options = setup.options
        self._options = options
        self._directory = setup.output_directory
        self._label_space = setup.label_space
        self._dynamic = () if setup.label_space is None else setup.label_space.ids(LabelRole.DYNAMIC)
        self._clock = clock
        self._store = KeyframeStore(options.store_nearness, options.store_alignment, options.store_most_alike)
        self._map = SemanticMap(options, setup.intrinsics, setup.label_space)
        self._free_space = FreeSpace(options, setup.intrinsics)
        self._poses_in_map: dict[int, NDArray[np.float64]] = {}
        self._rebuilds = 0

    def take(self, keyframe: int, frame: RgbdLabels, poses: list[NDArray[np.float64]]) -> None:
        """Takes in a keyframe that shows something new."""
        with self._clock.stage("map_store"):
            kept = self._store.offer(keyframe, frame, poses[keyframe], poses)
        if kept:
            with self._clock.stage("map_integration"):
                self._integrate(keyframe, frame, poses[keyframe])

    def rebuild_if_moved(self, poses: list[NDArray[np.float64]]) -> None:
        """Makes the map anew when a keyframe is not where it was taken in."""
        moved = [
            float(np.linalg.norm(poses[keyframe][:3, 3] - pose[:3, 3]))
            for keyframe, pose in self._poses_in_map.items()
        ]
        if moved and max(moved) > self._options.rebuild_distance:
            self._rebuild(np.stack(poses), np.ones(len(poses)), self._store.keyframes)

    def normals(self) -> NDArray[np.float32]:
        """float32 [V, 3], of the map's vertices."""
        return self._map.mesh().normals

    def finish(
        self, poses: NDArray[np.float64], scales: NDArray[np.float64], connected: NDArray[np.bool_]
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Makes everything at the final poses and writes it.

        Args:
            poses: float64 [K, 4, 4], camera to world of all keyframes, metres, z up.
            scales: float64 [K], what depth of each keyframe is divided by.
            connected: bool [K], whose place is known; the others stay out of the map.

        Returns:
            Names of the files and figures for the record.
        """
        kept = [keyframe for keyframe in self._store.keyframes if connected[keyframe]]
        self._rebuild(poses, scales, kept)
        with self._clock.stage("mesh"):
            mesh = self._map.mesh()
            write_mesh(self._directory / MESH_FILE, mesh, "world of the trajectory, metres, z up")
        space = self._label_space or _NO_LABELS
        stamps = np.array([self._store.frame(keyframe).timestamp_ns for keyframe in kept], dtype=np.int64)
        with self._clock.stage("scene_graph"):
            scene = build_scene_graph(mesh, self._free_space, poses[kept], stamps, space, self._options)
            write_scene_graph(self._directory / SCENE_GRAPH_FILE, scene.graph)
        self._write_description(space)
        statistics = {
            "map_keyframes": len(self._store),
            "map_keyframe_bytes": self._store.nbytes,
            "map_bytes": self._map.nbytes,
            "map_rebuilds": self._rebuilds,
            "mesh_vertices": len(mesh.vertices),
            "mesh_triangles": len(mesh.triangles),
            "objects": scene.objects,
            "objects_by_label": scene.objects_by_label,
            "places": scene.places,
            "rooms": scene.rooms,
        }
        return (MESH_FILE, SCENE_GRAPH_FILE, LABEL_SPACE_FILE, MAP_FILE), statistics

    def _integrate(self, keyframe: int, frame: RgbdLabels, pose: NDArray[np.float64]) -> None:
        self._map.integrate(frame, pose)
        moving = dynamic_mask(frame.labels, self._dynamic, self._options.dynamic_margin)
        depth = frame.depth if moving is None else np.where(moving, np.float32(0.0), frame.depth)
        self._free_space.integrate(depth, pose)
        self._poses_in_map[keyframe] = pose.copy()

    def _rebuild(self, poses: NDArray[np.float64], scales: NDArray[np.float64], keyframes: list[int]) -> None:
        with self._clock.stage("map_rebuild"):
            self._map.clear()
            self._free_space.clear()
            for keyframe in keyframes:
                frame = self._store.frame(keyframe)
                metric = RgbdLabels(
                    frame.index,
                    frame.timestamp_ns,
                    frame.rgb,
                    frame.depth / np.float32(scales[keyframe]),
                    frame.labels,
                )
                self._integrate(keyframe, metric, poses[keyframe])
        self._rebuilds += 1

    def _write_description(self, space: LabelSpace) -> None:
        classes = [
            {"id": entry.id, "name": entry.name, "colour": list(entry.colour), "role": entry.role.value}
            for entry in space.classes
        ]
        write_json(self._directory / LABEL_SPACE_FILE, {"name": space.name, "classes": classes})
        write_map_description(self._directory, SCENE_GRAPH_FILE, LABEL_SPACE_FILE)
