"""Files of weights of a small M2H-MX with deterministic values, and images to try them on."""

from pathlib import Path
from typing import Any

import numpy as np
from m2hmx_fill import filled_network, tiny
from numpy.typing import NDArray

from perception.m2hmx.weights import write_network
from perception.weights import WeightsInfo
from sequences.model import Intrinsics, SequenceInfo

#: Height and width that the network takes.
SIZE = (64, 96)


def small(**changes: Any) -> dict[str, Any]:
    """Two tasks, NYU-40, a size for images."""
    return tiny(
        **{
            "tasks": ["semseg", "depth"],
            "edge_refine_threshold": None,
            "num_classes": 40,
            "label_space": "nyu40",
            "image_size": list(SIZE),
            **changes,
        }
    )


def write_small_weights(path: Path, **changes: Any) -> WeightsInfo:
    """A file of weights of that network, or of one that differs from it."""
    return write_network(filled_network(small(**changes)), path, {"file": "made for a test"})


def photographed(focal: float = 140.0, height: int = 120, width: int = 160) -> SequenceInfo:
    """A sequence of one such image, by a camera with that focal length in pixels."""
    camera = Intrinsics(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)
    return SequenceInfo("photograph", camera, np.array([0]), has_depth=False)


def photograph(height: int = 120, width: int = 160, seed: int = 0) -> NDArray[np.uint8]:
    """Noise as the image of a camera, uint8 [height, width, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
