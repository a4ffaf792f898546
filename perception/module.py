"""The interface of a perception module: a frame in, a prediction out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from perception.errors import PerceptionError
from sequences.model import Frame, SequenceInfo
from sequences.registry import Registry


@dataclass(frozen=True)
class Prediction:
    """What a module says about one frame, at the size of the frame's image.

    Attributes:
        depth: float32 [H, W], metres along the optical axis, 0 where unknown; None if not predicted.
        semantics: uint8 [H, W], ids of ``label_space``, 255 where unknown; None if not predicted.
        label_space: Name of the space of ``semantics``.
        normals: float32 [H, W, 3], unit vectors in the camera frame, zero where unknown.
        edges: float32 [H, W], probability of a semantic edge.
        confidence: float32 [H, W], 0 to 1, of the depth.
    """

    depth: NDArray[np.float32] | None = None
    semantics: NDArray[np.uint8] | None = None
    label_space: str | None = None
    normals: NDArray[np.float32] | None = None
    edges: NDArray[np.float32] | None = None
    confidence: NDArray[np.float32] | None = None


class PerceptionModule(ABC):
    """Turns frames into predictions. Created once per trial, used from one thread.

    A module that does not set ``reads_sensor`` is handed frames without depth and labels, so that what the
    sequence recorded cannot leak into what it predicts.
    """

    reads_sensor: ClassVar[bool] = False

    @abstractmethod
    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        """Names of the fields of ``Prediction`` that are filled in on this sequence.

        Raises:
            PerceptionError: The sequence lacks what the module needs.
        """

    @abstractmethod
    def predict(self, frame: Frame) -> Prediction:
        """Predict one frame.

        Raises:
            PerceptionError: The frame lacks what the module needs.
        """

    def describe(self) -> dict[str, Any]:
        """What a record must hold to repeat the predictions: versions, weights digest, options."""
        return {}


def check_prediction(prediction: Prediction, frame: Frame) -> None:
    """Refuse a prediction that no backend should see.

    Raises:
        PerceptionError: A field has another shape or dtype than promised, or depth is NaN, infinite or
            negative; names the frame.
    """
    size = frame.rgb.shape[:2]
    promised = {
        "depth": (np.float32, size),
        "semantics": (np.uint8, size),
        "normals": (np.float32, (*size, 3)),
        "edges": (np.float32, size),
        "confidence": (np.float32, size),
    }
    for name, (dtype, shape) in promised.items():
        array = getattr(prediction, name)
        if array is not None and (array.dtype != dtype or array.shape != shape):
            wanted, got = f"{np.dtype(dtype)} {shape}", f"{array.dtype} {array.shape}"
            raise PerceptionError(f"frame {frame.index}: {name} must be {wanted}, got {got}")
    depth = prediction.depth
    # A minimum that is NaN fails the comparison too: one pass finds NaN and negative depth.
    if depth is not None and not (depth.min() >= 0 and depth.max() < np.inf):
        raise PerceptionError(f"frame {frame.index}: depth has NaN, infinite or negative values")


PERCEPTION_MODULES: Registry[PerceptionModule] = Registry(
    "slam_harness.perception",
    "perception module",
    PerceptionModule,  # type: ignore[type-abstract]
)
