"""What a user may set of a module that runs a network, on which device, and in which precision."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field, FiniteFloat, ValidationError

from perception.errors import PerceptionError
from perception.inference.images import Resizing
from perception.settings import Settings


class Precision(StrEnum):
    """In which numbers a network calculates; its weights are always float32."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class InferenceOptions(Settings):
    """Options of every module that runs a network; ``--set MODULE.OPTION=VALUE``.

    Attributes:
        depth_scale: What predicted depth is multiplied with.
        label_space: Label space of the predictions; null for that of the network.
        resizing: Which bilinear interpolation brings images to the network's size.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto`` is float16 on a GPU and float32 elsewhere.
    """

    depth_scale: FiniteFloat = Field(default=1.0, gt=0)
    label_space: str | None = None
    resizing: Resizing = Field(default=Resizing.OPENCV, strict=False)
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    precision: Precision = Field(default=Precision.AUTO, strict=False)


def parse_options(values: Mapping[str, Any]) -> InferenceOptions:
    """Read options.

    Raises:
        PerceptionError: An option does not exist or has an impossible value.
    """
    unknown = sorted(set(values) - set(InferenceOptions.model_fields))
    if unknown:
        known = ", ".join(InferenceOptions.model_fields)
        raise PerceptionError(f"there is no option {', '.join(unknown)}; options: {known}")
    try:
        return InferenceOptions.model_validate(dict(values))
    except ValidationError as error:
        wrong = "; ".join(f"option {item['loc'][0]}: {item['msg']}" for item in error.errors())
        raise PerceptionError(wrong) from error
