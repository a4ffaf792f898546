"""The edge head: semantic edges, from the maps of all other tasks."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from perception.m2hmx.convolutions import conv
from perception.m2hmx.cross_task_mixing import CrossTaskMixer
from perception.m2hmx.heads.trunk import OUTPUT_FACTOR, HeadOutput, HeadTrunk
from perception.m2hmx.msca import ContextAttention
from perception.m2hmx.resize import enlarge

#: The step of the trunk after which training looks at predictions.
_AUX_STEPS = (1,)


class EdgeHead(HeadTrunk):
    """Logits of semantic edges.

    The map that other tasks see is the mixed one, before the context block that ``context=True`` adds to it.
    """

    def __init__(self, channels: int, mixer: CrossTaskMixer | None, *, context: bool = False):
        """Build the head.

        Args:
            channels: Of the maps.
            mixer: Of the other tasks; None to look at none.
            context: Whether the mixed map is given more context: ``z + MSCA(z)``.
        """
        super().__init__(channels, outputs=1, aux_steps=_AUX_STEPS)
        hidden = max(channels // 2, 32)
        self.context_mixer = mixer
        self.context = ContextAttention(channels) if context else None
        self.edge_proj = nn.Sequential(conv(channels, hidden, 3, bias=False), nn.GELU(), conv(hidden, 1, 1))

    def forward(self, maps: Sequence[Tensor], contexts: Mapping[str, Tensor]) -> HeadOutput:
        """Predict ``edge``, float [B, 1, 4 h2, 4 w2], logits.

        Args:
            maps: The task's maps at p2, p3, p4, p5.
            contexts: The maps of the other tasks.
        """
        x, aux = self.trunk(maps)
        mixed = x if self.context_mixer is None else self.context_mixer(x, contexts)
        z = mixed if self.context is None else mixed + self.context(mixed)
        logits = enlarge(self.edge_proj(z), OUTPUT_FACTOR, align_corners=True)
        return HeadOutput({"edge": logits}, context=mixed, aux=aux)
