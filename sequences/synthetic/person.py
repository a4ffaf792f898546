"""A person to walk about: a clothed body of limbs that turn at their joints, and how it walks.

The frame of a person: origin on the floor between the feet, z up, +y the front. All sizes are metres.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sequences.synthetic import textures
from sequences.synthetic.labels import Nyu40
from sequences.synthetic.materials import MaterialLibrary
from sequences.synthetic.mesh import Material, Mesh, MeshBuilder

_HIP, _THIGH, _SHIN = 0.9, 0.42, 0.48
_SHOULDER, _UPPER_ARM = 1.4, 0.29
_HIP_WIDTH, _SHOULDER_WIDTH = 0.09, 0.215
# How far legs and arms swing forwards and backwards, radians.
_LEG_SWING, _ARM_SWING = 0.36, 0.42
_EVENNESS = 0.98
_KNEE_BEND, _ELBOW_BEND = 0.85, 0.4
# What a full cycle of two steps covers: the feet then hardly slide.
STRIDE = 4 * _HIP * float(np.sin(_LEG_SWING))
_RING_POINTS = 25
# The exponent of a cosine that makes a ring rounder than a box and boxier than an ellipse.
_ROUNDNESS = 0.75
_SKINS = [(224.0, 178.0, 148.0), (190.0, 138.0, 104.0), (128.0, 86.0, 62.0), (236.0, 196.0, 170.0)]
_HAIRS = [(52.0, 38.0, 30.0), (96.0, 66.0, 40.0), (28.0, 26.0, 28.0), (170.0, 132.0, 82.0)]


class Limb(IntEnum):
    """The parts of a body that move by themselves."""

    BODY = 0
    LEFT_THIGH = 1
    RIGHT_THIGH = 2
    LEFT_SHIN = 3
    RIGHT_SHIN = 4
    LEFT_UPPER_ARM = 5
    RIGHT_UPPER_ARM = 6
    LEFT_FOREARM = 7
    RIGHT_FOREARM = 8


@dataclass(frozen=True)
class Person:
    """A body whose limbs can be turned.

    Attributes:
        mesh: Its surfaces; every limb in its own frame with its joint as the origin.
        limbs: int64 [V], the limb of each vertex.
        size: Factor on everything.
    """

    mesh: Mesh
    limbs: NDArray[np.int64]
    size: float

    def walking(self, walked: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Vertices and normals in the frame of the person after some metres of walking, both [V, 3]."""
        turns, places = _gait(2 * np.pi * walked / (STRIDE * self.size))
        rotations = turns[self.limbs]
        vertices = np.einsum("vij,vj->vi", rotations, self.mesh.vertices) + places[self.limbs]
        # Whichever foot is lower carries the body.
        vertices[:, 2] -= vertices[:, 2].min()
        return self.size * vertices, np.einsum("vij,vj->vi", rotations, self.mesh.normals)


def build_person(rng: np.random.Generator, materials: MaterialLibrary) -> Person:
    """Make up a person: height, build, skin, hair, and clothes with prints that a feature tracker likes.

    Args:
        rng: Decides all of it.
        materials: Where its textures go.
    """
    builder = MeshBuilder(rng)
    tailor = _Tailor(builder, _Wardrobe.choose(rng, materials), float(rng.uniform(0.92, 1.1)))
    # A limb is built as a thing of its own, which tells its vertices from the others.
    for limb in Limb:
        with builder.thing(limb):
            tailor.sew(limb)
    mesh = builder.build()
    limbs = np.zeros(len(mesh.vertices), np.int64)
    limbs[mesh.triangles] = mesh.things[:, None]
    return Person(mesh, limbs, float(rng.uniform(0.93, 1.05)))


@dataclass(frozen=True)
class _Wardrobe:
    """What a person is covered with."""

    shirt: Material
    trousers: Material
    shoes: Material
    skin: Material
    hair: Material

    @classmethod
    def choose(cls, rng: np.random.Generator, materials: MaterialLibrary) -> "_Wardrobe":
        shirt_colour = textures.colour(rng, (0, 1), (0.35, 0.8), (0.5, 0.9))
        trouser_colour = textures.colour(rng, (0.5, 0.75), (0.1, 0.5), (0.25, 0.55))
        shoe_colour = textures.colour(rng, (0, 1), (0.0, 0.4), (0.2, 0.8))
        return cls(
            shirt=materials.garment(textures.bold_print, shirt_colour),
            trousers=materials.garment(textures.fabric, trouser_colour),
            shoes=materials.garment(textures.metal, shoe_colour),
            skin=materials.garment(textures.metal, _SKINS[rng.integers(len(_SKINS))]),
            hair=materials.garment(textures.wood, _HAIRS[rng.integers(len(_HAIRS))]),
        )


@dataclass(frozen=True)
class _Tailor:
    """Builds the limbs of one person.

    Attributes:
        mesh: Where they are built.
        wardrobe: What they are covered with.
        girth: Factor on all widths.
    """

    mesh: MeshBuilder
    wardrobe: _Wardrobe
    girth: float

    def sew(self, limb: Limb) -> None:
        """Build one limb, its joint at the origin."""
        clothes = self.wardrobe
        if limb is Limb.BODY:
            self._body()
        elif limb in (Limb.LEFT_THIGH, Limb.RIGHT_THIGH):
            thigh = [(0.03, 0.085, 0.095), (-0.12, 0.085, 0.09), (-_THIGH - 0.02, 0.058, 0.062)]
            self._tube(thigh, clothes.trousers)
        elif limb in (Limb.LEFT_SHIN, Limb.RIGHT_SHIN):
            shin = [(0.02, 0.056, 0.06), (-0.14, 0.054, 0.06), (-_SHIN + 0.07, 0.042, 0.048)]
            self._tube(shin, clothes.trousers)
            self.mesh.cushion((0, 0.06, -_SHIN + 0.045), (0.1, 0.27, 0.09), clothes.shoes, Nyu40.PERSON)
        elif limb in (Limb.LEFT_UPPER_ARM, Limb.RIGHT_UPPER_ARM):
            sleeve = [
                (0.04, 0.03, 0.035),
                (0.015, 0.05, 0.055),
                (-0.05, 0.056, 0.06),
                (-_UPPER_ARM - 0.01, 0.044, 0.046),
            ]
            self._tube(sleeve, clothes.shirt)
        else:
            self._tube([(0.02, 0.04, 0.042), (-0.07, 0.042, 0.044), (-0.24, 0.028, 0.03)], clothes.skin)
            self.mesh.cushion((0, 0.01, -0.3), (0.045, 0.09, 0.16), clothes.skin, Nyu40.PERSON)

    def _body(self) -> None:
        clothes = self.wardrobe
        torso = [(1.475, 0.075, 0.06), (1.45, 0.15, 0.085), (1.4, 0.2, 0.105), (1.25, 0.195, 0.125)]
        torso += [(1.05, 0.165, 0.11), (0.93, 0.18, 0.12), (0.88, 0.185, 0.125)]
        self._tube(torso, clothes.shirt)
        self._tube([(0.9, 0.178, 0.118), (0.84, 0.175, 0.12), (0.78, 0.12, 0.1)], clothes.trousers)
        self._tube([(1.55, 0.055, 0.058), (1.44, 0.062, 0.062)], clothes.skin)
        face = [(1.745, 0.045, 0.055), (1.72, 0.068, 0.085), (1.65, 0.078, 0.098), (1.58, 0.072, 0.092)]
        self._tube([*face, (1.53, 0.05, 0.065), (1.51, 0.025, 0.035)], clothes.skin, forward=0.015)
        hair = [(1.775, 0.04, 0.05), (1.755, 0.068, 0.085), (1.69, 0.086, 0.1), (1.62, 0.086, 0.085)]
        self._tube([*hair, (1.56, 0.074, 0.06)], clothes.hair, forward=-0.022)
        self.mesh.cushion((0, 0.118, 1.615), (0.028, 0.045, 0.05), clothes.skin, Nyu40.PERSON)
        for side in (-1, 1):
            self.mesh.cushion((side * 0.033, 0.104, 1.65), (0.03, 0.02, 0.016), clothes.hair, Nyu40.PERSON)
        self.mesh.cushion((0, 0.102, 1.565), (0.05, 0.02, 0.012), clothes.hair, Nyu40.PERSON)

    def _tube(
        self, rings: list[tuple[float, float, float]], material: Material, *, forward: float = 0.0
    ) -> None:
        """Add a closed upright tube: height, half width and half depth of its rings, from above."""
        height, wide, deep = np.array(rings).T
        wide, deep = wide * self.girth, deep * self.girth
        # A ring of no size at either end closes it.
        height = np.concatenate([height[:1], height, height[-1:]])
        wide, deep = (np.concatenate([[0.0], half, [0.0]]) for half in (wide, deep))
        angle = np.linspace(0, 2 * np.pi, _RING_POINTS)
        across, along = (np.sign(f(angle)) * np.abs(f(angle)) ** _ROUNDNESS for f in (np.cos, np.sin))
        points = np.stack(
            np.broadcast_arrays(wide[:, None] * across, forward + deep[:, None] * along, height[:, None]), -1
        )
        columns = angle * float((wide + deep).max() / 2) / material.metres_per_texel
        down = np.cumsum(np.hypot(np.diff(wide, prepend=0.0), np.diff(height, prepend=height[0])))
        rows = down / material.metres_per_texel
        texels = np.stack(np.broadcast_arrays(columns[None, :], rows[:, None]), -1)
        self.mesh.grid(points, texels, material.texture, Nyu40.PERSON)


def _gait(phase: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the limbs are in the course of two steps: rotations [limbs, 3, 3] and joints [limbs, 3]."""
    turns, places = np.tile(np.eye(3), (len(Limb), 1, 1)), np.zeros((len(Limb), 3))
    for side, left in ((1, 0.0), (-1, np.pi)):
        # Nearly a triangle wave: a foot on the floor must go backwards as evenly as the body goes forwards.
        swing = np.arcsin(_EVENNESS * np.sin(phase + left)) / np.arcsin(_EVENNESS)
        lift = np.cos(phase + left)
        offset = 0 if side > 0 else 1
        thigh, shin = Limb.LEFT_THIGH + offset, Limb.LEFT_SHIN + offset
        arm, forearm = Limb.LEFT_UPPER_ARM + offset, Limb.LEFT_FOREARM + offset
        hip = _LEG_SWING * swing
        # The knee bends while its leg swings forwards.
        knee = hip - 0.08 - _KNEE_BEND * max(lift, 0.0) ** 2
        shoulder = -_ARM_SWING * swing
        elbow = shoulder + _ELBOW_BEND + 0.2 * max(shoulder, 0.0)
        for limb, angle in ((thigh, hip), (shin, knee), (arm, shoulder), (forearm, elbow)):
            turns[limb] = _forwards(angle)
        places[thigh] = (-side * _HIP_WIDTH, 0.0, _HIP)
        places[shin] = places[thigh] + turns[thigh] @ (0.0, 0.0, -_THIGH)
        places[arm] = (-side * _SHOULDER_WIDTH, 0.0, _SHOULDER)
        places[forearm] = places[arm] + turns[arm] @ (0.0, 0.0, -_UPPER_ARM)
    return turns, places


def _forwards(angle: float) -> NDArray[np.float64]:
    """Turns what hangs down forwards (towards +y) by an angle, float64 [3, 3]."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
