"""The moving average of the weights, which is what is kept of a training."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

_Tensors = tuple[Tensor, ...] | list[Tensor]


def averaged_network(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of a network that follows its weights: ``a = d a + (1 - d) w`` after every step.

    d is ``min(decay, (1 + n) / (10 + n))`` at update n, as TensorFlow's ExponentialMovingAverage has it. With
    a constant d near 1 the random weights of the beginning would weigh in for thousands of steps. Buffers are
    copied. The copy is in eval mode.
    """

    @torch.no_grad()
    def follow(averages: _Tensors, weights: _Tensors, updates: Tensor | int) -> None:
        n = float(updates)
        torch._foreach_lerp_(averages, weights, 1 - min(decay, (1 + n) / (10 + n)))

    averaged = AveragedModel(network, multi_avg_fn=follow)
    return averaged.eval().requires_grad_(False)
