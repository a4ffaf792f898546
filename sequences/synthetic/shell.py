"""The shell of a flat: floors, ceilings, walls with their doors and windows, ceiling lamps, curtains."""

import math
from contextlib import AbstractContextManager
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sequences.synthetic.floor_plan import (
    WALL_THICKNESS,
    FloorPlan,
    Opening,
    OpeningKind,
    Room,
    RoomKind,
    Wall,
)
from sequences.synthetic.labels import Nyu40
from sequences.synthetic.mesh import Material, Placement
from sequences.synthetic.workshop import WARM, Light, Workshop

_WINDOW_REVEAL = 0.18
_DAYLIGHT = np.array([0.92, 0.97, 1.05])
_WINDOW_POWER = 5.0
_CEILING_LAMP_POWER = 4.2
_SKIRTING_HEIGHT = 0.08
_DOOR_REVEAL = 0.06
_DOOR_LEAF_THICKNESS = 0.04


def build_shell(shop: Workshop, plan: FloorPlan) -> None:
    """Add everything that is fixed to the building."""
    for room in plan.rooms:
        _floor_and_ceiling(shop, room, plan.height)
        _ceiling_lamp(shop, room, plan.height)
        papered = shop.rng.uniform() < 0.65 and room.kind is not RoomKind.KITCHEN
        base = shop.materials.wall_colour()
        for index, wall in enumerate(room.walls):
            material = shop.materials.wall(
                wall.length, plan.height, papered=papered and index % 2 == 0, base=base
            )
            _wall(shop, wall, plan.height, material)
    for doorway in plan.doorways:
        _passage(shop, plan, doorway.rooms[0], doorway.centre)


def wall_placement(wall: Wall, along: float, away: float = 0.0, z: float = 0.0) -> Placement:
    """Where an object stands whose +y looks from the wall into the room."""
    x, y = wall.point(along, away)
    return Placement(float(x), float(y), z, math.atan2(wall.inward[1], wall.inward[0]) - math.pi / 2)


def doorway_thing(shop: Workshop, opening: Opening) -> AbstractContextManager[None]:
    """The door that both sides of a doorway, what is between them, and the leaf make together."""
    return shop.mesh.thing(Nyu40.DOOR, ("doorway", opening.doorway))


def _corner(wall: Wall, along: float, height: float, away: float = 0.0) -> NDArray[np.float64]:
    return np.append(wall.point(along, away), height)


def _floor_and_ceiling(shop: Workshop, room: Room, height: float) -> None:
    (x0, y0), (x1, y1) = room.minimum, room.maximum
    w, d = float(x1 - x0), float(y1 - y0)
    floor = shop.materials.floor(w, d, tiled=room.kind is RoomKind.KITCHEN)
    whole = (0.0, 0.0, float(floor.width), float(floor.height))
    shop.mesh.quad((x0, y1, 0), (w, 0, 0), (0, -d, 0), floor, Nyu40.FLOOR, region=whole)
    ceiling = shop.materials.ceiling(w, d)
    whole = (0.0, 0.0, float(ceiling.width), float(ceiling.height))
    shop.mesh.quad((x0, y0, height), (w, 0, 0), (0, d, 0), ceiling, Nyu40.CEILING, region=whole)


def _ceiling_lamp(shop: Workshop, room: Room, height: float) -> None:
    x, y = room.centre
    profile = [(0.05, height - 0.02), (0.24, height - 0.09), (0.2, height - 0.14), (0.0, height - 0.16)]
    with shop.mesh.placed(Placement(float(x), float(y))), shop.mesh.thing(Nyu40.LAMP):
        shop.mesh.lathe([(0.05, height), (0.05, height - 0.02)], shop.materials.dark_metal(), Nyu40.LAMP)
        shop.mesh.lathe(profile, shop.materials.shade(), Nyu40.LAMP, emission=1.08)
    for angle in np.linspace(0, 2 * np.pi, 4, endpoint=False):
        offset = 0.2 * np.array([math.cos(angle), math.sin(angle)])
        position = np.array([x + offset[0], y + offset[1], height - 0.22])
        shop.lights.append(Light(position, _CEILING_LAMP_POWER / 4 * WARM))


def _wall(shop: Workshop, wall: Wall, height: float, material: Material) -> None:
    """The wall itself, in rectangles around its openings, and what fills the openings."""
    columns = sorted({0.0, wall.length, *(e for o in wall.openings for e in (o.left, o.right))})
    levels = sorted({0.0, height, *(e for o in wall.openings for e in (o.bottom, o.top))})
    texel = material.metres_per_texel
    for left, right in pairwise(columns):
        for bottom, top in pairwise(levels):
            middle = ((left + right) / 2, (bottom + top) / 2)
            if any(o.left < middle[0] < o.right and o.bottom < middle[1] < o.top for o in wall.openings):
                continue
            region = (left / texel, (height - top) / texel, right / texel, (height - bottom) / texel)
            across = np.append(wall.right * (right - left), 0.0)
            down = (0.0, 0.0, bottom - top)
            shop.mesh.quad(_corner(wall, left, top), across, down, material, Nyu40.WALL, region=region)
    _skirting(shop, wall)
    for opening in wall.openings:
        if opening.kind is OpeningKind.WINDOW:
            _window(shop, wall, opening, height)
        elif opening.kind is OpeningKind.DOORWAY:
            with doorway_thing(shop, opening):
                _door_frame(shop, wall, opening)
        else:
            with shop.mesh.thing(Nyu40.DOOR):
                _door_frame(shop, wall, opening)
                _closed_door(shop, wall, opening)


def _skirting(shop: Workshop, wall: Wall) -> None:
    lacquer = shop.materials.lacquer()
    ends = [0.0]
    for opening in sorted(wall.openings, key=lambda opening: opening.left):
        if opening.bottom == 0.0:
            ends += [opening.left - 0.07, opening.right + 0.07]
    ends.append(wall.length)
    for left, right in zip(ends[::2], ends[1::2], strict=True):
        with shop.mesh.placed(wall_placement(wall, (left + right) / 2)):
            half = (right - left) / 2
            shop.mesh.box((-half, 0, 0), (half, 0.014, _SKIRTING_HEIGHT), lacquer, Nyu40.WALL)


def _door_frame(shop: Workshop, wall: Wall, opening: Opening) -> None:
    lacquer = shop.materials.lacquer()
    half = (opening.right - opening.left) / 2
    with shop.mesh.placed(wall_placement(wall, opening.centre)):
        for x in (-half - 0.07, half):
            shop.mesh.box((x, 0, 0), (x + 0.07, 0.02, opening.top + 0.07), lacquer, Nyu40.DOOR)
        shop.mesh.box((-half, 0, opening.top), (half, 0.02, opening.top + 0.07), lacquer, Nyu40.DOOR)


def door_leaf(shop: Workshop, width: float, height: float) -> None:
    """A door leaf from x = 0 to ``width``, with panels and handles on both sides."""
    wood, handle = shop.materials.wood(), shop.materials.steel()
    half = _DOOR_LEAF_THICKNESS / 2
    shop.mesh.box((0, -half, 0.01), (width, half, height), wood, Nyu40.DOOR)
    for z0, z1 in ((0.15, 0.9), (1.05, height - 0.15)):
        for y0, y1 in ((-half - 0.012, -half), (half, half + 0.012)):
            shop.mesh.box((0.12, y0, z0), (width - 0.12, y1, z1), wood, Nyu40.DOOR)
    for y0, y1 in ((-half - 0.05, -half), (half, half + 0.05)):
        shop.mesh.box((width - 0.1, y0, 0.97), (width - 0.07, y1, 1.0), handle, Nyu40.DOOR)


def _closed_door(shop: Workshop, wall: Wall, opening: Opening) -> None:
    width = opening.right - opening.left
    with shop.mesh.placed(wall_placement(wall, opening.centre)):
        _reveal(shop, width / 2, (0.0, opening.top), _DOOR_REVEAL, shop.materials.lacquer(), Nyu40.DOOR)
        _threshold(shop, width / 2, _DOOR_REVEAL)
        # Closes the gaps around the leaf.
        corner = (width / 2 + 0.02, -_DOOR_REVEAL, opening.top + 0.02)
        dark = shop.materials.dark_metal()
        shop.mesh.quad(corner, (-width - 0.04, 0, 0), (0, 0, -opening.top - 0.04), dark, Nyu40.DOOR)
    with shop.mesh.placed(wall_placement(wall, opening.right, 0.03 - _DOOR_REVEAL)):
        door_leaf(shop, width, opening.top)


def _reveal(
    shop: Workshop, half: float, levels: tuple[float, float], depth: float, material: Material, label: int
) -> None:
    """Both sides and the upper side of an opening, from the wall's surface so deep into the wall."""
    bottom, top = levels
    down = (0, 0, bottom - top)
    shop.mesh.quad((half, 0, top), (0, -depth, 0), down, material, label)
    shop.mesh.quad((-half, -depth, top), (0, depth, 0), down, material, label)
    shop.mesh.quad((-half, -depth, top), (2 * half, 0, 0), (0, depth, 0), material, label)


def _threshold(shop: Workshop, half: float, depth: float) -> None:
    """The floor in a doorway, which is no part of the door."""
    wood = shop.materials.wood()
    with shop.mesh.thing(None):
        shop.mesh.quad((-half, 0, 0), (2 * half, 0, 0), (0, -depth, 0), wood, Nyu40.FLOOR)


def _passage(shop: Workshop, plan: FloorPlan, room: int, centre: NDArray[np.float64]) -> None:
    """The inside of a doorway between two rooms."""
    wall = min(plan.rooms[room].walls, key=lambda wall: abs((centre - wall.origin) @ wall.inward))
    opening = min(wall.openings, key=lambda opening: abs(opening.centre - wall.along(centre)))
    half, thickness, top = (opening.right - opening.left) / 2, WALL_THICKNESS, opening.top
    lacquer = shop.materials.lacquer()
    with shop.mesh.placed(wall_placement(wall, opening.centre)), doorway_thing(shop, opening):
        _reveal(shop, half, (0.0, top), thickness, lacquer, Nyu40.DOOR)
        _threshold(shop, half, thickness)


def _window(shop: Workshop, wall: Wall, opening: Opening, ceiling: float) -> None:
    """Reveal, frame, a pane that shows the view, a sill, curtains, and the daylight that comes in."""
    lacquer = shop.materials.lacquer()
    half, depth = (opening.right - opening.left) / 2, _WINDOW_REVEAL
    bottom, top = opening.bottom, opening.top
    high = top - bottom
    view = shop.materials.view(2 * half, high)
    whole = (0.0, 0.0, float(view.width), float(view.height))
    with shop.mesh.placed(wall_placement(wall, opening.centre)), shop.mesh.thing(Nyu40.WINDOW):
        _reveal(shop, half, (bottom, top), depth, lacquer, Nyu40.WINDOW)
        shop.mesh.box(
            (-half - 0.06, -depth, bottom - 0.03), (half + 0.06, 0.06, bottom), lacquer, Nyu40.WINDOW
        )
        shop.mesh.quad(
            (half, -depth, top),
            (-2 * half, 0, 0),
            (0, 0, -high),
            view,
            Nyu40.WINDOW,
            region=whole,
            emission=1.05,
        )
        bar = 0.05
        for x in (-half, -bar / 2, half - bar):
            shop.mesh.box((x, -depth + 0.005, bottom), (x + bar, -depth + 0.05, top), lacquer, Nyu40.WINDOW)
        for z in (bottom, top - bar):
            shop.mesh.box((-half, -depth + 0.006, z), (half, -depth + 0.049, z + bar), lacquer, Nyu40.WINDOW)
        for x in np.linspace(-half, half, 6)[1:-1]:
            for z in np.linspace(bottom, top, 5)[1:-1]:
                position = shop.mesh.to_world((float(x), -0.02, float(z)))
                normal = np.append(wall.inward, 0.0)
                shop.lights.append(Light(position, _WINDOW_POWER * half * high / 12 * _DAYLIGHT, normal))
        with shop.mesh.thing(Nyu40.CURTAIN):
            _curtains(shop, half, min(top + 0.2, ceiling - 0.05))


def _curtains(shop: Workshop, half: float, top: float) -> None:
    """A rod and a folded curtain at each side of a window."""
    width, bottom = 0.34, 0.12
    material = shop.materials.curtain(2 * width, top - bottom)
    for side in (-1, 1):
        fold = np.linspace(0, 1, 33)
        x = side * (half + 0.12) + (0.5 - fold) * width
        y = 0.1 + 0.03 * np.sin(fold * 5.5 * 2 * np.pi + side)
        z = np.linspace(top, bottom, 16)
        points = np.stack(np.broadcast_arrays(x[None, :], y[None, :], z[:, None]), axis=-1)
        # The cloth is twice as wide as its folds.
        columns = (fold * 0.5 + (0.0 if side < 0 else 0.5)) * material.width
        rows = (top - z) / material.metres_per_texel
        texels = np.stack(np.broadcast_arrays(columns[None, :], rows[:, None]), axis=-1)
        shop.mesh.grid(points, texels, material.texture, Nyu40.CURTAIN)
        behind = points[:, ::-1] - [0, 0.006, 0]
        shop.mesh.grid(behind, texels[:, ::-1], material.texture, Nyu40.CURTAIN)
    reach = half + 0.4
    shop.mesh.box((-reach, 0.09, top), (reach, 0.11, top + 0.02), shop.materials.dark_metal(), Nyu40.CURTAIN)
