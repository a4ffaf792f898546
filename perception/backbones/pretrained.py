"""Weights of DINOv3 from the model hub, through timm, for users who have access to them."""

from typing import Any

import torch
from torch import Tensor

from perception.backbones.errors import BackboneError
from perception.backbones.settings import VitDimensions
from perception.backbones.timm_import import import_timm
from perception.backbones.vit import VitBackbone

#: timm's names of the networks whose dimensions are those of a backbone, by width and depth.
_HUB_MODELS = {
    (384, 12): "vit_small_patch16_dinov3_qkvb.lvd1689m",
    (768, 12): "vit_base_patch16_dinov3_qkvb.lvd1689m",
    (1024, 24): "vit_large_patch16_dinov3_qkvb.lvd1689m",
}


def load_pretrained(backbone: VitBackbone, dimensions: VitDimensions) -> str:
    """Load the weights that DINOv3 was published with into a backbone without adapters.

    They are downloaded once and kept in the hub's own cache.

    Returns:
        timm's name of the weights.

    Raises:
        BackboneError: No published network has these dimensions, or the hub does not hand out the weights.
    """
    name = _HUB_MODELS.get((dimensions.embed_dim, dimensions.depth))
    if name is None:
        published = ", ".join(f"{width} wide with {depth} blocks" for width, depth in _HUB_MODELS)
        raise BackboneError(
            f"no DINOv3 is published that is {dimensions.embed_dim} wide with {dimensions.depth} blocks; "
            f"there are: {published}"
        )
    backbone.vit.load_state_dict(_separated(_download(name)))
    return name


def _download(name: str) -> dict[str, Tensor]:
    try:
        model: Any = import_timm().create_model(name, pretrained=True, num_classes=0)
    # The hub's client raises errors of many kinds, from refused access to a broken connection.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise BackboneError(
            f"the hub does not hand out the weights '{name}' ({reason}); accept their licence on their page "
            "at the hub and log in with 'hf auth login', or start from a file of weights instead"
        ) from error
    return dict(model.state_dict())


def _separated(fused: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with one projection for q, k and v as one with three, which is what LoRA adapts."""
    tensors = {}
    for key, tensor in fused.items():
        block, is_attention, part = key.partition(".attn.")
        if not is_attention or part.startswith("proj."):
            tensors[key] = tensor
        elif part == "qkv.weight":
            for letter, rows in zip("qkv", torch.chunk(tensor, 3), strict=True):
                tensors[f"{block}.attn.{letter}_proj.weight"] = rows.clone()
        else:  # q_bias and v_bias; keys have none
            tensors[f"{block}.attn.{part.removesuffix('_bias')}_proj.bias"] = tensor
    return tensors
