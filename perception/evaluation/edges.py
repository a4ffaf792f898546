"""How good semantic edges are: the F-measure at the best single threshold of the data set (ODS).

Martin, Fowlkes and Malik, "Learning to detect natural image boundaries", PAMI 2004, with two simplifications:
a predicted edge pixel is right when any true one lies within the tolerance and the other way round, where the
benchmark assigns them one to one; and predictions are not thinned. Both make the figure higher than the
benchmark's for broad edges.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from perception.errors import ModuleFailedError
from sequences.model import LABEL_UNKNOWN

#: How far a pixel may be from what it is compared with, part of the image's diagonal.
TOLERANCE = 0.0075

_THRESHOLDS = np.arange(1, 100) / 100


@dataclass(frozen=True)
class EdgeFigures:
    """Figures of edges over all frames.

    Attributes:
        ods_f: Greatest harmonic mean of precision and recall that one threshold gives.
        threshold: That threshold.
        precision: Share of predicted edge pixels near a true one, at that threshold.
        recall: Share of true edge pixels near a predicted one, at that threshold.
        truth_pixels: How many true edge pixels there are.
    """

    ods_f: float
    threshold: float
    precision: float
    recall: float
    truth_pixels: int


class EdgeScore:
    """Counts pixels by how many thresholds their probability reaches; does not grow with the frames."""

    def __init__(self) -> None:
        shape = len(_THRESHOLDS) + 1
        self._predicted, self._right, self._found = np.zeros((3, shape), np.int64)
        self._truth_pixels = 0

    def add(self, labels: NDArray[np.uint8], edges: NDArray[np.float32]) -> None:
        """Compare one frame.

        Where labels are unknown, and within the tolerance of that, nothing tells whether there is an edge:
        predictions there count for nothing unless they are near a true edge.

        Args:
            labels: uint8 [H, W], true labels, 255 where unknown.
            edges: float32 [H, W], probability of an edge.

        Raises:
            ModuleFailedError: The prediction is not finite.
        """
        if not np.isfinite(edges).all():
            raise ModuleFailedError("edges have NaN or infinite values")
        reach = TOLERANCE * math.hypot(*labels.shape)
        truth, unknown = semantic_edges(labels), labels == LABEL_UNKNOWN
        near_truth = _within(truth, reach)
        counted = near_truth | ~_within(unknown, reach)
        self._predicted += _reached(edges[counted])
        self._right += _reached(edges[near_truth])
        # A true pixel is found by whatever reaches a threshold around it: by the greatest there.
        self._found += _reached(cv2.dilate(edges, _disk(reach))[truth])
        self._truth_pixels += int(truth.sum())

    def merge(self, other: "EdgeScore") -> None:
        """Add what another score has counted."""
        self._predicted += other._predicted
        self._right += other._right
        self._found += other._found
        self._truth_pixels += other._truth_pixels

    def figures(self) -> EdgeFigures | None:
        """The figures; None where the truth has no edges."""
        if not self._truth_pixels:
            return None
        predicted, right, found = map(_at_least, (self._predicted, self._right, self._found))
        precision, recall = right / np.maximum(predicted, 1), found / self._truth_pixels
        f = 2 * precision * recall / np.maximum(precision + recall, np.finfo(np.float64).tiny)
        best = int(f.argmax())
        return EdgeFigures(
            ods_f=float(f[best]),
            threshold=float(_THRESHOLDS[best]),
            precision=float(precision[best]),
            recall=float(recall[best]),
            truth_pixels=self._truth_pixels,
        )


def semantic_edges(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the right or the lower neighbour of a pixel has another label and both are known, bool [H, W]."""
    edges = np.zeros(labels.shape, bool)
    known = labels != LABEL_UNKNOWN
    edges[:, :-1] |= (labels[:, :-1] != labels[:, 1:]) & known[:, :-1] & known[:, 1:]
    edges[:-1] |= (labels[:-1] != labels[1:]) & known[:-1] & known[1:]
    return edges


def _within(mask: NDArray[np.bool_], reach: float) -> NDArray[np.bool_]:
    """Pixels at most ``reach`` away from one of the mask."""
    if not mask.any():
        return np.zeros(mask.shape, bool)
    return np.asarray(distance_transform_edt(~mask) <= reach)


def _disk(reach: float) -> NDArray[np.uint8]:
    offsets = np.arange(-int(reach), int(reach) + 1)
    return (np.hypot(*np.meshgrid(offsets, offsets)) <= reach).astype(np.uint8)


def _reached(probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many pixels reach no threshold, the first one, the first two, and so on."""
    reached = np.searchsorted(_THRESHOLDS, probabilities, side="right")
    return np.bincount(reached, minlength=len(_THRESHOLDS) + 1).astype(np.int64)


def _at_least(reached: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many pixels reach each threshold."""
    return np.cumsum(reached[::-1])[::-1][1:]
