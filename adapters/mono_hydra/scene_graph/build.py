"""Builds the layered scene graph of a map: objects, places, rooms, and the building.

The layers are those of Hydra (Hughes, Chang and Carlone, RSS 2022), the graph is a spark-dsg one, so that
the tools that come with that library open it.
"""

import datetime
from dataclasses import dataclass

import numpy as np
import spark_dsg
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from adapters.label_space import LabelSpace
from adapters.labelled_mesh import LabelledMesh
from adapters.mono_hydra.scene_graph.clearance import ClearanceGrid, build_clearance_grid
from adapters.mono_hydra.scene_graph.free_space import FreeSpace
from adapters.mono_hydra.scene_graph.objects import SceneObject, find_objects
from adapters.mono_hydra.scene_graph.options import SceneGraphOptions
from adapters.mono_hydra.scene_graph.places import Places, find_places
from adapters.mono_hydra.scene_graph.rooms import Rooms, find_rooms

_LAYERS = spark_dsg.DsgLayers
_OBJECTS, _PLACES, _ROOMS, _BUILDINGS = (spark_dsg.LayerKey(number) for number in (2, 3, 4, 5))
# Agents share their layer with objects and have a partition each, named by a letter.
_AGENT = spark_dsg.LayerKey(_OBJECTS.layer, spark_dsg.PartitionId("a"))
_LAYER_NAMES = {
    _LAYERS.OBJECTS: _OBJECTS,
    _LAYERS.PLACES: _PLACES,
    _LAYERS.ROOMS: _ROOMS,
    _LAYERS.BUILDINGS: _BUILDINGS,
    _LAYERS.AGENTS: _AGENT,
}
# Free space in front of an object is looked for so far from its surface, in voxels.
_PROBE_VOXELS = (1.0, 2.0, 3.0)


@dataclass(frozen=True)
class SceneGraphResult:
    """A scene graph and what is in it.

    Attributes:
        graph: All layers, with the mesh.
        objects: Number of objects.
        objects_by_label: The same for every class that has any, by its name.
        places: Number of places.
        rooms: Number of rooms.
        buildings: 1, or 0 where there is no room.
        keyframes: Number of keyframes.
    """

    graph: spark_dsg.DynamicSceneGraph
    objects: int
    objects_by_label: dict[str, int]
    places: int
    rooms: int
    buildings: int
    keyframes: int


def build_scene_graph(
    mesh: LabelledMesh,
    free_space: FreeSpace,
    camera_to_world: NDArray[np.float64],
    timestamps_ns: NDArray[np.int64],
    label_space: LabelSpace,
    options: SceneGraphOptions,
) -> SceneGraphResult:
    """Find what a map consists of and how it hangs together.

    Every place has one room, every room the one building. Every object and every keyframe has one place;
    only where no space is known to be free are there no places, rooms and building.

    Args:
        mesh: The map; the world has z up.
        free_space: Seen from the same keyframes with the same poses.
        camera_to_world: float64 [K, 4, 4], of the keyframes.
        timestamps_ns: int64 [K], when they were taken.
        label_space: What the labels of the mesh mean.
        options: What makes an object, a place and a room.
    """
    graph = spark_dsg.DynamicSceneGraph(list(_LAYER_NAMES.values()), _LAYER_NAMES)
    names = spark_dsg.Labelspace({entry.id: entry.name for entry in label_space.classes})
    graph.set_labelspace(names, _OBJECTS.layer, _OBJECTS.partition)
    graph.metadata.add({"label_space": label_space.name})
    objects = find_objects(mesh, label_space, options)
    _add_objects(graph, objects)
    _add_keyframes(graph, camera_to_world, timestamps_ns)
    grid = build_clearance_grid(
        free_space.voxels(), mesh.vertices, options.room_widest_passage, options.room_least_volume
    )
    place_count = room_count = 0
    if grid is not None:
        places = find_places(grid, options)
        rooms = find_rooms(grid, places, options)
        place_count, room_count = len(places), len(rooms)
        _add_rooms(graph, rooms)
        _add_places(graph, places, rooms)
        _join(graph, "O", _places_of_objects(objects, mesh, grid, places, rooms))
        _join(graph, "a", _nearest_places(camera_to_world[:, :3, 3], grid, places))
    graph.mesh = _spark_mesh(mesh)
    by_label: dict[str, int] = {}
    for entry in objects:
        by_label[entry.label_class.name] = by_label.get(entry.label_class.name, 0) + 1
    return SceneGraphResult(
        graph, len(objects), by_label, place_count, room_count, min(room_count, 1), len(camera_to_world)
    )


def _symbol(kind: str, index: int) -> spark_dsg.NodeSymbol:
    return spark_dsg.NodeSymbol(kind, int(index))


def _room_colour(room: int) -> NDArray[np.uint8]:
    colour = spark_dsg.colorbrewer_color(int(room))
    return np.array([colour.r, colour.g, colour.b], np.uint8)


def _add_objects(graph: spark_dsg.DynamicSceneGraph, objects: list[SceneObject]) -> None:
    for index, entry in enumerate(objects):
        attributes = spark_dsg.ObjectNodeAttributes()
        attributes.position = entry.centroid
        attributes.name = entry.label_class.name
        attributes.semantic_label = entry.label_class.id
        attributes.color = np.array(entry.label_class.colour, np.uint8)
        attributes.bounding_box = _box(entry.box.dimensions, entry.box.centre, entry.box.yaw)
        attributes.mesh_connections = entry.vertex_indices.tolist()
        graph.add_node(_OBJECTS, _symbol("O", index), attributes)


def _add_keyframes(
    graph: spark_dsg.DynamicSceneGraph,
    camera_to_world: NDArray[np.float64],
    timestamps_ns: NDArray[np.int64],
) -> None:
    """The way of the camera as a chain."""
    for index, (pose, timestamp) in enumerate(zip(camera_to_world, timestamps_ns, strict=True)):
        attributes = spark_dsg.AgentNodeAttributes()
        attributes.position = pose[:3, 3]
        x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
        attributes.world_R_body = spark_dsg.Quaternion(w, x, y, z)
        attributes.timestamp = datetime.timedelta(microseconds=int(timestamp) / 1000)
        attributes.external_key = index
        graph.add_node(_AGENT, _symbol("a", index), attributes)
        if index:
            graph.insert_edge(_symbol("a", index - 1), _symbol("a", index))


def _add_rooms(graph: spark_dsg.DynamicSceneGraph, rooms: Rooms) -> None:
    """The rooms, the passages between them, and the building around them."""
    building = spark_dsg.SemanticNodeAttributes()
    building.name = "building"
    building.position = rooms.centroids.mean(axis=0)
    low, high = rooms.minima.min(axis=0), rooms.maxima.max(axis=0)
    building.bounding_box = _box(high - low, (low + high) / 2)
    graph.add_node(_BUILDINGS, _symbol("B", 0), building)
    for index in range(len(rooms)):
        attributes = spark_dsg.RoomNodeAttributes()
        attributes.name = f"room {index}"
        attributes.position = rooms.centroids[index]
        low, high = rooms.minima[index], rooms.maxima[index]
        attributes.bounding_box = _box(high - low, (low + high) / 2)
        attributes.color = _room_colour(index)
        graph.add_node(_ROOMS, _symbol("R", index), attributes)
        graph.insert_edge(_symbol("B", 0), _symbol("R", index))
    for first, second in rooms.passages:
        graph.insert_edge(_symbol("R", first), _symbol("R", second))


def _add_places(graph: spark_dsg.DynamicSceneGraph, places: Places, rooms: Rooms) -> None:
    """The places in their rooms; the weight of an edge is the room that there is to pass, as a radius."""
    for index, room in enumerate(rooms.of_place):
        attributes = spark_dsg.PlaceNodeAttributes()
        attributes.position = places.positions[index]
        attributes.distance = float(places.clearances[index])
        attributes.color = _room_colour(room)
        graph.add_node(_PLACES, _symbol("p", index), attributes)
        graph.insert_edge(_symbol("R", room), _symbol("p", index))
    for (first, second), radius in zip(places.edges, places.edge_radii, strict=True):
        info = spark_dsg.EdgeAttributes()
        info.weighted = True
        info.weight = float(radius)
        graph.insert_edge(_symbol("p", first), _symbol("p", second), info)


def _join(graph: spark_dsg.DynamicSceneGraph, kind: str, places: list[int]) -> None:
    """Give every node of a kind its place."""
    for index, place in enumerate(places):
        graph.insert_edge(_symbol("p", place), _symbol(kind, index))


def _places_of_objects(
    objects: list[SceneObject],
    mesh: LabelledMesh,
    grid: ClearanceGrid,
    places: Places,
    rooms: Rooms,
) -> list[int]:
    """The nearest place to each object in the room that most of its surface faces."""
    chosen = []
    for entry in objects:
        surface = mesh.vertices[entry.vertex_indices]
        outward = mesh.normals[entry.vertex_indices] * grid.size
        owners = np.concatenate(
            [_territory_at(surface + voxels * outward, grid, places) for voxels in _PROBE_VOXELS]
        )
        facing = np.bincount(rooms.of_place[owners[owners >= 0]], minlength=1)
        candidates = np.arange(len(places))
        if facing.any():
            candidates = np.flatnonzero(rooms.of_place == facing.argmax())
        away = np.linalg.norm(places.positions[candidates] - entry.centroid, axis=1)
        chosen.append(int(candidates[away.argmin()]))
    return chosen


def _nearest_places(points: NDArray[np.float64], grid: ClearanceGrid, places: Places) -> list[int]:
    """The place whose territory each point, float64 [N, 3], is in, or else the nearest."""
    owners = _territory_at(points, grid, places)
    for index in np.flatnonzero(owners < 0):
        owners[index] = np.linalg.norm(places.positions - points[index], axis=1).argmin()
    return owners.tolist()


def _territory_at(points: NDArray[np.floating], grid: ClearanceGrid, places: Places) -> NDArray[np.int64]:
    """The place whose territory each point, float [N, 3], is in, int64 [N]; -1 outside of free space."""
    voxels = grid.voxels_at(points)
    inside = ((voxels >= 0) & (voxels < grid.free.shape)).all(axis=1)
    owners = np.full(len(points), -1)
    owners[inside] = places.territory[tuple(voxels[inside].T)]
    return owners


def _box(
    dimensions: NDArray[np.float64], centre: NDArray[np.float64], yaw: float | None = None
) -> spark_dsg.BoundingBox:
    """A box turned about z by ``yaw``; along the axes of the world without."""
    turned = () if yaw is None else (yaw,)
    return spark_dsg.BoundingBox(dimensions.astype(np.float32), centre.astype(np.float32), *turned)


def _spark_mesh(mesh: LabelledMesh) -> spark_dsg.Mesh:
    result = spark_dsg.Mesh(
        has_colors=True, has_timestamps=False, has_labels=True, has_first_seen_stamps=False
    )
    result.set_vertices(np.concatenate([mesh.vertices, mesh.colours / 255], axis=1).T.astype(np.float64))
    result.set_faces(mesh.triangles.T)
    # The library takes labels one by one only.
    for index, label in enumerate(mesh.labels.tolist()):
        result.set_label(index, label)
    return result
