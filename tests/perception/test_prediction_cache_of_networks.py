"""Which predictions of networks are used again: those of the same weights and options, and no others."""

import shutil

import numpy as np
import pytest
import torch
from m2hmx_fill import filled_network
from m2hmx_weights import photograph, small, write_small_weights

from perception.cache import PredictionCache
from perception.choice import ModuleChoice
from perception.guarded import create_module
from perception.inference.options import InferenceOptions
from perception.m2hmx.weights import write_network
from perception.module import PERCEPTION_MODULES, Prediction
from perception.onnx_export import export_weights
from sequences.model import Frame, Intrinsics, SequenceInfo

HEIGHT, WIDTH = 120, 160
FRAME = Frame(0, 0, photograph(HEIGHT, WIDTH))
SEQUENCE = SequenceInfo(
    "photographs", Intrinsics(150, 150, 79.5, 59.5, WIDTH, HEIGHT), np.arange(2), has_depth=False
)
#: Another value than the default for every option, by module where they take different ones.
OTHER = {
    "depth_scale": {"m2hmx": 1.5, "onnx": 1.5},
    "label_space": {"m2hmx": "scannet20", "onnx": "scannet20"},
    "resizing": {"m2hmx": "pillow", "onnx": "pillow"},
    "device": {"m2hmx": "cuda:1", "onnx": "cpu"},
    "precision": {"m2hmx": "bfloat16", "onnx": "float32"},
}


def file_for(module, weights):
    """The file that a module takes, made of weights and beside them."""
    if module == "m2hmx":
        return weights
    pytest.importorskip("onnxscript", reason="networks are exported with onnxscript")
    export_weights(weights, weights.with_suffix(".onnx"))
    return weights.with_suffix(".onnx")


def write_other_weights(path):
    """The same network with one number changed."""
    network = filled_network(small())
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] += 1
    return write_network(network, path, {"file": "made for a test"}).path


@pytest.fixture(scope="module", params=["m2hmx", "onnx"])
def network(request, tmp_path_factory):
    """Name of a module and its file."""
    weights = write_small_weights(tmp_path_factory.mktemp("weights") / "small.safetensors").path
    return request.param, file_for(request.param, weights)


@pytest.fixture
def cache(tmp_path):
    return PredictionCache(tmp_path / "predictions")


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine that says it has them; nothing can run there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "made up")


@pytest.fixture
def unread(monkeypatch):
    """Modules say the same of every image, whatever they are: what is kept and found again remains."""
    for name in ("m2hmx", "onnx"):
        kind = PERCEPTION_MODULES.load(name)
        monkeypatch.setattr(kind, "load", lambda module: None)
        monkeypatch.setattr(kind, "predict", same_prediction)


def same_prediction(module, frame):
    size = frame.rgb.shape[:2]
    return Prediction(np.ones(size, np.float32), np.ones(size, np.uint8), module.label_space(SEQUENCE))


def identity(name, path, **options):
    return PERCEPTION_MODULES.load(name).create(str(path), options).cache_identity()


def answer(name, path, cache, **options):
    module = create_module(ModuleChoice(name, str(path), options), cache)
    module.outputs(SEQUENCE)
    return module.predict_timed(FRAME)


def test_a_prediction_is_used_again_whatever_its_file_is_called(network, cache, tmp_path):
    name, path = network
    made = answer(name, path, cache)
    renamed = tmp_path / f"renamed{path.suffix}"
    shutil.copy(path, renamed)
    assert identity(name, renamed) == identity(name, path)
    again = answer(name, renamed, cache)
    assert made.seconds is not None
    assert again.seconds is None
    assert again.prediction.depth.tobytes() == made.prediction.depth.tobytes()
    assert again.prediction.semantics.tobytes() == made.prediction.semantics.tobytes()
    assert again.prediction.label_space == made.prediction.label_space


@pytest.mark.parametrize("option", InferenceOptions.model_fields)
def test_another_option_is_another_prediction(network, option, cache, two_gpus, unread):
    name, _ = network
    # Its identity is of the device that is chosen; another GPU of the same kind differs in nothing else.
    usual = {"device": "cuda:0"} if name == "m2hmx" else {}
    changed = usual | {option: OTHER[option][name]}
    assert identity(*network, **changed) != identity(*network, **usual)
    assert answer(*network, cache, **usual).seconds is not None
    assert answer(*network, cache, **usual).seconds is None
    assert answer(*network, cache, **changed).seconds is not None


def test_other_weights_of_the_same_network_give_another_prediction(network, cache, tmp_path):
    name, path = network
    other = file_for(name, write_other_weights(tmp_path / path.with_suffix(".safetensors").name))
    assert other.name == path.name
    assert identity(name, other) != identity(name, path)
    answer(name, path, cache)
    assert answer(name, other, cache).seconds is not None


def test_another_range_of_depth_is_another_prediction(cache, tmp_path):
    path = tmp_path / "small.safetensors"
    answer("m2hmx", write_small_weights(path).path, cache)
    before = path.read_bytes()
    write_small_weights(path, max_depth=7.0)
    assert path.read_bytes() != before
    assert answer("m2hmx", path, cache).seconds is not None
