"""What the loop takes batches from, and whom it tells how it goes. Needs no torch."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from perception.training.learner import StepReport
    from perception.training.targets import Targets


class TrainingBatch(Protocol):
    """A few images with ground truth."""

    @property
    def images(self) -> "Tensor":
        """float32 [B, 3, H, W], ImageNet-normalised RGB."""

    @property
    def targets(self) -> "Targets":
        """Ground truth of the images."""

    @property
    def intrinsics(self) -> "Tensor":
        """float32 [B, 4], fx, fy, cx, cy in pixels of the images."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each image is called in its source, for messages."""


class Batches(Protocol):
    """Batches by number; a batch depends on its number and the seed, and on nothing else."""

    def batch(self, step: int) -> TrainingBatch:
        """The batch of a number."""

    def prefetched(self, start_step: int, workers: int) -> Iterator[TrainingBatch]:
        """The batches from a number on, read ahead by so many processes."""


class TrainingListener:
    """Is told how a training goes. Methods do nothing unless they are overridden."""

    def preparing(self, description: str, done: int, total: int) -> None:
        """Data is being prepared."""

    def trained(self, step: int, steps: int, report: "StepReport") -> None:
        """A step was taken."""

    def evaluating(self, description: str, done: int, total: int) -> None:
        """An evaluation goes on."""

    def evaluated(self, step: int, figures: Mapping[str, float | None]) -> None:
        """Held-out views were looked at."""

    def noticed(self, sentence: str) -> None:
        """Something that the user should know."""
