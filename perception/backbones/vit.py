"""Vision transformers with register tokens (DINOv3, DINOv2), as timm has them."""

from functools import partial
from typing import Any

from torch import Tensor, nn

from perception.backbones.errors import BackboneError
from perception.backbones.features import Backbone, BackboneFeatures
from perception.backbones.settings import VitDimensions
from perception.backbones.timm_import import import_timm

#: The modules of timm whose models are wrapped here.
ROTARY_MODULE = "eva"
VIT_MODULES = (ROTARY_MODULE, "vision_transformer")


class VitBackbone(Backbone):
    """Feature maps from chosen blocks of a vision transformer.

    A tap is the output of a block after both residuals, without the final norm, which influences nothing.
    """

    def __init__(self, vit: Any, taps: tuple[int, ...]):
        """Wrap a model of timm.

        Args:
            vit: With ``forward_intermediates``, and of dynamic image size.
            taps: Indices of blocks, ascending.

        Raises:
            BackboneError: There are fewer blocks.
        """
        super().__init__()
        depth = len(vit.blocks)
        if taps[-1] >= depth:
            raise BackboneError(f"taps: there is no block {taps[-1]}, the last of {depth} is {depth - 1}")
        self.vit = vit
        self.tap_indices = taps
        self.multiple = vit.patch_embed.patch_size[0]
        self.channels = (vit.embed_dim,) * len(taps)
        self.strides = (self.multiple,) * len(taps)
        self.register_count = 0 if vit.reg_token is None else vit.reg_token.shape[1]
        self.register_dim = self.channels[0] if self.register_count else None

    def features(self, images: Tensor) -> BackboneFeatures:
        """Maps of the tapped blocks and the registers of the deepest of them."""
        found = self.vit.forward_intermediates(
            images,
            indices=list(self.tap_indices),
            return_prefix_tokens=self.register_count > 0,
            norm=False,
            stop_early=True,
            intermediates_only=True,
        )
        if not self.register_count:
            return BackboneFeatures(tuple(found), self.strides, None)
        # The class token comes first and the registers follow it.
        registers = found[-1][1][:, -self.register_count :]
        return BackboneFeatures(tuple(spatial for spatial, _ in found), self.strides, registers)


def build_dinov3(
    dimensions: VitDimensions, taps: tuple[int, ...], rope_rescale_coords: float | None
) -> VitBackbone:
    """A transformer of the DINOv3 kind with random weights.

    It is the function of timm's ``vit_*_patch16_dinov3_qkvb`` of these dimensions, with separate q, k and v
    projections: LoRA adapts each by itself.

    Args:
        dimensions: Of the transformer.
        taps: Indices of blocks, ascending.
        rope_rescale_coords: In training, coordinates of the rotary embedding are multiplied by one factor per
            forward pass, log-uniform in [1 / this, this]; None for never.
    """
    import_timm()
    from timm.models.eva import Eva

    vit = Eva(
        patch_size=dimensions.patch,
        dynamic_img_size=True,
        num_classes=0,
        embed_dim=dimensions.embed_dim,
        depth=dimensions.depth,
        num_heads=dimensions.num_heads,
        # timm rounds the product down.
        mlp_ratio=(dimensions.mlp_dim + 0.5) / dimensions.embed_dim,
        qkv_bias=True,
        qkv_fused=False,
        init_values=1.0,
        num_reg_tokens=dimensions.registers,
        use_abs_pos_emb=False,
        use_rot_pos_emb=True,
        rope_type="dinov3",
        rope_temperature=100,
        rope_rotate_half=True,
        rope_rescale_coords=rope_rescale_coords,
        use_fc_norm=False,
        norm_layer=partial(nn.LayerNorm, eps=1e-5),
    )
    return VitBackbone(vit, taps)


def build_named_vit(name: str, taps: tuple[int, ...], rope_rescale_coords: float | None) -> VitBackbone:
    """A vision transformer of timm by its name, with random weights.

    Raises:
        BackboneError: Rotary coordinates are to be rescaled and it has none.
    """
    timm = import_timm()
    options: dict[str, Any] = {"dynamic_img_size": True}
    if timm.models.is_model_in_modules(name, [ROTARY_MODULE]):
        options |= {"qkv_fused": False, "rope_rescale_coords": rope_rescale_coords}
    elif rope_rescale_coords is not None:
        raise BackboneError(f"rope_rescale_coords: '{name}' has no rotary embedding")
    return VitBackbone(timm.create_model(name, pretrained=False, num_classes=0, **options), taps)
