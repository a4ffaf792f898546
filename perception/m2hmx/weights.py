"""M2H-MX in the harness's own files of weights: made from released checkpoints, and read again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import yaml

from perception.backbones.lora import add_lora
from perception.backbones.pretrained import load_pretrained
from perception.backbones.settings import VitDimensions
from perception.backbones.vit import VitBackbone
from perception.errors import PerceptionError
from perception.file_digest import file_digest
from perception.m2hmx.configuration import NetworkConfig, load_preset, make_network_config, preset_names
from perception.m2hmx.errors import NetworkConfigurationError
from perception.m2hmx.loading import import_upstream
from perception.m2hmx.network import M2HMX
from perception.weights import WeightsInfo, read_tensors, read_weights_info, write_weights

#: What weights of this network are called in their file.
NETWORK = "m2hmx"


@dataclass(frozen=True)
class ImportedWeights:
    """A checkpoint turned into a file of weights.

    Attributes:
        info: The file.
        left_out: Names of tensors of the checkpoint that influence nothing.
    """

    info: WeightsInfo
    left_out: tuple[str, ...]


def import_weights(
    checkpoint: Path, config: str, output: Path, adapters: Literal["keep", "merge"] = "keep"
) -> ImportedWeights:
    """Turn a checkpoint of the released code into a file of weights.

    Args:
        checkpoint: File of torch or safetensors.
        config: Name of a preset, or a YAML file with a configuration.
        output: File to write.
        adapters: Whether LoRA adapters stay as they are or are merged into the layers they adapt.

    Raises:
        PerceptionError: The checkpoint cannot be read or is of another network, or nothing can be written.
    """
    network_config = read_config(config)
    imported = import_upstream(checkpoint, network_config, adapters=adapters)
    source = {
        "file": checkpoint.name,
        "sha256": file_digest(checkpoint),
        "configuration": config,
        "adapters": adapters,
        "left_out": list(imported.dropped),
    }
    return ImportedWeights(write_network(imported.network, output, source), imported.dropped)


def initial_weights(config: str, output: Path, seed: int = 0) -> WeightsInfo:
    """Write the weights that training starts from: a backbone as DINOv3 was published, all else random.

    Args:
        config: Name of a preset, or a YAML file with a configuration.
        output: File to write.
        seed: For everything that is random.

    Raises:
        PerceptionError: No DINOv3 of these dimensions is published, the hub does not hand it out, or nothing
            can be written.
    """
    network_config = read_config(config)
    if not isinstance(network_config.backbone, VitDimensions):
        raise PerceptionError(
            "only backbones given by their dimensions can start from published DINOv3 weights"
        )
    torch.manual_seed(seed)
    network = M2HMX(network_config.model_copy(update={"lora": None}))
    backbone = network.hfa_adapter.backbone
    assert isinstance(backbone, VitBackbone), "dimensions are those of a vision transformer"
    published = load_pretrained(backbone, network_config.backbone)
    if network_config.lora is not None:
        add_lora(backbone, network_config.lora)
    network.config = network_config
    return write_network(network, output, {"configuration": config, "backbone": published, "seed": seed})


def write_network(network: M2HMX, output: Path, source: Mapping[str, object]) -> WeightsInfo:
    """Write the weights of a network.

    Raises:
        WeightsError: They cannot be written.
    """
    configuration = network.config.model_dump(mode="json")
    return write_weights(output, network.state_dict(), NETWORK, configuration, source)


def read_info(path: Path) -> tuple[WeightsInfo, NetworkConfig]:
    """What a file of weights says of itself.

    Raises:
        PerceptionError: It is no file of weights of this network.
    """
    info = read_weights_info(path)
    if info.network != NETWORK:
        raise PerceptionError(f"{path} holds weights of the network '{info.network}', not of '{NETWORK}'")
    return info, make_network_config(info.configuration)


def load_network(info: WeightsInfo, config: NetworkConfig) -> M2HMX:
    """The network of a file of weights, in eval mode.

    Raises:
        PerceptionError: Its tensors are not those that were written, or do not fit its configuration.
    """
    network = M2HMX(config)
    try:
        network.load_state_dict(read_tensors(info))
    except RuntimeError as error:
        raise PerceptionError(f"{info.path} does not fit its own configuration: {error}") from error
    return network.eval()


def read_config(config: str) -> NetworkConfig:
    """The configuration of a preset or of a YAML file.

    Raises:
        NetworkConfigurationError: It is neither, or the file holds no valid configuration.
    """
    if config in preset_names():
        return load_preset(config)
    path = Path(config)
    if path.suffix not in (".yaml", ".yml"):
        return load_preset(config)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise NetworkConfigurationError(f"cannot read {path}: {error}") from error
    except yaml.YAMLError as error:
        raise NetworkConfigurationError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise NetworkConfigurationError(f"{path} must hold a mapping such as that of a preset")
    return make_network_config(values)
