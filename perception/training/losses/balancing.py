"""How the losses of the tasks become one: weighted by the uncertainty that training finds for each."""

from collections.abc import Mapping

import torch
from torch import Tensor


def uncertainty_weighted(losses: Mapping[str, Tensor], log_variances: Mapping[str, Tensor]) -> Tensor:
    """The sum of ``exp(-s) L + s / 2`` over tasks, s being the logarithm of the task's variance.

    Kendall et al. 2018, equations 7 and 10. They give regression a factor of one half; it moves s by log 2
    and nothing else, and none of the losses here is the likelihood of a Gaussian, so all have the factor 1.

    Args:
        losses: Task to its loss; one at least.
        log_variances: Task to s, a scalar that is trained. Those of other tasks are not looked at.
    """
    weighted = [
        (-log_variances[task]).exp() * loss + log_variances[task] / 2 for task, loss in losses.items()
    ]
    return torch.stack(weighted).sum()
