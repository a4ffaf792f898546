"""Networks as ONNX files: exported and compared, run by module onnx, refused where they say too little."""

import json
import sys

import numpy as np
import onnx
import pytest
import torch
from m2hmx_weights import photograph, photographed, write_small_weights
from onnx import TensorProto, helper
from torch import nn

from perception.choice import ModuleChoice
from perception.errors import ModuleFailedError, PerceptionError
from perception.file_digest import file_digest
from perception.guarded import create_module
from perception.inference.images import ImageContract
from perception.onnx_export import OnnxExportError, export_network, export_weights
from perception.onnx_module import CONTRACT_KEY, SOURCE_KEY
from perception.weights import WeightsInfo
from sequences.model import Frame

FRAME = Frame(0, 0, photograph())
CONTRACT = ImageContract(image_size=(4, 6), min_depth=0.1, max_depth=10.0)
FOUR_TASKS = {"tasks": ["semseg", "depth", "normals", "edge"], "edge_refine_threshold": 0.6}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Weights of four tasks, the ONNX file made of them, and how much it differs."""
    directory = tmp_path_factory.mktemp("export")
    info = write_small_weights(directory / "small.safetensors", canonical_focal=0.8, **FOUR_TASKS)
    return info, directory / "small.onnx", export_weights(info.path, directory / "small.onnx")


def module(name, path, **options):
    created = create_module(ModuleChoice(name, str(path), options))
    created.outputs(photographed())
    created.load()
    return created


def refusal(path, **options):
    with pytest.raises(PerceptionError) as caught:
        create_module(ModuleChoice("onnx", None if path is None else str(path), options))
    assert not isinstance(caught.value, ModuleFailedError)
    return str(caught.value)


def test_an_exported_network_of_all_tasks_gives_what_pytorch_gives(exported):
    _, path, differences = exported
    assert differences.keys() == {"depth", "semseg", "normals", "edge"}
    assert 0 < max(differences.values()) < 1e-4
    assert sorted(file.name for file in path.parent.iterdir()) == ["small.onnx", "small.safetensors"]


def test_the_file_says_what_it_takes_and_which_weights_it_has(exported):
    info, path, _ = exported
    metadata = {entry.key: json.loads(entry.value) for entry in onnx.load(path).metadata_props}
    assert metadata[CONTRACT_KEY]["image_size"] == [64, 96]
    assert metadata[CONTRACT_KEY]["label_space"] == "nyu40"
    assert metadata[SOURCE_KEY]["weights"] == info.digest


@pytest.mark.parametrize("focal", [100.0, 200.0])
def test_both_modules_predict_the_same(exported, focal):
    info, path, _ = exported
    theirs = module("m2hmx", info.path, depth_scale=1.4, label_space="nyud20")
    ours = module("onnx", path, depth_scale=1.4, label_space="nyud20")
    tasks = {"depth", "semantics", "normals", "edges"}
    assert ours.outputs(photographed(focal)) == theirs.outputs(photographed(focal)) == tasks
    assert ours.label_space(None) == theirs.label_space(None) == "nyud20"
    expected, found = theirs.predict(FRAME), ours.predict(FRAME)
    for name in ("depth", "normals", "edges"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-4)
    assert (found.semantics == expected.semantics).mean() > 0.999
    assert found.label_space == expected.label_space == "nyud20"


def test_a_description_holds_the_digests_of_file_and_weights(exported):
    info, path, _ = exported
    described = module("onnx", path, depth_scale=1.4).describe()
    assert described["sha256"] == file_digest(path)
    assert described["source"]["weights"] == info.digest
    assert (described["file"], described["depth_scale"]) == ("small.onnx", 1.4)
    assert described["providers"] == ["CPUExecutionProvider"]


class Doubled(nn.Module):
    """The mean of the colours as depth."""

    def forward(self, image):
        return {"depth": 2 * image.mean(1, keepdim=True), "not for files": image}


class DifferentOutside(nn.Module):
    """Gives ONNX Runtime something else than PyTorch."""

    def __init__(self, outside):
        super().__init__()
        self.outside = outside

    def forward(self, image):
        depth = image.mean(1, keepdim=True)
        return {"edge": depth, "depth": depth + self.outside if torch.compiler.is_exporting() else depth}


def export(network, output, tasks=("depth",)):
    return export_network(network, CONTRACT, tasks, WeightsInfo(output, "net", {}, {}, "0" * 64), output)


def test_any_network_with_a_dictionary_of_outputs_is_exported(tmp_path):
    assert export(Doubled(), tmp_path / "new" / "doubled.onnx")["depth"] < 1e-6
    prediction = module("onnx", tmp_path / "new" / "doubled.onnx").predict(FRAME)
    assert prediction.depth.shape == (120, 160)
    assert prediction.semantics is None


@pytest.mark.parametrize("outside", [0.01, float("nan")])
def test_a_network_that_differs_leaves_no_file(outside, tmp_path):
    with pytest.raises(OnnxExportError, match="'depth' from ONNX Runtime differs by"):
        export(DifferentOutside(outside), tmp_path / "net.onnx", tasks=("edge", "depth"))
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_the_export_says_so_before_it_begins(tmp_path):
    (tmp_path / "a file").write_text("in the way")
    with pytest.raises(OnnxExportError, match="cannot write"):
        export(Doubled(), tmp_path / "a file" / "net.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_package_that_is_missing_is_named_with_the_command(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(OnnxExportError, match=rf"'{package}': pip install 'slam-harness\[export\]'"):
        export(Doubled(), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_module_without_onnx_runtime_says_what_to_install(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "pip install 'slam-harness[onnx]'" in refusal(exported[1])


def test_without_a_file_it_says_how_to_make_one():
    assert "harness perception export WEIGHTS" in refusal(None)


def test_a_missing_file_and_one_that_is_no_onnx_are_refused(tmp_path):
    assert f"there is no file {tmp_path / 'net.onnx'}" in refusal(tmp_path / "net.onnx")
    (tmp_path / "net.onnx").write_bytes(b"\x08not a network")
    assert "is no ONNX file that ONNX Runtime can run" in refusal(tmp_path / "net.onnx")


def test_the_precision_of_a_file_cannot_be_chosen(exported):
    assert "precision it was exported with" in refusal(exported[1], precision="bfloat16")


def test_a_gpu_without_its_runtime_is_refused(exported):
    assert "'cuda:0' was asked for and this ONNX Runtime runs on" in refusal(exported[1], device="cuda:0")


def write_graph(path, source="image", shape=(1, 3, 4, 6), result="depth", metadata=None, channels=1):
    """A network that hands on the first channels of its input."""
    nodes = [
        helper.make_node("Slice", [source, "start", "end", "axis"], [result]),
    ]
    values = {"start": 0, "end": channels, "axis": 1}
    graph = helper.make_graph(
        nodes,
        "first channels",
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, [1, channels, 4, 6])],
        [helper.make_tensor(name, TensorProto.INT64, [1], [value]) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {CONTRACT_KEY: CONTRACT.model_dump_json()} | (metadata or {}))
    onnx.save(model, path)
    return path


def test_a_file_of_anybodys_runs_when_it_has_the_contract(tmp_path):
    prediction = module("onnx", write_graph(tmp_path / "net.onnx")).predict(FRAME)
    assert prediction.depth.min() >= np.float32(0.1)


def test_a_file_without_labels_announces_no_label_space_whatever_its_contract_says(tmp_path):
    contract = CONTRACT.model_copy(update={"label_space": "nyu40"}).model_dump_json()
    path = write_graph(tmp_path / "net.onnx", metadata={CONTRACT_KEY: contract})
    assert module("onnx", path).label_space(None) is None


def test_a_file_without_the_contract_is_refused(tmp_path):
    path = write_graph(tmp_path / "net.onnx")
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    words = refusal(path)
    assert f"its metadata lacks '{CONTRACT_KEY}'" in words
    assert "image_size, mean, std" in words


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metadata": {CONTRACT_KEY: "{"}}, "is not valid"),
        ({"metadata": {CONTRACT_KEY: '{"image_size": [4, 6]}'}}, "min_depth: Field required"),
        ({"metadata": {SOURCE_KEY: "{"}}, "is no JSON"),
        ({"source": "x"}, "its input must be 'image'"),
        ({"shape": (1, 3, 4, 8)}, "its input must be 'image', float32 [1, 3, 4, 6]; found: 'image'"),
        ({"result": "disparity"}, "none of its outputs is called depth, semseg, normals, edge"),
        ({"channels": 2}, "'depth' must be float32 [1, channels, height, width]"),
        ({"result": "semseg"}, "does not say of which label space"),
    ],
    ids=str,
)
def test_a_file_that_takes_or_gives_something_else_is_refused(changes, message, tmp_path):
    assert message in refusal(write_graph(tmp_path / "net.onnx", **changes))
