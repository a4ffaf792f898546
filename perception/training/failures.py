"""What can stop a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from perception.errors import PerceptionError


class TrainingError(PerceptionError):
    """A training cannot begin, go on, or be continued."""


class MissingTrainingPackageError(TrainingError):
    """A package that training needs is not installed."""

    def __init__(self, package: str):
        super().__init__(
            f"training needs the package '{package}', which is not installed: "
            "pip install 'slam-harness[train]'"
        )


class NotFiniteError(TrainingError):
    """The loss of a batch or its gradient is NaN or infinite; no weight was changed by it.

    Attributes:
        step: The step that could not be taken.
        terms: Of the loss.
        names: Of the images.
        saved: File with batch, weights and terms.
    """

    def __init__(self, what: str, step: int, terms: Mapping[str, float], names: Sequence[str], saved: Path):
        self.step, self.terms, self.names, self.saved = step, dict(terms), tuple(names), saved
        listed = ", ".join(f"{name} {value:g}" for name, value in terms.items())
        super().__init__(
            f"step {step}: {what} is not finite. Terms: {listed}. Images: {', '.join(names)}. "
            f"Batch and weights are in {saved}"
        )
