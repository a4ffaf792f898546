"""From what a configuration says to a backbone."""

from perception.backbones.errors import BackboneError
from perception.backbones.feature_maps import FeatureMapBackbone
from perception.backbones.features import Backbone
from perception.backbones.settings import TimmBackbone, VitDimensions
from perception.backbones.timm_import import import_timm
from perception.backbones.vit import VIT_MODULES, build_dinov3, build_named_vit


def build_backbone(
    settings: VitDimensions | TimmBackbone, taps: tuple[int, ...], rope_rescale_coords: float | None = None
) -> Backbone:
    """A backbone with random weights; nothing is downloaded.

    Args:
        settings: Its dimensions, or its name in timm.
        taps: Indices of blocks of a vision transformer, or of stages of any other network, ascending.
        rope_rescale_coords: Augmentation of rotary embeddings in training, see ``build_dinov3``.

    Raises:
        BackboneError: There is none of that name, or it lacks a tap or a rotary embedding.
        MissingPackageError: timm is not installed.
    """
    if isinstance(settings, VitDimensions):
        return build_dinov3(settings, taps, rope_rescale_coords)
    models = import_timm().models
    name = settings.timm
    if not models.is_model(name):
        alike = models.list_models(f"*{name.partition('.')[0].partition('_')[0]}*")[:8]
        hint = f", for example {', '.join(alike)}" if alike else ""
        raise BackboneError(f"backbone: timm has no model '{name}'{hint}")
    if models.is_model_in_modules(name, VIT_MODULES):
        return build_named_vit(name, taps, rope_rescale_coords)
    if rope_rescale_coords is not None:
        raise BackboneError(f"rope_rescale_coords: '{name}' has no rotary embedding")
    return FeatureMapBackbone(name, taps)
