"""The interface of a perception module: a frame in, a prediction out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
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

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> "PerceptionModule":
        """Create the module. One that takes an argument or options overrides this.

        Nothing heavy happens here: a plan creates modules only to ask for their outputs.

        Args:
            argument: What the user wrote behind ``NAME:``, for example a file of weights.
            options: What the user set with ``--set NAME.OPTION=VALUE``.

        Raises:
            PerceptionError: Argument or options cannot be worked with.
        """
        if argument is not None:
            raise PerceptionError(f"nothing can stand behind its name, got ':{argument}'")
        if options:
            raise PerceptionError(f"it has no options, got {', '.join(options)}")
        return cls()

    @abstractmethod
    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        """Names of the fields of ``Prediction`` that are filled in on this sequence.

        Raises:
            PerceptionError: The sequence lacks what the module needs.
        """

    def label_space(self, sequence: SequenceInfo) -> str | None:
        """Name of the label space of all ``semantics`` on this sequence; labels of none reach no backend.

        Backends are told what labels mean before the first frame. A module that gives semantics overrides
        this; every prediction must be of the space that is named here.

        Raises:
            PerceptionError: As :meth:`outputs`.
        """
        return None

    def begin(self, sequence: SequenceInfo) -> None:  # noqa: B027 - most modules need not know
        """Take notice of the sequence that the frames to come are of, such as of its camera.

        Called before the first of them, before or after ``load``.

        Raises:
            PerceptionError: As :meth:`outputs`.
        """

    def load(self) -> None:  # noqa: B027 - most modules have nothing to load
        """Load what predicting needs, so that the first frame is as fast as the others. Called once.

        Raises:
            PerceptionError: It cannot be loaded.
        """

    @abstractmethod
    def predict(self, frame: Frame) -> Prediction:
        """Predict one frame.

        Raises:
            PerceptionError: The frame lacks what the module needs.
        """

    def describe(self) -> dict[str, Any]:
        """What a record must hold to repeat the predictions: versions, weights digest, options.

        Asked after ``load``.
        """
        return {}

    def cache_identity(self) -> Mapping[str, Any] | None:
        """What decides the predictions of this module; None when they must not be kept and used again.

        For modules whose prediction of a frame depends on that frame, on source, camera and label space of
        the sequence, and on what is named here: digest of the weights, options, device and precision,
        versions of the packages that calculate. Not on other frames, on chance, or on anything else on this
        machine. The harness adds frame, sequence, the module's own code, ours, versions of NumPy, OpenCV and
        Pillow, and what the processor can do.

        Plain JSON values. Asked after ``load``, once a sequence.
        """
        return None


PERCEPTION_MODULES: Registry[PerceptionModule] = Registry(
    "slam_harness.perception",
    "perception module",
    PerceptionModule,  # type: ignore[type-abstract]
)
