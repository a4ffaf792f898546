"""Low-rank adaptation of backbones, through peft."""

import re

from torch import nn

from perception.backbones.errors import BackboneError, MissingPackageError
from perception.backbones.settings import LoraSettings
from perception.backbones.timm_import import import_timm

#: What others call the layers that are adapted, where no layer of a backbone has that name.
_OTHER_NAMES = {
    "q": ["q_proj"],
    "k": ["k_proj"],
    "v": ["v_proj"],
    "qkv": ["q_proj", "k_proj", "v_proj"],
    "up_proj": ["fc1"],
    "down_proj": ["fc2"],
    "mlp": ["fc1", "fc2"],
}

#: How peft calls the set of adapters; part of the names of parameters.
ADAPTER = "default"


def add_lora(backbone: nn.Module, settings: LoraSettings) -> None:
    """Wrap the linear layers that are adapted, in place. A new adapter changes nothing: B starts as zeros.

    Raises:
        BackboneError: A target or block does not exist.
        MissingPackageError: peft is not installed.
    """
    # peft imports torchvision, which may need the remedy for timm.
    import_timm()
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ModuleNotFoundError as error:
        raise MissingPackageError(str(error.name)) from error

    targets = _layers_of_targets(backbone, settings.targets)
    blocks = _chosen_blocks(backbone, settings)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]
        lora_dropout=settings.dropout,
        target_modules=targets,
        layers_to_transform=blocks,
        layers_pattern=None if blocks is None else "blocks",
    )
    inject_adapter_in_model(config, backbone, adapter_name=ADAPTER)


def merge_lora(backbone: nn.Module) -> None:
    """Add every adapter to the weight of its layer, in place: the same function without the extra layers."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted = [(name, layer) for name, layer in backbone.named_modules() if isinstance(layer, BaseTunerLayer)]
    for name, layer in adapted:
        layer.merge()
        parent, _, child = name.rpartition(".")
        setattr(backbone.get_submodule(parent), child, layer.get_base_layer())


def freeze_all_but_lora_and_norms(backbone: nn.Module) -> None:
    """Leave adapters and parameters with ``norm`` in their name trainable, and nothing else."""
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_("lora_" in name or "norm" in name)


def _layers_of_targets(backbone: nn.Module, targets: tuple[str, ...]) -> list[str]:
    """Names of the linear layers that are meant by the targets of a configuration."""
    linear = {
        name.rpartition(".")[2] for name, layer in backbone.named_modules() if isinstance(layer, nn.Linear)
    }
    found = [
        layer
        for target in targets
        for layer in ([target] if target in linear else _OTHER_NAMES.get(target, [target]))
    ]
    unknown = sorted(set(found) - linear)
    if unknown:
        raise BackboneError(
            f"lora.targets: no linear layer {', '.join(unknown)}; there are {', '.join(sorted(linear))}"
        )
    return found


def _chosen_blocks(backbone: nn.Module, settings: LoraSettings) -> list[int] | None:
    """Indices of the adapted blocks; None for all."""
    if settings.blocks is None or settings.blocks == "all":
        return None
    numbers = (re.search(r"(?:^|\.)blocks\.(\d+)\.", name) for name, _ in backbone.named_modules())
    depth = 1 + max((int(number[1]) for number in numbers if number), default=-1)
    wanted = settings.blocks
    if isinstance(wanted, int):
        wanted = tuple(range(depth - wanted, depth))
    beyond = [block for block in wanted if not 0 <= block < depth]
    if beyond or not wanted:
        raise BackboneError(f"lora.blocks: {settings.blocks} of a backbone with {depth} blocks")
    return list(wanted)
