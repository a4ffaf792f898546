"""Checkpoints of the released code are loaded exactly, or refused by the names of what does not fit."""

import logging
import pickle

import pytest
import torch
from m2hmx_fill import filled_checkpoint, filled_network, images, tiny
from safetensors.torch import save_file

from perception.m2hmx import load_upstream
from perception.m2hmx.errors import (
    CheckpointError,
    CheckpointMismatchError,
    NetworkConfigurationError,
    UnsafeCheckpointError,
)
from perception.m2hmx.loading import import_upstream, upstream_state_dict
from perception.m2hmx.network import M2HMX, parameter_counts
from perception.m2hmx.upstream_keys import official_name, our_name

CONFIG = tiny()
IMAGE = images(1, 64, 64)


@pytest.fixture(scope="module")
def checkpoint():
    return filled_checkpoint(CONFIG)


@pytest.fixture(scope="module")
def expected(checkpoint):
    return outputs(load_upstream(checkpoint, CONFIG))


@torch.no_grad()
def outputs(network):
    return network(IMAGE)


def assert_close(found, expected, tolerance=0.0):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=tolerance, rtol=0)


def test_the_network_comes_in_eval_mode_with_the_weights(checkpoint):
    network = load_upstream(checkpoint, CONFIG)
    assert isinstance(network, torch.nn.Module)
    assert not network.training
    found = upstream_state_dict(network)
    assert found.keys() == checkpoint.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in checkpoint.items())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"model": state, "epoch": 3},
        lambda state: {"state_dict": state},
        lambda state: {"model": {"state_dict": state}, "optimizer": {"lr": 1.0}},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {
            name.replace("backbone.layer.", "backbone.model.layer."): t for name, t in state.items()
        },
        lambda state: {
            f"module.{name}".replace(".layer.", ".model.layer."): tensor for name, tensor in state.items()
        },
    ],
    ids=["model", "state_dict", "both", "module.", "model.layer.", "both prefixes"],
)
def test_every_wrapping_is_taken_off(checkpoint, expected, wrap):
    assert_close(outputs(load_upstream(wrap(checkpoint), CONFIG)), expected)


def test_files_of_torch_and_of_safetensors_are_read(checkpoint, expected, tmp_path):
    torch.save({"model": checkpoint}, tmp_path / "weights.pth")
    save_file(checkpoint, tmp_path / "weights.safetensors")
    assert_close(outputs(load_upstream(tmp_path / "weights.pth", CONFIG)), expected)
    assert_close(outputs(load_upstream(str(tmp_path / "weights.safetensors"), CONFIG)), expected)


def test_what_has_no_effect_is_left_out_and_reported(checkpoint, expected, caplog):
    extra = {
        "loss_balancer.log_vars": torch.zeros(4),
        "hfa_adapter.backbone.embeddings.mask_token": torch.zeros(1, 1, 192),
    }
    with caplog.at_level(logging.INFO, "perception.m2hmx"):
        network = load_upstream(checkpoint | extra, CONFIG)
    assert_close(outputs(network), expected)
    assert all(name in caplog.text for name in extra)
    assert import_upstream(checkpoint | extra, CONFIG).dropped == tuple(sorted(extra))
    assert import_upstream(checkpoint, CONFIG).dropped == ()


def test_boundary_refinement_is_left_out_only_where_it_is_off(checkpoint):
    imported = import_upstream(checkpoint, tiny(edge_refine_threshold=None))
    assert imported.dropped == (
        "segmentation_head.boundary_refine.conv.bias",
        "segmentation_head.boundary_refine.conv.weight",
    )


def test_merged_adapters_give_the_same_function_with_fewer_parameters(checkpoint, expected):
    merged = load_upstream(checkpoint, CONFIG, adapters="merge")
    assert_close(outputs(merged), expected, tolerance=1e-4)
    kept = load_upstream(checkpoint, CONFIG)
    adapters = 4 * 3 * 2 * 4 * 192
    assert parameter_counts(kept)[0] - parameter_counts(merged)[0] == adapters


def test_a_merged_network_is_built_again_from_its_configuration(checkpoint, expected):
    merged = load_upstream(checkpoint, CONFIG, adapters="merge")
    again = M2HMX(merged.config).eval()
    again.load_state_dict(merged.state_dict())
    assert_close(outputs(again), outputs(merged))


def test_adapters_with_weight_change_the_outputs(checkpoint, expected):
    without = {name: t * 0 if name.endswith("lora_B") else t for name, t in checkpoint.items()}
    assert not torch.allclose(outputs(load_upstream(without, CONFIG))["depth"], expected["depth"], atol=1e-3)


def test_missing_unexpected_and_misshapen_tensors_are_named_together(checkpoint):
    state = dict(checkpoint)
    del state["depth_head.pred_conv.conv2.bias"]
    state["flow_head.weight"] = torch.zeros(1)
    state["hfa_adapter.register_proj.bias"] = torch.zeros(65)
    with pytest.raises(CheckpointMismatchError) as caught:
        load_upstream(state, CONFIG)
    assert caught.value.missing == ("depth_head.pred_conv.conv2.bias",)
    assert caught.value.unexpected == ("flow_head.weight",)
    assert caught.value.misshapen == {"hfa_adapter.register_proj.bias": ((65,), (64,))}
    assert "1 missing: depth_head.pred_conv.conv2.bias" in str(caught.value)
    assert "1 unexpected: flow_head.weight" in str(caught.value)
    assert "hfa_adapter.register_proj.bias [65] instead of [64]" in str(caught.value)


def test_a_long_list_of_names_is_cut_in_the_message_alone(checkpoint):
    state = {name: t for name, t in checkpoint.items() if not name.startswith("depth_head.")}
    with pytest.raises(CheckpointMismatchError, match=r"and \d+ more") as caught:
        load_upstream(state, CONFIG)
    assert len(caught.value.missing) == len(checkpoint) - len(state)


def test_a_checkpoint_with_the_pruned_context_blocks_says_which_configuration_has_them(checkpoint):
    full = filled_checkpoint(tiny(head_msca=True))
    assert {name.partition(".context.")[0] for name in full.keys() - checkpoint.keys()} == {
        "edge_head",
        "normals_head",
    }
    with pytest.raises(CheckpointMismatchError, match="'head_msca: true'"):
        load_upstream(full, CONFIG)
    with pytest.raises(CheckpointMismatchError, match="'head_msca: false'"):
        load_upstream(checkpoint, tiny(head_msca=True))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"lora": None}, "unexpected"),
        ({"tasks": ["semseg", "depth"]}, "unexpected"),
        ({"num_classes": 14}, "misshapen"),
        ({"backbone": {"timm": "convnext_atto"}, "lora": None}, "missing"),
        ({"context_attention": False}, "unexpected"),
        ({"register_feed": False}, "unexpected"),
    ],
    ids=str,
)
def test_a_checkpoint_of_another_network_is_refused(checkpoint, changes, kind):
    with pytest.raises(CheckpointMismatchError) as caught:
        load_upstream(checkpoint, CONFIG | changes)
    assert getattr(caught.value, kind)


def test_a_wrong_configuration_is_refused_before_the_file_is_read(tmp_path):
    with pytest.raises(NetworkConfigurationError, match="no preset"):
        load_upstream(tmp_path / "nothing.pth", "m2hmx-xxl")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "holds no state dict"),
        ([1, 2], "holds no state dict"),
        ({"model": {}}, "holds no state dict"),
        ({"epoch": 3}, "no tensors: epoch"),
        ({"model": {"weight": "heavy"}}, "no tensors: weight"),
    ],
    ids=str,
)
def test_what_is_no_state_dict_is_refused(content, message, tmp_path):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=message):
        load_upstream(tmp_path / "weights.pth", CONFIG)


def test_a_tensor_under_two_names_is_refused(checkpoint):
    twice = checkpoint | {"module.depth_head.pred_conv.conv2.bias": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"'depth_head.pred_conv.conv2.bias' twice"):
        load_upstream(twice, CONFIG)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_file_that_is_not_there_is_named(name, tmp_path):
    with pytest.raises(CheckpointError, match=f"cannot read .*{name}: No such file"):
        load_upstream(tmp_path / name, CONFIG)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"weights", b"\x80\x02garbage", b"PK\x03\x04" + bytes(200)], ids=str
)
def test_a_file_that_is_no_checkpoint_is_refused(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        load_upstream(tmp_path / name, CONFIG)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_file_that_was_cut_off_is_refused(name, checkpoint, tmp_path):
    path = tmp_path / name
    if path.suffix == ".pth":
        torch.save(checkpoint, path)
    else:
        save_file(checkpoint, path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(CheckpointError, match=name):
        load_upstream(path, CONFIG)


class Malicious:
    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return eval, (f"open({self.trace!r}, 'w').close()",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_a_file_that_would_run_code_is_refused_and_does_not_run(save, checkpoint, tmp_path):
    trace, path = tmp_path / "it ran", tmp_path / "weights.pth"
    save({"model": checkpoint, "args": Malicious(trace)}, path)
    with pytest.raises(UnsafeCheckpointError, match="could run code, so it was not read"):
        load_upstream(path, CONFIG)
    assert not trace.exists()


def test_names_are_translated_both_ways():
    network = filled_network(tiny(lora=tiny()["lora"] | {"targets": ["q_proj", "fc1", "fc2", "proj"]}))
    names = list(network.state_dict())
    assert [our_name(official_name(name)) for name in names] == names
    assert official_name("hfa_adapter.backbone.vit.blocks.3.mlp.fc1.lora_A.default.weight") == (
        "hfa_adapter.backbone.layer.3.mlp.up_proj.lora_A"
    )
    assert official_name("decoder.register_blocks.0.norm.weight") == "decoder.register_blocks.0.norm.weight"
