"""What every builder of scenery works with: mesh, materials, chance and the lights built so far."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sequences.synthetic.materials import MaterialLibrary
from sequences.synthetic.mesh import MeshBuilder

# Colour of lamp light.
WARM = np.array([1.0, 0.86, 0.68])


@dataclass(frozen=True)
class Light:
    """A small source of light.

    Attributes:
        position: float64 [3], metres in the world.
        intensity: float64 [3], red, green, blue; irradiance at one metre straight ahead.
        normal: float64 [3], for a source that shines to one side like a window; None shines all around.
    """

    position: NDArray[np.float64]
    intensity: NDArray[np.float64]
    normal: NDArray[np.float64] | None = None


@dataclass
class Workshop:
    """What builders of scenery need: the mesh to add to, materials, chance, and the lights so far."""

    mesh: MeshBuilder
    materials: MaterialLibrary
    rng: np.random.Generator
    lights: list[Light] = field(default_factory=list)
