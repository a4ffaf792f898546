"""Hierarchical feature adapter: from a backbone's taps to a pyramid of four maps and a register vector."""

from typing import Literal, NamedTuple

from torch import Tensor, nn

from perception.backbones.features import Backbone, BackboneFeatures
from perception.m2hmx.convolutions import conv_norm
from perception.m2hmx.resize import enlarge, resize, size_of

#: Stride of a vision transformer's maps. The taps of other backbones are brought to the nearest to it.
_STRIDE = 16


class Pyramid(NamedTuple):
    """What the decoder works on.

    Attributes:
        levels: Maps p2, p3, p4, p5, fine to coarse, each float [B, C, h, w]; p4 has the size of the taps.
        registers: Mean of the register tokens, float [B, C]; None without them.
    """

    levels: tuple[Tensor, ...]
    registers: Tensor | None


class HierarchicalFeatureAdapter(nn.Module):
    """HFA, with the backbone inside.

    With ``fusion="official"`` the deepest tap alone makes p4: the released code computes the fusion of all
    taps and does not use it. The layers of the other taps exist, so that checkpoints fit, and are not run.
    With ``"topdown"`` taps are fused from deep to shallow and the result makes p4, as the paper describes.

    Maps of a backbone with several strides are resized to the tap with the stride nearest to 16, which is
    where all taps of a vision transformer are.
    """

    def __init__(
        self,
        backbone: Backbone,
        channels: int,
        *,
        fusion: Literal["official", "topdown"] = "official",
        register_feed: bool = True,
    ):
        super().__init__()
        self.backbone = backbone
        self.fusion = fusion
        self.reference = min(range(len(backbone.strides)), key=lambda i: abs(backbone.strides[i] - _STRIDE))
        self.projection_layers = nn.ModuleList(conv_norm(inputs, channels, 1) for inputs in backbone.channels)
        self.fusion_layers = nn.ModuleList(conv_norm(channels, channels, 3) for _ in backbone.channels)
        self.refinement_layers = nn.ModuleList(conv_norm(channels, channels, 3) for _ in range(3))
        self.pool = nn.MaxPool2d(2)
        register_dim = backbone.register_dim if register_feed else None
        self.register_proj = None if register_dim is None else nn.Linear(register_dim, channels)

    def smallest_image(self) -> int:
        """Side of the smallest image for which every level has a cell, pixels."""
        multiple = self.backbone.multiple
        side = 2 * self.backbone.strides[self.reference]
        return -(-side // multiple) * multiple

    def forward(self, images: Tensor) -> Pyramid:
        """Images, float [B, 3, H, W], to pyramid and registers."""
        features: BackboneFeatures = self.backbone(images)
        size = size_of(features.taps[self.reference])
        p4 = self._fused(features.taps, size)
        p5 = self.refinement_layers[2](self.pool(p4))
        p3 = self.refinement_layers[0](enlarge(p4, 2))
        p2 = self.refinement_layers[1](enlarge(p3, 2))
        registers = None
        if self.register_proj is not None and features.registers is not None:
            registers = self.register_proj(features.registers.mean(dim=1))
        return Pyramid((p2, p3, p4, p5), registers)

    def _fused(self, taps: tuple[Tensor, ...], size: tuple[int, int]) -> Tensor:
        deepest = len(taps) - 1
        current = self.fusion_layers[deepest](resize(self.projection_layers[deepest](taps[deepest]), size))
        if self.fusion == "official":
            return current
        for i in reversed(range(deepest)):
            current = self.fusion_layers[i](resize(self.projection_layers[i](taps[i]), size) + current)
        return current
