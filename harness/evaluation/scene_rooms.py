"""How well the rooms of a graph are those of the scene, by the places that lie in them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from harness.evaluation.scene_graph import Layer, SceneGraph

#: A room whose places are those of a true room to this share (intersection over union) is that room.
LEAST_ROOM_OVERLAP = 0.5

#: Half a wall: places in a doorway belong to the room they are nearer to, metres.
_WALL_MARGIN = 0.07


@dataclass(frozen=True)
class TrueRoom:
    """One room of the true scene.

    Attributes:
        name: For people.
        minimum: float64 [3], its lowest corner in the world, metres.
        maximum: float64 [3], its highest corner.
        visited: The camera was in it.
    """

    name: str
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    visited: bool


@dataclass(frozen=True)
class RoomMatch:
    """A true room with the room of the graph that is most like it.

    Attributes:
        name: Of the true room.
        places: Places of the graph that lie in it.
        best: Id of the room of the graph; None where none shares a place with it.
        overlap: Places that both have over places that any of the two has, 0 to 1.
        matched: The two are the same room: matched one to one, and the overlap is large enough.
    """

    name: str
    places: int
    best: int | None
    overlap: float
    matched: bool


@dataclass(frozen=True)
class RoomScores:
    """How well the rooms of a scene are found.

    Attributes:
        found: Rooms of the graph.
        rooms: The true rooms that the camera was in.
    """

    found: int
    rooms: tuple[RoomMatch, ...]

    @property
    def true(self) -> int:
        """True rooms that the camera was in."""
        return len(self.rooms)

    @property
    def matched(self) -> int:
        """Rooms that are the same."""
        return sum(room.matched for room in self.rooms)

    @property
    def mean_overlap(self) -> float | None:
        """Mean over the true rooms; None where there are none."""
        return float(np.mean([room.overlap for room in self.rooms])) if self.rooms else None


def score_rooms(graph: SceneGraph, truth: tuple[TrueRoom, ...]) -> RoomScores:
    """Compare which places a graph's rooms are made of with the true rooms that the places lie in.

    A place that lies in no true room counts against the room it is part of; one that is part of no room
    counts against the true room it lies in. A room without places is one place at its own position.

    Args:
        graph: In the world of the truth.
        truth: The true rooms.
    """
    visited = [room for room in truth if room.visited]
    rooms = graph.layer(Layer.ROOMS)
    places = {node.id: node.position for node in graph.layer(Layer.PLACES)}
    members = []
    for room in rooms:
        own = {node.id for node in graph.neighbours(room, Layer.PLACES)}
        if not own:
            own, places = {room.id}, {**places, room.id: room.position}
        members.append(own)
    ids, positions = list(places), np.array(list(places.values())).reshape(-1, 3)
    inside = [{ids[number] for number in np.flatnonzero(_within(positions, room))} for room in visited]
    overlaps = np.array([[_overlap(true, own) for own in members] for true in inside]).reshape(
        len(visited), len(rooms)
    )
    rows, columns = linear_sum_assignment(overlaps, maximize=True)
    pairs = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return RoomScores(
        len(rooms),
        tuple(
            _match(room, inside[number], overlaps[number], [each.id for each in rooms], pairs.get(number))
            for number, room in enumerate(visited)
        ),
    )


def _within(positions: NDArray[np.float64], room: TrueRoom) -> NDArray[np.bool_]:
    # Rooms are told apart by their floors: a place may lie at any height.
    low, high = room.minimum[:2] - _WALL_MARGIN, room.maximum[:2] + _WALL_MARGIN
    return np.asarray(((positions[:, :2] >= low) & (positions[:, :2] <= high)).all(axis=1))


def _overlap(first: set[int], second: set[int]) -> float:
    union = first | second
    return len(first & second) / len(union) if union else 0.0


def _match(
    room: TrueRoom,
    inside: set[int],
    overlaps: NDArray[np.float64],
    ids: list[int],
    assigned: int | None,
) -> RoomMatch:
    best = int(overlaps.argmax()) if len(overlaps) and overlaps.max() > 0 else None
    return RoomMatch(
        room.name,
        len(inside),
        None if best is None else ids[best],
        0.0 if best is None else float(overlaps[best]),
        assigned is not None and bool(overlaps[assigned] >= LEAST_ROOM_OVERLAP),
    )
