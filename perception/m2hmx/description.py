"""What an M2H-MX network is made of and costs, without any weights."""

from typing import Any

from perception.cost import NetworkCost, network_cost
from perception.m2hmx.configuration import NetworkConfig
from perception.m2hmx.network import build_without_memory

#: The image size for which the paper counts operations: height and width, pixels.
PAPERS_IMAGE_SIZE = (384, 512)


def describe_network(config: NetworkConfig, image_size: tuple[int, int] = PAPERS_IMAGE_SIZE) -> NetworkCost:
    """Parameters and multiply-accumulates, in all and by part.

    Raises:
        BackboneError: The backbone does not exist or gives no such feature maps.
        NetworkInputError: Images of that size are too small.
        MissingPackageError: timm or peft is not installed.
    """
    return network_cost(build_without_memory(config), image_size, _part_of)


def plain_cost(cost: NetworkCost) -> dict[str, Any]:
    """The same as plain values, for JSON."""
    return {
        "parameters": cost.parameters,
        "trainable": cost.trainable,
        "image_size": list(cost.image_size),
        "macs_by_papers_rule": cost.macs_by_papers_rule,
        "macs": cost.macs,
        "attention_macs": cost.attention_macs,
        "scan_macs": cost.scan_macs,
        "parts": {
            part.name: {"parameters": part.parameters, "trainable": part.trainable, "macs": part.macs}
            for part in cost.parts
        },
    }


def _part_of(name: str) -> str:
    """Heads and decoder by their names, the feature adapter by what is in it."""
    first, _, rest = name.partition(".")
    if first != "hfa_adapter":
        return first
    second = rest.partition(".")[0]
    return "lora" if "lora_" in rest else second
