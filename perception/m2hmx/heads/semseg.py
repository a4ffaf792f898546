"""The segmentation head: class logits from the own and the mixed map, sharpened by edges."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from perception.m2hmx.convolutions import conv
from perception.m2hmx.cross_task_mixing import CrossTaskMixer
from perception.m2hmx.heads.trunk import OUTPUT_FACTOR, HeadOutput, HeadTrunk
from perception.m2hmx.msca import ContextAttention
from perception.m2hmx.resize import enlarge

#: How steeply the refinement sets in at its threshold.
_STEEPNESS = 10.0


class BoundaryRefinement(nn.Module):
    """Class logits change where the edge probability exceeds a threshold."""

    def __init__(self, classes: int, threshold: float, strength: float):
        super().__init__()
        self.threshold, self.strength = threshold, strength
        self.conv = conv(1, classes, 1)

    def forward(self, logits: Tensor, edge_logits: Tensor) -> Tensor:
        """Class logits, float [B, classes, H, W], and edge logits, float [B, 1, H, W], to class logits."""
        near_edge = (_STEEPNESS * (edge_logits.sigmoid() - self.threshold)).sigmoid()
        return torch.add(logits, self.conv(near_edge), alpha=self.strength)


class SegmentationHead(HeadTrunk):
    """Class logits: one classifier on the own map and on the map mixed with other tasks, summed."""

    def __init__(
        self,
        channels: int,
        classes: int,
        mixer: CrossTaskMixer | None,
        *,
        context: bool = True,
        boundary_refine: BoundaryRefinement | None = None,
    ):
        """Build the head.

        Args:
            channels: Of the maps.
            classes: How many.
            mixer: Of the other tasks; None to look at none.
            context: Whether the mixed map goes through an MSCA before the classifier.
            boundary_refine: How edges change the logits, if they do.
        """
        super().__init__(channels, outputs=classes)
        self.task_mixer = mixer
        self.context = ContextAttention(channels) if context else None
        self.boundary_refine = boundary_refine

    def forward(
        self, maps: Sequence[Tensor], contexts: Mapping[str, Tensor], edge_logits: Tensor | None = None
    ) -> HeadOutput:
        """Predict ``semseg``, float [B, classes, 4 h2, 4 w2], logits.

        Args:
            maps: The task's maps at p2, p3, p4, p5.
            contexts: The maps of the other tasks.
            edge_logits: Of the edge head, float [B, 1, 4 h2, 4 w2], for the refinement.
        """
        x, aux = self.trunk(maps)
        mixed = x if self.task_mixer is None else self.task_mixer(x, contexts)
        z = mixed if self.context is None else self.context(mixed)
        # Enlarging is linear: the sum is enlarged once.
        logits = enlarge(self.pred_conv(x) + self.pred_conv(z), OUTPUT_FACTOR)
        if self.boundary_refine is not None and edge_logits is not None:
            logits = self.boundary_refine(logits, edge_logits)
        return HeadOutput({"semseg": logits}, context=mixed, aux=aux)
