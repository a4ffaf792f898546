"""M2H-MX as a whole: one image, up to four tasks (arXiv 2603.29236)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from perception.backbones.building import build_backbone
from perception.backbones.lora import add_lora, freeze_all_but_lora_and_norms
from perception.m2hmx.configuration import TASKS, NetworkConfig
from perception.m2hmx.cross_task_mixing import CrossTaskMixer
from perception.m2hmx.decoder import TaskDecoder
from perception.m2hmx.errors import NetworkInputError
from perception.m2hmx.feature_adapter import HierarchicalFeatureAdapter
from perception.m2hmx.heads.depth import DepthHead
from perception.m2hmx.heads.edge import EdgeHead
from perception.m2hmx.heads.normals import NormalsHead
from perception.m2hmx.heads.semseg import BoundaryRefinement, SegmentationHead
from perception.m2hmx.heads.trunk import HeadOutput

#: Name of the head of each task, in the order in which they are run.
HEADS = {
    "depth": "depth_head",
    "edge": "edge_head",
    "normals": "normals_head",
    "semseg": "segmentation_head",
}


class M2HMX(nn.Module):
    """Depth, semantics, normals and edges from one image.

    Parameters have the names of the released code, but for those of the backbone, which are timm's and
    peft's. With LoRA the backbone is frozen except for the adapters and its norms; without, everything is
    trained.

    How the paper did its ablations is not published. Here ``cross_task_mixing=False`` leaves the mixers out
    of all heads, ``context_attention=False`` every MSCA wherever it is, ``register_gated_mamba=False`` the
    Mamba blocks of the decoder, and ``register_feed=False`` the projection of the register tokens, whose
    place zeros take. A backbone without register tokens has the same effect as the last.

    Attributes:
        config: What it was built from.
    """

    def __init__(self, config: NetworkConfig):
        """Build the network with random weights.

        Raises:
            BackboneError: The backbone, its taps or its adapters do not exist.
            MissingPackageError: timm or peft is not installed.
        """
        super().__init__()
        self.config = config
        channels = config.decoder_dim
        backbone = build_backbone(config.backbone, config.taps, config.rope_rescale_coords)
        if config.lora is not None:
            add_lora(backbone, config.lora)
            freeze_all_but_lora_and_norms(backbone)
        self.hfa_adapter = HierarchicalFeatureAdapter(
            backbone,
            channels,
            fusion=config.fusion,
            register_feed=config.register_feed and config.register_gated_mamba,
        )
        self.decoder = TaskDecoder(
            channels,
            len(config.tasks),
            config.mamba_state,
            config.drop_path,
            register_gated_mamba=config.register_gated_mamba,
        )
        for task, name in HEADS.items():
            if task in config.tasks:
                self.add_module(name, _BUILDERS[task](config))

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the dense outputs for an image of that size: 16 times the backbone's grid."""
        stride = self.hfa_adapter.backbone.strides[self.hfa_adapter.reference]
        height, width = self.seen_size(height, width)
        return 16 * (height // stride), 16 * (width // stride)

    def seen_size(self, height: int, width: int) -> tuple[int, int]:
        """The part of an image, from its top left corner, that the outputs cover, pixels.

        Rows and columns beyond the last whole patch are not seen. For patches of 16 pixels the outputs have
        this very size.
        """
        return self.hfa_adapter.backbone.seen_size(height, width)

    def forward(self, images: Tensor) -> dict[str, Any]:
        """Predict.

        Args:
            images: float32 [B, 3, H, W], ImageNet-normalised RGB.

        Returns:
            For the active tasks ``depth``, ``depth_coarse``, ``depth_offset`` (metres), ``edge`` (logits),
            ``normals`` (unit vectors) and ``semseg`` (logits), each float [B, channels, h, w] of
            ``output_size``; ``depth_bin_logits`` at a quarter of it; ``depth_bin_edges`` [B, K], metres. In
            train mode also ``aux``: task to a list of predictions from coarser levels, of the same size.

        Raises:
            NetworkInputError: The image is too small.
        """
        smallest = self.hfa_adapter.smallest_image()
        if min(images.shape[-2:]) < smallest:
            raise NetworkInputError(
                f"images of {images.shape[-2]}x{images.shape[-1]} pixels are too small: "
                f"at least {smallest}x{smallest}"
            )
        levels, registers = self.hfa_adapter(images)
        decoded = self.decoder(levels, registers)
        maps = dict(zip(self.config.tasks, decoded, strict=True))

        # Each head replaces its task's decoder map by its own, for those that come after it.
        contexts = {task: task_maps[0] for task, task_maps in maps.items()}
        outputs: dict[str, Any] = {}
        aux: dict[str, list[Tensor]] = {}
        for task, head in HEADS.items():
            if task not in maps:
                continue
            extra = {"edge_logits": outputs.get("edge")} if task == "semseg" else {}
            found: HeadOutput = getattr(self, head)(maps[task], contexts, **extra)
            contexts[task] = found.context
            outputs |= found.predictions
            aux[task] = found.aux
        return outputs | {"aux": aux} if self.training else outputs


def parameter_counts(module: nn.Module) -> tuple[int, int]:
    """How many parameters a module has, and how many of them are trained."""
    parameters = list(module.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)


def build_without_memory(config: NetworkConfig) -> M2HMX:
    """A network of shapes alone, on torch's meta device: for counting and for names."""
    with torch.device("meta"):
        return M2HMX(config)


def _mixer(config: NetworkConfig, task: str) -> CrossTaskMixer | None:
    """What mixes the other active tasks into a head, in a fixed order; None where there are none."""
    others = [other for other in TASKS if other != task and other in config.tasks]
    if not others or not config.cross_task_mixing:
        return None
    return CrossTaskMixer(config.decoder_dim, others, context_attention=config.context_attention)


def _depth_head(config: NetworkConfig) -> DepthHead:
    return DepthHead(config.decoder_dim, config.depth_bins, config.min_depth, config.max_depth)


def _edge_head(config: NetworkConfig) -> EdgeHead:
    context = config.head_msca and config.context_attention
    return EdgeHead(config.decoder_dim, _mixer(config, "edge"), context=context)


def _normals_head(config: NetworkConfig) -> NormalsHead:
    context = config.head_msca and config.context_attention
    return NormalsHead(config.decoder_dim, _mixer(config, "normals"), context=context)


def _segmentation_head(config: NetworkConfig) -> SegmentationHead:
    refinement = None
    if config.edge_refine_threshold is not None and config.refines_by_edges:
        refinement = BoundaryRefinement(
            config.num_classes, config.edge_refine_threshold, config.edge_refine_strength
        )
    return SegmentationHead(
        config.decoder_dim,
        config.num_classes,
        _mixer(config, "semseg"),
        context=config.context_attention,
        boundary_refine=refinement,
    )


#: What builds the head of each task.
_BUILDERS: dict[str, Callable[[NetworkConfig], nn.Module]] = {
    "depth": _depth_head,
    "edge": _edge_head,
    "normals": _normals_head,
    "semseg": _segmentation_head,
}
