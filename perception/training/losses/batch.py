"""Predictions and ground truth of a batch, brought together: float32, one size, and what is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from perception.m2hmx.configuration import NetworkConfig
from perception.m2hmx.resize import resize, size_of
from perception.training.targets import EDGE_UNKNOWN, LABEL_UNKNOWN, Targets

#: Outputs of the network with a value for every pixel.
_DENSE = ("semseg", "depth", "depth_coarse", "depth_offset", "normals", "edge")


@dataclass(frozen=True)
class Truth:
    """Ground truth of a task.

    Attributes:
        target: As in `perception.training.targets.Targets`.
        known: bool [B, 1, H, W], where it is known and of use; somewhere at least.
    """

    target: Tensor
    known: Tensor


@dataclass(frozen=True)
class Batch:
    """What the losses compare.

    Attributes:
        outputs: Of the network, those of the tasks in ``truth``; the dense ones float32 [B, channels, H, W].
        aux: Task to intermediate predictions of the same size, coarse to fine.
        truth: Task to its ground truth, for the tasks of the network that have some in the batch.
        intrinsics: float32 [B, 4], fx, fy, cx, cy in pixels of the targets; the first pixel's centre is 0.0.
    """

    outputs: dict[str, Tensor]
    aux: dict[str, list[Tensor]]
    truth: dict[str, Truth]
    intrinsics: Tensor


def bring_together(
    outputs: Mapping[str, Any], targets: Targets, intrinsics: Tensor, config: NetworkConfig
) -> Batch:
    """Bring the outputs to the size of the targets, and find out what is known.

    They are enlarged bilinearly, as they are when the network is used. Targets are never interpolated: the
    mean of two depths or two classes is neither, and what is unknown would mix in.

    Args:
        outputs: What `M2HMX.forward` gives.
        targets: Ground truth of the same batch.
        intrinsics: float [B, 4].
        config: Of the network.
    """
    truth = _truth(targets, config)
    found: dict[str, Tensor] = {}
    aux: dict[str, list[Tensor]] = {}
    for task, of_task in truth.items():
        size = size_of(of_task.known)
        # What belongs to a task begins with its name.
        own = {name: output.float() for name, output in outputs.items() if name.startswith(task)}
        found |= {name: resize(output, size) if name in _DENSE else output for name, output in own.items()}
        aux[task] = [resize(level.float(), size) for level in outputs.get("aux", {}).get(task, ())]
    return Batch(found, aux, truth, intrinsics.float())


def _truth(targets: Targets, config: NetworkConfig) -> dict[str, Truth]:
    found: dict[str, Truth] = {}
    if targets.labels is not None:
        found["semseg"] = Truth(targets.labels, (targets.labels != LABEL_UNKNOWN).unsqueeze(1))
    if targets.depth is not None:
        within = (targets.depth >= config.min_depth) & (targets.depth <= config.max_depth)
        found["depth"] = Truth(targets.depth, within & (targets.depth > 0))
    if targets.normals is not None:
        found["normals"] = Truth(targets.normals, (targets.normals != 0).any(dim=1, keepdim=True))
    if targets.edges is not None:
        found["edge"] = Truth(targets.edges, targets.edges != EDGE_UNKNOWN)
    return {task: truth for task, truth in found.items() if task in config.tasks and truth.known.any()}
