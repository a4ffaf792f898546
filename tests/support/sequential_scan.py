"""The recurrence of the selective scan as the paper writes it, one token after the other."""

import torch
from torch import Tensor


def sequential_scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:  # noqa: N803
    """Arguments and result as those of ``perception.mamba.selective_scan``."""
    state = x.new_zeros(x.shape[0], *A.shape)
    outputs = []
    for x_t, dt_t, B_t, C_t in zip(*(tensor.unbind(1) for tensor in (x, dt, B, C)), strict=True):  # noqa: N806
        state = torch.exp(dt_t[:, :, None] * A) * state + (dt_t * x_t)[:, :, None] * B_t[:, None]
        outputs.append((state * C_t[:, None]).sum(-1) + D * x_t)
    return torch.stack(outputs, 1)
