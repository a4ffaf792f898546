"""The floor plan: rooms on a grid, walls with doorways, doors and windows in them."""

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

WALL_THICKNESS = 0.14
DOOR_HEIGHT = 2.05
DOORWAY_WIDTH = 1.0
_WINDOW_BOTTOM = 0.95
_WINDOW_TOP = 2.2
# Which cells of the 2 × 2 grid a flat of so many rooms takes, and which of its rooms are joined.
_CELLS = [(0, 0), (1, 0), (1, 1), (0, 1)]
_JOINED = {1: [], 2: [(0, 1)], 3: [(0, 1), (1, 2)], 4: [(0, 1), (1, 2), (2, 3), (3, 0)]}


class RoomKind(Enum):
    """What a room is used for; decides its furniture."""

    STUDIO = "studio"
    LIVING = "living"
    BEDROOM = "bedroom"
    STUDY = "study"
    KITCHEN = "kitchen"


class OpeningKind(Enum):
    """What an opening in a wall is."""

    DOORWAY = "doorway"
    CLOSED_DOOR = "closed door"
    WINDOW = "window"


@dataclass(frozen=True)
class Opening:
    """A rectangle cut from a wall, in the wall's coordinates, metres.

    Attributes:
        kind: Doorway, closed door or window.
        left: Distance from the wall's left end as seen from inside the room.
        right: Likewise, larger than ``left``.
        bottom: Height above the floor.
        top: Height above the floor.
        doorway: Index of the doorway that this is one side of; None for windows and closed doors.
    """

    kind: OpeningKind
    left: float
    right: float
    bottom: float
    top: float
    doorway: int | None = None

    @property
    def centre(self) -> float:
        """Middle along the wall, metres."""
        return (self.left + self.right) / 2


@dataclass
class Wall:
    """One side of a room as seen from inside.

    Attributes:
        origin: float64 [2], the left end on the floor, metres in the world.
        right: float64 [2], unit vector along the wall.
        inward: float64 [2], unit vector into the room.
        length: Metres.
        openings: What is cut from it.
    """

    origin: NDArray[np.float64]
    right: NDArray[np.float64]
    inward: NDArray[np.float64]
    length: float
    openings: list[Opening] = field(default_factory=list)

    def point(self, along: float, away: float = 0.0) -> NDArray[np.float64]:
        """The point so far along the wall and so far away from it into the room, float64 [2]."""
        return self.origin + along * self.right + away * self.inward

    def along(self, point: NDArray[np.float64]) -> float:
        """How far along the wall a point lies, metres."""
        return float((point - self.origin) @ self.right)

    def is_free(self, left: float, right: float, *, margin: float) -> bool:
        """Whether no opening lies within ``margin`` of the stretch from ``left`` to ``right``."""
        return all(o.right + margin <= left or right + margin <= o.left for o in self.openings)


@dataclass
class Room:
    """A rectangular room: south-west and north-east corner of its floor, metres in the world."""

    kind: RoomKind
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    walls: list[Wall]

    @property
    def centre(self) -> NDArray[np.float64]:
        """Middle of the floor, float64 [2], metres."""
        return (self.minimum + self.maximum) / 2

    @property
    def size(self) -> NDArray[np.float64]:
        """Extent of the floor, float64 [2], metres."""
        return self.maximum - self.minimum


@dataclass(frozen=True)
class Doorway:
    """A passage between two rooms: the room indices, and the middle of the passage, float64 [2], metres."""

    rooms: tuple[int, int]
    centre: NDArray[np.float64]


@dataclass(frozen=True)
class FloorPlan:
    """All rooms of one storey, the doorways between them and the height of the ceiling, metres."""

    rooms: list[Room]
    doorways: list[Doorway]
    height: float


def build_floor_plan(rng: np.random.Generator, room_count: int) -> FloorPlan:
    """Lay out ``room_count`` rooms (1 to 4) whose doorways allow a round trip through all of them."""
    columns = rng.uniform(4.2, 5.2, size=2)
    rows = rng.uniform(4.0, 4.8, size=2)
    others = [RoomKind.BEDROOM, RoomKind.STUDY, RoomKind.KITCHEN]
    kinds = [RoomKind.LIVING, *(others[index] for index in rng.permutation(3))]
    if room_count == 1:
        kinds = [RoomKind.STUDIO]
        columns, rows = columns + 0.7, rows + 0.7
    rooms = []
    for kind, (column, row) in zip(kinds, _CELLS[:room_count], strict=False):
        start = np.array([column * (columns[0] + WALL_THICKNESS), row * (rows[0] + WALL_THICKNESS)])
        end = start + np.array([columns[column], rows[row]])
        rooms.append(Room(kind, start, end, _walls(start, end)))
    doorways: list[Doorway] = []
    for first, second in _JOINED[room_count]:
        doorways += _join(rng, rooms, first, second, twice=room_count < 4, index=len(doorways))
    inner_walls = {id(wall) for room in rooms for wall in room.walls if wall.openings}
    for room in rooms:
        outer = [wall for wall in room.walls if id(wall) not in inner_walls]
        for index, wall in enumerate(outer):
            kind = OpeningKind.CLOSED_DOOR if room is rooms[0] and index == 0 else OpeningKind.WINDOW
            wall.openings.append(_outer_opening(rng, wall, kind))
    return FloorPlan(rooms, doorways, float(rng.uniform(2.5, 2.7)))


def _walls(minimum: NDArray[np.float64], maximum: NDArray[np.float64]) -> list[Wall]:
    """The four walls in the order south, east, north, west."""
    (x0, y0), (x1, y1) = minimum, maximum
    corners = [((x1, y0), (-1, 0), (0, 1)), ((x1, y1), (0, -1), (-1, 0))]
    corners += [((x0, y1), (1, 0), (0, -1)), ((x0, y0), (0, 1), (1, 0))]
    lengths = [x1 - x0, y1 - y0, x1 - x0, y1 - y0]
    return [
        Wall(np.array(origin, float), np.array(right, float), np.array(inward, float), float(length))
        for (origin, right, inward), length in zip(corners, lengths, strict=True)
    ]


def _join(
    rng: np.random.Generator, rooms: list[Room], first: int, second: int, *, twice: bool, index: int
) -> list[Doorway]:
    """Cut one or two doorways, counted from ``index``, through the wall that two neighbouring rooms share."""
    towards = rooms[second].minimum - rooms[first].minimum
    axis = int(np.argmin(np.abs(towards)))
    low = max(rooms[first].minimum[axis], rooms[second].minimum[axis])
    high = min(rooms[first].maximum[axis], rooms[second].maximum[axis])
    middle = (low + high) / 2 + rng.uniform(-0.15, 0.15)
    # Two doorways stand far enough apart for a piece of furniture between them.
    positions = [middle - 0.95, middle + 0.95] if twice else [middle]
    across = 1 - axis
    forward = towards[across] > 0
    edge = rooms[first].maximum[across] if forward else rooms[second].maximum[across]
    doorways = []
    for number, position in enumerate(positions, start=index):
        centre = np.empty(2)
        centre[axis], centre[across] = position, edge + WALL_THICKNESS / 2
        doorways.append(Doorway((first, second), centre))
        for room in (rooms[first], rooms[second]):
            wall = min(room.walls, key=lambda wall: abs((centre - wall.origin) @ wall.inward))
            along = wall.along(centre)
            half = DOORWAY_WIDTH / 2
            wall.openings.append(
                Opening(OpeningKind.DOORWAY, along - half, along + half, 0.0, DOOR_HEIGHT, number)
            )
    return doorways


def _outer_opening(rng: np.random.Generator, wall: Wall, kind: OpeningKind) -> Opening:
    """A window or a closed door somewhere in an outer wall."""
    if kind is OpeningKind.WINDOW:
        width = rng.uniform(1.2, 1.8)
        left = rng.uniform(0.7, wall.length - width - 0.7)
        return Opening(kind, left, left + width, _WINDOW_BOTTOM, _WINDOW_TOP)
    left = rng.uniform(0.4, wall.length - 1.4)
    return Opening(kind, left, left + 0.9, 0.0, DOOR_HEIGHT)
