"""Loading checkpoints of the released code: what fits exactly is loaded, all else is refused by name."""

import logging
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from perception.backbones.lora import merge_lora
from perception.m2hmx.configuration import NetworkConfig, resolve_config
from perception.m2hmx.errors import CheckpointError, CheckpointMismatchError, UnsafeCheckpointError
from perception.m2hmx.network import M2HMX
from perception.m2hmx.upstream_keys import canonical_name, official_name, our_name, without_effect

_log = logging.getLogger(__name__)

#: What checkpoints wrap their tensors in.
_WRAPPERS = ("model", "state_dict")


@dataclass(frozen=True)
class UpstreamImport:
    """A network with the weights of a released checkpoint.

    Attributes:
        network: In eval mode.
        dropped: Official names of tensors that were left out, because nothing depends on them.
    """

    network: M2HMX
    dropped: tuple[str, ...]


def load_upstream(
    checkpoint: Mapping[str, Any] | str | Path,
    config: str | Mapping[str, Any] | NetworkConfig,
    *,
    adapters: Literal["keep", "merge"] = "keep",
) -> M2HMX:
    """A network in eval mode with the weights of a released checkpoint.

    Args:
        checkpoint: A state dict with the official names, or a file of torch or safetensors that holds one.
        config: Name of a preset, or a mapping as ``NetworkConfig`` describes it.
        adapters: Whether LoRA adapters stay or are merged into the layers that they adapt.

    Raises:
        NetworkConfigurationError: There is no such preset, or the mapping is not valid.
        UnsafeCheckpointError: The file could run code; it was not read.
        CheckpointError: The file cannot be read, or holds no tensors.
        CheckpointMismatchError: Tensors are missing, have no place, or have another shape; names them.
    """
    imported = import_upstream(checkpoint, config, adapters=adapters)
    if imported.dropped:
        _log.info("left out, nothing depends on them: %s", ", ".join(imported.dropped))
    return imported.network


def import_upstream(
    checkpoint: Mapping[str, Any] | str | Path,
    config: str | Mapping[str, Any] | NetworkConfig,
    *,
    adapters: Literal["keep", "merge"] = "keep",
) -> UpstreamImport:
    """As ``load_upstream``, and with the names that were left out."""
    config = resolve_config(config)
    content = _read(Path(checkpoint)) if isinstance(checkpoint, str | Path) else checkpoint
    tensors = _canonical(_unwrap(content))
    network = M2HMX(config)
    dropped = _fit(network, tensors)
    network.load_state_dict({our_name(name): tensor for name, tensor in tensors.items()})
    if adapters == "merge":
        merge_lora(network.hfa_adapter.backbone)
        network.config = config.model_copy(update={"lora": None})
    return UpstreamImport(network.eval(), dropped)


def upstream_state_dict(network: M2HMX) -> dict[str, Tensor]:
    """The tensors of a network under their official names."""
    return {official_name(name): tensor for name, tensor in network.state_dict().items()}


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:
        # torch's careful unpickler knows tensors and plain containers. What it stops at may be an attack, an
        # old file or no pickle at all; it does not tell them apart, so neither do we.
        raise UnsafeCheckpointError(
            f"{path} holds something else than tensors, and reading it could run code, so it was not read; "
            "save its state dict alone, best as safetensors"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is no checkpoint of torch, or is damaged: {error}") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is no safetensors file, or is damaged: {error}") from error


def _unwrap(content: Any) -> Mapping[str, Tensor]:
    """The innermost mapping of names to tensors."""
    while isinstance(content, Mapping):
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError("the checkpoint holds no state dict")
    others = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if others:
        raise CheckpointError(f"the state dict holds entries that are no tensors: {', '.join(others[:6])}")
    return content


def _canonical(content: Mapping[str, Tensor]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, tensor in content.items():
        canonical = canonical_name(str(name))
        if canonical in tensors:
            raise CheckpointError(f"the checkpoint holds '{canonical}' twice, under different names")
        tensors[canonical] = tensor
    return tensors


def _fit(network: M2HMX, tensors: dict[str, Tensor]) -> tuple[str, ...]:
    """Take out of a checkpoint what nothing depends on, and refuse what does not fit.

    Returns:
        The names taken out.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in upstream_state_dict(network).items()}
    dropped = without_effect(tensors.keys() - wanted.keys(), network.config)
    for name in dropped:
        del tensors[name]
    missing = [name for name in wanted if name not in tensors]
    unexpected = [name for name in tensors if name not in wanted]
    misshapen = {
        name: (tuple(tensor.shape), wanted[name])
        for name, tensor in tensors.items()
        if name in wanted and tuple(tensor.shape) != wanted[name]
    }
    if missing or unexpected or misshapen:
        raise CheckpointMismatchError(missing, unexpected, misshapen)
    return tuple(sorted(dropped))
