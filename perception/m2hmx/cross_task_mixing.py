"""Cross-task mixing: a head's map takes in what other tasks have found."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from perception.m2hmx.convolutions import conv, conv_norm_gelu
from perception.m2hmx.msca import ContextAttention
from perception.m2hmx.resize import resize, size_of


class CrossTaskMixer(nn.Module):
    """CTM: gated maps of the other tasks are concatenated with the base map, fused, and given context."""

    def __init__(self, channels: int, contexts: Iterable[str], *, context_attention: bool = True):
        """Build the mixer.

        Args:
            channels: Of every map.
            contexts: The other tasks, in the order of concatenation.
            context_attention: Whether the fused map is given context.
        """
        super().__init__()
        self.contexts = tuple(contexts)
        self.projections = nn.ModuleDict(
            {task: conv_norm_gelu(channels, channels, 1) for task in self.contexts}
        )
        self.gates = nn.ModuleDict(
            {
                task: conv_norm_gelu(channels, channels, 1).extend([conv(channels, 1, 1), nn.Sigmoid()])
                for task in self.contexts
            }
        )
        self.fuse = conv_norm_gelu(channels * (len(self.contexts) + 1), channels, 1)
        self.cross = ContextAttention(channels, project=True, squeeze=False) if context_attention else None

    def forward(self, x: Tensor, contexts: Mapping[str, Tensor]) -> Tensor:
        """Mix.

        Args:
            x: Map of the head, float [B, C, h, w].
            contexts: At least the maps of the other tasks, each float [B, C, h', w'].

        Returns:
            Float [B, C, h, w].
        """
        gated = [self._gated(task, resize(contexts[task], size_of(x))) for task in self.contexts]
        y = self.fuse(torch.cat([x, *gated], dim=1))
        return y if self.cross is None else y + self.cross(y)

    def _gated(self, task: str, x: Tensor) -> Tensor:
        return self.projections[task](x) * (1 + self.gates[task](x))
