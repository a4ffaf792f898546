"""A perception module that notes every prediction in a file, and what hammers on a cache of predictions."""

import os
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from perception.cache import PredictionCache
from perception.errors import PerceptionError
from perception.module import PerceptionModule, Prediction
from sequences.model import Frame, SequenceInfo

HAMMERED_KEYS = 24


class CountingModule(PerceptionModule):
    """Depth of one and a half metres; ``counting:FILE`` gets a line for every frame that is predicted."""

    def __init__(self, file: Path):
        self.file = file

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> "CountingModule":
        if argument is None:
            raise PerceptionError("it needs a file to count in")
        return cls(Path(argument))

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        return frozenset({"depth"})

    def predict(self, frame: Frame) -> Prediction:
        time.sleep(0.01)
        descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{frame.index}\n".encode())
        os.close(descriptor)
        return Prediction(depth=np.full(frame.rgb.shape[:2], 1.5, dtype=np.float32))

    def cache_identity(self) -> dict[str, Any]:
        return {"metres": 1.5}


def hammered_key(number: int) -> str:
    """Several keys share a directory."""
    return f"{number % 4:02x}{number:062x}"


def hammered_prediction(number: int) -> Prediction:
    """What must be found under the key of that number, whoever kept it; sizes differ."""
    random = np.random.default_rng(number)
    size = (20 + number, 40)
    return Prediction(
        depth=random.random(size, dtype=np.float32),
        semantics=random.integers(0, 40, size, dtype=np.uint8),
        label_space=f"space {number}",
    )


def hammer(directory: Path, limit_bytes: int, seed: int, seconds: float) -> tuple[int, int]:
    """Read and keep predictions in disorder; the numbers of those found and of those kept."""
    random, cache = np.random.default_rng(seed), PredictionCache(directory, limit_bytes)
    found = kept = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        number = int(random.integers(HAMMERED_KEYS))
        key, expected = hammered_key(number), hammered_prediction(number)
        prediction = cache.read(key)
        if prediction is None:
            # Some take turns and others write at the same time as whoever does too.
            with cache.turn(key) if number % 2 else nullcontext():
                cache.keep(key, expected)
            kept += 1
            continue
        found += 1
        np.testing.assert_array_equal(prediction.depth, expected.depth)
        np.testing.assert_array_equal(prediction.semantics, expected.semantics)
        assert prediction.label_space == expected.label_space
    return found, kept


if __name__ == "__main__":
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    counts = hammer(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
    sys.stdout.write(f"{counts[0]} {counts[1]}\n")
