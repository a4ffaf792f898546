"""Which of the true objects of a scene a graph has, matched one to one by label and place."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from harness.evaluation.scene_graph import Box, GraphNode
from sequences.model import LABEL_UNKNOWN

#: A true object has to be in at least so many frames to be asked for ...
LEAST_FRAMES = 5

#: ... with so many pixels in all of them together, as a share of those of one image ...
LEAST_SHARE_OF_IMAGE = 0.02

#: ... and so many points of its surface seen, by the measure of :mod:`harness.evaluation.seen_surface`.
LEAST_POINTS = 50

#: Boxes that overlap so much (intersection over union) are those of one object.
LEAST_OVERLAP = 0.25

#: A centre may lie so far outside of the other's box, metres.
CENTRE_MARGIN = 0.05

# Points along each edge of a box by which overlaps are measured.
_GRID = 12


@dataclass(frozen=True)
class TrueObject:
    """One object of the true scene, in the map's label space.

    Attributes:
        label: Id of its class.
        box: Where it stands.
        seen: It was in enough frames and pixels to be asked for.
    """

    label: int
    box: Box
    seen: bool


@dataclass(frozen=True)
class ObjectCount:
    """The objects of one class.

    Attributes:
        label: Id of the class.
        name: Of the class.
        true: How many there are that were seen.
        found: How many the graph has, without those matched with objects that were hardly seen.
        matched: How many of both are the same.
    """

    label: int
    name: str
    true: int
    found: int
    matched: int


@dataclass(frozen=True)
class ObjectScores:
    """How well the objects of a scene are found.

    Attributes:
        classes: By class, those with most true objects first.
        ignored: Objects of the graph that match a true one that was hardly seen; neither right nor wrong.
    """

    classes: tuple[ObjectCount, ...]
    ignored: int

    @property
    def true(self) -> int:
        """True objects that were seen."""
        return sum(count.true for count in self.classes)

    @property
    def found(self) -> int:
        """Objects of the graph, without the ignored."""
        return sum(count.found for count in self.classes)

    @property
    def matched(self) -> int:
        """Objects that are the same."""
        return sum(count.matched for count in self.classes)

    @property
    def precision(self) -> float | None:
        """Share of the objects found that exist; None where none were found."""
        return self.matched / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """Share of the true objects that were found; None where there are none."""
        return self.matched / self.true if self.true else None


def score_objects(
    nodes: tuple[GraphNode, ...], truth: tuple[TrueObject, ...], class_names: dict[int, str]
) -> ObjectScores:
    """Match a graph's objects with the true ones.

    Two are the same when they have the same label, and the centre of one lies in the box of the other or
    their boxes overlap by ``LEAST_OVERLAP``. As many as possible are matched; among the ways to do so that
    of largest overlap is taken.

    Args:
        nodes: The objects of the graph, in the world of the truth. A node without a box is its position.
        truth: The true objects.
        class_names: What classes are called, by label.
    """
    asked = [each for each in truth if each.seen]
    others = [each for each in truth if not each.seen]
    matched = _matches(nodes, asked)
    rest = [number for number in range(len(nodes)) if number not in matched]
    ignored = {rest[number] for number in _matches(tuple(nodes[number] for number in rest), others)}
    labels = [LABEL_UNKNOWN if node.label is None else node.label for node in nodes]
    counts = [
        ObjectCount(
            label,
            class_names.get(label, "unknown"),
            sum(each.label == label for each in asked),
            sum(own == label and number not in ignored for number, own in enumerate(labels)),
            sum(labels[number] == label for number in matched),
        )
        for label in dict.fromkeys([*(each.label for each in truth), *labels])
    ]
    present = [count for count in counts if count.true or count.found]
    return ObjectScores(tuple(sorted(present, key=lambda count: (-count.true, count.name))), len(ignored))


def _matches(nodes: tuple[GraphNode, ...], truth: list[TrueObject]) -> dict[int, int]:
    """Positions of nodes with those of the true objects they are matched with."""
    if not nodes or not truth:
        return {}
    worth = np.array([[_worth(node, each) for each in truth] for node in nodes])
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True) if worth[row, column]}


def _worth(node: GraphNode, true: TrueObject) -> float:
    """0 where the two are not the same, else between 1 and 1.5: two matches are worth more than any one."""
    if node.label != true.label:
        return 0.0
    centre_is_inside = bool(true.box.contains(node.position, CENTRE_MARGIN))
    if node.box is None:
        return 1.0 if centre_is_inside else 0.0
    overlap = box_overlap(true.box, node.box)
    touches = centre_is_inside or bool(node.box.contains(true.box.centre, CENTRE_MARGIN))
    return 1.0 + overlap / 2 if touches or overlap >= LEAST_OVERLAP else 0.0


def box_overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes in any orientation, by the points of a grid in the first."""
    if not first.volume or not second.volume:
        return 0.0
    inside = second.contains(_grid(first)).mean() * first.volume
    # A coarse grid may count more than there is.
    inside = min(float(inside), second.volume)
    return inside / (first.volume + second.volume - inside)


def _grid(box: Box) -> NDArray[np.float64]:
    steps = (np.arange(_GRID) + 0.5) / _GRID - 0.5
    shares = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    return box.centre + (shares * box.size) @ box.rotation.T
