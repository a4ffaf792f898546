"""True and predicted labels in one label space, so that they can be compared."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perception.errors import ModuleFailedError, PerceptionError
from sequences.errors import SequenceError
from sequences.label_spaces import SOURCE_SPACE, LabelSpace, label_table, load_label_space
from sequences.model import LABEL_UNKNOWN


@dataclass(frozen=True)
class LabelComparison:
    """How labels of two spaces are brought to one.

    Attributes:
        space: The space in which they are compared.
        truth_space: Of the true labels.
        predicted_space: Of the predicted labels.
        truth_table: uint8 [256], from true label to label of ``space``, 255 where it has no such class.
        predicted_table: The same of predicted labels.
    """

    space: LabelSpace
    truth_space: LabelSpace
    predicted_space: LabelSpace
    truth_table: NDArray[np.uint8]
    predicted_table: NDArray[np.uint8]

    def true_labels(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """True labels in the common space, uint8 [H, W], 255 where unknown.

        Raises:
            SequenceError: One is neither a class of its space nor 255.
        """
        wrong = _not_in(self.truth_space, labels)
        if wrong is not None:
            raise SequenceError(f"label {wrong} of the truth is no class of '{self.truth_space.name}'")
        return self.truth_table[labels]

    def predicted_labels(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Predicted labels in the common space, uint8 [H, W], 255 where unknown.

        Raises:
            ModuleFailedError: One is neither a class of its space nor 255.
        """
        wrong = _not_in(self.predicted_space, labels)
        if wrong is not None:
            raise ModuleFailedError(f"predicted label {wrong} is no class of '{self.predicted_space.name}'")
        return self.predicted_table[labels]


def compare_labels(truth: str, predicted: str, wanted: str | None = None) -> LabelComparison:
    """Decide in which label space labels are compared.

    Args:
        truth: Label space of the truth.
        predicted: Label space of the predictions.
        wanted: The space to compare in; None for that of the predictions where the truth can be turned into
            it, and otherwise that of the truth.

    Raises:
        PerceptionError: There is no such space, or labels cannot be turned into it. Only those of nyu40 can
            be turned into labels of another space.
    """
    if wanted is None:
        wanted = predicted if truth in (predicted, SOURCE_SPACE) else truth
    try:
        space, true, other = (load_label_space(name) for name in (wanted, truth, predicted))
        return LabelComparison(space, true, other, label_table(true, space), label_table(other, space))
    except SequenceError as error:
        raise PerceptionError(
            f"true labels of '{truth}' and predicted ones of '{predicted}' cannot be compared in "
            f"'{wanted}': {error}"
        ) from error


def _not_in(space: LabelSpace, labels: NDArray[np.uint8]) -> int | None:
    """A label that the space does not have; None when there is none."""
    counts = np.bincount(labels.ravel(), minlength=256)
    counts[[LABEL_UNKNOWN, *(entry.id for entry in space.classes)]] = 0
    wrong = np.flatnonzero(counts)
    return int(wrong[0]) if len(wrong) else None
