"""A wall painted so that the colour of every point says where it is, seen by a camera that faces it.

Red says where a point is across, green where it is down, and blue is the same everywhere. Whoever has an
image, the camera's intrinsics and nothing else finds the camera's place, if colours are in their places and
the intrinsics are right to a fraction of a pixel.
"""

from dataclasses import dataclass

import numpy as np

DISTANCE_M = 2.0
BLUE = 20
_LEVELS_PER_M = 70.0
_MIDDLE = 128.0


@dataclass(frozen=True)
class Place:
    """Where the camera is: metres, and turned about its optical axis by ``roll``, radians."""

    x: float
    y: float
    z: float
    roll: float

    @property
    def camera_to_world(self):
        """float64 [4, 4]."""
        pose = np.eye(4)
        pose[:2, :2] = [[np.cos(self.roll), -np.sin(self.roll)], [np.sin(self.roll), np.cos(self.roll)]]
        pose[:3, 3] = self.x, self.y, self.z
        return pose


def places(count):
    """A sweep along the wall, towards it, slowly turning; the first is not the origin."""
    way = np.arange(count) * 0.02
    return [Place(0.1 + 0.9 * step, -0.05 + 0.3 * step, 0.8 * step, 0.1 + 0.3 * step) for step in way]


def render(place, fx, fy, cx, cy, width, height):
    """rgb uint8 [H, W, 3] and depth float32 [H, W] of what the camera sees."""
    depth = DISTANCE_M - place.z
    ways = np.exp(1j * place.roll) * depth * _rays(fx, fy, cx, cy, width, height)
    red, green = (_MIDDLE + _LEVELS_PER_M * at for at in (place.x + ways.real, place.y + ways.imag))
    rgb = np.stack([red, green, np.full(red.shape, BLUE)], axis=-1)
    assert rgb.min() > 0
    assert rgb.max() < 255
    return np.round(rgb).astype(np.uint8), np.full((height, width), depth, np.float32)


def locate(blue_green_red, fx, fy, cx, cy):
    """The camera's place, from uint8 [3, H, W] and its intrinsics alone; some place for any image."""
    _, height, width = blue_green_red.shape
    _, green, red = (blue_green_red.astype(float) - _MIDDLE) / _LEVELS_PER_M
    seen = red + 1j * green
    rays = _rays(fx, fy, cx, cy, width, height)
    # seen = turn * rays + there, in the sense of least squares; the length of turn is the depth.
    around = rays - rays.mean()
    turn = (around.conj() * seen).sum() / (abs(around) ** 2).sum()
    there = seen.mean() - turn * rays.mean()
    return Place(there.real, there.imag, DISTANCE_M - abs(turn), np.angle(turn))


def is_the_wall(blue_green_red):
    """Whether an image, uint8 [3, H, W], is of the wall, and its first channel is blue."""
    return bool((blue_green_red[0] == BLUE).all())


def _rays(fx, fy, cx, cy, width, height):
    """complex [H, W]: what every pixel looks at one metre away, across and down."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return (columns - cx) / fx + 1j * (rows - cy) / fy
