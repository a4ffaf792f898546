"""How long the stages of the pipeline took."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


class StageClock:
    """Notes the time of every pass through a stage."""

    def __init__(self) -> None:
        self._milliseconds: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a block as one pass of a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._milliseconds[name].append((time.perf_counter() - started) * 1e3)

    def summary(self) -> dict[str, dict[str, Any]]:
        """Per stage median and 95th percentile of its passes in milliseconds, and how many there were."""
        return {
            name: {
                "median": round(float(np.median(values)), 3),
                "p95": round(float(np.percentile(values, 95)), 3),
                "count": len(values),
            }
            for name, values in self._milliseconds.items()
        }
