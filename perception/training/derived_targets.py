"""Targets that a data set does not have but its depth and labels imply: surface normals and semantic edges.

Normals are those of planes fitted to the depth around each pixel, as in the ground truth that is made for
NYUv2 (Ladický, Zeisl and Pollefeys, "Discriminatively trained dense surface normal estimation", ECCV 2014);
where no plane is seen they are unknown. Edges are where labels change, as in multi-task learning on NYUv2 and
PASCAL-Context (Maninis, Radosavovic and Kokkinos, "Attentive single-tasking of multiple tasks", CVPR 2019),
with their pixel before the change. Both are what `perception.evaluation` compares predictions with.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from perception.evaluation.edges import semantic_edges
from perception.evaluation.surface_normals import true_normals
from perception.training.targets import EDGE_UNKNOWN
from perception.training.views import View
from sequences.model import LABEL_UNKNOWN

#: A pixel, its right and its lower neighbour.
_PIXELS_OF_EDGE = np.array([[1, 1], [1, 0]], np.uint8)


def with_normals(view: View) -> View:
    """The view with normals from its depth, where it has none of its own.

    To be done before depth is resized by the nearest neighbour, which leaves steps in it.
    """
    if view.normals is not None or view.depth is None:
        return view
    return replace(view, normals=true_normals(view.depth, view.intrinsics))


def edges_from_labels(labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Semantic edges, float32 [H, W]: 1 on them, 0 elsewhere, -1 where a label that decides it is unknown.

    Args:
        labels: uint8 [H, W], 255 where unknown.
    """
    edges = semantic_edges(labels)
    unknown = (labels == LABEL_UNKNOWN).astype(np.uint8)
    # The largest of a pixel and the neighbours that it is compared with.
    undecided = cv2.dilate(unknown, _PIXELS_OF_EDGE, anchor=(0, 0)) > 0
    return np.where(edges, 1.0, np.where(undecided, EDGE_UNKNOWN, 0.0)).astype(np.float32)
