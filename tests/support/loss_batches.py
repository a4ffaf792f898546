"""Outputs and ground truth for tests of the losses: random ones of every task, and a plane."""

from collections.abc import Mapping
from typing import Any

import torch
from m2hmx_fill import tiny
from torch import Tensor

from perception.m2hmx.configuration import TASKS, NetworkConfig, make_network_config
from perception.training.losses import LossReport, LossSettings, MultiTaskLoss
from perception.training.targets import EDGE_UNKNOWN, LABEL_UNKNOWN, Targets

CLASSES = 5
BINS = 8
OPTIONS = {"weight", "variance_focus", "positive_share", "focal_gamma"}
CHANNELS = {"semseg": CLASSES, "depth": 1, "normals": 3, "edge": 1}
AUX_LEVELS = {"semseg": 2, "depth": 2, "normals": 2, "edge": 1}


def loss_config(**changes: Any) -> NetworkConfig:
    """Four tasks, five classes, eight bins, depth from 0.1 to 10 m."""
    return make_network_config(tiny(**{"num_classes": CLASSES, "depth_bins": BINS, **changes}))


def only(**chosen: Mapping[str, float]) -> LossSettings:
    """Settings in which these terms alone count: ``only(depth={"silog": 1.0})``."""
    values = {
        section: {name: 0.0 for name in type(settings).model_fields if name not in OPTIONS}
        | dict(chosen.get(section, {}))
        for section, settings in LossSettings()
    }
    return LossSettings.model_validate(values)


def every_term() -> LossSettings:
    """Settings in which all terms count."""
    values = {
        section: {name: value if name in OPTIONS else value or 0.25 for name, value in settings}
        for section, settings in LossSettings()
    }
    return LossSettings.model_validate(values)


def compare(
    outputs: Mapping[str, Any],
    targets: Targets,
    settings: LossSettings,
    *,
    train: bool = False,
    **config: Any,
) -> LossReport:
    """What the loss says, in eval mode unless ``train``."""
    loss = MultiTaskLoss(loss_config(**config), settings).train(train)
    return loss(outputs, targets, camera(len(next(iter(outputs.values())))))


def camera(batch: int = 1) -> Tensor:
    """float32 [B, 4], the same for all images."""
    return torch.tensor([[20.0, 22.0, 7.5, 5.5]]).repeat(batch, 1)


def random_outputs(batch: int = 2, height: int = 12, width: int = 16, seed: int = 0) -> dict[str, Any]:
    """What a network of all tasks could give in train mode; leaves that want gradients."""
    generator = torch.Generator().manual_seed(seed)

    def leaf(*shape: int, scale: float = 1.0, shift: float = 0.0) -> Tensor:
        return (shift + scale * torch.randn(*shape, generator=generator)).requires_grad_()

    size = (height, width)
    # Almost a wall, so that the depth has normals.
    outputs: dict[str, Any] = {
        name: leaf(batch, 1, *size, scale=0.002, shift=shift)
        for name, shift in (("depth", 3.0), ("depth_coarse", 2.9), ("depth_offset", 0.1))
    }
    outputs["depth_bin_logits"] = leaf(batch, BINS, height // 4, width // 4)
    widths = torch.rand(batch, BINS, generator=generator).softmax(dim=1)
    outputs["depth_bin_edges"] = (0.1 + 9.9 * widths.cumsum(dim=1)).requires_grad_()
    outputs |= {task: leaf(batch, CHANNELS[task], *size) for task in ("semseg", "normals", "edge")}
    outputs["aux"] = {
        task: [leaf(batch, CHANNELS[task], *size, shift=0.5) for _ in range(AUX_LEVELS[task])]
        for task in TASKS
    }
    return outputs


def leaves(outputs: Mapping[str, Any]) -> dict[str, Tensor]:
    """All tensors of `random_outputs` by name, those of ``aux`` as ``TASK/aux0``."""
    found = {name: x for name, x in outputs.items() if name != "aux"}
    for task, levels in outputs.get("aux", {}).items():
        found |= {f"{task}/aux{index}": level for index, level in enumerate(levels)}
    return found


def random_targets(batch: int = 2, height: int = 12, width: int = 16, seed: int = 0) -> Targets:
    """Ground truth of all tasks, known everywhere: almost a wall, of patches of random classes."""
    generator = torch.Generator().manual_seed(seed)
    size = (height, width)
    normals = torch.randn(batch, 3, *size, generator=generator)
    return Targets(
        depth=3.0 + 0.002 * torch.randn(batch, 1, *size, generator=generator),
        labels=torch.randint(CLASSES, (batch, *size), generator=generator),
        normals=normals / normals.norm(dim=1, keepdim=True),
        edges=(torch.rand(batch, 1, *size, generator=generator) < 0.3).float(),
    )


def forget(targets: Targets, unknown: Tensor) -> Targets:
    """The ground truth without these pixels, bool [B, 1, H, W]."""
    assert targets.depth is not None
    assert targets.labels is not None
    assert targets.normals is not None
    assert targets.edges is not None
    return Targets(
        depth=targets.depth.masked_fill(unknown, 0.0),
        labels=targets.labels.masked_fill(unknown[:, 0], LABEL_UNKNOWN),
        normals=targets.normals.masked_fill(unknown, 0.0),
        edges=targets.edges.masked_fill(unknown, EDGE_UNKNOWN),
    )


def plane(
    normal: tuple[float, float, float], distance: float, size: tuple[int, int], intrinsics: Tensor
) -> Tensor:
    """Depth of the plane ``n . X = -distance``, n towards the camera; float32 [1, 1, H, W], metres."""
    fx, fy, cx, cy = intrinsics[0].double()
    v, u = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in size), indexing="ij")
    along_ray = normal[0] * (u - cx) / fx + normal[1] * (v - cy) / fy + normal[2]
    return (-distance / along_ray).float()[None, None]


def everywhere(normal: tuple[float, float, float], size: tuple[int, int]) -> Tensor:
    """The same normal in all pixels, float32 [1, 3, H, W]."""
    return torch.tensor(normal, dtype=torch.float32).view(1, 3, 1, 1).expand(1, 3, *size).clone()
