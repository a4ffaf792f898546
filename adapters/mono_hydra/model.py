"""What passes between the stages of the metric-semantic backend."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: The label of pixels and vertices whose class is not known.
LABEL_UNKNOWN = 255


@dataclass(frozen=True)
class RgbdLabels:
    """One image with depth and labels, as all stages behind tracking see it.

    Attributes:
        index: Of the frame in its sequence.
        timestamp_ns: When it was taken.
        rgb: uint8 [H, W, 3].
        depth: float32 [H, W], metres along the optical axis, 0 where unknown.
        labels: uint8 [H, W], 255 where unknown; None without labels.
    """

    index: int
    timestamp_ns: int
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    labels: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class LabelledMesh:
    """A triangle mesh with colours and labels.

    Attributes:
        vertices: float32 [V, 3], metres in the map's world.
        normals: float32 [V, 3], unit vectors into free space.
        colours: uint8 [V, 3], red, green, blue.
        labels: uint8 [V], 255 where unknown.
        triangles: int32 [T, 3], indices of vertices.
    """

    vertices: NDArray[np.float32]
    normals: NDArray[np.float32]
    colours: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    triangles: NDArray[np.int32]
