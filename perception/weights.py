"""Files of weights in the harness's own format: safetensors that say what network they are for.

The metadata of the file holds the configuration of the network, where the weights came from, and a digest of
all tensors, which identifies them in records and shows damage.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from perception.errors import PerceptionError

_FORMAT = "slam-harness weights, version 1"


class WeightsError(PerceptionError):
    """A file of weights cannot be read or written."""


@dataclass(frozen=True)
class WeightsInfo:
    """What a file of weights says of itself.

    Attributes:
        path: The file.
        network: Kind of network, as in ``m2hmx``.
        configuration: What the network is built from, plain values.
        source: Where the weights came from: file, its SHA-256, what was done to them; plain values.
        digest: SHA-256 over names, types, shapes and values of all tensors.
    """

    path: Path
    network: str
    configuration: dict[str, Any]
    source: dict[str, Any]
    digest: str


def write_weights(
    path: Path,
    tensors: Mapping[str, Tensor],
    network: str,
    configuration: Mapping[str, Any],
    source: Mapping[str, Any],
) -> WeightsInfo:
    """Write a file of weights, and its directory; the file is there as a whole or not at all.

    Raises:
        WeightsError: It cannot be written.
    """
    digest = tensors_digest(tensors)
    metadata = {
        "format": _FORMAT,
        "network": network,
        "configuration": json.dumps(configuration, sort_keys=True),
        "source": json.dumps(source, sort_keys=True),
        "digest": digest,
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
        mode = partial.stat().st_mode
        save_file(contiguous, partial, metadata)
        # safetensors makes files private; weights are for everybody the umask allows.
        partial.chmod(mode)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot write {path}: {error}") from error
    finally:
        # Where it could not be made it cannot be removed either.
        with suppress(OSError):
            partial.unlink()
    return WeightsInfo(path, network, dict(configuration), dict(source), digest)


def read_weights_info(path: Path) -> WeightsInfo:
    """Read what a file says of itself, and none of its tensors.

    Raises:
        WeightsError: It is missing, damaged, or a file of weights of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot read the weights {path}: {error}") from error
    if metadata.get("format") != _FORMAT:
        raise WeightsError(
            f"{path} does not say what network it is for; "
            "make a file of weights from a checkpoint with: "
            "harness perception import-weights FILE --config PRESET"
        )
    try:
        return WeightsInfo(
            path,
            metadata["network"],
            json.loads(metadata["configuration"]),
            json.loads(metadata["source"]),
            metadata["digest"],
        )
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{path} is damaged: what it says of itself is incomplete ({error})") from error


def read_tensors(info: WeightsInfo) -> dict[str, Tensor]:
    """Read all tensors of a file.

    Raises:
        WeightsError: They are not those that were written.
    """
    try:
        tensors = load_file(info.path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot read the weights {info.path}: {error}") from error
    if tensors_digest(tensors) != info.digest:
        raise WeightsError(f"{info.path} is damaged: its tensors are not those that were written")
    return tensors


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        values: Any = tensor.reshape(-1).view(torch.uint8).numpy()
        digest.update(values)
    return digest.hexdigest()
