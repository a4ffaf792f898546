"""What a configuration says about a backbone, shared by every network; needs no torch."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, FiniteFloat, Tag, model_validator

from perception.settings import Settings


class VitDimensions(Settings):
    """A vision transformer of the DINOv3 kind, by its dimensions.

    Attributes:
        embed_dim: Width of a token.
        depth: Number of blocks.
        num_heads: Attention heads; a head's width must be a multiple of 4 for the rotary embedding.
        mlp_dim: Hidden width of a block's MLP.
        registers: Register tokens beside the class token.
        patch: Side of a patch, pixels.
    """

    embed_dim: int = Field(ge=1)
    depth: int = Field(ge=1)
    num_heads: int = Field(ge=1)
    mlp_dim: int = Field(ge=1)
    registers: int = Field(default=4, ge=0)
    patch: int = Field(default=16, ge=1)

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> "VitDimensions":
        if self.embed_dim % (4 * self.num_heads):
            raise ValueError(
                f"embed_dim {self.embed_dim} must be a multiple of 4 * num_heads = {4 * self.num_heads}"
            )
        return self


class TimmBackbone(Settings):
    """Any backbone of timm, by its name there."""

    timm: str = Field(min_length=1)


#: How a mistake in one of the two kinds of mapping is told apart.
BY_DIMENSIONS, BY_NAME = "by dimensions", "by name"


def _kind_of_backbone(value: Any) -> str | None:
    if isinstance(value, TimmBackbone) or (isinstance(value, dict) and "timm" in value):
        return BY_NAME
    return BY_DIMENSIONS if isinstance(value, dict | VitDimensions) else None


BackboneSettings = Annotated[
    Annotated[VitDimensions, Tag(BY_DIMENSIONS)] | Annotated[TimmBackbone, Tag(BY_NAME)],
    Discriminator(
        _kind_of_backbone,
        custom_error_type="backbone",
        custom_error_message=(
            "must be a mapping, either {timm: NAME} or "
            "{embed_dim, depth, num_heads, mlp_dim, registers, patch}"
        ),
    ),
]


class LoraSettings(Settings):
    """Low-rank adaptation of linear layers: ``y = W x + b + alpha / rank * B A dropout(x)``.

    Attributes:
        rank: Rows of A.
        alpha: Scale times the rank.
        dropout: Probability of dropping an input in training.
        targets: Names of the linear layers that are adapted; ``q``, ``k``, ``v``, ``qkv``, ``up_proj``,
            ``down_proj`` and ``mlp`` are understood as well.
        blocks: Of the transformer: null or ``all``, a list of indices, or a number n for the last n.
    """

    rank: int = Field(ge=1)
    alpha: FiniteFloat = Field(gt=0)
    dropout: FiniteFloat = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = Field(default=("q_proj", "k_proj", "v_proj"), min_length=1)
    blocks: tuple[Annotated[int, Field(ge=0)], ...] | Annotated[int, Field(ge=1)] | Literal["all"] | None = (
        None
    )
