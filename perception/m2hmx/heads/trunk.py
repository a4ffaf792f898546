"""What all heads share: fusing a task's four maps into one at p2."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from perception.m2hmx.convolutions import FusionBlock, PredictionConv
from perception.m2hmx.resize import enlarge, resize, size_of

#: How much finer the outputs are than p2.
OUTPUT_FACTOR = 4

#: Steps of the trunk (0 is p5) after which training looks at predictions.
AUX_STEPS = (1, 2)


@dataclass(frozen=True)
class HeadOutput:
    """What a head gives.

    Attributes:
        predictions: By name, float [B, channels, h, w] each, most at four times the size of p2.
        context: The map that other tasks may mix in, float [B, C, h2, w2].
        aux: Predictions from coarser levels at the size of the output; empty in eval mode.
    """

    predictions: dict[str, Tensor]
    context: Tensor
    aux: list[Tensor] = field(default_factory=list)


class HeadTrunk(nn.Module):
    """Base of the heads."""

    def __init__(self, channels: int, outputs: int, aux_steps: Collection[int] = AUX_STEPS):
        """Build the trunk.

        Args:
            channels: Of the maps.
            outputs: Channels of the prediction.
            aux_steps: Steps, coarse to fine from 0 for p5, after which training gets a prediction.
        """
        super().__init__()
        self.aux_steps = frozenset(aux_steps)
        self.fusion_blocks = nn.ModuleList(FusionBlock(channels) for _ in range(4))
        self.refine_blocks = nn.ModuleList([FusionBlock(channels)])
        self.pred_conv = PredictionConv(channels, outputs)

    def trunk(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Fuse coarse to fine.

        Args:
            maps: The task's maps at p2, p3, p4, p5.

        Returns:
            The map at p2 and, in train mode, the predictions of the coarser levels at the size of the output.
        """
        height, width = size_of(maps[0])
        size = (height * OUTPUT_FACTOR, width * OUTPUT_FACTOR)
        current: Tensor | None = None
        aux = []
        for step, level in enumerate(reversed(range(len(maps)))):
            x = maps[level]
            if current is not None:
                # The second resize is for odd sizes, where twice the coarser map is not quite the finer one.
                x = x + resize(enlarge(current, 2, align_corners=True), size_of(x))
            current = self.fusion_blocks[level](x)
            if self.training and step in self.aux_steps:
                aux.append(resize(self.pred_conv(current), size))
        return self.refine_blocks[0](current), aux
