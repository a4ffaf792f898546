"""What a network is trained towards."""

from dataclasses import dataclass

from torch import Tensor

from sequences.model import LABEL_UNKNOWN

EDGE_UNKNOWN = -1.0

__all__ = ["EDGE_UNKNOWN", "LABEL_UNKNOWN", "Targets"]


@dataclass(frozen=True)
class Targets:
    """Ground truth of a batch of images; a task without ground truth is None.

    Attributes:
        depth: float32 [B, 1, H, W], metres along the optical axis, 0 where unknown.
        labels: int64 [B, H, W], classes of the network, 0 for the first of its label space, 255 if unknown.
        normals: float32 [B, 3, H, W], unit vectors in the camera's frame (x right, y down, z forward) that
            point towards it, 0 where unknown.
        edges: float32 [B, 1, H, W], 1 on the border between two classes, 0 elsewhere, -1 where unknown.
    """

    depth: Tensor | None = None
    labels: Tensor | None = None
    normals: Tensor | None = None
    edges: Tensor | None = None
