"""Names of tensors in released checkpoints and in our network, both ways.

Outside the backbone the names are the same. Inside, released checkpoints follow transformers and have
adapters of their own, we follow timm and peft.
"""

import re
from collections.abc import Iterable

from perception.backbones.lora import ADAPTER
from perception.m2hmx.configuration import NetworkConfig

BACKBONE = "hfa_adapter.backbone."

#: Ours and theirs at the beginning of a name in the backbone.
_BEGINNINGS = (
    ("vit.cls_token", "embeddings.cls_token"),
    ("vit.reg_token", "embeddings.register_tokens"),
    ("vit.patch_embed.proj.", "embeddings.patch_embeddings."),
    ("vit.norm.", "norm."),
    ("vit.blocks.", "layer."),
)

#: Ours and theirs within a name in the backbone.
_PARTS = (
    (".attn.proj.", ".attention.o_proj."),
    (".attn.", ".attention."),
    (".mlp.fc1.", ".mlp.up_proj."),
    (".mlp.fc2.", ".mlp.down_proj."),
    (".gamma_1", ".layer_scale1.lambda1"),
    (".gamma_2", ".layer_scale2.lambda1"),
    (".base_layer.", ".linear."),
    (f".lora_A.{ADAPTER}.weight", ".lora_A"),
    (f".lora_B.{ADAPTER}.weight", ".lora_B"),
)


def official_name(name: str) -> str:
    """The name that a tensor of ours has in released checkpoints."""
    return _translate(name, _BEGINNINGS, _PARTS)


def our_name(name: str) -> str:
    """The name that a tensor of released checkpoints has in our network."""
    beginnings = tuple((theirs, ours) for ours, theirs in _BEGINNINGS)
    return _translate(name, beginnings, tuple((theirs, ours) for ours, theirs in _PARTS))


def canonical_name(name: str) -> str:
    """An official name without what wrapping and versions of libraries put into it.

    Data-parallel training puts ``module.`` in front; transformers 5.4 and later put ``model.`` before the
    blocks.
    """
    while name.startswith("module."):
        name = name.removeprefix("module.")
    return re.sub(rf"^{re.escape(BACKBONE)}model\.", BACKBONE, name)


def without_effect(names: Iterable[str], config: NetworkConfig) -> tuple[str, ...]:
    """Those of the canonical official names whose tensors influence nothing under a configuration.

    They are the weights of the losses, the mask token, the boundary refinement where it is off, and the
    mixer of a normals head that is alone.
    """
    prefixes = ["loss_balancer.", f"{BACKBONE}embeddings.mask_token"]
    if not config.refines_by_edges:
        prefixes.append("segmentation_head.boundary_refine.")
    if config.tasks == ("normals",):
        prefixes.append("normals_head.context_mixer.")
    return tuple(name for name in names if name.startswith(tuple(prefixes)))


def _translate(name: str, beginnings: Iterable[tuple[str, str]], parts: Iterable[tuple[str, str]]) -> str:
    if not name.startswith(BACKBONE):
        return name
    inner = name.removeprefix(BACKBONE)
    for old, new in beginnings:
        if inner.startswith(old):
            inner = new + inner.removeprefix(old)
            break
    for old, new in parts:
        inner = inner.replace(old, new)
    return BACKBONE + inner
