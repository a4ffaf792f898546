"""Perception module ``sensor``: the sequence's own depth and labels, the upper bound for every network."""

from typing import ClassVar

from perception.errors import PerceptionError
from perception.module import PerceptionModule, Prediction
from sequences.model import Frame, SequenceInfo


class SensorModule(PerceptionModule):
    """Hands on what the sensor recorded."""

    reads_sensor: ClassVar[bool] = True

    def __init__(self) -> None:
        self._label_space: str | None = None

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        """Depth always, semantics where the sequence is labelled."""
        if not sequence.has_depth:
            raise PerceptionError(
                f"perception 'sensor' needs recorded depth and sequence '{sequence.name}' has none; "
                "use '--perception none' for backends that work on RGB alone"
            )
        self._label_space = sequence.label_space
        return frozenset({"depth", "semantics"} if sequence.label_space else {"depth"})

    def label_space(self, sequence: SequenceInfo) -> str | None:
        """That of the sequence's own labels."""
        return sequence.label_space

    def predict(self, frame: Frame) -> Prediction:
        """Pass depth and labels on unchanged."""
        if frame.depth is None:
            raise PerceptionError(
                f"frame {frame.index} has no recorded depth, which perception 'sensor' needs"
            )
        return Prediction(depth=frame.depth, semantics=frame.labels, label_space=self._label_space)
