"""The loss of a network as a whole."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from perception.m2hmx.configuration import NetworkConfig
from perception.training.losses.balancing import uncertainty_weighted
from perception.training.losses.batch import Batch, bring_together
from perception.training.losses.consistency import consistency_terms
from perception.training.losses.depth import depth_terms
from perception.training.losses.edges import edge_terms
from perception.training.losses.normals import normals_terms
from perception.training.losses.segmentation import segmentation_terms
from perception.training.losses.settings import LossSettings
from perception.training.losses.terms import Terms, weighted_sum
from perception.training.targets import Targets

#: Task to what calculates its terms.
_TASK_TERMS: dict[str, Callable[[Batch, LossSettings], Terms]] = {
    "semseg": segmentation_terms,
    "depth": depth_terms,
    "normals": normals_terms,
    "edge": edge_terms,
}


@dataclass(frozen=True)
class LossReport:
    """What the loss says of a batch.

    Attributes:
        total: float32 scalar, what is minimised.
        terms: Name to a detached float32 scalar, for the log: every term before its weight
            (``depth/silog``, ``consistency/edge_semseg``), ``TASK/total`` after the weights,
            ``log_variance/TASK``, and ``known/TASK``, the part of the pixels with ground truth of use. A term
            without ground truth in the batch is not there; where every ``known`` is 0, nothing is learned.
    """

    total: Tensor
    terms: dict[str, Tensor]


class MultiTaskLoss(nn.Module):
    """The losses of all tasks, of intermediate predictions and between tasks, as one number.

    In train mode the tasks are balanced by their uncertainty (`perception.training.losses.balancing`), in
    eval mode summed; the consistency terms are added in both. A term counts where its ground truth is known,
    and one between two tasks where that of both is: a task without ground truth in a batch learns nothing
    from it. Ground truth of the depth is of use within the network's range.

    All is calculated in float32, in autocast as well: sums over an image exceed float16, and bfloat16 has too
    few digits for differences of depths.

    Attributes:
        log_variances: Task to the logarithm of its variance, a scalar that is trained. It wants no weight
            decay, which would pull the weights of all tasks towards 1.
    """

    def __init__(self, config: NetworkConfig, settings: LossSettings | None = None):
        """Build the loss for the tasks and the depth range of a network."""
        super().__init__()
        self.config = config
        self.settings = LossSettings() if settings is None else settings
        self.log_variances = nn.ParameterDict({task: nn.Parameter(torch.zeros(())) for task in config.tasks})

    def forward(self, outputs: Mapping[str, Any], targets: Targets, intrinsics: Tensor) -> LossReport:
        """Compare the outputs of a network with the ground truth.

        Args:
            outputs: What `M2HMX.forward` gives, ``aux`` included where it is there, of any float type. They
                are brought to the size of the targets, and must show the same part of the image (see
                `M2HMX.seen_size`).
            targets: Ground truth of the same batch.
            intrinsics: float [B, 4], fx, fy, cx, cy in pixels of the targets; the centre of the first pixel
                is 0.0.

        Raises:
            TargetError: A label is none of the network's classes.
        """
        with torch.autocast(intrinsics.device.type, enabled=False):
            batch = bring_together(outputs, targets, intrinsics, self.config)
            terms: dict[str, Terms] = {}
            losses: dict[str, Tensor] = {}
            for task in batch.truth:
                weights = getattr(self.settings, task)
                terms[task] = _TASK_TERMS[task](batch, self.settings) if weights.weight > 0 else {}
                if terms[task]:
                    losses[task] = weights.weight * weighted_sum(terms[task], weights)
            terms["consistency"] = consistency_terms(batch, self.settings)
            total = _zero_of([*_not_looked_at(outputs, terms), *self.parameters()])
            if losses and self.training:
                total = total + uncertainty_weighted(losses, dict(self.log_variances.items()))
            elif losses:
                total = total + torch.stack(list(losses.values())).sum()
            if terms["consistency"]:
                total = total + weighted_sum(terms["consistency"], self.settings.consistency)
        return LossReport(total, self._log(batch, terms, losses))

    def _log(self, batch: Batch, terms: dict[str, Terms], losses: dict[str, Tensor]) -> dict[str, Tensor]:
        log = {f"{part}/{name}": value for part, values in terms.items() for name, value in values.items()}
        log |= {f"{task}/total": loss for task, loss in losses.items()}
        for task, log_variance in self.log_variances.items():
            log[f"log_variance/{task}"] = log_variance
            truth = batch.truth.get(task)
            log[f"known/{task}"] = (
                torch.zeros_like(log_variance) if truth is None else truth.known.float().mean()
            )
        return {name: value.detach().clone() for name, value in log.items()}


def _zero_of(tensors: Iterable[Tensor]) -> Tensor:
    """A zero that depends on tensors, with gradients of exactly 0, whatever their values.

    With it there is always something to propagate, and what is not looked at in a batch has gradients too.
    """
    return torch.stack([x.unsqueeze(0)[:0].float().sum() for x in tensors]).sum()


def _not_looked_at(outputs: Mapping[str, Any], terms: Mapping[str, Terms]) -> Iterator[Tensor]:
    """The outputs that no term is of. To the others, which may be large, nothing is added in vain."""
    for name, output in outputs.items():
        if name != "aux" and not terms.get(name):
            yield output
    for task, levels in outputs.get("aux", {}).items():
        if "aux" not in terms.get(task, {}):
            yield from levels
