"""The interface of a perception module: a frame in, a prediction out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

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


PERCEPTION_MODULES: Registry[PerceptionModule] = Registry(
    "slam_harness.perception",
    "perception module",
    PerceptionModule,  # type: ignore[type-abstract]
)
