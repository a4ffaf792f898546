"""The small convolutional blocks that adapter, decoder and heads are made of."""

from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int, *, bias: bool = True) -> nn.Conv2d:
    """A convolution that keeps the size of the map."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)


def conv_norm(inputs: int, outputs: int, kernel: int, *, bias: bool = True, groups: int = 1) -> nn.Sequential:
    """A convolution and a group norm."""
    return nn.Sequential(conv(inputs, outputs, kernel, bias=bias), nn.GroupNorm(groups, outputs))


def conv_norm_gelu(inputs: int, outputs: int, kernel: int, *, groups: int = 1) -> nn.Sequential:
    """A convolution without bias, a group norm and a GELU."""
    return conv_norm(inputs, outputs, kernel, bias=False, groups=groups).append(nn.GELU())


class FusionBlock(nn.Module):
    """Two convolutions with a residual around them."""

    def __init__(self, channels: int):
        super().__init__()
        groups = next(g for g in range(min(32, channels), 0, -1) if channels % g == 0)
        self.conv1 = conv(channels, channels, 3, bias=False)
        self.norm1 = nn.GroupNorm(groups, channels)
        self.conv2 = conv(channels, channels, 3, bias=False)
        self.norm2 = nn.GroupNorm(groups, channels)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """A map in, a map of the same shape out."""
        y = self.activation(self.norm1(self.conv1(x)))
        return self.activation(self.norm2(self.conv2(y)) + x)


class PredictionConv(nn.Module):
    """From a map to the values of a task at every cell."""

    def __init__(self, channels: int, outputs: int):
        super().__init__()
        self.conv1 = conv(channels, channels, 3)
        self.activation = nn.GELU()
        self.conv2 = conv(channels, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, C, h, w] to [B, outputs, h, w]."""
        return self.conv2(self.activation(self.conv1(x)))
