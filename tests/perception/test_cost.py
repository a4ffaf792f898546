"""Parameters and multiply-accumulates: against the figures of the paper, and against a count by hand."""

import pytest
import torch
from m2hmx_fill import tiny
from torch import nn
from torch.nn import functional

from perception.cost import network_cost
from perception.m2hmx.configuration import load_preset, make_network_config
from perception.m2hmx.description import describe_network, plain_cost
from perception.m2hmx.errors import NetworkInputError
from perception.m2hmx.network import build_without_memory
from perception.mamba import Mamba

#: By the rule of the paper, multiply-accumulates in 1e9 at 384x512 and at 480x640; parameters.
PAPERS = {
    "m2hmx-l-released": (489.925, 764.65, 353_245_707),
    "m2hmx-l-scannet-released": (373.418, 582.61, 333_164_567),
    "m2hmx-b-released": (320.681, 500.82, 133_974_283),
    "m2hmx-l": (491.907, None, 353_534_000),
    "m2hmx-b": (322.663, None, 134_262_000),
}


@pytest.fixture(scope="module")
def costs():
    return {name: describe_network(load_preset(name)) for name in PAPERS}


def of_papers(*names):
    return pytest.mark.parametrize("preset", names or PAPERS)


@of_papers()
def test_operations_by_the_papers_rule_are_those_measured_for_384x512(costs, preset):
    assert costs[preset].image_size == (384, 512)
    assert costs[preset].macs_by_papers_rule / 1e9 == pytest.approx(PAPERS[preset][0], rel=0.005)


@of_papers("m2hmx-l-released", "m2hmx-l-scannet-released", "m2hmx-b-released")
def test_operations_by_the_papers_rule_are_those_measured_for_480x640(preset):
    cost = describe_network(load_preset(preset), (480, 640))
    assert cost.macs_by_papers_rule / 1e9 == pytest.approx(PAPERS[preset][1], rel=0.005)


@of_papers()
def test_parameters_are_those_of_the_paper(costs, preset):
    # The released count has a mask token that nothing uses; that of the paper is printed in thousands.
    tolerance = 1024 if "released" in preset else 20_000
    assert costs[preset].parameters == pytest.approx(PAPERS[preset][2], abs=tolerance)


@of_papers()
def test_parts_sum_to_the_whole(costs, preset):
    cost = costs[preset]
    assert sum(part.parameters for part in cost.parts) == cost.parameters
    assert sum(part.trainable for part in cost.parts) == cost.trainable < cost.parameters
    assert sum(part.macs for part in cost.parts) == cost.macs
    names = [part.name for part in cost.parts]
    assert len(set(names)) == len(names)
    assert {"backbone", "lora", "decoder", "depth_head", "segmentation_head"} <= set(names)


def test_parts_have_the_parameters_of_the_table(costs):
    parts = {part.name: part.parameters for part in costs["m2hmx-l-released"].parts}
    assert parts["lora"] == 2_359_296
    assert parts["decoder"] == 12_482_816
    assert parts["segmentation_head"] == 7_452_027
    assert parts["edge_head"] == 7_592_837


@of_papers()
def test_the_honest_count_holds_attention_and_scans(costs, preset):
    cost = costs[preset]
    expected = 11.01 if preset.startswith("m2hmx-b") else 29.37
    assert cost.attention_macs / 1e9 == pytest.approx(expected, rel=0.005)
    assert cost.macs > cost.macs_by_papers_rule
    assert cost.macs > cost.attention_macs + cost.scan_macs


def test_plain_values_are_those_of_the_cost(costs):
    cost = costs["m2hmx-b"]
    plain = plain_cost(cost)
    assert (plain["parameters"], plain["macs"]) == (cost.parameters, cost.macs)
    assert plain["parts"]["decoder"]["macs"] == next(p.macs for p in cost.parts if p.name == "decoder")


def test_counting_leaves_the_network_without_memory():
    network = build_without_memory(make_network_config(tiny()))
    network_cost(network, (64, 64), lambda name: name.partition(".")[0])
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}


def test_an_image_that_is_too_small_is_refused():
    with pytest.raises(NetworkInputError, match="too small"):
        describe_network(make_network_config(tiny()), (8, 8))


CHANNELS, TOKENS, STATES, WIDTH, KERNEL, RANK = 8, 6 * 10, 4, 16, 4, 1


class OneOfEach(nn.Module):
    """A convolution, a linear layer, an attention with one head and a Mamba block."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.norm = nn.LayerNorm(CHANNELS)
        self.linear = nn.Linear(CHANNELS, CHANNELS, bias=False)
        self.mamba = Mamba(CHANNELS, STATES)

    def forward(self, image):
        tokens = self.norm(self.conv(image).flatten(2).transpose(1, 2))
        tokens = self.linear(tokens)
        tokens = functional.scaled_dot_product_attention(tokens, tokens, tokens)
        return functional.interpolate(self.mamba(tokens), scale_factor=2.0, mode="linear")


@pytest.fixture(scope="module")
def one_of_each():
    with torch.device("meta"):
        network = OneOfEach()
    network.conv.requires_grad_(False)
    return network, network_cost(network, (6, 10), lambda name: name.partition(".")[0])


def test_the_honest_count_is_that_by_hand(one_of_each):
    network, cost = one_of_each
    shapes = {name: tuple(p.shape) for name, p in network.mamba.named_parameters()}
    inner = shapes["conv1d.weight"][0]
    assert shapes["conv1d.weight"] == (inner, 1, KERNEL)
    convolution = TOKENS * CHANNELS * 3 * 3 * 3
    linear = TOKENS * CHANNELS * CHANNELS
    attention = 2 * TOKENS * TOKENS * CHANNELS
    projections = TOKENS * sum(
        shapes[f"{name}.weight"][0] * shapes[f"{name}.weight"][1]
        for name in ("in_proj", "x_proj", "dt_proj", "out_proj")
    )
    scan = TOKENS * inner * STATES * 9 // 2
    # The causal convolution is padded on both sides, and what runs over the end is thrown away.
    causal = (TOKENS + KERNEL - 1) * inner * KERNEL
    assert (cost.attention_macs, cost.scan_macs) == (attention, scan)
    assert cost.macs == convolution + linear + attention + projections + causal + scan


def test_the_papers_rule_counts_norms_and_of_mamba_the_first_projection(one_of_each):
    network, cost = one_of_each
    convolution = TOKENS * CHANNELS * 3 * 3 * 3
    linear = TOKENS * CHANNELS * CHANNELS
    first_projection = TOKENS * network.mamba.in_proj.weight.numel()
    assert cost.macs_by_papers_rule == convolution + linear + first_projection + 5 * TOKENS * CHANNELS


def test_what_runs_outside_of_the_parts_is_no_part_without_a_name(one_of_each):
    network, cost = one_of_each
    parameters = {part.name: part.parameters for part in cost.parts}
    assert parameters["conv"] == CHANNELS * 3 * 9 + CHANNELS
    trainable = {part.name: part.trainable for part in cost.parts}
    assert trainable["conv"] == 0
    assert trainable["linear"] == CHANNELS * CHANNELS
    assert cost.parameters == sum(p.numel() for p in network.parameters())
