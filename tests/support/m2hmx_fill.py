"""Weights, images and a small configuration for tests of M2H-MX: a function of names and shapes alone.

Run as a script, it prints the reference file of ``tests/perception/test_m2hmx_golden.py``.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perception.m2hmx import M2HMX, load_upstream
from perception.m2hmx.configuration import make_network_config
from perception.m2hmx.loading import upstream_state_dict
from perception.m2hmx.network import build_without_memory

_TOKENS = {"cls_token", "register_tokens", "mask_token"}
_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

#: Variants whose outputs are kept in the reference file: changes of the small configuration.
REFERENCES: dict[str, dict[str, Any]] = {
    "four tasks": {},
    "two tasks": {"tasks": ["semseg", "depth"], "edge_refine_threshold": None},
    "as the paper says": {"fusion": "topdown", "head_msca": True},
}
REFERENCE_SIZE = (100, 131)


def tiny(**changes: Any) -> dict[str, Any]:
    """A small network with every part of the large one."""
    return {
        "backbone": {
            "embed_dim": 192,
            "depth": 4,
            "num_heads": 3,
            "mlp_dim": 768,
            "registers": 4,
            "patch": 16,
        },
        "taps": [0, 1, 2, 3],
        "decoder_dim": 64,
        "mamba_state": 8,
        "drop_path": 0.1,
        "depth_bins": 16,
        "min_depth": 0.1,
        "max_depth": 10.0,
        "num_classes": 13,
        "tasks": ["semseg", "depth", "normals", "edge"],
        "lora": {"rank": 4, "alpha": 8, "dropout": 0.05, "targets": ["q_proj", "k_proj", "v_proj"]},
        "edge_refine_threshold": 0.6,
        "edge_refine_strength": 0.1,
        **changes,
    }


def fill(name: str, shape: Iterable[int]) -> Tensor:
    """The weights of an official name: seeded by it, scaled so that every part of the network matters."""
    shape = tuple(shape)
    noise = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    leaf = name.rpartition(".")[2]
    if leaf == "A_log":
        values = np.log(np.arange(1, shape[1] + 1)) + 0.1 * noise
    elif leaf == "D":
        values = 1 + 0.1 * noise
    elif name.endswith("dt_proj.bias"):
        values = -4 + 0.5 * noise
    elif leaf == "lambda1":
        values = 0.25 + 0.05 * noise
    elif leaf in _TOKENS:
        values = 0.5 * noise
    elif leaf == "lora_B":
        values = 0.1 * noise / np.sqrt(shape[1])
    elif len(shape) >= 2:
        values = noise / np.sqrt(np.prod(shape[1:]))
    else:
        values = 1 + 0.1 * noise if leaf == "weight" else 0.1 * noise
    return torch.from_numpy(values.astype(np.float32))


def filled_checkpoint(config: Mapping[str, Any]) -> dict[str, Tensor]:
    """A checkpoint as the released code would write it, for a configuration."""
    network = build_without_memory(make_network_config(config))
    names = {name: tuple(tensor.shape) for name, tensor in upstream_state_dict(network).items()}
    return {name: fill(name, shape) for name, shape in names.items()}


def filled_network(config: Mapping[str, Any]) -> M2HMX:
    """A network with those weights, in eval mode."""
    return load_upstream(filled_checkpoint(config), config)


def images(batch: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Noise as images, normalised, float32 [batch, 3, height, width]."""
    pixels = np.random.RandomState(seed).rand(batch, 3, height, width)
    normalised = (pixels - _MEAN.reshape(1, 3, 1, 1)) / _STD.reshape(1, 3, 1, 1)
    return torch.from_numpy(normalised.astype(np.float32))


@torch.no_grad()
def summary(network: M2HMX, size: tuple[int, int]) -> dict[str, dict[str, list[float]]]:
    """Statistics of every output for one image of that size, and 25 values spread over it."""
    summaries = {}
    for name, output in network(images(1, *size)).items():
        flat = output.double().flatten()
        spread = flat[torch.linspace(0, len(flat) - 1, 25).round().long()]
        statistics = (flat.mean(), flat.std(), flat.min(), flat.max())
        summaries[name] = {
            "shape": list(output.shape),
            "mean std min max": [round(float(value), 6) for value in statistics],
            "values": [round(float(value), 6) for value in spread],
        }
    return summaries


if __name__ == "__main__":
    references = {
        name: summary(filled_network(tiny(**changes)), REFERENCE_SIZE) for name, changes in REFERENCES.items()
    }
    print(json.dumps(references, indent=1))  # noqa: T201
