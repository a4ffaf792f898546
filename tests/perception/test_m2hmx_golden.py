"""The network's outputs are those of the released code, and of what was written down of our own."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from m2hmx_fill import REFERENCE_SIZE, REFERENCES, fill, filled_network, images, summary, tiny
from torch import nn

from perception.m2hmx import load_preset, load_upstream
from perception.m2hmx.configuration import make_network_config
from perception.m2hmx.heads import edge as edge_head
from perception.m2hmx.heads import trunk
from perception.m2hmx.loading import upstream_state_dict
from perception.m2hmx.network import HEADS, build_without_memory
from perception.m2hmx.resize import enlarge

TOLERANCE = 1e-4
MASK_TOKEN = "hfa_adapter.backbone.embeddings.mask_token"
TWO_TASKS = {"tasks": ["semseg", "depth"], "edge_refine_threshold": None}
CONFIGS = {"tiny4": tiny(), "tiny2": tiny(**TWO_TASKS)}
PUBLISHED = {"L4": "m2hmx-l-released", "L2": "m2hmx-l-scannet-released", "B4": "m2hmx-b-released"}


@pytest.fixture
def golden(recorded_data) -> Path:
    directory = recorded_data.parent / "spec" / "golden"
    if not directory.is_dir():
        pytest.skip(f"{directory} does not exist: no golden vectors here")
    return directory


def official_shapes(golden, name):
    shapes = json.loads((golden / f"keys_{name}.json").read_text())["shapes"]
    return {key: tuple(shape) for key, shape in shapes.items()}


def network_of(golden, name, **changes):
    checkpoint = {key: fill(key, shape) for key, shape in official_shapes(golden, name).items()}
    return load_upstream(checkpoint, CONFIGS[name] | changes)


def grid(length, points):
    return np.round(np.linspace(0, length - 1, min(points, length))).astype(int)


def sampled(tensor, points=16):
    array = tensor.detach().numpy()
    if array.ndim == 4:
        return array[:, :, grid(array.shape[2], points)][:, :, :, grid(array.shape[3], points)]
    return array


@torch.no_grad()
def differences(network, golden, name):
    expected = np.load(golden / f"{name}_lora1_240x320.npz")
    outputs = network(images(1, 240, 320))
    assert {f"val/{key}" for key in outputs} == {key for key in expected if key.startswith("val/")}
    for key, output in outputs.items():
        assert tuple(output.shape) == tuple(expected[f"shape/{key}"])
    return {key: np.abs(sampled(output) - expected[f"val/{key}"]).max() for key, output in outputs.items()}


@pytest.mark.parametrize("name", CONFIGS)
def test_outputs_equal_those_of_the_released_code(golden, name):
    assert max(differences(network_of(golden, name), golden, name).values()) < TOLERANCE


@pytest.mark.parametrize("name", CONFIGS)
def test_statistics_over_whole_outputs_equal_those_of_the_released_code(golden, name):
    expected = np.load(golden / f"{name}_lora1_240x320.npz")
    with torch.no_grad():
        outputs = network_of(golden, name)(images(1, 240, 320))
    for key, output in outputs.items():
        values = output.numpy().astype(float)
        statistics = [values.mean(), values.std(), values.min(), values.max()]
        np.testing.assert_allclose(statistics, expected[f"stats/{key}"], atol=TOLERANCE)


def test_the_image_of_the_golden_vectors_is_the_same_to_the_bit(golden):
    expected = str(np.load(golden / "tiny4_lora1_240x320.npz")["input_sha256"])
    assert hashlib.sha256(images(1, 240, 320).numpy().tobytes()).hexdigest() == expected


@pytest.mark.parametrize("name", [*CONFIGS, *PUBLISHED])
def test_names_and_shapes_of_tensors_are_those_of_the_released_code(golden, name):
    config = load_preset(PUBLISHED[name]) if name in PUBLISHED else make_network_config(CONFIGS[name])
    ours = upstream_state_dict(build_without_memory(config))
    official = official_shapes(golden, name)
    del official[MASK_TOKEN]
    assert {key: tuple(tensor.shape) for key, tensor in ours.items()} == official


@pytest.mark.parametrize("name", [*CONFIGS, *PUBLISHED])
def test_the_same_parameters_are_frozen_as_in_the_released_code(golden, name):
    config = load_preset(PUBLISHED[name]) if name in PUBLISHED else make_network_config(CONFIGS[name])
    network = build_without_memory(config)
    trained = {key: parameter.requires_grad for key, parameter in network.named_parameters()}
    official = dict(zip(upstream_state_dict(network), network.state_dict(), strict=True))
    frozen = {name for name, ours in official.items() if not trained[ours]}
    listed = json.loads((golden / f"keys_{name}.json").read_text())["frozen"]
    assert frozen == set(listed) - {MASK_TOKEN}


class Recorder:
    def __init__(self):
        self.maps = {}

    def watch(self, module, name, *, inputs=None):
        def record(_module, args, output):
            if inputs:
                self.maps[inputs] = args[0]
            self.maps[name] = output

        module.register_forward_hook(record)


def test_intermediate_maps_equal_those_of_the_released_code(golden):
    network = network_of(golden, "tiny4")
    recorder = Recorder()
    for i, block in enumerate(network.hfa_adapter.backbone.vit.blocks):
        recorder.watch(block, f"block{i}")
    for s, block in enumerate(network.decoder.register_blocks):
        recorder.watch(block, f"rgm{s}_out", inputs=f"rgm{s}_in")
        recorder.watch(block.mamba, f"mamba{s}_out", inputs=f"mamba{s}_in")
    recorder.watch(network.hfa_adapter, "pyramid")
    recorder.watch(network.decoder, "decoder")
    for head in HEADS.values():
        recorder.watch(getattr(network, head), head)
    with torch.no_grad():
        network(images(1, 240, 320))

    found = recorder.maps
    pyramid, decoder = found.pop("pyramid"), found.pop("decoder")
    found |= {f"pyr_p{i}": level for i, level in enumerate(pyramid.levels, start=2)}
    found["register_vec"] = pyramid.registers
    found |= {
        f"dec_task_{t}_s{s}": level for t, levels in enumerate(decoder) for s, level in enumerate(levels)
    }
    found |= {f"{head}_context_out": found.pop(head).context for head in HEADS.values()}

    expected = np.load(golden / "tiny4_lora1_240x320_mid.npz")
    names = [key.removeprefix("stats/") for key in expected if key.startswith("stats/")]
    assert set(names) == set(found)
    for name in names:
        values = found[name].numpy().astype(float)
        assert values.shape == tuple(expected[f"shape/{name}"])
        statistics = [values.mean(), values.std(), values.min(), values.max()]
        np.testing.assert_allclose(statistics, expected[f"stats/{name}"], atol=TOLERANCE, err_msg=name)
        if values.ndim == 4:
            points = sampled(found[name][:, :16], points=8)
            np.testing.assert_allclose(points, expected[f"val/{name}"], atol=TOLERANCE, err_msg=name)


# What follows changes one thing in the network, and the comparison must see it.


def use_tanh_gelu(network, monkeypatch):
    for module in network.modules():
        for name, child in module.named_children():
            if type(child) is nn.GELU:
                setattr(module, name, nn.GELU(approximate="tanh"))


def count_the_class_token_among_the_registers(network, monkeypatch):
    network.hfa_adapter.backbone.register_count += 1


def leave_out_the_rotary_embedding(network, monkeypatch):
    rope = network.hfa_adapter.backbone.vit.rope
    original = rope.get_embed

    def no_rotation(shape):
        sin, cos = original(shape).chunk(2, dim=-1)
        return torch.cat([torch.zeros_like(sin), torch.ones_like(cos)], dim=-1)

    monkeypatch.setattr(rope, "get_embed", no_rotation)


def leave_out_the_second_norm(network, monkeypatch):
    for block in network.decoder.register_blocks:
        block.ffn[0] = nn.Identity()


def keep_outlines_in_the_edge_head(network, monkeypatch):
    monkeypatch.setattr(edge_head, "enlarge", lambda x, factor, align_corners: enlarge(x, factor))


def keep_outlines_in_the_trunk(network, monkeypatch):
    monkeypatch.setattr(trunk, "enlarge", lambda x, factor, align_corners: enlarge(x, factor))


def show_decoder_maps_in_place_of_those_of_heads(network, monkeypatch):
    decoded = {}

    def remember(_module, _args, output):
        decoded.update({task: maps[0] for task, maps in zip(network.config.tasks, output, strict=True)})

    network.decoder.register_forward_hook(remember)
    for head in HEADS.values():
        getattr(network, head).register_forward_pre_hook(lambda _module, args: (args[0], decoded))


def bend_the_gate(network, monkeypatch):
    for block in network.decoder.register_blocks:
        block.register_gate = nn.Sequential(block.register_gate, nn.Softplus())


def read_maps_column_by_column(network, monkeypatch):
    for block in network.decoder.register_blocks:
        original = block.forward
        block.forward = lambda x, r, original=original: original(x.transpose(2, 3), r).transpose(2, 3)


def turn_the_sequence_around(network, monkeypatch):
    for block in network.decoder.register_blocks:
        original = block.mamba.forward
        block.mamba.forward = lambda tokens, original=original: original(tokens.flip(1)).flip(1)


ALL = {"depth", "semseg", "normals", "edge"}
#: Each with the outputs that it must change; the others must stay.
MUTATIONS = {
    use_tanh_gelu: ALL,
    count_the_class_token_among_the_registers: ALL,
    leave_out_the_rotary_embedding: ALL,
    leave_out_the_second_norm: ALL,
    keep_outlines_in_the_edge_head: {"semseg", "edge"},
    keep_outlines_in_the_trunk: ALL,
    show_decoder_maps_in_place_of_those_of_heads: {"semseg", "normals", "edge"},
    bend_the_gate: ALL,
    read_maps_column_by_column: ALL,
    turn_the_sequence_around: ALL,
}


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_the_comparison_sees_a_network_that_differs(golden, monkeypatch, mutate):
    network = network_of(golden, "tiny4")
    mutate(network, monkeypatch)
    changed = differences(network, golden, "tiny4")
    assert {task for task in ALL if changed[task] > 5 * TOLERANCE} == MUTATIONS[mutate]


@pytest.mark.parametrize(
    ("changes", "changed_tasks"),
    [
        ({"edge_refine_threshold": None}, {"semseg"}),
        ({"edge_refine_strength": 0.11}, {"semseg"}),
        ({"fusion": "topdown"}, ALL),
        ({"max_depth": 10.1}, {"depth"}),
        ({"lora": tiny()["lora"] | {"alpha": 4}}, ALL),
    ],
    ids=["refinement off", "refinement stronger", "all taps fused", "deeper", "weaker adapters"],
)
def test_the_comparison_sees_another_configuration(golden, changes, changed_tasks):
    changed = differences(network_of(golden, "tiny4", **changes), golden, "tiny4")
    assert {task for task in ALL if changed[task] > 5 * TOLERANCE} == changed_tasks


@pytest.mark.parametrize("name", REFERENCES)
def test_outputs_are_those_of_the_reference_file(name):
    references = json.loads((Path(__file__).parent / "references" / "m2hmx_tiny.json").read_text())
    found = summary(filled_network(tiny(**REFERENCES[name])), REFERENCE_SIZE)
    assert found.keys() == references[name].keys()
    for output, expected in references[name].items():
        assert found[output]["shape"] == expected["shape"]
        for key in ("mean std min max", "values"):
            np.testing.assert_allclose(found[output][key], expected[key], atol=TOLERANCE, err_msg=output)
