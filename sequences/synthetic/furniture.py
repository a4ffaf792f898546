"""Builders of single pieces of furniture, each in its own frame.

The frame of a piece: origin on the floor in the middle of its footprint, z up, +y its front, its back
(the side that goes to a wall) at ``-depth / 2``. All sizes are metres.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sequences.synthetic.labels import Nyu40
from sequences.synthetic.mesh import Material, Placement
from sequences.synthetic.small_things import (
    book_pile,
    clutter,
    lamp_shade,
    lying_books,
    papers,
    screen,
    table_lamp,
    vase,
)
from sequences.synthetic.workshop import Workshop


@dataclass(frozen=True)
class Piece:
    """A piece of furniture of a given size that can be built anywhere.

    Attributes:
        width: Along the wall.
        depth: Away from the wall.
        height: Of the part that would hide a wall behind it.
        label: What it is; what lies on it or in it is a thing of its own.
        build: Adds it to the mesh.
    """

    width: float
    depth: float
    height: float
    label: Nyu40
    build: Callable[[Workshop, "Piece"], None]

    def stand(self, shop: Workshop, spot: Placement) -> None:
        """Build it somewhere, as one thing."""
        with shop.mesh.placed(spot), shop.mesh.thing(self.label):
            self.build(shop, self)


def _legs(shop: Workshop, piece: Piece, top: float, thickness: float, material: Material, label: int) -> None:
    for x in (-piece.width / 2 + 0.03, piece.width / 2 - 0.03 - thickness):
        for y in (-piece.depth / 2 + 0.03, piece.depth / 2 - 0.03 - thickness):
            shop.mesh.box((x, y, 0.0), (x + thickness, y + thickness, top), material, label)


def _build_table(shop: Workshop, piece: Piece) -> None:
    wood = shop.materials.wood()
    w, d, h = piece.width / 2, piece.depth / 2, piece.height
    shop.mesh.box((-w, -d, h - 0.04), (w, d, h), wood, Nyu40.TABLE)
    _legs(shop, piece, h - 0.04, 0.06, wood, Nyu40.TABLE)
    clutter(shop, piece.width, piece.depth, h, max(2, int(piece.width / 0.35)))


def _build_chair(shop: Workshop, piece: Piece) -> None:
    wood, cloth = shop.materials.wood(), shop.materials.cloth()
    w, d = piece.width / 2, piece.depth / 2
    shop.mesh.cushion((0, 0, 0.45), (2 * w, 2 * d, 0.09), cloth, Nyu40.CHAIR)
    _legs(shop, piece, 0.43, 0.04, wood, Nyu40.CHAIR)
    for x in (-w + 0.02, w - 0.06):
        shop.mesh.box((x, -d, 0.46), (x + 0.04, -d + 0.035, piece.height), wood, Nyu40.CHAIR)
    for z in np.arange(0.58, piece.height - 0.06, 0.12):
        shop.mesh.box((-w + 0.06, -d + 0.005, z), (w - 0.06, -d + 0.03, z + 0.07), wood, Nyu40.CHAIR)


def _build_sofa(shop: Workshop, piece: Piece) -> None:
    cloth, pillow = shop.materials.cloth(), shop.materials.cloth()
    w, d, h = piece.width / 2, piece.depth / 2, piece.height
    shop.mesh.box((-w + 0.1, -d, 0.06), (w - 0.1, d - 0.05, 0.3), cloth, Nyu40.SOFA)
    for side in (-1, 1):
        shop.mesh.cushion((side * (w - 0.1), 0, 0.33), (0.2, 2 * d, 0.64), cloth, Nyu40.SOFA)
    shop.mesh.cushion((0, -d + 0.12, h / 2 + 0.08), (2 * w - 0.25, 0.24, h - 0.16), cloth, Nyu40.SOFA)
    seats = max(1, round((2 * w - 0.4) / 0.65))
    seat = (2 * w - 0.42) / seats
    for index in range(seats):
        x = -w + 0.21 + seat * (index + 0.5)
        shop.mesh.cushion((x, 0.08, 0.37), (seat, 2 * d - 0.22, 0.2), cloth, Nyu40.SOFA)
        if shop.rng.uniform() < 0.7:
            spot = Placement(x, -d + 0.32, 0.62, float(shop.rng.uniform(-0.4, 0.4)))
            with shop.mesh.placed(spot), shop.mesh.thing(Nyu40.PILLOW):
                shop.mesh.cushion((0, 0, 0), (0.42, 0.15, 0.38), pillow, Nyu40.PILLOW)


def _build_bed(shop: Workshop, piece: Piece) -> None:
    wood, blanket, pillow = shop.materials.wood(), shop.materials.cloth(), shop.materials.cloth()
    w, d = piece.width / 2, piece.depth / 2
    shop.mesh.box((-w, -d, 0.0), (w, -d + 0.06, piece.height), wood, Nyu40.BED)
    shop.mesh.box((-w, -d + 0.06, 0.12), (w, d, 0.32), wood, Nyu40.BED)
    shop.mesh.cushion((0, 0.03, 0.4), (2 * w - 0.04, 2 * d - 0.1, 0.26), blanket, Nyu40.BED)
    shop.mesh.cushion((0, 0.28, 0.46), (2 * w + 0.05, 2 * d - 0.6, 0.22), shop.materials.cloth(), Nyu40.BED)
    for x in (-w / 2, w / 2) if piece.width > 1.2 else (0.0,):
        with shop.mesh.thing(Nyu40.PILLOW):
            shop.mesh.cushion((x, -d + 0.36, 0.57), (0.6, 0.4, 0.17), pillow, Nyu40.PILLOW)


def _build_bookshelf(shop: Workshop, piece: Piece) -> None:
    wood = shop.materials.wood()
    w, d, h = piece.width / 2, piece.depth / 2, piece.height
    board = 0.022
    shop.mesh.box((-w, -d, 0), (-w + board, d, h), wood, Nyu40.BOOKSHELF)
    shop.mesh.box((w - board, -d, 0), (w, d, h), wood, Nyu40.BOOKSHELF)
    shop.mesh.box((-w + board, -d, 0), (w - board, -d + 0.012, h), wood, Nyu40.BOOKSHELF)
    levels = np.linspace(0.06, h - board, max(2, round(h / 0.36)))
    for z in levels:
        shop.mesh.box((-w + board, -d + 0.012, z), (w - board, d - 0.004, z + board), wood, Nyu40.BOOKSHELF)
    for z, above in pairwise(levels):
        with shop.mesh.thing(Nyu40.BOOKS):
            _fill_shelf(shop, -w + board, w - board, -d + 0.02, d, float(z) + board, float(above - z) - board)


def _fill_shelf(
    shop: Workshop, left: float, right: float, back: float, front: float, z: float, room: float
) -> None:
    """Stand books on a shelf, a thing together, with a gap or an ornament here and there."""
    sheet, spines = shop.materials.book_spines()
    x = left + 0.005
    while x < right - 0.06:
        if shop.rng.uniform() < 0.06 and right - x > 0.25:
            with shop.mesh.placed(Placement(x + 0.1, (back + front) / 2, z)):
                (vase if shop.rng.uniform() < 0.5 else lying_books)(shop)
            x += 0.24
            continue
        thick = float(shop.rng.uniform(0.018, 0.05))
        high = min(float(shop.rng.uniform(0.19, 0.29)), room - 0.01)
        deep = min(float(shop.rng.uniform(0.15, 0.22)), front - back - 0.01)
        region = spines[shop.rng.integers(len(spines))]
        shop.mesh.box((x, back, z), (x + thick, back + deep, z + high), sheet, Nyu40.BOOKS, front=region)
        x += thick + 0.002


def _build_cupboard(shop: Workshop, piece: Piece, label: int, drawers: bool, material: Material) -> None:
    """A closed body with doors or drawers, each with a handle."""
    w, d, h = piece.width / 2, piece.depth / 2, piece.height
    shop.mesh.box((-w, -d, 0), (w, d - 0.02, h), material, label)
    columns = max(1, round(piece.width / (0.9 if drawers else 0.48)))
    rows = max(2, round(h / 0.26)) if drawers else (1 if h < 1.3 else 2)
    handle = shop.materials.dark_metal()
    for column in range(columns):
        for row in range(rows):
            x0, x1 = (-w + 2 * w * (column + k) / columns for k in (0, 1))
            z0, z1 = (0.06 + (h - 0.08) * (row + k) / rows for k in (0, 1))
            shop.mesh.box((x0 + 0.008, d - 0.02, z0 + 0.008), (x1 - 0.008, d, z1 - 0.008), material, label)
            middle = (x0 + x1) / 2
            if drawers:
                shop.mesh.box(
                    (middle - 0.07, d, z1 - 0.08), (middle + 0.07, d + 0.02, z1 - 0.06), handle, label
                )
            else:
                x = x1 - 0.07 if column % 2 == 0 else x0 + 0.05
                z = (z0 + z1) / 2
                shop.mesh.box((x, d, z - 0.07), (x + 0.02, d + 0.02, z + 0.07), handle, label)


def _build_cabinet(shop: Workshop, piece: Piece) -> None:
    _build_cupboard(shop, piece, Nyu40.CABINET, False, shop.materials.wood())
    if piece.height < 1.4:
        clutter(shop, piece.width, piece.depth, piece.height, max(2, int(piece.width / 0.4)))


def _build_dresser(shop: Workshop, piece: Piece) -> None:
    _build_cupboard(shop, piece, Nyu40.DRESSER, True, shop.materials.wood())
    clutter(shop, piece.width, piece.depth, piece.height, 3)


def _build_night_stand(shop: Workshop, piece: Piece) -> None:
    _build_cupboard(shop, piece, Nyu40.NIGHT_STAND, True, shop.materials.wood())
    table_lamp(shop, 0.0, 0.0, piece.height)


def _build_desk(shop: Workshop, piece: Piece) -> None:
    wood, dark = shop.materials.wood(), shop.materials.dark_metal()
    w, d, h = piece.width / 2, piece.depth / 2, piece.height
    shop.mesh.box((-w, -d, h - 0.035), (w, d, h), wood, Nyu40.DESK)
    with shop.mesh.placed(Placement(x=w - 0.24)):
        body = Piece(0.42, piece.depth - 0.06, h - 0.035, Nyu40.DESK, piece.build)
        _build_cupboard(shop, body, Nyu40.DESK, True, wood)
    shop.mesh.box((-w, -d + 0.02, 0), (-w + 0.04, d - 0.02, h - 0.035), wood, Nyu40.DESK)
    spot = Placement(-0.15, -d + 0.2, h, float(shop.rng.uniform(-0.3, 0.3)))
    with shop.mesh.placed(spot), shop.mesh.thing(Nyu40.OTHER_PROP):
        shop.mesh.box((-0.12, -0.09, 0), (0.12, 0.09, 0.015), dark, Nyu40.OTHER_PROP)
        shop.mesh.box((-0.03, -0.02, 0.015), (0.03, 0.0, 0.2), dark, Nyu40.OTHER_PROP)
        screen(shop, 0.58, 0.35, 0.12, shop.materials.screen(), Nyu40.OTHER_PROP)
    table_lamp(shop, -w + 0.15, -d + 0.16, h)
    with shop.mesh.placed(Placement(0.1, d - 0.22, h, 0.2)):
        papers(shop)
    with shop.mesh.placed(Placement(w - 0.2, -d + 0.2, h)):
        book_pile(shop)


def _build_television(shop: Workshop, piece: Piece) -> None:
    board = Piece(piece.width, piece.depth, 0.48, Nyu40.CABINET, piece.build)
    _build_cupboard(shop, board, Nyu40.CABINET, False, shop.materials.wood())
    width = min(1.15, piece.width - 0.1)
    with shop.mesh.placed(Placement(y=-0.05, z=0.48)), shop.mesh.thing(Nyu40.TELEVISION):
        shop.mesh.box((-0.2, -0.1, 0), (0.2, 0.14, 0.02), shop.materials.dark_metal(), Nyu40.TELEVISION)
        shop.mesh.box((-0.05, -0.02, 0.02), (0.05, 0, 0.2), shop.materials.dark_metal(), Nyu40.TELEVISION)
        screen(shop, width, width * 0.57, 0.08, shop.materials.picture(), Nyu40.TELEVISION)


def _build_counter(shop: Workshop, piece: Piece) -> None:
    front, stone, steel = shop.materials.lacquer(), shop.materials.stone(), shop.materials.steel()
    w, d, h = piece.width / 2, piece.depth / 2, piece.height
    body = Piece(piece.width, piece.depth - 0.02, h - 0.04, Nyu40.COUNTER, piece.build)
    _build_cupboard(shop, body, Nyu40.COUNTER, False, front)
    shop.mesh.box((-w, -d, h - 0.039), (w, d, h), stone, Nyu40.COUNTER)
    x = -w / 2
    tap = [(0.0, h + 0.3), (0.018, h + 0.29), (0.014, h)]
    with shop.mesh.thing(Nyu40.SINK):
        shop.mesh.box((x - 0.28, -0.2, h), (x + 0.28, 0.2, h + 0.012), steel, Nyu40.SINK)
        dark = shop.materials.dark_metal()
        shop.mesh.quad((x - 0.24, 0.16, h + 0.014), (0.48, 0, 0), (0, -0.32, 0), dark, Nyu40.SINK)
        shop.mesh.lathe(tap, steel, Nyu40.SINK, centre=(x, -0.24))
    with shop.mesh.placed(Placement(x=w * 0.45)):
        clutter(shop, piece.width / 2, piece.depth, h, 4)


def _build_refrigerator(shop: Workshop, piece: Piece) -> None:
    steel = shop.materials.steel()
    w, d, h = piece.width / 2, piece.depth / 2, piece.height
    shop.mesh.box((-w, -d, 0), (w, d - 0.04, h), steel, Nyu40.REFRIGERATOR)
    for z0, z1 in ((0.05, 0.62 * h), (0.63 * h, h)):
        shop.mesh.box((-w, d - 0.035, z0), (w, d, z1), steel, Nyu40.REFRIGERATOR)
        shop.mesh.box(
            (w - 0.09, d, z0 + 0.1),
            (w - 0.06, d + 0.03, z0 + 0.42),
            shop.materials.dark_metal(),
            Nyu40.REFRIGERATOR,
        )
    for _ in range(4):
        note = shop.materials.paper()
        x, z = float(shop.rng.uniform(-w + 0.2, w - 0.12)), float(shop.rng.uniform(0.95, h - 0.35))
        region = (0.0, 0.0, float(note.width), float(note.height))
        corner = (x + 0.1, d + float(shop.rng.uniform(0.002, 0.006)), z + 0.24)
        with shop.mesh.thing(Nyu40.PAPER):
            shop.mesh.quad(corner, (-0.17, 0, 0), (0, 0, -0.24), note, Nyu40.PAPER, region=region)


def _build_floor_lamp(shop: Workshop, piece: Piece) -> None:
    dark = shop.materials.dark_metal()
    shop.mesh.lathe([(0.014, 1.4), (0.014, 0.03), (0.15, 0.025), (0.15, 0.0)], dark, Nyu40.LAMP)
    lamp_shade(shop, 0.0, 0.0, 1.36, 0.22, 0.3, 3.0)


def _build_boxes(shop: Workshop, piece: Piece) -> None:
    w, d = piece.width / 2, piece.depth / 2
    carton = shop.materials.carton()
    lower = piece.height * 0.6
    shop.mesh.box((-w, -d, 0), (w, d, lower), carton, Nyu40.BOX)
    spot = Placement(z=lower, yaw=float(shop.rng.uniform(-0.3, 0.3)))
    with shop.mesh.placed(spot), shop.mesh.thing(Nyu40.BOX):
        upper = (0.7 * w, 0.7 * d, piece.height - lower)
        shop.mesh.box((-upper[0], -upper[1], 0.001), upper, shop.materials.carton(), Nyu40.BOX)


def _build_plant(shop: Workshop, piece: Piece) -> None:
    pot = [(0.15, 0.32), (0.13, 0.3), (0.11, 0.0)]
    shop.mesh.lathe([(0.0, 0.29), (0.145, 0.29)], shop.materials.carton(), Nyu40.OTHER_PROP)
    shop.mesh.lathe(pot, shop.materials.stone(), Nyu40.OTHER_PROP)
    leaf = shop.materials.leaf()
    for turn in np.linspace(0, 2 * np.pi, 16, endpoint=False):
        length, rise = shop.rng.uniform(0.24, 0.36), shop.rng.uniform(0.5, 1.6)
        t = np.linspace(0, 1, 7)
        along = 0.02 + length * t * math.cos(rise * 0.6)
        height = 0.29 + length * (rise * t - 0.75 * t**2)
        half_width = 0.055 * np.sin(np.pi * np.clip(t, 0.04, 0.97))
        edge = np.stack([along, half_width, height], -1), np.stack([along, -half_width, height], -1)
        texels = np.stack(np.meshgrid([0.0, 60.0], t * 300, indexing="ij")[::-1], axis=-1) + shop.rng.uniform(
            0, 200, 2
        )
        with shop.mesh.placed(Placement(yaw=float(turn + shop.rng.uniform(-0.2, 0.2)))):
            # A leaf has two sides.
            shop.mesh.grid(np.stack(edge), texels, leaf.texture, Nyu40.OTHER_PROP)
            shop.mesh.grid(np.stack(edge[::-1]) - [0, 0, 0.002], texels, leaf.texture, Nyu40.OTHER_PROP)


def table(width: float, depth: float, height: float = 0.75) -> Piece:
    """A table with things on it."""
    return Piece(width, depth, height, Nyu40.TABLE, _build_table)


def chair() -> Piece:
    """A wooden chair with a cushion."""
    return Piece(0.44, 0.44, 0.95, Nyu40.CHAIR, _build_chair)


def sofa(width: float) -> Piece:
    """A sofa or armchair with cushions."""
    return Piece(width, 0.9, 0.85, Nyu40.SOFA, _build_sofa)


def bed(width: float) -> Piece:
    """A bed with its headboard at the back."""
    return Piece(width, 2.05, 1.0, Nyu40.BED, _build_bed)


def bookshelf(width: float, height: float) -> Piece:
    """Shelves full of books."""
    return Piece(width, 0.3, height, Nyu40.BOOKSHELF, _build_bookshelf)


def cabinet(width: float, height: float) -> Piece:
    """A cupboard; things stand on it when it is low."""
    return Piece(width, 0.45, height, Nyu40.CABINET, _build_cabinet)


def dresser(width: float) -> Piece:
    """A chest of drawers."""
    return Piece(width, 0.48, 0.85, Nyu40.DRESSER, _build_dresser)


def night_stand() -> Piece:
    """A small chest with a lamp on it."""
    return Piece(0.45, 0.4, 0.5, Nyu40.NIGHT_STAND, _build_night_stand)


def desk(width: float) -> Piece:
    """A desk with screen, lamp, papers and books."""
    return Piece(width, 0.7, 0.74, Nyu40.DESK, _build_desk)


def television(width: float) -> Piece:
    """A television on a low board."""
    return Piece(width, 0.42, 1.25, Nyu40.CABINET, _build_television)


def counter(width: float) -> Piece:
    """A kitchen counter with a sink."""
    return Piece(width, 0.62, 0.92, Nyu40.COUNTER, _build_counter)


def refrigerator() -> Piece:
    """A refrigerator with notes on its door."""
    return Piece(0.66, 0.68, 1.8, Nyu40.REFRIGERATOR, _build_refrigerator)


def floor_lamp() -> Piece:
    """A standing lamp."""
    return Piece(0.42, 0.42, 1.7, Nyu40.LAMP, _build_floor_lamp)


def boxes(size: float) -> Piece:
    """Two cardboard boxes, one on the other."""
    return Piece(size, size * 0.8, size * 1.3, Nyu40.BOX, _build_boxes)


def plant() -> Piece:
    """A plant in a pot."""
    return Piece(0.7, 0.7, 0.7, Nyu40.OTHER_PROP, _build_plant)
