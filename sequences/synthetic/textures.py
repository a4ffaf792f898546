"""Procedural textures without repeats: plaster, wallpaper, wood, stone, fabric, paper, book spines."""

import colorsys
import string
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[float, float, float]
_LETTERS = np.array(list(string.ascii_uppercase + string.digits))


def colour(
    rng: np.random.Generator,
    hue: tuple[float, float],
    saturation: tuple[float, float],
    value: tuple[float, float],
) -> Colour:
    """A random colour from ranges of hue, saturation and value (each 0 to 1), as RGB of 0 to 255."""
    red, green, blue = colorsys.hsv_to_rgb(
        rng.uniform(*hue) % 1.0, rng.uniform(*saturation), rng.uniform(*value)
    )
    return 255 * red, 255 * green, 255 * blue


def _as_image(values: NDArray[Any]) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _plain(height: int, width: int, fill: Colour) -> NDArray[np.float32]:
    return np.full((height, width, 3), fill, np.float32)


def _noise(
    rng: np.random.Generator, height: int, width: int, cell: tuple[float, float]
) -> NDArray[np.float32]:
    """Smooth noise of unit variance whose grains measure ``cell`` (rows, columns), pixels."""
    rows, columns = int(height / cell[0]) + 3, int(width / cell[1]) + 3
    coarse = rng.standard_normal((rows, columns)).astype(np.float32)
    size = (int(np.ceil(columns * cell[1])), int(np.ceil(rows * cell[0])))
    fine = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return fine[top : top + height, left : left + width]


def _cloud(rng: np.random.Generator, height: int, width: int, largest: float) -> NDArray[np.float32]:
    """Noise of all sizes from ``largest`` pixels down to two, roughly of unit variance."""
    total = np.zeros((height, width), np.float32)
    cell, weight, power = largest, 1.0, 0.0
    while cell >= 2:
        total += weight * _noise(rng, height, width, (cell, cell))
        power += weight**2
        cell, weight = cell / 2, weight * 0.72
    return total / np.float32(np.sqrt(power))


def plaster(rng: np.random.Generator, height: int, width: int, base: Colour) -> Image:
    """Painted plaster: uneven paint, roughness, scuffs and hairline cracks."""
    image = _plain(height, width, base)
    image += (7 * _cloud(rng, height, width, 160) + 5 * _noise(rng, height, width, (3, 3)))[..., None]
    # Spots of filler and dirt: what a feature detector holds on to on a bare wall.
    spots = _cloud(rng, height, width, 24)
    image -= (26 * np.clip(spots - 1.6, 0, 1.2))[..., None]
    image += (30 * np.clip(-spots - 1.7, 0, 1.0))[..., None]
    painted = _as_image(image)
    for _ in range(max(3, height * width // 60000)):
        start = rng.uniform((0, 0), (width, height))
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.45, 12))
        steps = np.stack([np.cos(heading), np.sin(heading)], -1) * rng.uniform(4, 14)
        points = np.rint(start + np.cumsum(steps, axis=0)).astype(np.int32)
        shade = rng.uniform(0.62, 0.85)
        cv2.polylines(painted, [points], False, [c * shade for c in base], 1, cv2.LINE_AA)
    return painted


def _blossom(rng: np.random.Generator, centre: NDArray[np.float64], size: float) -> NDArray[np.int32]:
    """A polygon like a flower, leaf or star, in 1/16 pixels."""
    petals = int(rng.integers(2, 7))
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    depth = rng.uniform(0.25, 0.8)
    radius = size * (1 - depth + depth * np.abs(np.cos(petals * (angle + rng.uniform(0, 6.3)) / 2)))
    radius = radius * rng.uniform(0.85, 1.15, size=len(angle)) ** 0.5
    return np.rint(16 * (centre + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1))).astype(
        np.int32
    )


def _scatter(rng: np.random.Generator, height: int, width: int, spacing: float) -> NDArray[np.float64]:
    """Random points about ``spacing`` apart, in random order, float64 [N, 2] (column, row)."""
    rows, columns = np.meshgrid(
        np.arange(0, height + spacing, spacing), np.arange(0, width + spacing, spacing), indexing="ij"
    )
    points = np.stack([columns.ravel(), rows.ravel()], -1)
    return rng.permutation(points + rng.uniform(-0.5, 0.5, points.shape) * spacing)


def wallpaper(rng: np.random.Generator, height: int, width: int, base: Colour) -> Image:
    """Wallpaper with blossoms and leaves strewn over it, no two alike."""
    image = _as_image(_plain(height, width, base) + (4 * _cloud(rng, height, width, 100))[..., None])
    inks = [
        tuple(np.clip(np.array(base) * rng.uniform(0.45, 0.8) + rng.uniform(-25, 25, 3), 0, 255))
        for _ in range(3)
    ]
    inks.append(tuple(min(255.0, c * 1.12 + 8) for c in base))
    for centre in _scatter(rng, height, width, 21):
        polygon = _blossom(rng, centre, rng.uniform(4, 14))
        cv2.fillPoly(image, [polygon], inks[rng.integers(len(inks))], cv2.LINE_AA, shift=4)
    grain = 3 * _noise(rng, height, width, (2, 2))[..., None]
    return _as_image(image + grain)


def wood(rng: np.random.Generator, height: int, width: int, base: Colour) -> Image:
    """Wood with its grain along the rows, with rings and a few knots."""
    bend = 9 * _noise(rng, height, width, (60, 260)) + 2 * _noise(rng, height, width, (12, 90))
    rows = np.arange(height, dtype=np.float32)[:, None] + bend
    columns = np.arange(width, dtype=np.float32)[None, :]
    for _ in range(max(2, height * width // 45000)):
        x, y, size = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(5, 12)
        pull = np.exp(-(((columns - x) / (3 * size)) ** 2) - ((rows - y) / size) ** 2)
        rows = rows + size * 2.2 * pull * np.sign(rows - y)
    rings = np.sin(rows * rng.uniform(0.35, 0.6) + 1.5 * _noise(rng, height, width, (30, 120)))
    grain = 0.5 * rings + 0.8 * _noise(rng, height, width, (2, 40)) + 0.5 * _noise(rng, height, width, (3, 9))
    tone = 1 + 0.085 * grain + 0.07 * _cloud(rng, height, width, 150)
    return _as_image(_plain(height, width, base) * tone[..., None])


def planks(rng: np.random.Generator, height: int, width: int, base: Colour) -> Image:
    """A floor of boards along the rows, each cut from another piece of wood."""
    source = wood(rng, height, width, base).astype(np.float32)
    image = source.copy()
    top = 0
    while top < height:
        board = int(rng.integers(28, 40))
        left = -int(rng.integers(0, 170))
        while left < width:
            length = int(rng.integers(180, 420))
            rows, columns = (
                slice(top, min(top + board, height)),
                slice(max(left, 0), min(left + length, width)),
            )
            shape = (rows.stop - rows.start, max(columns.stop - columns.start, 0))
            y, x = rng.integers(0, height - shape[0] + 1), rng.integers(0, width - shape[1] + 1)
            tint = rng.uniform(0.72, 1.18) * rng.uniform(0.96, 1.04, 3)
            image[rows, columns] = source[y : y + shape[0], x : x + shape[1]] * tint
            image[rows, columns][:, -2:] *= 0.45
            left += length
        image[max(top - 1, 0) : top + 1] *= 0.5
        top += board
    return _as_image(image)


def stone_tiles(rng: np.random.Generator, height: int, width: int, base: Colour) -> Image:
    """Tiles of veined stone, every tile with its own veins and tint."""
    size = int(rng.integers(70, 100))
    cloud = _cloud(rng, height, width, 60)
    image = _plain(height, width, base)
    grout = np.array(base) * 0.55
    for top in range(0, height, size):
        for left in range(0, width, size):
            tile = image[top : top + size, left : left + size]
            h, w = tile.shape[:2]
            y, x = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
            marble = cloud[y : y + h, x : x + w]
            veins = np.exp(-((marble / 0.12) ** 2))
            tile *= (rng.uniform(0.82, 1.1) * (1 + 0.09 * marble - 0.3 * veins))[..., None]
            tile[:3] = grout
            tile[:, :3] = grout
    return _as_image(image + 5 * _noise(rng, height, width, (2, 2))[..., None])


def fabric(rng: np.random.Generator, height: int, width: int, base: Colour) -> Image:
    """Woven cloth with stripes of uneven width and a strewn print."""
    image = _as_image(_plain(height, width, base))
    accents = [
        tuple(np.clip(np.array(base) * rng.uniform(0.5, 1.5) + rng.uniform(-40, 40, 3), 0, 255))
        for _ in range(4)
    ]
    left = 0
    while left < width:
        stripe = int(rng.integers(6, 46))
        if rng.uniform() < 0.45:
            image[:, left : left + stripe] = 0.4 * np.array(base) + 0.6 * np.array(accents[rng.integers(4)])
        left += stripe
    for centre in _scatter(rng, height, width, 30):
        if rng.uniform() < 0.6:
            polygon = _blossom(rng, centre, rng.uniform(5, 16))
            cv2.fillPoly(image, [polygon], accents[rng.integers(4)], cv2.LINE_AA, shift=4)
    weave = _noise(rng, height, width, (1.5, 4)) + _noise(rng, height, width, (4, 1.5))
    return _as_image(image * (1 + 0.05 * weave + 0.05 * _cloud(rng, height, width, 90))[..., None])


def bold_print(rng: np.random.Generator, height: int, width: int, base: Colour) -> Image:
    """Cloth strewn with figures and letters, light and dark: what a feature detector prefers to all else."""
    image = _as_image(_plain(height, width, base))
    inks = [colour(rng, (0, 1), (0.2, 1.0), (0.05, 0.3)) for _ in range(2)]
    inks += [colour(rng, (0, 1), (0.0, 0.5), (0.9, 1.0)) for _ in range(2)]
    for centre in _scatter(rng, height, width, 22):
        ink = inks[rng.integers(len(inks))]
        if rng.uniform() < 0.3:
            x, y = (int(value) for value in centre)
            _write(rng, image, x, y, rng.uniform(0.5, 1.0), int(rng.integers(1, 4)), ink)
        else:
            polygon = _blossom(rng, centre, rng.uniform(5, 13))
            cv2.fillPoly(image, [polygon], ink, cv2.LINE_AA, shift=4)
    return _as_image(image * (1 + 0.05 * _cloud(rng, height, width, 90))[..., None])


def rug(rng: np.random.Generator, height: int, width: int, base: Colour) -> Image:
    """A carpet: borders within borders around a field of irregular figures."""
    image = _as_image(_plain(height, width, base))
    inset = 0
    while inset < min(height, width) // 4:
        band = int(rng.integers(4, 16))
        shade = np.clip(np.array(base) * rng.uniform(0.3, 1.6) + rng.uniform(-50, 50, 3), 0, 255)
        cv2.rectangle(image, (inset, inset), (width - inset - 1, height - inset - 1), shade.tolist(), -1)
        inset += band
    for centre in _scatter(rng, height, width, 34):
        shade = np.clip(np.array(base) * rng.uniform(0.2, 1.9) + rng.uniform(-50, 50, 3), 0, 255)
        polygon = _blossom(rng, centre, rng.uniform(8, 24))
        cv2.fillPoly(image, [polygon], shade.tolist(), cv2.LINE_AA, shift=4)
    return _as_image(image * (1 + 0.09 * _noise(rng, height, width, (2, 2)))[..., None])


def metal(rng: np.random.Generator, height: int, width: int, base: Colour) -> Image:
    """Brushed or lacquered metal with faint marks."""
    image = _plain(height, width, base)
    image *= (1 + 0.03 * _noise(rng, height, width, (1.5, 60)) + 0.05 * _cloud(rng, height, width, 120))[
        ..., None
    ]
    return _as_image(image)


def carton(rng: np.random.Generator, height: int, width: int, base: Colour) -> Image:
    """Cardboard with tape, print and stickers."""
    image = _plain(height, width, base)
    image *= (1 + 0.04 * _noise(rng, height, width, (40, 3)) + 0.05 * _cloud(rng, height, width, 90))[
        ..., None
    ]
    printed = _as_image(image)
    for _ in range(height * width // 9000):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(16, 70, size=2)
        shade = colour(rng, (0, 1), (0.0, 0.7), (0.3, 1.0))
        cv2.rectangle(
            printed, (int(x), int(y)), (int(x + w), int(y + h)), shade, -1 if rng.uniform() < 0.6 else 2
        )
        _write(rng, printed, int(x) + 3, int(y) + 12, rng.uniform(0.35, 0.8), int(rng.integers(3, 9)))
    return printed


def print_page(rng: np.random.Generator, height: int, width: int, base: Colour) -> Image:
    """Paper with headings, lines of text and a chart: documents, calendars, notices, screens."""
    image = _as_image(_plain(height, width, base))
    row = int(height * 0.04) + 14
    while row < height - 10:
        if rng.uniform() < 0.16:
            h = int(rng.integers(18, 40))
            bars = rng.uniform(0.1, 1.0, 8)
            for index, bar in enumerate(bars):
                x = int(width * (0.08 + 0.1 * index))
                shade = colour(rng, (0, 1), (0.4, 0.9), (0.4, 0.9))
                cv2.rectangle(image, (x, row + int(h * (1 - bar))), (x + width // 14, row + h), shade, -1)
            row += h + 16
        else:
            heading = rng.uniform() < 0.2
            _write(
                rng, image, int(width * 0.06), row, 0.7 if heading else 0.38, width // (14 if heading else 9)
            )
            row += 22 if heading else 13
    return image


def scribbles(rng: np.random.Generator, height: int, width: int, base: Colour) -> Image:
    """A whiteboard after a meeting: curves, boxes, arrows and letters in a few inks."""
    image = _as_image(_plain(height, width, base) + (2 * _cloud(rng, height, width, 120))[..., None])
    inks = [(30.0, 60.0, 160.0), (170.0, 40.0, 40.0), (30.0, 110.0, 60.0), (40.0, 40.0, 45.0)]
    for _ in range(height * width // 5500):
        ink = inks[rng.integers(len(inks))]
        x, y = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        drawing = rng.integers(3)
        if drawing == 0:
            walk = np.cumsum(rng.normal(0, 9, (14, 2)), axis=0) + np.array([x, y])
            cv2.polylines(image, [np.rint(walk).astype(np.int32)], False, ink, 2, cv2.LINE_AA)
        elif drawing == 1:
            end = (x + int(rng.integers(20, 70)), y + int(rng.integers(14, 50)))
            cv2.rectangle(image, (x, y), end, ink, 2)
        else:
            _write(rng, image, x, y, rng.uniform(0.4, 0.9), int(rng.integers(3, 12)), ink)
    return image


def book_spines(rng: np.random.Generator, height: int, width: int, count: int) -> Image:
    """Spines of ``count`` books side by side, all of one width, each with its own colours and title."""
    spine = width // count
    sheet = np.zeros((height, width, 3), np.uint8)
    for index in range(count):
        base = colour(rng, (0, 1), (0.15, 0.85), (0.25, 0.95))
        ink = (245.0, 240.0, 225.0) if sum(base) < 380 else (25.0, 25.0, 35.0)
        lying = _as_image(_plain(spine, height, base))
        for _ in range(int(rng.integers(1, 4))):
            x = int(rng.uniform(0, height))
            shade = colour(rng, (0, 1), (0.0, 0.9), (0.1, 1.0))
            cv2.rectangle(lying, (x, 0), (x + int(rng.integers(3, 22)), spine), shade, -1)
        _write(rng, lying, int(height * 0.12), int(spine * 0.66), spine / 34, int(rng.integers(6, 14)), ink)
        sheet[:, index * spine : (index + 1) * spine] = np.rot90(lying, -1)
    return _as_image(sheet + 4 * _noise(rng, height, width, (2, 2))[..., None])


def landscape(rng: np.random.Generator, height: int, width: int, base: Colour) -> Image:
    """What is seen through a window: sky with clouds, hills, houses, trees."""
    fade = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    image = np.array(base, np.float32) * (1 - fade) + np.array((235.0, 240.0, 245.0), np.float32) * fade
    image = np.repeat(image, width, axis=1)
    clouds = np.clip(_cloud(rng, height, width, 140), 0, 1.5)[..., None]
    image += clouds * (255 - image) * 0.6
    for layer in range(4):
        line = height * (0.5 + 0.11 * layer) + 22 * _noise(rng, 1, width, (1, 90 - 15 * layer))[0]
        below = np.arange(height)[:, None] > line[None, :]
        green = np.array(colour(rng, (0.2, 0.4), (0.3, 0.6), (0.3, 0.6)), np.float32)
        leaves = 1 + 0.16 * _cloud(rng, height, width, 20 + 10 * layer)
        image = _as_image(np.where(below[..., None], green * leaves[..., None], image))
        for _ in range(3):
            x, h, w = rng.uniform(0, width), rng.uniform(20, 60), rng.uniform(30, 70)
            y = line[min(int(x), width - 1)] + 12
            wall = colour(rng, (0.0, 0.15), (0.1, 0.5), (0.6, 0.95))
            cv2.rectangle(image, (int(x), int(y - h)), (int(x + w), int(y)), wall, -1)
            roof = np.array([[x - 5, y - h], [x + w + 5, y - h], [x + w / 2, y - h - 24]]).astype(np.int32)
            cv2.fillPoly(image, [roof], colour(rng, (0.0, 0.08), (0.4, 0.7), (0.35, 0.6)), cv2.LINE_AA)
            for step in range(3):
                corner = (int(x + w * (0.12 + 0.3 * step)), int(y - h * 0.7))
                cv2.rectangle(
                    image, corner, (corner[0] + int(w * 0.14), corner[1] + int(h * 0.3)), (60, 70, 90), -1
                )
    return image


def _write(
    rng: np.random.Generator,
    image: Image,
    x: int,
    y: int,
    scale: float,
    letters: int,
    ink: Colour = (40.0, 40.0, 50.0),
) -> None:
    """Write random letters and digits, with gaps, with their base line starting at (x, y)."""
    text = "".join(rng.choice(_LETTERS, max(letters, 1)))
    words = " ".join(text[start : start + 5] for start in range(0, len(text), 5))
    cv2.putText(
        image, words, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 2 if scale > 0.6 else 1, cv2.LINE_AA
    )


Painter = Callable[[np.random.Generator, int, int, Colour], Image]
