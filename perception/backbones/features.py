"""What every backbone gives: feature maps with their strides, and register tokens where it has them."""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class BackboneFeatures:
    """Features of a batch of images.

    Attributes:
        taps: Feature maps, shallow to deep, each float [B, D_i, h_i, w_i].
        strides: Pixels of the image per cell of each map.
        registers: Register tokens of the deepest tap, float [B, R, D]; None if the backbone has none.
    """

    taps: tuple[Tensor, ...]
    strides: tuple[int, ...]
    registers: Tensor | None


class Backbone(nn.Module):
    """An image in, ``BackboneFeatures`` out.

    Images of any size are taken. What lies beyond the last whole multiple of ``multiple`` pixels, at the
    right and at the bottom, is not seen.

    Attributes:
        channels: Channels of each tap, shallow to deep.
        strides: Stride of each tap.
        multiple: Sizes that are multiples of it are seen whole, pixels.
        register_dim: Width of a register token; None without register tokens.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    multiple: int
    register_dim: int | None

    def seen_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the part of an image that is seen, from the top left corner, pixels."""
        return height - height % self.multiple, width - width % self.multiple

    def forward(self, images: Tensor) -> BackboneFeatures:
        """Features of images, float [B, 3, H, W], normalised as the backbone was trained."""
        height, width = self.seen_size(images.shape[-2], images.shape[-1])
        return self.features(images[..., :height, :width])

    @abstractmethod
    def features(self, images: Tensor) -> BackboneFeatures:
        """Features of images whose sides are multiples of ``multiple``."""
