"""Which predictions of networks are used again: those of the same weights and options, and no others."""

import shutil

import numpy as np
import pytest
from m2hmx_weights import photograph, write_small_weights

from perception.cache import PredictionCache
from perception.choice import ModuleChoice
from perception.guarded import create_module
from perception.onnx_export import export_weights
from sequences.model import Frame, Intrinsics, SequenceInfo

HEIGHT, WIDTH = 120, 160
FRAME = Frame(0, 0, photograph(HEIGHT, WIDTH))
SEQUENCE = SequenceInfo(
    "photographs", Intrinsics(150, 150, 79.5, 59.5, WIDTH, HEIGHT), np.arange(2), has_depth=False
)
OTHER = {
    "depth_scale": {"depth_scale": 1.5},
    "label_space": {"label_space": "scannet20"},
    "resizing": {"resizing": "pillow"},
}


@pytest.fixture(scope="module", params=["m2hmx", "onnx"])
def network(request, tmp_path_factory):
    """Name of a module and its file."""
    directory = tmp_path_factory.mktemp("weights")
    weights = write_small_weights(directory / "small.safetensors").path
    if request.param == "onnx":
        pytest.importorskip("onnxscript", reason="networks are exported with onnxscript")
        export_weights(weights, directory / "small.onnx")
        return "onnx", directory / "small.onnx"
    return "m2hmx", weights


@pytest.fixture
def cache(tmp_path):
    return PredictionCache(tmp_path / "predictions")


def answer(name, path, cache, **options):
    module = create_module(ModuleChoice(name, str(path), options), cache)
    module.outputs(SEQUENCE)
    return module.predict_timed(FRAME)


def test_a_prediction_is_used_again_whatever_its_file_is_called(network, cache, tmp_path):
    name, path = network
    made = answer(name, path, cache)
    renamed = tmp_path / f"renamed{path.suffix}"
    shutil.copy(path, renamed)
    again = answer(name, renamed, cache)
    assert made.seconds is not None
    assert again.seconds is None
    assert again.prediction.depth.tobytes() == made.prediction.depth.tobytes()
    assert again.prediction.semantics.tobytes() == made.prediction.semantics.tobytes()
    assert again.prediction.label_space == made.prediction.label_space


@pytest.mark.parametrize("option", OTHER)
def test_another_option_is_another_prediction(network, option, cache):
    answer(*network, cache)
    assert answer(*network, cache, **OTHER[option]).seconds is not None


def test_another_precision_is_another_prediction(cache, tmp_path):
    weights = write_small_weights(tmp_path / "small.safetensors").path
    answer("m2hmx", weights, cache)
    assert answer("m2hmx", weights, cache, precision="bfloat16").seconds is not None


def test_other_weights_give_another_prediction(cache, tmp_path):
    path = tmp_path / "small.safetensors"
    answer("m2hmx", write_small_weights(path).path, cache)
    before = path.read_bytes()
    write_small_weights(path, max_depth=7.0)
    assert path.read_bytes() != before
    assert answer("m2hmx", path, cache).seconds is not None
