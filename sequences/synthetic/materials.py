"""The textures of one scene: painted when first asked for, with the size they are laid out at."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sequences.synthetic import textures
from sequences.synthetic.mesh import Material
from sequences.synthetic.photographs import PICTURES, load_photograph

_WOODS = [(150.0, 105.0, 65.0), (190.0, 150.0, 105.0), (105.0, 70.0, 48.0), (200.0, 175.0, 140.0)]
_WALL_TEXEL = 0.004
_SHARED_SIZE = 640
_BOOKS_PER_SHEET = 40


@dataclass
class MaterialLibrary:
    """Materials for one scene. Furniture shares a few woods and cloths; walls, floors and prints are unique.

    Attributes:
        rng: Chooses colours and paints the textures.
        images: The textures so far, uint8 [H, W, 3] each; a material's ``texture`` is an index into it.
    """

    rng: np.random.Generator
    images: list[NDArray[np.uint8]] = field(default_factory=list)
    _shared: dict[tuple[str, int], Material] = field(default_factory=dict)
    _photographs: list[str] = field(default_factory=list)
    _hung: int = 0

    def __post_init__(self) -> None:
        self._photographs = [str(name) for name in self.rng.permutation(PICTURES)]

    def _add(self, image: NDArray[np.uint8], metres_per_texel: float, *, grained: bool = False) -> Material:
        self.images.append(image)
        return Material(len(self.images) - 1, image.shape[1], image.shape[0], metres_per_texel, grained)

    def _paint(
        self, painter: textures.Painter, base: textures.Colour, width: float, height: float, texel: float
    ) -> Material:
        rows, columns = max(int(height / texel), 16), max(int(width / texel), 16)
        return self._add(painter(self.rng, rows, columns, base), texel, grained=painter is textures.wood)

    def _one_of(
        self, kind: str, count: int, painter: textures.Painter, texel: float, base: textures.Colour
    ) -> Material:
        """One of ``count`` shared textures of a kind."""
        key = (kind, int(self.rng.integers(count)))
        if key not in self._shared:
            side = _SHARED_SIZE * texel
            self._shared[key] = self._paint(painter, base, side, side, texel)
        return self._shared[key]

    def wood(self) -> Material:
        """Wood for furniture."""
        tone = _WOODS[self.rng.integers(len(_WOODS))]
        return self._one_of("wood", 4, textures.wood, 0.0035, tone)

    def cloth(self) -> Material:
        """Cloth for seats, beds and cushions."""
        base = textures.colour(self.rng, (0, 1), (0.12, 0.5), (0.4, 0.75))
        return self._one_of("cloth", 6, textures.fabric, 0.003, base)

    def lacquer(self) -> Material:
        """Light lacquered board for doors, kitchen fronts and frames."""
        base = textures.colour(self.rng, (0.05, 0.17), (0.03, 0.2), (0.7, 0.9))
        return self._one_of("lacquer", 3, textures.plaster, 0.003, base)

    def dark_metal(self) -> Material:
        """Dark metal or plastic for legs, stands, handles and frames of screens."""
        return self._one_of("dark metal", 1, textures.metal, 0.003, (52.0, 52.0, 56.0))

    def steel(self) -> Material:
        """Brushed steel for sinks and refrigerators."""
        return self._one_of("steel", 1, textures.metal, 0.003, (176.0, 178.0, 182.0))

    def carton(self) -> Material:
        """Printed cardboard."""
        base = textures.colour(self.rng, (0.06, 0.12), (0.3, 0.5), (0.6, 0.8))
        return self._one_of("carton", 3, textures.carton, 0.0025, base)

    def leaf(self) -> Material:
        """Leaves of plants."""
        return self._one_of("leaf", 1, textures.fabric, 0.001, (70.0, 120.0, 55.0))

    def stone(self) -> Material:
        """Stone worktops and vases: a photograph of gravel, fine enough to be granite."""
        if ("stone", 0) not in self._shared:
            self._shared["stone", 0] = self._add(load_photograph("gravel.png"), 0.0016)
        return self._shared["stone", 0]

    def shade(self) -> Material:
        """Translucent paper of lamp shades."""
        return self._one_of("shade", 1, textures.metal, 0.003, (250.0, 232.0, 196.0))

    def wall(self, width: float, height: float, *, papered: bool, base: textures.Colour) -> Material:
        """The paint or paper of one wall."""
        painter = textures.wallpaper if papered else textures.plaster
        return self._paint(painter, base, width, height, _WALL_TEXEL)

    def wall_colour(self) -> textures.Colour:
        """A light colour for the walls of a room."""
        return textures.colour(self.rng, (0, 1), (0.06, 0.22), (0.68, 0.84))

    def ceiling(self, width: float, height: float) -> Material:
        """White plaster."""
        return self._paint(textures.plaster, (226.0, 224.0, 218.0), width, height, 0.006)

    def floor(self, width: float, height: float, *, tiled: bool) -> Material:
        """Boards or stone tiles, painted for one floor."""
        if tiled:
            base = textures.colour(self.rng, (0.04, 0.14), (0.08, 0.3), (0.6, 0.8))
            return self._paint(textures.stone_tiles, base, width, height, _WALL_TEXEL)
        base = _WOODS[self.rng.integers(2)]
        return self._paint(textures.planks, base, width, height, _WALL_TEXEL)

    def rug(self, width: float, height: float) -> Material:
        """A carpet."""
        base = textures.colour(self.rng, (0, 1), (0.25, 0.6), (0.35, 0.65))
        return self._paint(textures.rug, base, width, height, 0.004)

    def curtain(self, width: float, height: float) -> Material:
        """Printed cloth for one curtain."""
        base = textures.colour(self.rng, (0, 1), (0.15, 0.5), (0.55, 0.85))
        return self._paint(textures.fabric, base, width, height, 0.004)

    def garment(self, painter: textures.Painter, base: textures.Colour) -> Material:
        """Cloth, leather or skin for one person."""
        return self._paint(painter, base, 1.2, 0.9, 0.002)

    def paper(self) -> Material:
        """A printed page, a calendar or a notice."""
        base = textures.colour(self.rng, (0, 1), (0.0, 0.12), (0.9, 1.0))
        return self._paint(textures.print_page, base, 0.21, 0.297, 0.001)

    def screen(self) -> Material:
        """What a computer's screen shows."""
        return self._paint(
            textures.print_page,
            textures.colour(self.rng, (0.5, 0.7), (0.1, 0.4), (0.6, 0.9)),
            0.56,
            0.34,
            0.002,
        )

    def whiteboard(self, width: float, height: float) -> Material:
        """A whiteboard that was written on."""
        return self._paint(textures.scribbles, (236.0, 238.0, 238.0), width, height, 0.004)

    def picture(self) -> Material:
        """A photograph; each hangs once before any hangs again, and from then on only a part of it."""
        photograph = load_photograph(self._photographs[self._hung % len(PICTURES)])
        if self._hung >= len(PICTURES):
            height, width = (int(side * self.rng.uniform(0.45, 0.7)) for side in photograph.shape[:2])
            top = int(self.rng.integers(0, photograph.shape[0] - height))
            left = int(self.rng.integers(0, photograph.shape[1] - width))
            photograph = photograph[top : top + height, left : left + width]
        self._hung += 1
        tint = self.rng.uniform(0.85, 1.1, 3)
        return self._add(np.clip(photograph * tint, 0, 255).astype(np.uint8), 0.002)

    def view(self, width: float, height: float) -> Material:
        """What is seen through one window."""
        if self.rng.uniform() < 0.35:
            photograph = load_photograph("china.jpg")
            left = int(self.rng.integers(0, photograph.shape[1] - 400))
            return self._add(np.ascontiguousarray(photograph[:, left : left + 400]), 0.003)
        sky = textures.colour(self.rng, (0.53, 0.6), (0.3, 0.6), (0.8, 0.95))
        return self._paint(textures.landscape, sky, width, height, 0.0035)

    def book_spines(self) -> tuple[Material, list[tuple[float, float, float, float]]]:
        """A sheet of book spines and the region of each spine in it."""
        key = ("spines", int(self.rng.integers(3)))
        if key not in self._shared:
            image = textures.book_spines(self.rng, 200, 30 * _BOOKS_PER_SHEET, _BOOKS_PER_SHEET)
            self._shared[key] = self._add(image, 0.0013)
        sheet = self._shared[key]
        return sheet, [(30.0 * i + 1, 1.0, 30.0 * i + 29, 199.0) for i in range(_BOOKS_PER_SHEET)]
