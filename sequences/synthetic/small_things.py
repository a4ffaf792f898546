"""Small things that stand on furniture: papers, cartons, vases, books, photographs, screens, lamps.

Each is a thing of its own unless it says otherwise, built in the frame of what it stands on; see
``sequences.synthetic.furniture`` for the axes.
"""

import numpy as np

from sequences.synthetic.labels import Nyu40
from sequences.synthetic.mesh import Material, Placement
from sequences.synthetic.workshop import WARM, Light, Workshop


def clutter(shop: Workshop, width: float, depth: float, height: float, count: int) -> None:
    """Small things strewn over a flat top: papers, cartons, vases, piles of books."""
    for slot in np.linspace(-width / 2 + 0.16, width / 2 - 0.16, count):
        y = shop.rng.uniform(-0.25, 0.2) * max(depth - 0.3, 0.05)
        spot = Placement(float(slot), float(y), height, float(shop.rng.uniform(-0.5, 0.5)))
        with shop.mesh.placed(spot):
            _THINGS[shop.rng.integers(len(_THINGS))](shop)


def papers(shop: Workshop) -> None:
    """A sheet of print on a thin pile."""
    sheet = shop.materials.paper()
    region = (0.0, 0.0, float(sheet.width), float(sheet.height))
    corner, right, down = (-0.105, 0.148, 0.016), (0.21, 0, 0), (0, -0.296, 0)
    with shop.mesh.thing(Nyu40.PAPER):
        shop.mesh.box((-0.105, -0.148, 0.0), (0.105, 0.148, 0.012), sheet, Nyu40.PAPER)
        shop.mesh.quad(corner, right, down, sheet, Nyu40.PAPER, region=region)


def carton(shop: Workshop) -> None:
    """A small printed box."""
    w, d, h = shop.rng.uniform((0.1, 0.06, 0.12), (0.2, 0.12, 0.28))
    with shop.mesh.thing(Nyu40.BOX):
        shop.mesh.box((-w / 2, -d / 2, 0.0), (w / 2, d / 2, h), shop.materials.carton(), Nyu40.BOX)


def vase(shop: Workshop) -> None:
    """A vase of stone or painted with a print."""
    h, r = shop.rng.uniform(0.16, 0.3), shop.rng.uniform(0.045, 0.075)
    profile = [(0.55 * r, h), (0.45 * r, 0.85 * h), (r, 0.45 * h), (0.8 * r, 0.15 * h), (0.55 * r, 0.0)]
    material = shop.materials.stone() if shop.rng.uniform() < 0.5 else shop.materials.cloth()
    with shop.mesh.thing(Nyu40.OTHER_PROP):
        shop.mesh.lathe(profile, material, Nyu40.OTHER_PROP)


def book_pile(shop: Workshop) -> None:
    """A few books lying on each other."""
    with shop.mesh.thing(Nyu40.BOOKS):
        lying_books(shop)


def lying_books(shop: Workshop) -> None:
    """A few books lying on each other; part of the thing that they are among."""
    sheet, spines = shop.materials.book_spines()
    z = 0.0
    for _ in range(int(shop.rng.integers(2, 6))):
        w, d, h = shop.rng.uniform((0.18, 0.13, 0.02), (0.26, 0.18, 0.045))
        region = spines[shop.rng.integers(len(spines))]
        with shop.mesh.placed(Placement(z=z, yaw=float(shop.rng.uniform(-0.25, 0.25)))):
            shop.mesh.box((-w / 2, -d / 2, 0.001), (w / 2, d / 2, h), sheet, Nyu40.BOOKS, front=region)
        z += float(h)


def framed_photograph(shop: Workshop) -> None:
    """A photograph in a frame that stands by itself."""
    picture = shop.materials.picture()
    width = 0.2
    height = width * picture.height / picture.width
    w, top = width / 2 + 0.015, height + 0.03
    region = (0.0, 0.0, float(picture.width), float(picture.height))
    corner = (width / 2, 0.003, height + 0.015)
    with shop.mesh.thing(Nyu40.PICTURE):
        shop.mesh.box((-w, -0.02, 0), (w, 0, top), shop.materials.wood(), Nyu40.PICTURE)
        shop.mesh.quad(corner, (-width, 0, 0), (0, 0, -height), picture, Nyu40.PICTURE, region=region)


def screen(shop: Workshop, width: float, height: float, bottom: float, image: Material, label: int) -> None:
    """A flat screen that shows an image, facing +y; part of the thing that it stands on."""
    dark = shop.materials.dark_metal()
    shop.mesh.box((-width / 2, 0.0, bottom), (width / 2, 0.035, bottom + height), dark, label)
    region = (0.0, 0.0, float(image.width), float(image.height))
    shop.mesh.quad(
        (width / 2 - 0.015, 0.038, bottom + height - 0.015),
        (-width + 0.03, 0, 0),
        (0, 0, -height + 0.03),
        image,
        label,
        region=region,
        emission=0.85,
    )


def table_lamp(shop: Workshop, x: float, y: float, z: float) -> None:
    """A lamp with a stone foot, standing at (x, y, z)."""
    profile = [(0.012, z + 0.24), (0.012, z + 0.12), (0.055, z + 0.07), (0.06, z + 0.01), (0.06, z)]
    with shop.mesh.thing(Nyu40.LAMP):
        shop.mesh.lathe(profile, shop.materials.stone(), Nyu40.LAMP, centre=(x, y))
        lamp_shade(shop, x, y, z + 0.2, 0.12, 0.18, 0.9)


def lamp_shade(
    shop: Workshop, x: float, y: float, bottom: float, radius: float, height: float, power: float
) -> None:
    """A shining shade around a light of the given power at one metre; part of the lamp it belongs to."""
    profile = [(0.62 * radius, bottom + height), (radius, bottom)]
    shop.mesh.lathe(profile, shop.materials.shade(), Nyu40.LAMP, centre=(x, y), emission=1.02)
    position = shop.mesh.to_world((x, y, bottom + height * 0.6))
    shop.lights.append(Light(position, power * WARM))


_THINGS = (papers, carton, vase, book_pile, framed_photograph)
