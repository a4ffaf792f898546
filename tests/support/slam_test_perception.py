"""Perception modules for tests: depth that is NaN, frames without end, a look at what is hidden, options."""

import os
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from perception.errors import PerceptionError
from perception.module import PerceptionModule, Prediction
from sequences.model import Frame, SequenceInfo


class NanDepthModule(PerceptionModule):
    """Depth is NaN from the fourth frame on, as that of a network may be."""

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        return frozenset({"depth"})

    def predict(self, frame: Frame) -> Prediction:
        depth = np.full(frame.rgb.shape[:2], np.nan if frame.index >= 3 else 2.0, dtype=np.float32)
        return Prediction(depth=depth)


class HangingModule(PerceptionModule):
    """Comes to no end with any frame."""

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        return frozenset({"depth"})

    def predict(self, frame: Frame) -> Prediction:
        while True:
            time.sleep(1)


class PeekingModule(PerceptionModule):
    """Would hand on the sensor's depth although it does not say that it reads the sensor."""

    reads_sensor: ClassVar[bool] = False

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        return frozenset({"depth"})

    def predict(self, frame: Frame) -> Prediction:
        assert frame.depth is None, "the harness let the sensor's depth through"
        assert frame.labels is None, "the harness let the labels through"
        return Prediction(depth=np.ones(frame.rgb.shape[:2], dtype=np.float32))


class GpuWitnessModule(PerceptionModule):
    """Tells which GPUs it may use."""

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        return frozenset()

    def predict(self, frame: Frame) -> Prediction:
        return Prediction()

    def describe(self) -> dict[str, Any]:
        return {"visible": os.environ.get("CUDA_VISIBLE_DEVICES", "not set")}


class UnnamedLabelsModule(PerceptionModule):
    """Gives labels and does not say what they mean."""

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        return frozenset({"depth", "semantics"})

    def predict(self, frame: Frame) -> Prediction:
        size = frame.rgb.shape[:2]
        return Prediction(depth=np.full(size, np.float32(2)), semantics=np.full(size, np.uint8(1)))


class ConstantModule(PerceptionModule):
    """Says that everything is as far away as its argument tells, times the option ``factor``."""

    def __init__(self, metres: float):
        self.metres = metres

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> "ConstantModule":
        if argument is None:
            raise PerceptionError("it needs a distance, as in constant:2")
        return cls(float(argument) * options.get("factor", 1.0))

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        return frozenset({"depth"})

    def load(self) -> None:
        self.depth = np.float32(self.metres)

    def predict(self, frame: Frame) -> Prediction:
        return Prediction(depth=np.full(frame.rgb.shape[:2], self.depth))

    def describe(self) -> dict[str, Any]:
        return {"metres": self.metres}
