"""The configuration of an M2H-MX network: one strict mapping; presets are such mappings. Needs no torch."""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, FiniteFloat, ValidationError, model_validator

from perception.backbones.settings import (
    BY_DIMENSIONS,
    BY_NAME,
    BackboneSettings,
    LoraSettings,
    TimmBackbone,
    VitDimensions,
)
from perception.m2hmx.errors import NetworkConfigurationError
from perception.settings import Settings

Task = Literal["semseg", "depth", "normals", "edge"]
TASKS: tuple[Task, ...] = ("semseg", "depth", "normals", "edge")

_BACKBONE_KINDS: dict[Any, type[Settings]] = {BY_DIMENSIONS: VitDimensions, BY_NAME: TimmBackbone}


class NetworkConfig(Settings):
    """Everything that describes a network.

    Attributes:
        backbone: ``{embed_dim, depth, num_heads, mlp_dim, registers, patch}`` for a transformer of the DINOv3
            kind, or ``{timm: NAME}``.
        taps: Blocks of the transformer (stages of any other backbone) whose maps are taken, ascending. Where
            only the dimensions of a transformer of n blocks are given: n/4-1, n/2, n-3, n-1.
        decoder_dim: Channels of decoder and heads, C.
        mamba_state: State size of the Mamba blocks, N.
        drop_path: Probability of dropping a branch of a Mamba block in training, per sample.
        depth_bins: Depth bins, K.
        min_depth: Lower edge of the first bin, metres.
        max_depth: Upper edge of the last bin, metres.
        num_classes: Classes of the semantic segmentation.
        tasks: What is predicted; a task's place here is its index in the decoder.
        lora: Adapters in the backbone, which is frozen but for them and its norms. Null: none, and the whole
            backbone is trained.
        edge_refine_threshold: Edge probability from which on edges change the class logits; null: never.
        edge_refine_strength: How much they do.
        fusion: ``official`` takes the deepest tap alone, as the released code does; ``topdown`` fuses all
            taps, as the paper says.
        head_msca: One more context block in the heads of normals and edges, which gives the parameter count
            of the paper; released checkpoints have none.
        cross_task_mixing: False: no task sees another, the heads go on with their own map.
        context_attention: False: every MSCA is left out (in the segmentation head, in the mixers of the
            tasks, and those of ``head_msca``).
        register_gated_mamba: False: the decoder has no Mamba blocks, level maps pass as they are.
        register_feed: False: the gates are fed zeros in place of the register tokens.
        rope_rescale_coords: Training only: rotary coordinates are scaled by one log-uniform factor in
            [1 / this, this] per forward pass; the released code does so with 2.0. Null: never.
        canonical_focal: Depth inside the network is that of a camera with this focal length over the width of
            its image (`perception.inference.canonical_camera`), and the range and bins are too; predictions
            are metric for any camera whose focal length is known. Null: depth is metric as it comes, which
            is right for the cameras of the training alone.
        image_size: Height and width that images are resized to, pixels.
        label_space: Name of the space of the class ids.
    """

    backbone: BackboneSettings
    taps: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    decoder_dim: int = Field(default=256, ge=1)
    mamba_state: int = Field(default=32, ge=1)
    drop_path: FiniteFloat = Field(default=0.1, ge=0, lt=1)
    depth_bins: int = Field(default=64, ge=1)
    min_depth: FiniteFloat = Field(default=0.1, ge=0)
    max_depth: FiniteFloat = Field(default=10.0, gt=0)
    num_classes: int = Field(ge=1)
    tasks: tuple[Task, ...] = Field(min_length=1)
    lora: LoraSettings | None = None
    edge_refine_threshold: FiniteFloat | None = Field(default=None, ge=0, le=1)
    edge_refine_strength: FiniteFloat = 0.1
    fusion: Literal["official", "topdown"] = "official"
    head_msca: bool = False
    cross_task_mixing: bool = True
    context_attention: bool = True
    register_gated_mamba: bool = True
    register_feed: bool = True
    rope_rescale_coords: FiniteFloat | None = Field(default=None, gt=1)
    canonical_focal: FiniteFloat | None = Field(default=None, gt=0)
    image_size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    label_space: str | None = None

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "NetworkConfig":
        if list(self.taps) != sorted(set(self.taps)):
            raise ValueError(f"taps: {list(self.taps)} must ascend")
        depth = getattr(self.backbone, "depth", None)
        if depth is not None and self.taps[-1] >= depth:
            raise ValueError(f"taps: there is no block {self.taps[-1]} in a backbone with depth {depth}")
        if self.min_depth >= self.max_depth:
            raise ValueError(f"min_depth {self.min_depth} must be less than max_depth {self.max_depth}")
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"tasks: {', '.join(self.tasks)} names a task twice")
        if self.cross_task_mixing and "edge" in self.tasks and len(self.tasks) < len(TASKS):
            raise ValueError(
                f"tasks: 'edge' mixes in all other tasks and cannot go with {', '.join(self.tasks)} alone; "
                f"use all of {', '.join(TASKS)}, or leave out 'edge'"
            )
        for channels in (self.decoder_dim, max(64, self.decoder_dim // 2)):
            if channels % max(1, channels // 32):
                raise ValueError(
                    f"decoder_dim {self.decoder_dim}: the depth head cannot split {channels} channels into "
                    f"{channels // 32} groups; a multiple of 64 always works"
                )
        return self

    @property
    def refines_by_edges(self) -> bool:
        """Whether edges change the class logits."""
        return self.edge_refine_threshold is not None and {"edge", "semseg"} <= set(self.tasks)


def make_network_config(values: Mapping[str, Any]) -> NetworkConfig:
    """Validate a mapping.

    Raises:
        NetworkConfigurationError: Names every wrong key, and the keys that exist where one does not.
    """
    try:
        # As JSON a list may become a tuple and a whole number a float, while "4" is no number.
        return NetworkConfig.model_validate_json(json.dumps(_with_taps(values)))
    except (TypeError, ValueError) as error:
        message = _message(error) if isinstance(error, ValidationError) else str(error)
        raise NetworkConfigurationError(
            f"the configuration of the network is not valid: {message}"
        ) from error


def preset_names() -> tuple[str, ...]:
    """Names of the configurations that come with the package."""
    files = resources.files(__package__).joinpath("presets").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def load_preset(name: str) -> NetworkConfig:
    """The configuration of a name.

    Raises:
        NetworkConfigurationError: There is none of that name.
    """
    if name not in preset_names():
        raise NetworkConfigurationError(f"there is no preset '{name}'; presets: {', '.join(preset_names())}")
    text = resources.files(__package__).joinpath("presets", f"{name}.yaml").read_text(encoding="utf-8")
    return make_network_config(yaml.safe_load(text))


def resolve_config(config: str | Mapping[str, Any] | NetworkConfig) -> NetworkConfig:
    """The configuration that a preset's name or a mapping stands for.

    Raises:
        NetworkConfigurationError: There is no such preset, or the mapping is not valid.
    """
    if isinstance(config, NetworkConfig):
        return config
    return load_preset(config) if isinstance(config, str) else make_network_config(config)


def _with_taps(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with the default taps where there are none and the depth of the transformer is given."""
    backbone = values.get("backbone")
    depth = backbone.get("depth") if isinstance(backbone, Mapping) else None
    if values.get("taps") is None and isinstance(depth, int) and depth >= 4:
        return {**values, "taps": sorted({depth // 4 - 1, depth // 2, depth - 3, depth - 1})}
    return dict(values)


def _message(error: ValidationError) -> str:
    return "; ".join(_line(item) for item in error.errors())


def _line(item: Any) -> str:
    """One wrong value in words."""
    # The branches of the backbone's union are no keys.
    path = [str(part) for part in item["loc"] if part not in _BACKBONE_KINDS]
    if item["type"] == "extra_forbidden":
        kind = next((_BACKBONE_KINDS[part] for part in item["loc"] if part in _BACKBONE_KINDS), NetworkConfig)
        keys = (LoraSettings if path[0] == "lora" else kind).model_fields
        return f"there is no key '{'.'.join(path)}'; keys: {', '.join(keys)}"
    message = item["msg"].removeprefix("Value error, ")
    return f"{'.'.join(path)}: {message}" if path else message
