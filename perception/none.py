"""Perception module ``none``: predicts nothing, for backends that work on RGB alone."""

from perception.module import PerceptionModule, Prediction
from sequences.model import Frame, SequenceInfo


class NoneModule(PerceptionModule):
    """Leaves the frame as it is."""

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        """Nothing, on every sequence."""
        return frozenset()

    def predict(self, frame: Frame) -> Prediction:
        """An empty prediction."""
        return Prediction()
