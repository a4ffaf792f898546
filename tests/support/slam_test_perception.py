"""Perception modules for tests: one whose depth is NaN, one that asks for what it must not see."""

from typing import ClassVar

import numpy as np

from perception.module import PerceptionModule, Prediction
from sequences.model import Frame, SequenceInfo


class NanDepthModule(PerceptionModule):
    """Depth is NaN from the fourth frame on, as that of a network may be."""

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        return frozenset({"depth"})

    def predict(self, frame: Frame) -> Prediction:
        depth = np.full(frame.rgb.shape[:2], np.nan if frame.index >= 3 else 2.0, dtype=np.float32)
        return Prediction(depth=depth)


class PeekingModule(PerceptionModule):
    """Would hand on the sensor's depth although it does not say that it reads the sensor."""

    reads_sensor: ClassVar[bool] = False

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        return frozenset({"depth"})

    def predict(self, frame: Frame) -> Prediction:
        assert frame.depth is None, "the harness let the sensor's depth through"
        assert frame.labels is None, "the harness let the labels through"
        return Prediction(depth=np.ones(frame.rgb.shape[:2], dtype=np.float32))
