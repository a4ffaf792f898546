"""How good the labels and the geometry of a backend's mesh are, measured against the true scene."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import EvaluationError
from harness.evaluation.labelled_surface import LabelledSurface, nearest_labels
from harness.evaluation.seen_surface import SurfacePoints
from harness.evaluation.surfaces import SurfaceDistances, evenly_chosen, measure_distances_of_points
from sequences.errors import SequenceError
from sequences.label_spaces import LabelSpace, load_label_space
from sequences.model import LABEL_UNKNOWN

#: Vertices further from the true surface have no true label, metres: two voxels of 10 cm.
LABELLED_WITHIN = 0.20

#: A class of which fewer true points were seen does not count in the mean: about 200 cm².
LEAST_POINTS = 50

_MOST_VERTICES = 250_000


@dataclass(frozen=True)
class ClassScore:
    """How well one class is found, over the vertices near the true surface.

    Attributes:
        label: Its id.
        name: Of the class.
        seen: Points of the true surface that have it and were seen.
        true: Vertices at which the truth has it.
        found: Vertices at which the map has it.
        both: Vertices at which both have it.
    """

    label: int
    name: str
    seen: int
    true: int
    found: int
    both: int

    @property
    def counts(self) -> bool:
        """Whether enough of it was seen to count in the mean."""
        return self.seen >= LEAST_POINTS

    @property
    def iou(self) -> float:
        """Intersection over union, 0 to 1; 0 where the map has nothing at all of what was seen."""
        union = self.true + self.found - self.both
        return self.both / union if union else 0.0


@dataclass(frozen=True)
class LabelScores:
    """How good the labels of a mesh are.

    Attributes:
        classes: The classes of the true surface that was seen, most of it first.
        vertices: Vertices with a true label: near the true surface, of a class that the map's label space
            has.
        right: Those whose label is the true one.
        unlabelled: Those whose label the map does not know; they count as wrong.
    """

    classes: tuple[ClassScore, ...]
    vertices: int
    right: int
    unlabelled: int

    @property
    def mean_iou(self) -> float | None:
        """Mean over the classes that count; None without any."""
        values = [score.iou for score in self.classes if score.counts]
        return float(np.mean(values)) if values else None

    @property
    def accuracy(self) -> float | None:
        """Share of the vertices whose label is right; None without any vertex."""
        return self.right / self.vertices if self.vertices else None


def label_mapping(truth_space: str, space: LabelSpace) -> NDArray[np.uint8]:
    """A table from the truth's labels to a map's, uint8 [256]; 255 where those have no such class.

    Args:
        truth_space: Name of the truth's label space.
        space: Of the map, as its backend says.

    Raises:
        EvaluationError: The map's label space is not one of ours, or has nothing to do with the truth's.
    """
    try:
        known = load_label_space(space.name)
        if {each.id: each.name for each in known.classes} != {each.id: each.name for each in space.classes}:
            raise EvaluationError(
                f"the map calls its label space '{space.name}', whose classes are others than the map's"
            )
        if space.name == truth_space:
            own = np.full(256, LABEL_UNKNOWN, np.uint8)
            ids = [entry.id for entry in known.classes]
            own[ids] = ids
            return own
        if truth_space != "nyu40":
            raise EvaluationError(
                f"labels of '{truth_space}', which the truth has, cannot be mapped to those of '{space.name}'"
            )
        return known.from_nyu40()
    except SequenceError as error:
        raise EvaluationError(f"the map's labels cannot be compared: {error}") from error


def score_surface(estimate: LabelledSurface, truth: LabelledSurface, seen: SurfacePoints) -> SurfaceDistances:
    """Distances between a map and the true scene.

    Accuracy is measured from the map's vertices to all of the true surface, completeness from the points of
    it that were seen.

    Args:
        estimate: The map, in the world of the truth.
        truth: The true scene.
        seen: Points on it that were seen.
    """
    return measure_distances_of_points(
        estimate.surface, evenly_chosen(estimate.surface.vertices), truth.surface, seen.positions
    )


def score_labels(
    estimate: LabelledSurface,
    truth: LabelledSurface,
    seen: SurfacePoints,
    space: LabelSpace,
    mapping: NDArray[np.uint8],
    within: float = LABELLED_WITHIN,
) -> LabelScores:
    """Compare the label of every vertex with that of the nearest point of the true surface.

    Args:
        estimate: The map, in the world of the truth.
        truth: The true scene.
        seen: Points on it that were seen.
        space: Of the map's labels.
        mapping: uint8 [256], from the truth's labels to the map's; 255 where those have no such class.
        within: How far a vertex may lie from the true surface to have a true label, metres.
    """
    step = max(1, -(-len(estimate.labels) // _MOST_VERTICES))
    found = estimate.labels[::step]
    nearest = nearest_labels(truth, estimate.surface.vertices[::step])
    true = mapping[nearest.labels]
    compared = (nearest.distances <= within) & (true != LABEL_UNKNOWN)
    confusion = np.zeros((256, 256), dtype=np.int64)
    np.add.at(confusion, (true[compared], found[compared]), 1)
    seen_counts = np.bincount(mapping[seen.labels], minlength=256)
    classes = tuple(
        ClassScore(
            entry.id,
            entry.name,
            int(seen_counts[entry.id]),
            int(confusion[entry.id].sum()),
            int(confusion[:, entry.id].sum()),
            int(confusion[entry.id, entry.id]),
        )
        for entry in space.classes
        if seen_counts[entry.id]
    )
    return LabelScores(
        tuple(sorted(classes, key=lambda score: -score.seen)),
        int(compared.sum()),
        int(np.trace(confusion)),
        int(confusion[:, LABEL_UNKNOWN].sum()),
    )
