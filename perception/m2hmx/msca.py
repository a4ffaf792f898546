"""Multi-scale context attention: a map weighted by what lies around each of its cells."""

from torch import Tensor, nn

from perception.m2hmx.convolutions import conv, conv_norm

KERNEL = 9


class ContextAttention(nn.Module):
    """MSCA: depthwise 5x5, then 1xk and kx1 strips added on top; their gate multiplies the map."""

    def __init__(self, channels: int, *, project: bool = False, squeeze: bool = True):
        """Build the block.

        Args:
            channels: Of the map.
            project: Whether the map that is weighted goes through a 1x1 convolution and a norm first.
            squeeze: Whether a gate of the global average weights the channels of the context.
        """
        super().__init__()
        self.identity = conv_norm(channels, channels, 1, bias=False) if project else nn.Identity()
        self.dw_local = _depthwise(channels, (5, 5))
        self.dw_horizontal = _depthwise(channels, (1, KERNEL))
        self.dw_vertical = _depthwise(channels, (KERNEL, 1))
        self.fuse = conv(channels, channels, 1)
        self.se_inner = (
            nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(channels, channels, 1), nn.Sigmoid())
            if squeeze
            else None
        )
        self.activation = nn.GELU()
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """A map in, a map of the same shape out."""
        context = self.dw_local(x)
        context = context + self.dw_horizontal(context)
        context = context + self.dw_vertical(context)
        context = self.fuse(context)
        if self.se_inner is not None:
            context = context * self.se_inner(context)
        return self.identity(x) * self.activation(context).sigmoid()


def _depthwise(channels: int, kernel: tuple[int, int]) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    convolution = nn.Conv2d(channels, channels, kernel, padding=padding, groups=channels, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(1, channels), nn.GELU())


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
