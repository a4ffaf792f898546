"""The depth head: adaptive bins and an offset."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from perception.m2hmx.convolutions import conv, conv_norm_gelu
from perception.m2hmx.heads.trunk import OUTPUT_FACTOR, HeadOutput, HeadTrunk
from perception.m2hmx.resize import enlarge


class DepthHead(HeadTrunk):
    """Depth as the expectation over bins whose widths depend on the image, plus an offset.

    It looks at no other task. ``pred_conv`` serves training alone, where it gives depth without bins.
    """

    def __init__(self, channels: int, bins: int, min_depth: float, max_depth: float):
        super().__init__(channels, outputs=1)
        self.min_depth, self.max_depth = min_depth, max_depth
        embedding, offset = max(channels // 4, 32), max(64, channels // 2)
        self.bin_classifier = _classifier(channels, channels, bins)
        self.offset_head = _classifier(channels, offset, 1)
        self.bin_width_mlp = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            conv(channels, embedding, 1, bias=False),
            nn.GELU(),
            conv(embedding, bins, 1),
        )

    def forward(self, maps: Sequence[Tensor], contexts: Mapping[str, Tensor]) -> HeadOutput:
        """Predict metres.

        Args:
            maps: The task's maps at p2, p3, p4, p5.
            contexts: Of the other tasks; not used.

        Returns:
            ``depth`` and its parts ``depth_coarse`` and ``depth_offset``, float [B, 1, 4 h2, 4 w2], not
            clamped; ``depth_bin_logits``, float [B, K, h2, w2]; ``depth_bin_edges``, float [B, K], the upper
            edge of each bin.
        """
        x, aux = self.trunk(maps)
        logits = self.bin_classifier(x)
        edges = self._bin_edges(x)
        lower = functional.pad(edges[:, :-1], (1, 0), value=self.min_depth)
        centres = ((lower + edges) / 2)[:, :, None, None]
        coarse = (logits.softmax(dim=1) * centres).sum(dim=1, keepdim=True)
        offset = self.offset_head(x)
        predictions = {
            "depth": enlarge(coarse + offset, OUTPUT_FACTOR),
            "depth_coarse": enlarge(coarse, OUTPUT_FACTOR),
            "depth_offset": enlarge(offset, OUTPUT_FACTOR),
            "depth_bin_logits": logits,
            "depth_bin_edges": edges,
        }
        return HeadOutput(predictions, context=x, aux=aux)

    def _bin_edges(self, x: Tensor) -> Tensor:
        widths = self.bin_width_mlp(x).flatten(1).softmax(dim=1)
        return self.min_depth + (self.max_depth - self.min_depth) * torch.cumsum(widths, dim=1)


def _classifier(channels: int, hidden: int, outputs: int) -> nn.Sequential:
    block = conv_norm_gelu(channels, hidden, 3, groups=max(1, hidden // 32))
    return block.append(conv(hidden, outputs, 1))
