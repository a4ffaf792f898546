"""Single images with ground truth to train on, wherever they come from."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sequences.model import Intrinsics


@dataclass(frozen=True)
class View:
    """One image with what is known about it.

    Attributes:
        rgb: uint8 [H, W, 3], without lens distortion.
        intrinsics: Of the image.
        depth: float32 [H, W], metres along the optical axis, 0 where unknown; None without.
        labels: uint8 [H, W], ids of the source's label space, 255 where unknown; None without.
        normals: float32 [H, W, 3], unit vectors in the camera's frame (x right, y down, z forward) that point
            towards it, 0 where unknown; None where they are to be derived from depth.
    """

    rgb: NDArray[np.uint8]
    intrinsics: Intrinsics
    depth: NDArray[np.float32] | None = None
    labels: NDArray[np.uint8] | None = None
    normals: NDArray[np.float32] | None = None


class ViewSource(ABC):
    """A numbered collection of views. Read from several threads and processes; pickles.

    Attributes:
        name: In configurations, logs and errors.
        label_space: Of the labels of its views; None without labels.
    """

    name: str
    label_space: str | None

    @abstractmethod
    def __len__(self) -> int:
        """How many views there are."""

    @abstractmethod
    def view(self, index: int) -> View:
        """Read one view; the same index always gives the same.

        Raises:
            SequenceError: A file is missing or damaged; the message has its name.
        """

    def prepare(self, progress: Callable[[str, int, int], None], processes: int) -> None:  # noqa: B027
        """Do once what would otherwise be done while views are read. Most sources have nothing to do.

        Args:
            progress: Called with a description, how much is done and how much there is.
            processes: How many may work at once.

        Raises:
            SequenceError: It cannot be done.
        """

    def subjects(self) -> frozenset[str]:
        """What the views show, such as flats or scenes, by names that all sources of the same data share.

        Views that are held out must have none in common with those that are trained on. Empty where the
        source does not know.
        """
        return frozenset()

    @abstractmethod
    def identity(self) -> dict[str, object]:
        """What decides which views there are, JSON-compatible, for the record of a training."""
