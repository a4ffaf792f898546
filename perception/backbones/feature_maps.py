"""Backbones that give feature maps at several strides (ConvNeXt, ResNet and the like), as timm has them."""

from torch import Tensor

from perception.backbones.errors import BackboneError
from perception.backbones.features import Backbone, BackboneFeatures
from perception.backbones.timm_import import import_timm


class FeatureMapBackbone(Backbone):
    """Stages of a convolutional network. It has no register tokens."""

    def __init__(self, name: str, taps: tuple[int, ...]):
        """Build a backbone of timm with random weights.

        Args:
            name: Its name in timm.
            taps: Indices of stages, ascending.

        Raises:
            BackboneError: It gives no feature maps, or has fewer stages.
        """
        super().__init__()
        timm = import_timm()
        try:
            self.stages = timm.create_model(name, pretrained=False, features_only=True, out_indices=taps)
        # timm refuses with whatever its feature extractors stumble over, assertions among it.
        except Exception as error:
            raise BackboneError(
                f"'{name}' does not give feature maps of stages {list(taps)}: {error}"
            ) from error
        self.channels = tuple(self.stages.feature_info.channels())
        self.strides = tuple(self.stages.feature_info.reduction())
        self.multiple = max(self.strides)
        self.register_dim = None

    def features(self, images: Tensor) -> BackboneFeatures:
        """Maps of the tapped stages."""
        return BackboneFeatures(tuple(self.stages(images)), self.strides, None)
