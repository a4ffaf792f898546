"""Bilinear resizing of maps."""

from torch import Tensor
from torch.nn import functional


def resize(x: Tensor, size: tuple[int, int], *, align_corners: bool = False) -> Tensor:
    """Resize a map to a height and width, bilinearly.

    Args:
        x: float [B, C, h, w].
        size: Height and width of the result.
        align_corners: Whether the centres of the corner cells stay where they are; if not, the outlines do.
    """
    if x.shape[-2:] == size:
        return x
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


def enlarge(x: Tensor, factor: int, *, align_corners: bool = False) -> Tensor:
    """Resize a map to a multiple of its size."""
    return resize(x, (x.shape[-2] * factor, x.shape[-1] * factor), align_corners=align_corners)


def size_of(x: Tensor) -> tuple[int, int]:
    """Height and width of a map."""
    return x.shape[-2], x.shape[-1]
