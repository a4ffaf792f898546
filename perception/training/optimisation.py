"""Which parameters decay, and how fast all of them move at each step."""

import math
from collections.abc import Iterable
from typing import Any

from torch import nn

from perception.training.configuration import TrainingConfig

#: Last names of parameters with two dimensions or more that do not decay: the state matrix of Mamba, and the
#: tokens of a vision transformer.
_NEVER_DECAYED = frozenset({"A_log", "cls_token", "reg_token", "pos_embed"})


def parameter_groups(modules: Iterable[nn.Module], weight_decay: float) -> list[dict[str, Any]]:
    """What is trained, in two groups for an optimiser: what decays and what does not.

    Decay pulls towards zero, which makes a map simpler where the parameter is the matrix of a map. It does
    not decay elsewhere: zero is no simpler value of a bias, of the scale of a norm, or of a token. For Mamba
    zero is a wrong value: ``A_log`` = 0 makes all states forget at one rate instead of many, and D = 0 takes
    away the path around the recurrence. Neither do logarithms of variances decay: the losses of all tasks
    would drift towards one weight.
    """
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for module in modules:
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                stays = parameter.ndim < 2 or name.rpartition(".")[2] in _NEVER_DECAYED
                (free if stays else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


def learning_rate(step: int, config: TrainingConfig) -> float:
    """The learning rate of a step, the first one being 1: a function of it alone, without a state to keep."""
    highest, warmup = config.optimiser.lr, config.schedule.warmup_steps
    if step <= warmup:
        return highest * step / warmup
    passed = (step - warmup) / (config.steps - warmup)
    final = config.schedule.final_share
    return highest * (final + (1 - final) * (1 + math.cos(math.pi * passed)) / 2)
