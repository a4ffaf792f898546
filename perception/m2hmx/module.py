"""Perception module ``m2hmx``: an M2H-MX network with a file of weights."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from perception.backbones.lora import merge_lora
from perception.errors import PerceptionError
from perception.inference.device import choose_placement
from perception.inference.images import (
    ImageContract,
    NetworkOutput,
    PredictionBuilder,
    network_input,
    require_classes,
)
from perception.inference.options import InferenceOptions, parse_options
from perception.m2hmx.configuration import NetworkConfig
from perception.m2hmx.network import M2HMX
from perception.m2hmx.trained import weights_file
from perception.m2hmx.weights import NETWORK, load_network, read_info
from perception.mamba.selective_scan import scan_implementation
from perception.module import PerceptionModule, Prediction
from perception.weights import WeightsInfo
from sequences.model import Frame, Intrinsics, SequenceInfo


class M2hmxModule(PerceptionModule):
    """Depth and semantics by M2H-MX: m2hmx-nano, or ``m2hmx:FILE`` with a file of weights."""

    def __init__(self, weights: Path, options: InferenceOptions):
        self._info, self._config = read_info(weights)
        self._options = options
        self._placement = choose_placement(options)
        self._contract = image_contract(self._config)
        self._builder = PredictionBuilder(self._contract, options.depth_scale, options.label_space)
        self._network: M2HMX | None = None
        self._camera: Intrinsics | None = None

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> "M2hmxModule":
        """The module for a file of weights, for weights that come with the package, or for the default ones.

        Raises:
            PerceptionError: There is no such file, it is of another network, or an option is wrong.
        """
        return cls(weights_file(argument), parse_options(options))

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        """What the tasks of the network give."""
        names = {"depth": "depth", "semseg": "semantics", "normals": "normals", "edge": "edges"}
        return frozenset(names[task] for task in self._config.tasks)

    def label_space(self, sequence: SequenceInfo) -> str | None:
        """That of the network, or the one its labels are turned into; None without semantics."""
        return self._builder.label_space

    def begin(self, sequence: SequenceInfo) -> None:
        """Remember the camera, whose focal length decides how far away things are."""
        self._camera = sequence.intrinsics

    def load(self) -> None:
        """Build the network where it will run."""
        network = load_for_prediction(self._info, self._config)
        # Convolutions were 6 to 11 % faster on a CPU with channels last; only rounding differs.
        network = network.to(self._placement.device)
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def predict(self, frame: Frame) -> Prediction:
        """Predict one frame from its image alone."""
        if self._network is None:
            self.load()
        assert self._network is not None
        image = network_input(frame.rgb, self._contract, self._options.resizing)
        with torch.inference_mode(), self._placement.autocast():
            outputs = self._network(torch.from_numpy(image).to(self._placement.device))
        height, width = frame.rgb.shape[:2]
        return self._builder.build(network_output(outputs), height, width, self._camera)

    def describe(self) -> dict[str, Any]:
        """Network, weights, options, device, precision and versions."""
        return {
            "network": NETWORK,
            "configuration": self._config.model_dump(mode="json"),
            "weights": {
                "file": self._info.path.name,
                "digest": self._info.digest,
                "source": self._info.source,
            },
            **self._options.model_dump(mode="json"),
            **self._placement.describe(),
            "label_space": self._builder.label_space,
            "selective_scan": scan_implementation(self._placement.device),
            "packages": {name: version(name) for name in ("torch", "timm", "peft")},
        }

    def cache_identity(self) -> dict[str, Any]:
        """What a record holds, but for name and origin of the file of weights, which decide nothing."""
        return self.describe() | {"weights": self._info.digest}


def image_contract(config: NetworkConfig) -> ImageContract:
    """What a network of this configuration takes and gives.

    Raises:
        PerceptionError: The configuration does not say, or has other classes than its label space.
    """
    if config.image_size is None or ("semseg" in config.tasks and config.label_space is None):
        raise PerceptionError(
            "the configuration of the weights lacks image_size or label_space; "
            "import the checkpoint with a configuration that has both"
        )
    contract = ImageContract(
        image_size=config.image_size,
        min_depth=config.min_depth,
        max_depth=config.max_depth,
        label_space=config.label_space if "semseg" in config.tasks else None,
        canonical_focal=config.canonical_focal,
    )
    if "semseg" in config.tasks:
        require_classes(contract, config.num_classes)
    return contract


def load_for_prediction(info: WeightsInfo, config: NetworkConfig) -> M2HMX:
    """The network of a file of weights, with its adapters merged: the same numbers in fewer steps.

    Raises:
        PerceptionError: The weights cannot be read, or the network does not see the whole image.
    """
    network = load_network(info, config)
    if config.image_size is not None and network.seen_size(*config.image_size) != config.image_size:
        height, width = network.seen_size(*config.image_size)
        raise PerceptionError(
            f"the network sees whole patches alone, and of images of {config.image_size[0]}x"
            f"{config.image_size[1]} pixels {height}x{width}; import the checkpoint with "
            f"image_size: [{height}, {width}]"
        )
    if config.lora is not None:
        merge_lora(network.hfa_adapter.backbone)
    return network


def network_output(outputs: Mapping[str, torch.Tensor]) -> NetworkOutput:
    """The outputs for a batch of one image, as arrays."""
    semseg = outputs.get("semseg")
    return NetworkOutput(
        depth=_array(outputs.get("depth"), channel=0),
        classes=None if semseg is None else semseg[0].argmax(0).to(torch.uint8).cpu().numpy(),
        normals=_array(outputs.get("normals")),
        edges=_array(outputs.get("edge"), channel=0),
    )


def _array(tensor: torch.Tensor | None, channel: int | None = None) -> Any:
    if tensor is None:
        return None
    image = tensor[0] if channel is None else tensor[0, channel]
    return image.float().cpu().numpy()
