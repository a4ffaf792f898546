"""``harness perception`` from the command line: networks described, weights in and out, images predicted."""

import json
import pickle

import pytest
import torch
import yaml
from m2hmx_fill import filled_checkpoint
from m2hmx_weights import photograph, small, write_small_weights
from PIL import Image

from perception.weights import read_weights_info


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_small_weights(tmp_path_factory.mktemp("weights") / "small.safetensors")


@pytest.fixture(scope="module")
def official():
    return filled_checkpoint(small())


@pytest.fixture
def config(harness):
    (harness.directory / "small.yaml").write_text(yaml.safe_dump(small()))
    return "small.yaml"


def import_checkpoint(harness, config, content, *arguments, save=torch.save):
    save(content, harness.directory / "checkpoint.pth")
    return harness("perception", "import-weights", "checkpoint.pth", "--config", config, *arguments)


def refused(harness, outcome):
    assert outcome.code == 2
    assert outcome.out == ""
    assert "error: " in outcome.err
    assert "Traceback" not in outcome.err
    assert not list(harness.directory.glob("*.safetensors*"))
    return outcome.err


def write_images(harness, *names):
    for name in names:
        path = harness.directory / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(photograph()).save(path)


def test_modules_and_presets_are_listed(harness):
    outcome = harness("perception", "ls")
    assert outcome.code == 0
    for name in ("m2hmx", "onnx", "sensor", "none", "m2hmx-l-scannet-released", "m2hmx-nano"):
        assert name in outcome.out


def test_a_preset_is_described_as_json(harness):
    outcome = harness("perception", "describe", "m2hmx-l", "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["parameters"] == pytest.approx(353_534_000, abs=20_000)
    assert found["image_size"] == [384, 512]
    assert found["macs_by_papers_rule"] == pytest.approx(491.907e9, rel=0.005)
    assert found["macs"] > found["macs_by_papers_rule"]
    assert found["configuration"]["label_space"] == "nyu40"
    assert sum(part["parameters"] for part in found["parts"].values()) == found["parameters"]


def test_a_yaml_file_and_a_file_of_weights_are_described_alike(harness, config, weights):
    from_file, from_weights = (
        harness("perception", "describe", name, "--size", "64x96") for name in (config, str(weights.path))
    )
    assert from_file.code == from_weights.code == 0, from_file.err + from_weights.err
    assert from_file.out == from_weights.out
    for words in ("in all", "lora", "trainable", "one image of 64x96 pixels", "rule of the paper"):
        assert words in from_file.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m2hmx-xl"], "there is no preset 'm2hmx-xl'; presets: m2hmx-b, m2hmx-b-released"),
        (["nothing.yaml"], "cannot read nothing.yaml"),
        (["m2hmx-nano", "--size", "480,640"], "expected height x width, as in 480x640"),
        (["m2hmx-nano", "--size", "4x4"], "too small"),
    ],
    ids=str,
)
def test_what_cannot_be_described_is_told_in_a_sentence(harness, arguments, message):
    assert message in refused(harness, harness("perception", "describe", *arguments))


def test_a_yaml_file_with_a_wrong_key_is_refused_by_the_name_of_the_key(harness):
    (harness.directory / "wrong.yaml").write_text(yaml.safe_dump(small(decoder_width=64)))
    assert "decoder_width" in refused(harness, harness("perception", "describe", "wrong.yaml"))


def test_a_checkpoint_of_the_authors_becomes_a_file_of_weights(harness, config, official):
    state = {f"module.{name}": tensor for name, tensor in official.items()}
    state |= {"loss_balancer.log_vars.depth": torch.zeros(1), "loss_balancer.log_vars.semseg": torch.zeros(1)}
    outcome = import_checkpoint(harness, config, {"model": state, "epoch": 12})
    assert outcome.code == 0, outcome.err
    assert outcome.out.strip() == "checkpoint.m2hmx.safetensors"
    info = read_weights_info(harness.directory / "checkpoint.m2hmx.safetensors")
    assert info.digest in outcome.err
    assert info.source["file"] == "checkpoint.pth"
    for name in ("depth", "semseg"):
        assert f"left out, nothing depends on it: loss_balancer.log_vars.{name}" in outcome.err
    assert info.source["left_out"] == ["loss_balancer.log_vars.depth", "loss_balancer.log_vars.semseg"]


def test_adapters_are_merged_when_asked_for(harness, config, official):
    outcome = import_checkpoint(
        harness, config, official, "--merge-lora", "--output", "out/merged.safetensors"
    )
    assert outcome.code == 0, outcome.err
    info = read_weights_info(harness.directory / "out" / "merged.safetensors")
    assert info.configuration["lora"] is None
    assert info.source["adapters"] == "merge"


def test_a_checkpoint_that_does_not_fit_is_refused_with_all_names(harness, config, official):
    state = dict(official)
    del state["depth_head.pred_conv.conv2.bias"]
    state["flow_head.weight"] = torch.zeros(1)
    state["hfa_adapter.register_proj.bias"] = torch.zeros(65)
    words = refused(harness, import_checkpoint(harness, config, state))
    assert "1 missing: depth_head.pred_conv.conv2.bias" in words
    assert "1 unexpected: flow_head.weight" in words
    assert "hfa_adapter.register_proj.bias [65] instead of [64]" in words


class Malicious:
    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return eval, (f"open({self.trace!r}, 'w').close()",)


@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(harness, config, official, save):
    trace = harness.directory / "it ran"
    content = {"model": official, "args": Malicious(trace)}
    words = refused(harness, import_checkpoint(harness, config, content, save=save))
    assert "could run code, so it was not read" in words
    assert not trace.exists()


def test_images_and_directories_of_images_are_predicted(harness, weights):
    write_images(harness, "one.png", "two.jpg", "photos/three.png")
    module = ("--module", f"m2hmx:{weights.path}", "--set", "label_space=nyud20", "--set", "depth_scale=1.4")
    outcome = harness("perception", "predict", "one.png", "two.jpg", "photos", *module, "--output", "out")
    assert outcome.code == 0, outcome.err
    names = ("one", "two", "three")
    assert outcome.out.split() == [f"out/{name}.overview.png" for name in names]
    kinds = ("depth", "labels", "overview")
    assert {path.name for path in (harness.directory / "out").iterdir()} == {
        f"{name}.{kind}.png" for name in names for kind in kinds
    }


@pytest.mark.parametrize(
    ("module", "settings", "message"),
    [
        ("m2hmy", [], "Did you mean 'm2hmx'"),
        ("m2hmx:WEIGHTS", ["depth_scale"], "expected OPTION=VALUE"),
        ("m2hmx:WEIGHTS", ["label_space=nyu41"], "unknown label space 'nyu41'"),
    ],
    ids=str,
)
def test_what_cannot_be_predicted_is_told_in_a_sentence(harness, weights, module, settings, message):
    write_images(harness, "one.png")
    chosen = module.replace("WEIGHTS", str(weights.path))
    options = [word for setting in settings for word in ("--set", setting)]
    outcome = harness("perception", "predict", "one.png", "--module", chosen, "--output", "out", *options)
    assert message in refused(harness, outcome)
    assert not (harness.directory / "out").exists()


def test_weights_are_exported_and_the_file_is_a_module(harness):
    write_images(harness, "one.png")
    # Mamba takes most of an export's time and is exported in tests of its own.
    write_small_weights(harness.directory / "small.safetensors", register_gated_mamba=False)
    outcome = harness("perception", "export", "small.safetensors")
    assert outcome.code == 0, outcome.err
    assert outcome.out.strip() == "small.onnx"
    lines = outcome.err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["depth", "semseg"]
    assert all("differs from PyTorch by at most" in line for line in lines)
    outcome = harness("perception", "predict", "one.png", "--module", "onnx:small.onnx", "--output", "out")
    assert outcome.code == 0, outcome.err


def test_an_experiment_records_which_weights_it_ran_with(harness, weights):
    outcome = harness(
        *("run", "--seqs", str(harness.recording), "--perception", f"m2hmx:{weights.path}"),
        *("--backends", "curve", "--set", "m2hmx.depth_scale=1.4", "--output", "experiment"),
    )
    assert outcome.code == 0, outcome.err
    (file,) = (harness.directory / "experiment").glob("trials/*/*/*/run-0/record.json")
    record = json.loads(file.read_text())
    assert record["status"] == "ok"
    assert record["key"]["perception"] == "m2hmx:small"
    details = record["perception"]["details"]
    assert details["weights"]["digest"] == weights.digest
    assert (details["depth_scale"], details["precision"]) == (1.4, "float32")
