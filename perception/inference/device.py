"""Choosing where torch runs a network, from what is asked for and what is there."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from perception.errors import PerceptionError
from perception.inference.options import InferenceOptions, Precision

_DTYPES = {Precision.BFLOAT16: torch.bfloat16, Precision.FLOAT16: torch.float16}


@dataclass(frozen=True)
class Placement:
    """Where and in which numbers a network runs."""

    device: torch.device
    precision: Precision

    def autocast(self) -> AbstractContextManager[Any]:
        """A context in which operations that bear it use the shorter numbers."""
        if self.precision is Precision.FLOAT32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=_DTYPES[self.precision])

    def describe(self) -> dict[str, Any]:
        """What a record holds of it."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else None
        return {"device": str(self.device), "device_name": name, "precision": self.precision.value}


def choose_placement(options: InferenceOptions) -> Placement:
    """Decide on device and precision.

    Raises:
        PerceptionError: There is no such device, or it cannot calculate in that precision.
    """
    name = options.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    # The number is looked at before torch does, which wraps around at 256.
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise PerceptionError(
            f"device '{options.device}' was asked for and torch sees {torch.cuda.device_count()} GPUs; "
            "use 'cpu' or 'auto'"
        )
    device = torch.device(name)
    precision = options.precision
    if precision is Precision.AUTO:
        precision = Precision.FLOAT16 if device.type == "cuda" else Precision.FLOAT32
    if precision is Precision.FLOAT16 and device.type == "cpu":
        raise PerceptionError("precision 'float16' is for GPUs; on the CPU use 'bfloat16' or 'float32'")
    return Placement(device, precision)
