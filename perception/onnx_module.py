"""Perception module ``onnx``: any network in an ONNX file that says what it takes and gives."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from perception.errors import PerceptionError
from perception.file_digest import file_digest
from perception.inference.images import (
    ImageContract,
    NetworkOutput,
    PredictionBuilder,
    network_input,
    require_classes,
)
from perception.inference.options import InferenceOptions, Precision, parse_options
from perception.module import PerceptionModule, Prediction
from sequences.model import Frame, Intrinsics, SequenceInfo

#: Keys of an ONNX file's metadata: what the network takes and gives; where it came from.
CONTRACT_KEY, SOURCE_KEY = "slam_harness_contract", "slam_harness_source"

#: Name of the input: float32 [1, 3, h, w], normalised.
IMAGE = "image"

#: Fields of predictions by the names of outputs, and channels where they are fixed.
_FIELDS = {"depth": "depth", "semseg": "semantics", "normals": "normals", "edge": "edges"}
_CHANNELS = {"depth": 1, "normals": 3, "edge": 1}


class OnnxModule(PerceptionModule):
    """Depth and semantics by the network in an ONNX file; ``onnx:FILE``."""

    def __init__(self, path: Path, options: InferenceOptions):
        if options.precision not in (Precision.AUTO, Precision.FLOAT32):
            raise PerceptionError(
                "an ONNX file has the precision it was exported with; leave precision alone"
            )
        self._path = path
        self._options = options
        self._session = make_session(path, options.device)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self._source = _read_source(path, metadata)
        self._contract = _read_contract(path, metadata)
        _check_graph(path, self._session, self._contract)
        self._builder = PredictionBuilder(self._contract, options.depth_scale, options.label_space)
        self._camera: Intrinsics | None = None
        self._outputs = [output.name for output in self._session.get_outputs() if output.name in _FIELDS]

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> "OnnxModule":
        """The module for an ONNX file.

        Raises:
            PerceptionError: There is no such file, it says not what it takes, or an option is wrong.
        """
        if argument is None:
            raise PerceptionError(
                "it needs an ONNX file, as in onnx:network.onnx; "
                "make one with: harness perception export WEIGHTS"
            )
        return cls(Path(argument), parse_options(options))

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        """What the outputs of the file give."""
        return frozenset(_FIELDS[name] for name in self._outputs)

    def label_space(self, sequence: SequenceInfo) -> str | None:
        """That of the file's labels, or the one they are turned into; None without semantics."""
        return self._builder.label_space if "semseg" in self._outputs else None

    def begin(self, sequence: SequenceInfo) -> None:
        """Remember the camera, whose focal length decides how far away things are."""
        self._camera = sequence.intrinsics

    def predict(self, frame: Frame) -> Prediction:
        """Predict one frame from its image alone."""
        image = network_input(frame.rgb, self._contract, self._options.resizing)
        found = dict(zip(self._outputs, self._session.run(self._outputs, {IMAGE: image}), strict=True))
        semseg = found.get("semseg")
        output = NetworkOutput(
            depth=None if "depth" not in found else found["depth"][0, 0],
            classes=None if semseg is None else semseg[0].argmax(axis=0).astype(np.uint8),
            normals=None if "normals" not in found else found["normals"][0],
            edges=None if "edge" not in found else found["edge"][0, 0],
        )
        height, width = frame.rgb.shape[:2]
        return self._builder.build(output, height, width, self._camera)

    def describe(self) -> dict[str, Any]:
        """File, its digest and source, options and versions."""
        return {
            "file": self._path.name,
            "sha256": file_digest(self._path),
            "source": self._source,
            **self._options.model_dump(mode="json"),
            "providers": self._session.get_providers(),
            "label_space": self._builder.label_space,
            "packages": {"onnxruntime": version("onnxruntime")},
        }

    def cache_identity(self) -> dict[str, Any]:
        """What a record holds, but for name and origin of the file, which decide nothing."""
        return {name: value for name, value in self.describe().items() if name not in ("file", "source")}


def make_session(path: Path, device: str = "cpu") -> Any:
    """An ONNX Runtime session for a file.

    Raises:
        PerceptionError: ONNX Runtime is not installed, the file cannot be read, or the device is not there.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise PerceptionError(
            "ONNX files need the package 'onnxruntime': pip install 'slam-harness[onnx]'"
        ) from error
    if not path.is_file():
        raise PerceptionError(f"there is no file {path}")
    available = onnxruntime.get_available_providers()
    providers: list[Any] = ["CPUExecutionProvider"]
    wants_gpu = device.startswith("cuda")
    if "CUDAExecutionProvider" in available and device != "cpu":
        index = int(device.partition(":")[2] or 0)
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": index}))
    elif wants_gpu:
        raise PerceptionError(
            f"device '{device}' was asked for and this ONNX Runtime runs on {', '.join(available)} alone"
        )
    try:
        return onnxruntime.InferenceSession(str(path), providers=providers)
    # ONNX Runtime's errors have no base class of their own.
    except Exception as error:
        raise PerceptionError(f"{path} is no ONNX file that ONNX Runtime can run: {error}") from error


def _check_graph(path: Path, session: Any, contract: ImageContract) -> None:
    """Refuse a network that does not take and give what the module hands it and reads."""
    image = (1, 3, *contract.image_size)
    inputs = {each.name: each for each in session.get_inputs()}
    if list(inputs) != [IMAGE] or not _fits(inputs[IMAGE], image):
        found = ", ".join(_words(each) for each in inputs.values()) or "none"
        raise PerceptionError(f"{path}: its input must be '{IMAGE}', float32 {list(image)}; found: {found}")
    outputs = {each.name: each for each in session.get_outputs() if each.name in _FIELDS}
    if not outputs:
        raise PerceptionError(f"{path}: none of its outputs is called {', '.join(_FIELDS)}")
    for name, output in outputs.items():
        if not _fits(output, (1, _CHANNELS.get(name), None, None)):
            raise PerceptionError(
                f"{path}: '{name}' must be float32 [1, channels, height, width]; found: {_words(output)}"
            )
    if "semseg" in outputs:
        require_classes(contract, outputs["semseg"].shape[1])


def _fits(value: Any, shape: tuple[int | None, ...]) -> bool:
    """Whether an input or output has a type and shape; None, and a size without number, is any."""
    return (
        value.type == "tensor(float)"
        and len(value.shape) == len(shape)
        and all(
            want is None or not isinstance(got, int) or got == want
            for got, want in zip(value.shape, shape, strict=True)
        )
    )


def _words(value: Any) -> str:
    return f"'{value.name}', {value.type} {value.shape}"


def _read_source(path: Path, metadata: Mapping[str, str]) -> Any:
    try:
        return json.loads(metadata.get(SOURCE_KEY, "null"))
    except ValueError as error:
        raise PerceptionError(f"{path}: '{SOURCE_KEY}' in its metadata is no JSON: {error}") from error


def _read_contract(path: Path, metadata: Mapping[str, str]) -> ImageContract:
    if CONTRACT_KEY not in metadata:
        raise PerceptionError(
            f"{path} does not say what it takes and gives: its metadata lacks '{CONTRACT_KEY}', "
            f"a JSON mapping of {', '.join(ImageContract.model_fields)}"
        )
    try:
        return ImageContract.model_validate_json(metadata[CONTRACT_KEY])
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise PerceptionError(f"{path}: '{CONTRACT_KEY}' in its metadata is not valid: {wrong}") from error
