"""The Mamba layer, with the parameters and the names of ``mamba_ssm.Mamba``."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from perception.mamba.selective_scan import selective_scan

# The range that the paper draws the initial step sizes from (Gu & Dao 2023, section 3.6).
SMALLEST_STEP, LARGEST_STEP = 1e-3, 1e-1


class Mamba(nn.Module):
    """The selective state space layer of Mamba (Gu & Dao 2023, arXiv 2312.00752, figure 3).

    Tokens (batch, L, d_model) in, tokens of the same shape out; a token sees itself and those before it.

    Args:
        d_model: Channels of a token.
        d_state: States of each inner channel.
        d_conv: Width of the causal convolution, in tokens.
        expand: Inner channels per channel.
    """

    def __init__(self, d_model: int, d_state: int = 16, d_conv: int = 4, expand: int = 2):
        super().__init__()
        d_inner = expand * d_model
        dt_rank = math.ceil(d_model / 16)
        self.in_proj = nn.Linear(d_model, 2 * d_inner, bias=False)
        self.conv1d = nn.Conv1d(d_inner, d_inner, d_conv, groups=d_inner, padding=d_conv - 1)
        self.x_proj = nn.Linear(d_inner, dt_rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(dt_rank, d_inner)
        self.A_log = nn.Parameter(torch.empty(d_inner, d_state))
        self.D = nn.Parameter(torch.empty(d_inner))
        self.out_proj = nn.Linear(d_inner, d_model, bias=False)
        self._splits = [dt_rank, d_state, d_state]
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the recurrence anew as the paper describes: A is -1 to -N, steps log-uniform, D is one."""
        self.A_log.copy_(torch.arange(1, self.A_log.shape[1] + 1, dtype=self.A_log.dtype).log())
        self.D.fill_(1.0)
        bound = self.dt_proj.in_features**-0.5
        nn.init.uniform_(self.dt_proj.weight, -bound, bound)
        low, high = math.log(SMALLEST_STEP), math.log(LARGEST_STEP)
        steps = torch.empty_like(self.dt_proj.bias).uniform_(low, high).exp()
        # The inverse of softplus: log(exp(steps) - 1).
        self.dt_proj.bias.copy_(steps + torch.log(-torch.expm1(-steps)))

    def forward(self, tokens: Tensor) -> Tensor:
        """Mix the tokens (batch, L, d_model) along L."""
        x, z = self.in_proj(tokens).chunk(2, dim=-1)
        x = self.conv1d(x.transpose(1, 2))[..., : tokens.shape[1]].transpose(1, 2)
        x = functional.silu(x)
        dt, B, C = self.x_proj(x).split(self._splits, dim=-1)  # noqa: N806
        dt = functional.softplus(self.dt_proj(dt))
        # Small differences between rates matter: not in half precision.
        log_rates = self.A_log.to(torch.promote_types(self.A_log.dtype, torch.float32))
        y = selective_scan(x, dt, -torch.exp(log_rates), B, C, self.D)
        return self.out_proj(y * functional.silu(z))
