"""The loss of the depth: scale-invariant logarithmic error, RMSE, and the optional terms."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from perception.m2hmx.resize import resize, size_of
from perception.training.losses.batch import Batch, Truth
from perception.training.losses.settings import LossSettings
from perception.training.losses.terms import Terms, calculated, mean_absolute_error, mean_where, with_aux

#: Metres from which on down the logarithm goes on as its tangent.
_FLOOR = 0.05

#: Mean squares below it have a root of gradient 0: that of 0 would be infinite.
_ZERO = 1e-12


def depth_terms(batch: Batch, settings: LossSettings) -> Terms:
    """``silog``, ``rmse``, ``l1``, ``aux``, ``coarse_l1``, ``offset_l1`` and ``bin_nll``."""
    truth, weights, outputs = batch.truth["depth"], settings.depth, batch.outputs

    def terms_of(depth: Tensor) -> Terms:
        return calculated(
            {
                "silog": lambda: silog(depth, truth, weights.variance_focus),
                "rmse": lambda: rmse(depth, truth),
                "l1": lambda: mean_absolute_error(depth, truth.target, truth.known),
            },
            weights,
        )

    parts = calculated(
        {
            "coarse_l1": lambda: mean_absolute_error(outputs["depth_coarse"], truth.target, truth.known),
            "offset_l1": lambda: offset_l1(outputs["depth_offset"], outputs["depth_coarse"], truth),
            "bin_nll": lambda: bin_nll(outputs["depth_bin_logits"], outputs["depth_bin_edges"], truth),
        },
        weights,
    )
    return with_aux(terms_of, outputs["depth"], batch.aux["depth"], weights) | parts


def silog(depth: Tensor, truth: Truth, variance_focus: float) -> Tensor:
    """Root of the scale-invariant error of logarithms, mean over the images with ground truth.

    With d the difference of the logarithms, ``mean(d^2) - lambda mean(d)^2`` (Eigen et al. 2014, equation 4),
    here as ``var(d) + (1 - lambda) mean(d)^2``, which is the same and cannot fall below 0 by rounding. It is
    taken image by image, since the scale that is forgiven is that of an image.

    Args:
        depth: float32 [B, 1, H, W], metres. The head gives it unbounded, negative too.
        truth: Metres.
        variance_focus: The lambda.
    """
    depth, target, known = _images_with_truth(depth, truth)
    difference = _logarithm(depth) - _logarithm(target)
    mean = _image_means(difference, known)
    variance = _image_means((difference - mean).square(), known)
    return _root(variance + (1 - variance_focus) * mean.square()).mean()


def rmse(depth: Tensor, truth: Truth) -> Tensor:
    """Root mean square error, metres, mean over the images with ground truth.

    Args:
        depth: float32 [B, 1, H, W], metres.
        truth: Metres.
    """
    depth, target, known = _images_with_truth(depth, truth)
    return _root(_image_means((depth - target).square(), known)).mean()


def offset_l1(offset: Tensor, coarse: Tensor, truth: Truth) -> Tensor | None:
    """Mean absolute error of the offset against what the expectation over bins, held, lacks, metres.

    Args:
        offset: float32 [B, 1, H, W], metres.
        coarse: float32 [B, 1, H, W], metres.
        truth: Metres.
    """
    return mean_absolute_error(offset, truth.target - coarse.detach(), truth.known)


def bin_nll(logits: Tensor, edges: Tensor, truth: Truth) -> Tensor | None:
    """Negative log likelihood of the bin that holds the target, at the size of the logits.

    The target is resized bilinearly, the one place where it is, and counts where all the pixels that went
    into it are known.

    Args:
        logits: float32 [B, K, h, w].
        edges: float32 [B, K], the upper edge of each bin, metres; they get no gradient.
        truth: Metres.
    """
    size = size_of(logits)
    target = resize(torch.where(truth.known, truth.target, 0.0), size)
    # The weights of the pixels that went into it add up to 1, but for rounding.
    whole = resize(truth.known.float(), size) > 0.999
    index = torch.searchsorted(edges, target.flatten(1)).view_as(target)
    # By rounding the last edge may be less than the end of the range.
    index = index.clamp_max(logits.shape[1] - 1)
    losses = functional.cross_entropy(logits, index.squeeze(1), reduction="none")
    return mean_where(losses.unsqueeze(1), whole)


def _logarithm(x: Tensor) -> Tensor:
    """The logarithm, continued below a floor by its tangent, so that what is too small is still pulled up."""
    tangent = math.log(_FLOOR) + (x - _FLOOR) / _FLOOR
    return torch.where(x > _FLOOR, x.clamp_min(_FLOOR).log(), tangent)


def _root(x: Tensor) -> Tensor:
    return x.clamp_min(_ZERO).sqrt()


def _images_with_truth(depth: Tensor, truth: Truth) -> tuple[Tensor, Tensor, Tensor]:
    seen = truth.known.flatten(1).any(dim=1)
    return depth[seen], truth.target[seen], truth.known[seen]


def _image_means(values: Tensor, known: Tensor) -> Tensor:
    """Mean over the known pixels of each image, float32 [B, 1, 1, 1]."""
    pixels = (1, 2, 3)
    total = torch.where(known, values, 0.0).sum(pixels, keepdim=True)
    return total / known.sum(pixels, keepdim=True)
