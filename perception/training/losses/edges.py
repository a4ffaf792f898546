"""The loss of the edges: balanced cross entropy of logits, or focal loss, and Dice."""

import torch
from torch import Tensor
from torch.nn import functional

from perception.training.losses.batch import Batch, Truth
from perception.training.losses.settings import LossSettings
from perception.training.losses.terms import Terms, calculated, mean_where, soft_dice, with_aux


def edge_terms(batch: Batch, settings: LossSettings) -> Terms:
    """``bce``, ``dice`` and ``aux``."""
    truth, weights = batch.truth["edge"], settings.edge

    def terms_of(logits: Tensor) -> Terms:
        return calculated(
            {
                "bce": lambda: balanced_bce(logits, truth, weights.positive_share, weights.focal_gamma),
                "dice": lambda: edge_dice(logits, truth),
            },
            weights,
        )

    return with_aux(terms_of, batch.outputs["edge"], batch.aux["edge"], weights)


def balanced_bce(logits: Tensor, truth: Truth, positive_share: float, focal_gamma: float) -> Tensor:
    """``share * mean over edges + (1 - share) * mean elsewhere`` of ``-(1 - p)^gamma log p``.

    p is the probability of what is right. With a share of 0.5 it is the class-balanced loss of Xie and Tu
    2015 (equation 2) but for a factor that depends on the number of edge pixels alone. In a batch with one
    of the two kinds only, that kind has the whole weight.

    Args:
        logits: float32 [B, 1, H, W].
        truth: 1 on edges, 0 elsewhere.
        positive_share: The share.
        focal_gamma: Of the focal loss (Lin et al. 2017, equation 4); 0 for cross entropy.
    """
    on_edge = _on_edge(truth)
    margin = torch.where(on_edge, logits, -logits)
    losses = -functional.logsigmoid(margin)
    if focal_gamma > 0:
        # As a power of 1 - p it would have an infinite gradient at p = 1 for exponents below 1.
        losses = losses * (focal_gamma * functional.logsigmoid(-margin)).exp()
    sides = (
        (positive_share, mean_where(losses, on_edge)),
        (1 - positive_share, mean_where(losses, truth.known & ~on_edge)),
    )
    present = [(share, mean) for share, mean in sides if mean is not None]
    return torch.stack([share * mean for share, mean in present]).sum() / sum(share for share, _ in present)


def edge_dice(logits: Tensor, truth: Truth) -> Tensor | None:
    """Soft Dice of the edges; None where there are none.

    Args:
        logits: float32 [B, 1, H, W].
        truth: 1 on edges, 0 elsewhere.
    """
    probabilities, on_edge = logits.sigmoid(), _on_edge(truth)
    shared, predicted = (torch.where(mask, probabilities, 0.0).sum() for mask in (on_edge, truth.known))
    return soft_dice(shared.view(1), predicted.view(1), on_edge.sum().view(1))


def _on_edge(truth: Truth) -> Tensor:
    # What is unknown is -1.
    return truth.target > 0.5
