"""Backbones: transformers and convolutional networks of timm behind one result, with adapters."""

import importlib
import subprocess
import sys

import pytest
import torch
from m2hmx_fill import filled_network, images, tiny

from perception.backbones import timm_import
from perception.backbones.building import build_backbone
from perception.backbones.errors import BackboneError, MissingPackageError
from perception.backbones.lora import add_lora, merge_lora
from perception.backbones.settings import LoraSettings, TimmBackbone, VitDimensions
from perception.m2hmx import M2HMX, load_preset
from perception.m2hmx.configuration import make_network_config
from perception.m2hmx.network import build_without_memory, parameter_counts

SMALL_VIT = VitDimensions(embed_dim=64, depth=3, num_heads=2, mlp_dim=100, registers=2, patch=8)
TARGETS = ("q_proj", "k_proj", "v_proj")


def network_with(name, **changes):
    return M2HMX(make_network_config(tiny(backbone={"timm": name}, lora=None, **changes)))


def trainable(module):
    return parameter_counts(module)[1]


@torch.no_grad()
def features_of(backbone, image):
    return backbone.eval()(image)


def test_a_transformer_gives_its_tapped_blocks_and_its_registers():
    backbone = build_backbone(SMALL_VIT, (0, 2))
    found = features_of(backbone, images(2, 50, 41))
    assert [tap.shape for tap in found.taps] == [(2, 64, 6, 5)] * 2
    assert found.strides == (8, 8)
    assert found.registers.shape == (2, 2, 64)
    assert backbone.vit.blocks[0].mlp.fc1.out_features == 100


def test_a_transformer_by_dimensions_is_the_function_of_timms_of_the_same_dimensions():
    named = build_backbone(TimmBackbone(timm="vit_small_patch16_dinov3_qkvb"), (5, 11))
    dimensions = VitDimensions(embed_dim=384, depth=12, num_heads=6, mlp_dim=1536, registers=4, patch=16)
    ours = build_backbone(dimensions, (5, 11))
    with torch.no_grad():
        for parameter in named.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    ours.load_state_dict(named.state_dict())
    image = images(1, 64, 96)
    expected, found = features_of(named, image), features_of(ours, image)
    for tap, wanted in zip(found.taps, expected.taps, strict=True):
        torch.testing.assert_close(tap, wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.registers, expected.registers, atol=1e-5, rtol=0)


def test_a_transformer_without_registers_gives_none():
    found = features_of(
        build_backbone(SMALL_VIT.model_copy(update={"registers": 0}), (2,)), images(1, 32, 32)
    )
    assert found.registers is None


@pytest.mark.parametrize(
    ("name", "taps", "strides"),
    [
        ("convnext_atto", [0, 1, 2, 3], (4, 8, 16, 32)),
        ("resnet18", [1, 2, 3, 4], (4, 8, 16, 32)),
        ("convnext_atto", [1, 2], (8, 16)),
    ],
)
@pytest.mark.parametrize("fusion", ["official", "topdown"])
def test_convolutional_backbones_carry_the_network(name, taps, strides, fusion):
    network = network_with(name, taps=taps, fusion=fusion).eval()
    backbone = network.hfa_adapter.backbone
    assert backbone.strides == strides
    assert not [key for key in network.state_dict() if "register_proj" in key]
    with torch.no_grad():
        outputs = network(images(1, 101, 150))
    seen = (96, 128) if backbone.multiple == 32 else (96, 144)
    assert network.seen_size(101, 150) == network.output_size(101, 150) == seen
    assert outputs["semseg"].shape == (1, 13, *seen)
    assert all(output.isfinite().all() for output in outputs.values())


def test_dinov2_carries_the_network():
    network = network_with("vit_small_patch14_reg4_dinov2", taps=[2, 5, 8, 11]).eval()
    assert network.hfa_adapter.register_proj.weight.shape == (64, 384)
    with torch.no_grad():
        outputs = network(images(1, 75, 100))
    # Five by seven patches of 14 pixels.
    assert network.seen_size(75, 100) == (70, 98)
    assert network.output_size(75, 100) == (80, 112)
    assert outputs["depth"].shape == (1, 1, 80, 112)


def test_large_backbones_of_the_paper_are_built_by_name():
    sizes = {"vit_large_patch14_reg4_dinov2": 304_372_736, "convnext_large": 196_230_336}
    for name, expected in sizes.items():
        taps = (0, 1, 2, 3) if "convnext" in name else (5, 11, 17, 23)
        with torch.device("meta"):
            total, _ = parameter_counts(build_backbone(TimmBackbone(timm=name), taps))
        assert abs(total - expected) < 0.01 * expected


@pytest.mark.parametrize(
    ("name", "taps", "message"),
    [
        ("convnext_gigantic", (0,), "timm has no model 'convnext_gigantic', for example convnext"),
        ("unheard_of", (0,), "timm has no model 'unheard_of'$"),
        ("convnext_atto", (0, 9), "'convnext_atto' does not give feature maps of stages"),
        ("vit_tiny_patch16_224", (0, 12), "taps: there is no block 12, the last of 12 is 11"),
    ],
)
def test_a_backbone_that_does_not_exist_is_refused(name, taps, message):
    with pytest.raises(BackboneError, match=message):
        build_backbone(TimmBackbone(timm=name), taps)


@pytest.mark.parametrize("name", ["convnext_atto", "vit_tiny_patch16_224"])
def test_rotary_coordinates_cannot_be_rescaled_where_there_are_none(name):
    with pytest.raises(BackboneError, match=f"'{name}' has no rotary embedding"):
        build_backbone(TimmBackbone(timm=name), (0,), rope_rescale_coords=2.0)


@pytest.mark.parametrize("merge", [False, True])
def test_a_new_adapter_changes_nothing(merge):
    backbone = build_backbone(SMALL_VIT, (2,))
    image = images(1, 32, 32)
    before = features_of(backbone, image)
    add_lora(backbone, LoraSettings(rank=4, alpha=8, dropout=0.5, targets=TARGETS))
    if merge:
        merge_lora(backbone)
    assert torch.equal(features_of(backbone, image).taps[0], before.taps[0])


def test_adapters_of_the_paper_are_in_the_last_half_of_the_blocks_and_in_the_mlp():
    config = load_preset("m2hmx-l-released")
    lora = config.lora.model_copy(update={"targets": (*TARGETS, "fc1", "fc2"), "blocks": 12})
    network = build_without_memory(config.model_copy(update={"lora": lora}))
    adapters = {name: p.numel() for name, p in network.named_parameters() if "lora_" in name}
    assert sum(adapters.values()) == 3_145_728
    assert {int(name.split("blocks.")[1].split(".")[0]) for name in adapters} == set(range(12, 24))


@pytest.mark.parametrize(
    ("blocks", "adapted"),
    [(None, {0, 1, 2}), ("all", {0, 1, 2}), ((0, 2), {0, 2}), (1, {2})],
)
def test_blocks_are_chosen_by_index_or_from_the_end(blocks, adapted):
    backbone = build_backbone(SMALL_VIT, (2,))
    add_lora(backbone, LoraSettings(rank=4, alpha=8, targets=("q_proj",), blocks=blocks))
    assert {int(name.split(".")[2]) for name, _ in backbone.named_parameters() if "lora_" in name} == adapted


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"targets": ("q_proj", "gate")},
            "no linear layer gate; there are fc1, fc2, k_proj, proj, q_proj, v_proj",
        ),
        ({"blocks": (0, 3)}, "backbone with 3 blocks"),
        ({"blocks": 4}, "backbone with 3 blocks"),
        ({"blocks": ()}, "backbone with 3 blocks"),
    ],
)
def test_adapters_that_fit_nowhere_are_refused(settings, message):
    with pytest.raises(BackboneError, match=message):
        add_lora(build_backbone(SMALL_VIT, (2,)), LoraSettings(rank=4, alpha=8, **settings))


@pytest.mark.parametrize(
    ("names", "layers"),
    [(("qkv",), TARGETS), (("q", "v"), ("q_proj", "v_proj")), (("mlp",), ("fc1", "fc2"))],
)
def test_layers_are_known_by_their_usual_names_too(names, layers):
    by_usual_name, by_own_name = build_backbone(SMALL_VIT, (2,)), build_backbone(SMALL_VIT, (2,))
    add_lora(by_usual_name, LoraSettings(rank=4, alpha=8, targets=names))
    add_lora(by_own_name, LoraSettings(rank=4, alpha=8, targets=layers))
    assert by_usual_name.state_dict().keys() == by_own_name.state_dict().keys()


def test_adapters_go_into_dinov2_where_q_k_and_v_are_one_layer():
    lora = {"rank": 2, "alpha": 4, "targets": ["qkv"], "blocks": [10, 11]}
    config = tiny(backbone={"timm": "vit_small_patch14_reg4_dinov2"}, taps=[2, 5, 8, 11], lora=lora)
    backbone = build_without_memory(make_network_config(config)).hfa_adapter.backbone
    norms = (12 * 2 + 1) * 2 * 384
    assert trainable(backbone) == norms + 2 * 2 * (384 + 3 * 384)


def test_timm_is_imported_in_a_fresh_process_and_torchvision_with_it():
    code = (
        "from perception.backbones.timm_import import import_timm; timm = import_timm(); "
        "assert import_timm() is timm; import torchvision.transforms; print(timm.__name__)"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "timm"


@pytest.mark.parametrize(("package", "changes"), [("timm", {"lora": None}), ("peft", {})])
def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, package, changes):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError) as caught:
        filled_network(tiny(**changes))
    assert f"'{package}', which is not installed: pip install 'slam-harness[m2hmx]'" in str(caught.value)


def test_another_error_at_import_is_not_taken_for_the_known_one(monkeypatch):
    def fail(_name):
        raise RuntimeError("operator torchvision::roi_align does not exist")

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(RuntimeError, match="roi_align"):
        timm_import.import_timm()
