"""The M2H-MX network as a module: sizes, batches, tasks, ablations, training."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from m2hmx_fill import filled_checkpoint, filled_network, images, tiny

from perception.m2hmx import load_upstream
from perception.m2hmx.configuration import TASKS, make_network_config
from perception.m2hmx.errors import NetworkInputError
from perception.m2hmx.network import HEADS, M2HMX, parameter_counts

DEPTH_OUTPUTS = {"depth", "depth_coarse", "depth_offset", "depth_bin_logits", "depth_bin_edges"}
CHANNELS = {"depth": 1, "depth_coarse": 1, "depth_offset": 1, "edge": 1, "normals": 3, "semseg": 13}
IMAGE = images(1, 80, 112)
#: For training without chance.
NO_DROPOUT = {"drop_path": 0.0, "lora": tiny()["lora"] | {"dropout": 0.0}}


@pytest.fixture(scope="module")
def network():
    return filled_network(tiny())


@torch.no_grad()
def outputs_of(network, image=IMAGE):
    return network(image)


def assert_same(found, expected, tolerance=1e-5):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=tolerance, rtol=0)


def names_of(network):
    return list(network.state_dict())


@settings(max_examples=12)
@given(height=st.integers(32, 150), width=st.integers(32, 150))
def test_images_of_any_size_give_outputs_of_whole_patches(network, height, width):
    outputs = outputs_of(network, images(1, height, width))
    size = (16 * (height // 16), 16 * (width // 16))
    assert network.output_size(height, width) == network.seen_size(height, width) == size
    for name, channels in CHANNELS.items():
        assert outputs[name].shape == (1, channels, *size)
    assert outputs["depth_bin_logits"].shape == (1, 16, size[0] // 4, size[1] // 4)
    assert outputs["depth_bin_edges"].shape == (1, 16)


def test_what_exceeds_whole_patches_is_not_seen(network):
    image = images(1, 250, 333)
    outputs = outputs_of(network, image)
    assert outputs["depth"].shape[-2:] == (240, 320)
    assert_same(outputs, outputs_of(network, image[..., :240, :320]), tolerance=0)


def test_an_image_that_is_too_small_is_refused(network):
    with pytest.raises(NetworkInputError, match="images of 31x64 pixels are too small: at least 32x32"):
        network(torch.zeros(1, 3, 31, 64))


def test_a_batch_gives_what_its_images_give_alone(network):
    batch = images(2, 80, 112, seed=3)
    together = outputs_of(network, batch)
    alone = [outputs_of(network, image[None]) for image in batch]
    assert_same(together, {name: torch.cat([one[name] for one in alone]) for name in together})


def test_outputs_are_what_they_are_said_to_be(network):
    outputs = outputs_of(network)
    edges = outputs["depth_bin_edges"]
    assert (edges.diff(dim=1) > 0).all()
    torch.testing.assert_close(edges[:, -1], torch.full_like(edges[:, -1], 10.0))
    assert 0.1 <= outputs["depth_coarse"].min() <= outputs["depth_coarse"].max() <= 10.0
    torch.testing.assert_close(outputs["depth"], outputs["depth_coarse"] + outputs["depth_offset"])
    lengths = outputs["normals"].norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))


SUBSETS = [
    list(subset)
    for count in range(1, len(TASKS) + 1)
    for subset in itertools.combinations(TASKS, count)
    if "edge" not in subset or count == len(TASKS)
]


@pytest.mark.parametrize("tasks", SUBSETS, ids="+".join)
def test_every_subset_of_tasks_that_is_allowed_gives_its_outputs_and_no_others(tasks):
    expected = set(tasks) | (DEPTH_OUTPUTS if "depth" in tasks else set())
    assert outputs_of(filled_network(tiny(tasks=tasks))).keys() == expected


def test_the_place_of_a_task_in_the_configuration_is_its_index_in_the_decoder():
    one, other = tiny(tasks=["semseg", "depth"]), tiny(tasks=["depth", "semseg"])
    checkpoint = filled_checkpoint(one)
    swapped = {
        name: checkpoint[
            f"{name[:24]}{1 - int(name[24])}{name[25:]}" if name.startswith("decoder.task_branches") else name
        ]
        for name in checkpoint
    }
    assert not torch.equal(
        outputs_of(load_upstream(checkpoint, other))["depth"],
        outputs_of(load_upstream(checkpoint, one))["depth"],
    )
    assert_same(
        outputs_of(load_upstream(swapped, other)), outputs_of(load_upstream(checkpoint, one)), tolerance=0
    )


def changed_tasks(network, head):
    """The outputs that move when a head's map does."""
    before = outputs_of(network)
    with torch.no_grad():
        getattr(network, head).refine_blocks[0].norm2.bias.add_(torch.linspace(0, 3, 64))
    after = outputs_of(network)
    return {task for task in TASKS if not torch.equal(before[task], after[task])}


@pytest.mark.parametrize(
    ("head", "seen_by"),
    [
        ("depth_head", {"depth", "edge", "normals", "semseg"}),
        ("edge_head", {"edge", "normals", "semseg"}),
        ("normals_head", {"normals", "semseg"}),
        ("segmentation_head", {"semseg"}),
    ],
)
def test_a_head_sees_those_that_ran_before_it(head, seen_by):
    assert changed_tasks(filled_network(tiny()), head) == seen_by


@pytest.mark.parametrize("task", ["depth", "normals", "semseg"])
def test_without_mixing_no_head_sees_another(task):
    network = filled_network(tiny(cross_task_mixing=False, edge_refine_threshold=None))
    assert not [name for name in names_of(network) if "mixer" in name]
    assert changed_tasks(network, HEADS[task]) == {task}


@pytest.mark.parametrize("changes", [{}, {"head_msca": True}], ids=str)
def test_without_context_attention_no_msca_is_left(changes):
    def attention(network):
        return [name for name in names_of(network) if ".dw_" in name]

    assert attention(M2HMX(make_network_config(tiny(**changes))))
    without = filled_network(tiny(**changes, context_attention=False))
    assert not attention(without)
    assert all(output.isfinite().all() for output in outputs_of(without).values())


def test_the_context_blocks_of_the_paper_have_as_many_parameters_as_are_missing():
    def count(**changes):
        values = tiny(decoder_dim=256, **changes)
        with torch.device("meta"):
            return parameter_counts(M2HMX(make_network_config(values)))[0]

    assert count(head_msca=True) - count() == 2 * 144_128


def test_without_mamba_the_decoder_passes_level_maps_on():
    network = filled_network(tiny(register_gated_mamba=False))
    gone = ("mamba", "register_blocks", "register_proj")
    assert not [name for name in names_of(network) if any(part in name for part in gone)]
    levels = []
    network.hfa_adapter.register_forward_hook(lambda _module, _args, found: levels.extend(found.levels))
    decoded = []
    network.decoder.register_forward_hook(lambda _module, _args, found: decoded.extend(found))
    outputs_of(network)
    with torch.no_grad():
        torch.testing.assert_close(decoded[2][3], network.decoder.task_branches[0][2](levels[3]))


def test_without_the_register_feed_the_gate_is_fed_zeros():
    network = filled_network(tiny(register_feed=False))
    assert not [name for name in names_of(network) if "register_proj" in name]
    fed = []
    for block in network.decoder.register_blocks:
        block.register_gate.register_forward_pre_hook(lambda _module, args: fed.append(args[0]))
    outputs_of(network)
    assert [registers.shape for registers in fed] == [(1, 64)] * 4
    assert not any(registers.any() for registers in fed)


def count_calls(modules, network):
    calls = []
    for module in modules:
        module.register_forward_hook(lambda *_: calls.append(1))
    outputs_of(network)
    return len(calls)


def test_branches_whose_results_are_thrown_away_are_not_run():
    network = filled_network(tiny())
    idle = [network.get_submodule(f"{HEADS[task]}.pred_conv") for task in ("depth", "normals", "edge")]
    adapter = network.hfa_adapter
    idle += [*adapter.projection_layers[:3], *adapter.fusion_layers[:3]]
    assert count_calls(idle, network) == 0
    assert count_calls([network.segmentation_head.pred_conv], network) == 2


def test_all_taps_are_fused_top_down_where_that_is_asked_for():
    network = filled_network(tiny(fusion="topdown"))
    assert (
        count_calls([*network.hfa_adapter.projection_layers, *network.hfa_adapter.fusion_layers], network)
        == 8
    )


def test_aux_outputs_come_in_train_mode_alone():
    network = filled_network(tiny())
    assert "aux" not in outputs_of(network)
    aux = outputs_of(network.train())["aux"]
    assert {task: len(maps) for task, maps in aux.items()} == {
        "semseg": 2,
        "depth": 2,
        "normals": 2,
        "edge": 1,
    }
    for task, maps in aux.items():
        assert all(x.shape == (1, CHANNELS[task], *IMAGE.shape[-2:]) for x in maps)


def test_aux_normals_are_not_normalised():
    aux = outputs_of(filled_network(tiny()).train())["aux"]["normals"]
    assert all((x.norm(dim=1) - 1).abs().max() > 0.1 for x in aux)


def test_without_dropout_training_gives_the_outputs_of_evaluation():
    network = filled_network(tiny(**NO_DROPOUT))
    expected = outputs_of(network)
    found = outputs_of(network.train())
    found.pop("aux")
    assert_same(found, expected)


def test_paths_are_dropped_per_sample_in_training():
    network = filled_network(tiny(**NO_DROPOUT | {"drop_path": 0.5})).train()
    torch.manual_seed(0)
    depth = outputs_of(network, IMAGE.expand(6, -1, -1, -1))["depth"]
    assert len({round(float(one.mean()), 4) for one in depth}) > 3


def test_rotary_coordinates_are_rescaled_in_training_where_that_is_asked_for():
    def spread(**changes):
        network = filled_network(tiny(**NO_DROPOUT, **changes))
        evaluated = [outputs_of(network)["depth"] for _ in range(2)]
        assert torch.equal(*evaluated)
        trained = [outputs_of(network.train())["depth"] for _ in range(2)]
        return float((trained[0] - trained[1]).abs().max())

    assert spread() == 0.0
    assert spread(rope_rescale_coords=2.0) > 1e-3


def gradients(**changes):
    network = filled_network(tiny(**changes)).train()
    outputs = network(IMAGE)
    tensors = [outputs[name] for name in (*TASKS, "depth_bin_logits")]
    tensors += [x for maps in outputs["aux"].values() for x in maps]
    sum(tensor.square().mean() for tensor in tensors).backward()
    return {name: parameter.grad for name, parameter in network.named_parameters()}


def test_gradients_reach_what_is_trained_and_nothing_else():
    found = gradients(fusion="topdown")
    reached = {name for name, gradient in found.items() if gradient is not None}
    network = M2HMX(make_network_config(tiny()))
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    # Taps come before the final norm.
    assert trained - reached == {f"hfa_adapter.backbone.vit.norm.{leaf}" for leaf in ("weight", "bias")}
    assert reached <= trained
    assert all(found[name].isfinite().all() for name in reached)


def test_the_released_fusion_trains_the_deepest_tap_alone():
    found = gradients()
    idle = {name for name, gradient in found.items() if gradient is None and "hfa_adapter" in name}
    layers = {
        name.split(".")[1:3][-1] for name in idle if "projection_layers" in name or "fusion_layers" in name
    }
    assert layers == {"0", "1", "2"}


def test_without_adapters_the_whole_network_is_trained():
    total, trained = parameter_counts(M2HMX(make_network_config(tiny(lora=None))))
    assert total == trained


def test_with_adapters_only_they_and_norms_are_trained_in_the_backbone():
    backbone = M2HMX(make_network_config(tiny())).hfa_adapter.backbone
    adapters = 4 * 3 * 2 * 4 * 192
    norms = (4 * 2 + 1) * 2 * 192
    assert parameter_counts(backbone)[1] == adapters + norms
