"""How good labels are: one confusion matrix over all pixels of all frames, as the benchmarks have it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sequences.label_spaces import LabelSpace
from sequences.model import LABEL_UNKNOWN


@dataclass(frozen=True)
class ClassFigures:
    """One class.

    Attributes:
        id: In the label space.
        name: Its name.
        iou: Pixels that are of the class and predicted so, over those that are or are predicted so; None
            where there are none of either.
        truth_pixels: How many are of the class.
        predicted_pixels: How many of the pixels with a true label are predicted to be.
    """

    id: int
    name: str
    iou: float | None
    truth_pixels: int
    predicted_pixels: int


@dataclass(frozen=True)
class SemanticsFigures:
    """Figures of labels over all pixels with a true label, of all frames together.

    A pixel with a true label and no predicted one counts against its class; a pixel without a true label
    counts for nothing.

    Attributes:
        label_space: In which they were compared.
        miou: Mean IoU over the classes that occur in truth or prediction; one that is predicted and never
            true has IoU 0.
        miou_of_true_classes: Mean over the classes that occur in the truth.
        pixel_accuracy: Share of the pixels whose label is right.
        coverage: Share of them that have a predicted label at all.
        pixels: How many have a true label.
        classes: Every class of the space.
        classes_left_out: How many are in no mean, since they occur neither in truth nor in prediction.
    """

    label_space: str
    miou: float
    miou_of_true_classes: float
    pixel_accuracy: float
    coverage: float
    pixels: int
    classes: tuple[ClassFigures, ...]
    classes_left_out: int


class SemanticsScore:
    """Collects the confusion matrix of a label space, whose size does not grow with the frames."""

    def __init__(self, space: LabelSpace):
        self.space = space
        count = len(space.classes)
        # One row for every true class and one column for every predicted one; the last column is unknown.
        self._confusion = np.zeros((count, count + 1), np.int64)
        self._position = np.full(256, count, np.int64)
        self._position[[entry.id for entry in space.classes]] = np.arange(count)

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> float | None:
        """Count the labels of one frame.

        Args:
            truth: uint8 [H, W], ids of the space, 255 where unknown.
            predicted: The same of the prediction.

        Returns:
            Share of the pixels with a true label whose label is right; None without any.
        """
        known = truth != LABEL_UNKNOWN
        rows, columns = self._position[truth[known]], self._position[predicted[known]]
        size = self._confusion.size
        cells = np.bincount(rows * self._confusion.shape[1] + columns, minlength=size)
        self._confusion += cells.reshape(self._confusion.shape)
        return float(np.mean(rows == columns)) if len(rows) else None

    def merge(self, other: "SemanticsScore") -> None:
        """Add what another score of the same space has counted."""
        self._confusion += other._confusion

    def figures(self) -> SemanticsFigures | None:
        """The figures; None where no pixel had a true label."""
        pixels = int(self._confusion.sum())
        if not pixels:
            return None
        right = np.diagonal(self._confusion)
        true, predicted = self._confusion.sum(axis=1), self._confusion[:, :-1].sum(axis=0)
        union = true + predicted - right
        occurs = union > 0
        iou = right / np.maximum(union, 1)
        return SemanticsFigures(
            label_space=self.space.name,
            miou=float(iou[occurs].mean()),
            miou_of_true_classes=float(iou[true > 0].mean()),
            pixel_accuracy=float(right.sum() / pixels),
            coverage=1 - float(self._confusion[:, -1].sum() / pixels),
            pixels=pixels,
            classes=tuple(
                ClassFigures(
                    id=entry.id,
                    name=entry.name,
                    iou=float(iou[number]) if occurs[number] else None,
                    truth_pixels=int(true[number]),
                    predicted_pixels=int(predicted[number]),
                )
                for number, entry in enumerate(self.space.classes)
            ),
            classes_left_out=int((~occurs).sum()),
        )
