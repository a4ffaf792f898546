"""Exporting a network to ONNX: one file that says what it takes and gives, checked against PyTorch."""

import json
import logging
import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from perception.errors import PerceptionError
from perception.inference.images import ImageContract, plain_contract
from perception.onnx_module import CONTRACT_KEY, IMAGE, SOURCE_KEY, make_session
from perception.weights import WeightsInfo

#: The outputs of networks that predictions are made of, in the order in which files have them.
OUTPUTS = ("depth", "semseg", "normals", "edge")

#: Largest difference from PyTorch with which a file is kept.
TOLERANCE = 1e-4


class OnnxExportError(PerceptionError):
    """A network cannot be exported, or ONNX Runtime does not give what PyTorch gives."""


class _Outputs(nn.Module):
    """A network with its outputs in a fixed order and without those that only training needs."""

    def __init__(self, network: nn.Module, names: tuple[str, ...]):
        super().__init__()
        self.network, self.names = network, names

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        outputs = self.network(image)
        return tuple(outputs[name] for name in self.names)


def export_weights(weights: Path, output: Path) -> dict[str, float]:
    """Export a file of weights of M2H-MX.

    Args:
        weights: In the harness's own format.
        output: ONNX file to write.

    Returns:
        By output, the largest difference between ONNX Runtime and PyTorch on the image that was tried.

    Raises:
        OnnxExportError: Export fails or the difference is too large.
        PerceptionError: The weights cannot be read.
    """
    from perception.m2hmx.module import image_contract, load_for_prediction
    from perception.m2hmx.weights import read_info

    info, config = read_info(weights)
    contract = image_contract(config)
    tasks = tuple(name for name in OUTPUTS if name in config.tasks)
    return export_network(load_for_prediction(info, config), contract, tasks, info, output)


def export_network(
    network: nn.Module, contract: ImageContract, tasks: tuple[str, ...], info: WeightsInfo, output: Path
) -> dict[str, float]:
    """Export a network that gives a dictionary of outputs for images of one size.

    The file has fixed shapes: one image of the size of the contract, named ``image``, and outputs by task.

    Raises:
        OnnxExportError: Export fails or the difference from PyTorch is too large; no file is left.
    """
    _require_packages()
    image = _some_image(contract.image_size)
    wrapped = _Outputs(network, tasks).eval()
    partial = output.with_name(f".{output.stem}.{os.getpid()}.partial.onnx")
    try:
        # Exporting takes minutes: what cannot be written is found out before.
        output.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
        with torch.inference_mode():
            expected = wrapped(torch.from_numpy(image))
        _write(wrapped, image, tasks, partial)
        _annotate(partial, contract, info)
        found = make_session(partial).run(list(tasks), {IMAGE: image})
        differences = _differences(tasks, expected, found)
        partial.replace(output)
    except OSError as error:
        raise OnnxExportError(f"cannot write {output}: {error}") from error
    finally:
        # Where it could not be made it cannot be removed either.
        with suppress(OSError):
            partial.unlink()
    return differences


def _require_packages() -> None:
    """Look for what the export needs before it takes its minutes."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            import_module(package)
        except ModuleNotFoundError as error:
            raise OnnxExportError(
                f"export needs the package '{package}': pip install 'slam-harness[export]'"
            ) from error


def _some_image(size: tuple[int, int]) -> NDArray[np.float32]:
    """A normalised image of noise, the hardest there is: every value matters."""
    return np.random.default_rng(0).normal(size=(1, 3, *size)).astype(np.float32)


def _write(network: nn.Module, image: NDArray[np.float32], tasks: tuple[str, ...], path: Path) -> None:
    for talkative in ("torch.onnx", "onnxscript"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (torch.from_numpy(image),),
                path,
                input_names=[IMAGE],
                output_names=list(tasks),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise OnnxExportError(f"torch cannot export this network: {error}") from error


def _annotate(path: Path, contract: ImageContract, info: WeightsInfo) -> None:
    """Write into the file what it takes and gives, and which weights it has."""
    import onnx

    model = onnx.load(str(path))
    source = {"network": info.network, "weights": info.digest, "source": info.source}
    entries: Mapping[str, Any] = {CONTRACT_KEY: plain_contract(contract), SOURCE_KEY: source}
    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in entries.items()})
    onnx.save(model, str(path))


def _differences(
    tasks: tuple[str, ...], expected: tuple[Tensor, ...], found: list[NDArray[np.float32]]
) -> dict[str, float]:
    differences = {
        task: float(np.abs(ours.numpy() - theirs).max())
        for task, ours, theirs in zip(tasks, expected, found, strict=True)
    }
    # NaN counts as the worst of all.
    worst = max(differences, key=lambda task: np.nan_to_num(differences[task], nan=np.inf))
    if not differences[worst] <= TOLERANCE:
        raise OnnxExportError(
            f"'{worst}' from ONNX Runtime differs by {differences[worst]:.1e} from PyTorch, "
            f"more than {TOLERANCE:.0e}; the file was not kept"
        )
    return differences
