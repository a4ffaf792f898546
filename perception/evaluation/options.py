"""What a user may set of an evaluation, in one object that is stored with its figures."""

from typing import Self

from pydantic import Field, FiniteFloat, ValidationError, model_validator

from perception.errors import PerceptionError
from perception.settings import Settings


class EvaluationOptions(Settings):
    """Options of an evaluation.

    Attributes:
        every: Of every so many frames of a sequence one is predicted and compared, beginning with the first.
        max_frames: Of those at most so many of each sequence; None for all.
        min_depth: Truth that is nearer is not compared with, metres.
        max_depth: Neither is truth that is farther away, metres. Predictions are not clipped to the range.
        label_space: The space in which labels are compared; None for that of the predictions where the truth
            can be turned into it, and otherwise that of the truth.
        warm_up: The first so many frames of every sequence are no part of the latency; they are compared like
            all others.
    """

    every: int = Field(default=1, ge=1)
    max_frames: int | None = Field(default=None, ge=1)
    min_depth: FiniteFloat = Field(default=0.1, gt=0)
    max_depth: FiniteFloat = Field(default=10.0, gt=0)
    label_space: str | None = None
    warm_up: int = Field(default=5, ge=0)

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        if self.max_depth <= self.min_depth:
            raise ValueError(
                f"the range of depth is empty: from {self.min_depth:g} m to {self.max_depth:g} m"
            )
        return self

    def indices(self, frames: int) -> range:
        """Which frames of a sequence of so many take part."""
        indices = range(0, frames, self.every)
        return indices if self.max_frames is None else indices[: self.max_frames]


def evaluation_options(**values: object) -> EvaluationOptions:
    """Check options.

    Raises:
        PerceptionError: One has an impossible value.
    """
    try:
        return EvaluationOptions.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(
            ": ".join([*map(str, item["loc"]), item["msg"].removeprefix("Value error, ")])
            for item in error.errors()
        )
        raise PerceptionError(wrong) from error
