"""Furnishes a flat: which pieces a room gets and where they stand, clear of doors, windows and the camera."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sequences.synthetic import furniture
from sequences.synthetic.floor_plan import FloorPlan, Opening, OpeningKind, Room, RoomKind, Wall
from sequences.synthetic.furniture import Piece
from sequences.synthetic.labels import Nyu40
from sequences.synthetic.mesh import Material, Placement
from sequences.synthetic.shell import door_leaf, doorway_thing, wall_placement
from sequences.synthetic.workshop import Workshop

# How far furniture keeps from the camera's path, metres.
PATH_CLEARANCE = 0.4
_GAP = 0.06
_TRIES = 60
_SILL = 0.9
_PICTURES_PER_WALL = 5
_PICTURE_WIDTH = (0.45, 0.85)
_NOTICE_WIDTH = (0.3, 0.42)
# How far open doors stand beyond a right angle.
_DOOR_LEAN = np.radians(35)


class _Furnisher:
    """Places furniture in one room and remembers what is taken."""

    def __init__(self, shop: Workshop, room: Room, path: NDArray[np.float64]):
        self._shop = shop
        self._room = room
        self._path = path
        self._taken: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        # Stretches of wall that something tall stands in front of: (wall, left, right).
        self._hidden: list[tuple[Wall, float, float]] = []

    def _is_free(self, minimum: NDArray[np.float64], maximum: NDArray[np.float64], clearance: float) -> bool:
        inside = np.all(minimum >= self._room.minimum - 1e-6) and np.all(maximum <= self._room.maximum + 1e-6)
        if not inside:
            return False
        nearest = np.clip(self._path, minimum, maximum)
        if np.min(np.linalg.norm(self._path - nearest, axis=1)) < clearance:
            return False
        return all(
            np.any(minimum - _GAP >= other_maximum) or np.any(maximum + _GAP <= other_minimum)
            for other_minimum, other_maximum in self._taken
        )

    def open_door(self, wall: Wall, opening: Opening, *, hinge_right: bool) -> None:
        """Hang an open door leaf in a doorway, standing into this room; left out where there is no space."""
        width = opening.right - opening.left - 0.03
        side = 1 if hinge_right else -1
        hinge = wall.point(opening.right + 0.03 if hinge_right else opening.left - 0.03, 0.04)
        leaf = width * (np.sin(_DOOR_LEAN) * side * wall.right + np.cos(_DOOR_LEAN) * wall.inward)
        corners = np.stack([hinge, hinge + leaf])
        minimum, maximum = corners.min(axis=0), corners.max(axis=0)
        if not self._is_free(minimum, maximum, 0.3):
            return
        self._taken.append((minimum, maximum))
        spot = Placement(float(hinge[0]), float(hinge[1]), 0.0, float(np.arctan2(leaf[1], leaf[0])))
        with self._shop.mesh.placed(spot), doorway_thing(self._shop, opening):
            door_leaf(self._shop, width, opening.top - 0.02)

    def against_wall(self, piece: Piece) -> tuple[Wall, float] | None:
        """Stand a piece against a wall where it fits; says where, or None where it does not fit at all."""
        for _ in range(_TRIES):
            wall = self._room.walls[self._shop.rng.integers(4)]
            if wall.length < piece.width + 0.1:
                continue
            along = float(
                self._shop.rng.uniform(piece.width / 2 + 0.02, wall.length - piece.width / 2 - 0.02)
            )
            if self.at(piece, wall, along):
                return wall, along
        return None

    def at(self, piece: Piece, wall: Wall, along: float) -> bool:
        """Stand a piece against a wall at a given place, if it fits there."""
        left, right = along - piece.width / 2, along + piece.width / 2
        for opening in wall.openings:
            beside = right + 0.1 <= opening.left or opening.right + 0.1 <= left
            under = opening.kind is OpeningKind.WINDOW and piece.height <= _SILL
            if not (beside or under):
                return False
        # Curtains and skirting need some room behind the piece.
        back = (
            0.16
            if any(
                o.kind is OpeningKind.WINDOW and not (right + 0.5 < o.left or o.right + 0.5 < left)
                for o in wall.openings
            )
            else 0.02
        )
        corners = np.stack([wall.point(left, back), wall.point(right, back + piece.depth)])
        minimum, maximum = corners.min(axis=0), corners.max(axis=0)
        if not self._is_free(minimum, maximum, PATH_CLEARANCE):
            return False
        self._taken.append((minimum, maximum))
        if piece.height > 1.05:
            self._hidden.append((wall, left, right))
        piece.stand(self._shop, wall_placement(wall, along, back + piece.depth / 2))
        return True

    def beside(self, piece: Piece, anchor: tuple[Wall, float] | None, anchor_width: float) -> None:
        """Stand copies of a piece at both sides of one that already stands against a wall."""
        if anchor is None:
            return
        wall, along = anchor
        for side in (-1, 1):
            self.at(piece, wall, along + side * ((anchor_width + piece.width) / 2 + _GAP + 0.01))

    def in_front(self, piece: Piece, anchor: tuple[Wall, float] | None, away: float, *, turned: bool) -> None:
        """Stand a piece in the room in front of one at a wall; ``turned`` makes it face the wall."""
        if anchor is None:
            return
        wall, along = anchor
        spot = wall_placement(wall, along, away + piece.depth / 2)
        self.freely(piece, Placement(spot.x, spot.y, 0.0, spot.yaw + (np.pi if turned else 0.0)))

    def freely(self, piece: Piece, spot: Placement) -> bool:
        """Stand a piece anywhere, if nothing is in its way."""
        c, s = abs(np.cos(spot.yaw)), abs(np.sin(spot.yaw))
        half = np.array([c * piece.width + s * piece.depth, s * piece.width + c * piece.depth]) / 2
        centre = np.array([spot.x, spot.y])
        if not self._is_free(centre - half, centre + half, PATH_CLEARANCE):
            return False
        self._taken.append((centre - half, centre + half))
        piece.stand(self._shop, spot)
        return True

    def in_the_middle(self, piece: Piece) -> bool:
        """Stand a piece in the middle of the room, if nothing is in its way."""
        x, y = self._room.centre
        return self.freely(piece, Placement(float(x), float(y)))

    def somewhere(self, piece: Piece) -> Placement | None:
        """Stand a piece free in the room, turned along the walls, if there is space for it."""
        for _ in range(_TRIES):
            x, y = self._shop.rng.uniform(self._room.minimum + 0.8, self._room.maximum - 0.8)
            spot = Placement(float(x), float(y), 0.0, float(self._shop.rng.integers(4) * np.pi / 2))
            if self.freely(piece, spot):
                return spot
        return None

    def chairs_around(self, spot: Placement | None, width: float, depth: float) -> None:
        """Chairs at the sides of a table."""
        if spot is None:
            return
        chair = furniture.chair()
        for x, y, yaw in (
            (0.0, depth / 2 + 0.3, np.pi),
            (0.0, -depth / 2 - 0.3, 0.0),
            (width / 2 + 0.3, 0.0, np.pi / 2),
            (-width / 2 - 0.3, 0.0, -np.pi / 2),
        ):
            c, s = np.cos(spot.yaw), np.sin(spot.yaw)
            self.freely(chair, Placement(spot.x + c * x - s * y, spot.y + s * x + c * y, 0.0, spot.yaw + yaw))

    def rug(self) -> None:
        """Lay a carpet near the middle of the floor; one may walk on it."""
        width, depth = self._shop.rng.uniform((1.5, 1.0), (2.4, 1.6))
        x, y = self._room.centre + self._shop.rng.uniform(-0.4, 0.4, 2)
        material = self._shop.materials.rug(width, depth)
        whole = (0.0, 0.0, float(material.width), float(material.height))
        spot = Placement(float(x), float(y), 0.0, float(self._shop.rng.integers(2) * np.pi / 2))
        with self._shop.mesh.placed(spot), self._shop.mesh.thing(Nyu40.FLOOR_MAT):
            corner = (-width / 2, depth / 2, 0.012)
            self._shop.mesh.quad(
                corner, (width, 0, 0), (0, -depth, 0), material, Nyu40.FLOOR_MAT, region=whole
            )

    def pictures(self) -> None:
        """Hang photographs and notices where the walls are free."""
        image: Material | None = None
        for wall in self._room.walls:
            for _ in range(_PICTURES_PER_WALL):
                if image is None:
                    is_picture = self._shop.rng.uniform() < 0.75
                    image = self._shop.materials.picture() if is_picture else self._shop.materials.paper()
                    width = float(self._shop.rng.uniform(*(_PICTURE_WIDTH if is_picture else _NOTICE_WIDTH)))
                if self._hang(wall, width, width * image.height / image.width, image, Nyu40.PICTURE):
                    image = None

    def whiteboard(self) -> None:
        """Hang a whiteboard."""
        width, height = float(self._shop.rng.uniform(1.2, 1.7)), 0.9
        board = self._shop.materials.whiteboard(width, height)
        for index in self._shop.rng.permutation(4):
            if self._hang(self._room.walls[index], width, height, board, Nyu40.WHITEBOARD):
                return

    def _hang(self, wall: Wall, width: float, height: float, image: Material, label: int) -> bool:
        """Hang a framed image on a wall where nothing is in front of it; says whether there was a place."""
        for _ in range(25):
            along = float(self._shop.rng.uniform(width / 2 + 0.1, wall.length - width / 2 - 0.1))
            left, right = along - width / 2 - 0.06, along + width / 2 + 0.06
            windows = [o for o in wall.openings if o.kind is OpeningKind.WINDOW]
            curtains = any(not (right + 0.4 <= o.left or o.right + 0.4 <= left) for o in windows)
            covered = any(w is wall and left < r and el < right for w, el, r in self._hidden)
            if curtains or covered or not wall.is_free(left, right, margin=0.08):
                continue
            self._hidden.append((wall, left, right))
            centre = max(1.55 + float(self._shop.rng.uniform(-0.1, 0.12)), 1.1 + height / 2)
            frame = self._shop.materials.wood()
            w, h = width / 2, height / 2
            region = (0.0, 0.0, float(image.width), float(image.height))
            spot = wall_placement(wall, along, 0.0, centre)
            with self._shop.mesh.placed(spot), self._shop.mesh.thing(label):
                self._shop.mesh.box((-w - 0.025, 0, -h - 0.025), (w + 0.025, 0.02, h + 0.025), frame, label)
                self._shop.mesh.quad(
                    (w, 0.023, h), (-2 * w, 0, 0), (0, 0, -2 * h), image, label, region=region
                )
            return True
        return False


def furnish(shop: Workshop, plan: FloorPlan, path: NDArray[np.float64]) -> None:
    """Furnish every room.

    Args:
        shop: What to build with.
        plan: The rooms.
        path: float64 [N, 2], points of the paths on the floor of the camera and of people, at most a few
            centimetres apart, to keep clear of.
    """
    for index, room in enumerate(plan.rooms):
        furnisher = _Furnisher(shop, room, path)
        for wall in room.walls:
            doorways = [o for o in wall.openings if o.kind is OpeningKind.DOORWAY]
            for position, opening in enumerate(sorted(doorways, key=lambda o: o.left)):
                if index % 2 == 0 and shop.rng.uniform() < 0.4:
                    furnisher.open_door(wall, opening, hinge_right=position > 0)
        _FURNISH_ROOM[room.kind](shop, furnisher)
        furnisher.pictures()


def _living(shop: Workshop, room: _Furnisher) -> None:
    seat = room.against_wall(furniture.sofa(float(shop.rng.uniform(1.8, 2.2))))
    room.against_wall(furniture.television(1.5))
    room.in_front(furniture.table(0.9, 0.5, 0.45), seat, 1.35, turned=False)
    room.against_wall(furniture.bookshelf(1.0, 1.95))
    room.against_wall(furniture.cabinet(1.2, 0.85))
    room.against_wall(furniture.sofa(0.95))
    room.against_wall(furniture.floor_lamp())
    room.against_wall(furniture.bookshelf(0.8, 1.2))
    room.against_wall(furniture.plant())
    room.against_wall(furniture.boxes(0.45))
    room.rug()


def _bedroom(shop: Workshop, room: _Furnisher) -> None:
    width = float(shop.rng.uniform(1.3, 1.7))
    bed = room.against_wall(furniture.bed(width)) or room.against_wall(furniture.bed(0.95))
    room.beside(furniture.night_stand(), bed, width)
    room.against_wall(furniture.cabinet(1.4, 2.0))
    room.against_wall(furniture.dresser(1.1))
    room.against_wall(furniture.chair())
    room.against_wall(furniture.bookshelf(0.8, 1.6))
    room.against_wall(furniture.plant())
    room.against_wall(furniture.boxes(0.5))
    room.rug()


def _study(shop: Workshop, room: _Furnisher) -> None:
    seat = room.against_wall(furniture.desk(float(shop.rng.uniform(1.4, 1.7))))
    room.in_front(furniture.chair(), seat, 0.95, turned=True)
    room.against_wall(furniture.bookshelf(1.2, 2.1))
    room.against_wall(furniture.bookshelf(0.9, 1.9))
    room.whiteboard()
    room.against_wall(furniture.cabinet(0.95, 0.95))
    room.against_wall(furniture.sofa(0.95))
    room.against_wall(furniture.floor_lamp())
    room.against_wall(furniture.boxes(0.5))
    room.against_wall(furniture.boxes(0.4))
    room.rug()


def _kitchen(shop: Workshop, room: _Furnisher) -> None:
    room.against_wall(furniture.counter(float(shop.rng.uniform(1.8, 2.4))))
    room.against_wall(furniture.refrigerator())
    room.chairs_around(room.somewhere(furniture.table(1.2, 0.8)), 1.2, 0.8)
    room.against_wall(furniture.cabinet(1.0, 2.0))
    room.against_wall(furniture.bookshelf(0.8, 1.3))
    room.against_wall(furniture.plant())
    room.against_wall(furniture.boxes(0.4))


def _studio(shop: Workshop, room: _Furnisher) -> None:
    room.in_the_middle(furniture.table(0.8, 0.55, 0.5))
    room.against_wall(furniture.bed(1.0))
    seat = room.against_wall(furniture.desk(1.4))
    room.in_front(furniture.chair(), seat, 0.95, turned=True)
    room.against_wall(furniture.bookshelf(1.0, 2.0))
    room.against_wall(furniture.television(1.3))
    room.against_wall(furniture.sofa(1.5))
    room.against_wall(furniture.bookshelf(0.8, 1.3))
    room.against_wall(furniture.floor_lamp())
    room.against_wall(furniture.plant())
    room.against_wall(furniture.boxes(0.4))
    room.rug()


_FURNISH_ROOM: dict[RoomKind, Callable[[Workshop, _Furnisher], None]] = {
    RoomKind.LIVING: _living,
    RoomKind.BEDROOM: _bedroom,
    RoomKind.STUDY: _study,
    RoomKind.KITCHEN: _kitchen,
    RoomKind.STUDIO: _studio,
}
