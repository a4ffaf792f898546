"""What losses are made of: named terms, weighted sums, means over known pixels, Dice."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from perception.settings import Settings
from perception.training.losses.settings import TaskLossSettings

#: Name of a term to its value, a scalar. Terms for which the batch has no ground truth are not in it.
Terms = dict[str, Tensor]


def calculated(candidates: Mapping[str, Callable[[], Tensor | None]], weights: Settings) -> Terms:
    """The terms whose weight is not 0 and for which there is ground truth.

    Args:
        candidates: Name of a term to what calculates it, or gives None where nothing is known.
        weights: Has a weight under the name of every term.
    """
    values = {name: value() for name, value in candidates.items() if getattr(weights, name) > 0}
    return {name: value for name, value in values.items() if value is not None}


def weighted_sum(terms: Terms, weights: Settings) -> Tensor:
    """The sum of terms, each times the weight of its name. There must be one at least."""
    return torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()


def with_aux(
    terms_of: Callable[[Tensor], Terms], prediction: Tensor, aux: Sequence[Tensor], weights: TaskLossSettings
) -> Terms:
    """The terms of a prediction, and as ``aux`` the mean of their weighted sums over intermediate ones.

    A mean, so that the weight of ``aux`` does not depend on how many levels there are.

    Args:
        terms_of: From a prediction to its terms.
        prediction: The last one.
        aux: The intermediate ones, of the same shape.
        weights: Of the terms and of ``aux``.
    """
    terms = terms_of(prediction)
    if terms and aux and weights.aux > 0:
        levels = [weighted_sum(terms_of(level), weights) for level in aux]
        terms["aux"] = torch.stack(levels).mean()
    return terms


def mean_where(values: Tensor, known: Tensor) -> Tensor | None:
    """Mean over known pixels; None where there are none.

    Args:
        values: float [B, 1, H, W].
        known: bool [B, 1, H, W].
    """
    if not known.any():
        return None
    # Selected and not multiplied by 0: what is infinite where nothing is known must not become NaN.
    return torch.where(known, values, 0.0).sum() / known.sum()


def mean_absolute_error(found: Tensor, target: Tensor, known: Tensor) -> Tensor | None:
    """Mean of the absolute difference over known pixels; shapes as for `mean_where`."""
    return mean_where((found - target).abs(), known)


def soft_dice(shared: Tensor, predicted: Tensor, true: Tensor) -> Tensor | None:
    """One minus the Dice coefficient of soft masks, averaged over the classes present.

    ``1 - 2 sum(p y) / (sum(p) + sum(y))`` (as in Bertels et al. 2019), the sums being over all known
    pixels of the batch, as mIoU pools them. An absent class is left out: its coefficient is 0 whatever is
    predicted.

    Args:
        shared: float32 [K], by class the sum of probabilities over its pixels.
        predicted: float32 [K], the sum of its probabilities over all pixels.
        true: int64 [K], the number of its pixels.

    Returns:
        A scalar from 0 (the masks agree) to 1; None where no class is present.
    """
    present = true > 0
    if not present.any():
        return None
    return (1 - 2 * shared / (predicted + true))[present].mean()
