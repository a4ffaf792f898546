"""Surface normals of a depth image."""

import torch
from torch import Tensor
from torch.nn import functional

#: Pixels to each side of the window in which a plane is fitted.
_RADIUS = 2

#: Greatest deviation of inverse depth from the plane, as a part of it (root mean square over the window).
#: A step of 2 % of the depth has more, which is no surface; a Kinect at 3 m has 0.5 % of noise.
_LARGEST_DEVIATION = 0.005


def normals_from_depth(depth: Tensor, known: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Normals of the planes that fit best around each pixel.

    On a plane, inverse depth is linear in the coordinates of the pixel: from ``n . X = d`` and
    ``X = z K^-1 (u, v, 1)`` follows ``1/z = a u + b v + c`` with ``(a, b, c) = K^-T n / d``. The slopes are
    those of least squares over 5 by 5 pixels, so that the normals of a plane are exact, and noise, which for
    stereo and structured light is even in inverse depth, is averaged.

    Args:
        depth: float32 [B, 1, H, W], metres along the optical axis, positive where known.
        known: bool [B, 1, H, W].
        intrinsics: float32 [B, 4], fx, fy, cx, cy in pixels of the depth; the first pixel's centre is 0.0.

    Returns:
        float32 [B, 3, H, W], unit vectors in the frame of the camera that point towards it, and bool
        [B, 1, H, W], where they are known: where all 25 pixels are, and lie on a plane.
    """
    inverse = torch.where(known, torch.where(known, depth, 1.0).reciprocal(), 0.0)
    count = (2 * _RADIUS + 1) ** 2
    spread = count * _RADIUS * (_RADIUS + 1) / 3  # sum of the squared steps along one axis

    mean = _window_sum(inverse) / count
    along_u = _window_sum(inverse, slope_of=3) / spread
    along_v = _window_sum(inverse, slope_of=2) / spread
    squares = _window_sum(inverse.square()) / count - mean.square()
    deviation = squares - (along_u.square() + along_v.square()) * (spread / count)
    whole = _window_sum(known.float()) > count - 0.5
    flat = whole & (deviation <= (_LARGEST_DEVIATION * mean).square())

    fx, fy, cx, cy = intrinsics.float()[:, :, None, None, None].unbind(dim=1)
    v, u = torch.meshgrid(*(torch.arange(n, device=depth.device) for n in depth.shape[-2:]), indexing="ij")
    at_centre = mean - along_u * (u - cx) - along_v * (v - cy)
    return -unit(torch.cat([fx * along_u, fy * along_v, at_centre], dim=1)), flat


def unit(vectors: Tensor) -> Tensor:
    """Vectors along the channels brought to length 1; shorter than 1e-6 they stay short.

    Args:
        vectors: float32 [B, 3, H, W].
    """
    return vectors * vectors.square().sum(dim=1, keepdim=True).clamp_min(1e-12).rsqrt()


def _window_sum(x: Tensor, slope_of: int | None = None) -> Tensor:
    """Sums over the window around each pixel, with zeros around the image.

    Sums of shifted copies: a GPU may calculate convolutions with ten bits, too few for slopes.

    Args:
        x: float32 [B, 1, H, W].
        slope_of: The dimension whose steps from the centre are factors; None for none.
    """
    steps = range(2 * _RADIUS + 1)
    for dim in (2, 3):
        pad = (0, 0, _RADIUS, _RADIUS) if dim == 2 else (_RADIUS, _RADIUS)
        padded, size = functional.pad(x, pad), x.shape[dim]
        shifted = [padded.narrow(dim, step, size) for step in steps]
        factors = [step - _RADIUS if dim == slope_of else 1 for step in steps]
        x = torch.stack([factor * one for factor, one in zip(factors, shifted, strict=True)]).sum(dim=0)
    return x
