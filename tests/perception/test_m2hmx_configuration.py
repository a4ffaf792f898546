"""Configurations of M2H-MX are strict, and presets are what was published."""

import subprocess
import sys

import pytest
from m2hmx_fill import tiny

from perception.errors import PerceptionError
from perception.m2hmx import NetworkConfig, load_preset, preset_names
from perception.m2hmx.configuration import make_network_config, resolve_config
from perception.m2hmx.errors import NetworkConfigurationError
from perception.m2hmx.network import build_without_memory, parameter_counts


def test_the_presets_are_listed():
    assert preset_names() == (
        "m2hmx-b",
        "m2hmx-b-released",
        "m2hmx-l",
        "m2hmx-l-cityscapes",
        "m2hmx-l-released",
        "m2hmx-l-scannet-released",
        "m2hmx-nano",
    )


@pytest.mark.parametrize(("preset", "thousands"), [("m2hmx-l", 353_534), ("m2hmx-b", 134_262)])
def test_parameters_are_as_many_as_the_paper_prints(preset, thousands):
    total, _ = parameter_counts(build_without_memory(load_preset(preset)))
    assert abs(total - thousands * 1000) < 20_000


@pytest.mark.parametrize(
    ("preset", "total", "trained"),
    [
        ("m2hmx-l-released", 353_245_707, 50_216_459),
        ("m2hmx-b-released", 133_974_283, 48_352_267),
        ("m2hmx-l-scannet-released", 333_164_567, 30_135_319),
    ],
)
def test_parameters_are_as_many_as_the_released_code_has_without_the_unused_mask_token(
    preset, total, trained
):
    mask_token = load_preset(preset).backbone.embed_dim
    assert parameter_counts(build_without_memory(load_preset(preset))) == (total - mask_token, trained)


def test_the_smallest_preset_stays_within_twelve_megabytes():
    total, trained = parameter_counts(build_without_memory(load_preset("m2hmx-nano")))
    assert total == trained <= 3_000_000


def test_what_preprocessing_needs_is_in_the_preset():
    scannet, cityscapes = load_preset("m2hmx-l-scannet-released"), load_preset("m2hmx-l-cityscapes")
    assert (scannet.image_size, scannet.label_space, scannet.num_classes) == ((480, 640), "scannet20", 20)
    assert (cityscapes.image_size, cityscapes.label_space, cityscapes.num_classes) == (
        (512, 1024),
        "cityscapes19",
        19,
    )


def test_a_configuration_is_a_preset_a_mapping_or_itself():
    config = make_network_config(tiny())
    assert resolve_config(config) is config
    assert resolve_config(tiny()) == config
    assert resolve_config("m2hmx-l") == load_preset("m2hmx-l")


def test_an_unknown_preset_is_refused_with_the_names_that_exist():
    with pytest.raises(NetworkConfigurationError, match="no preset 'm2hmx-xl'; presets: m2hmx-b, "):
        load_preset("m2hmx-xl")


def test_a_configuration_does_not_change():
    config = load_preset("m2hmx-l")
    with pytest.raises(ValueError, match="frozen"):
        config.num_classes = 3


@pytest.mark.parametrize(("depth", "taps"), [(24, (5, 12, 21, 23)), (12, (2, 6, 9, 11)), (4, (0, 1, 2, 3))])
def test_taps_have_the_default_of_the_released_code(depth, taps):
    values = tiny(backbone=tiny()["backbone"] | {"depth": depth})
    del values["taps"]
    assert make_network_config(values).taps == taps


def test_values_that_may_be_left_out_have_the_defaults_of_the_released_code():
    config = make_network_config({"backbone": tiny()["backbone"], "num_classes": 5, "tasks": ["depth"]})
    assert (config.decoder_dim, config.mamba_state, config.depth_bins, config.drop_path) == (256, 32, 64, 0.1)
    assert (config.min_depth, config.max_depth) == (0.1, 10.0)
    assert (config.fusion, config.head_msca, config.edge_refine_threshold, config.lora) == (
        "official",
        False,
        None,
        None,
    )
    assert config.cross_task_mixing
    assert config.context_attention
    assert config.register_gated_mamba
    assert config.register_feed


def without(key):
    return {name: value for name, value in tiny().items() if name != key}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (tiny(decoder_width=64), "no key 'decoder_width'; keys: backbone, taps, decoder_dim, "),
        (tiny(lora={"rank": 4, "alpha": 8, "r": 4}), "no key 'lora.r'; keys: rank, alpha, dropout, "),
        (
            tiny(backbone={**tiny()["backbone"], "width": 3}),
            "no key 'backbone.width'; keys: embed_dim, depth",
        ),
        (tiny(backbone={"timm": "resnet18", "depth": 4}), "no key 'backbone.depth'; keys: timm"),
        (tiny(backbone="vit"), "backbone: must be a mapping, either {timm: NAME} or"),
        (tiny(backbone={"embed_dim": 192}), "backbone.depth: Field required"),
        (tiny(backbone={**tiny()["backbone"], "num_heads": 5}), "embed_dim 192 must be a multiple of 4"),
        (tiny(backbone={"timm": "resnet18"}, taps=None), "taps: "),
        (without("num_classes"), "num_classes: Field required"),
        (tiny(num_classes="13"), "num_classes: Input should be a valid integer"),
        (tiny(num_classes=0), "num_classes: Input should be greater than or equal to 1"),
        (tiny(head_msca="yes"), "head_msca: Input should be a valid boolean"),
        (tiny(fusion="none"), "fusion: Input should be 'official' or 'topdown'"),
        (tiny(tasks=["depth", "flow"]), "tasks.1: Input should be 'semseg', 'depth', 'normals' or 'edge'"),
        (tiny(tasks=[]), "tasks: "),
        (tiny(tasks=["depth", "depth"]), "names a task twice"),
        (tiny(taps=[0, 4]), "no block 4 in a backbone with depth 4"),
        (tiny(taps=[1, 0]), "must ascend"),
        (tiny(taps=[-1]), "taps.0: "),
        (tiny(min_depth=10), "min_depth 10.0 must be less than max_depth 10.0"),
        (tiny(max_depth=float("nan")), "max_depth: "),
        (tiny(decoder_dim=100), "decoder_dim 100: the depth head cannot split 100 channels into 3 groups"),
        (tiny(drop_path=1.0), "drop_path: "),
        (tiny(lora={"rank": 0, "alpha": 8}), "lora.rank: "),
        (tiny(lora={"alpha": 8}), "lora.rank: Field required"),
        (tiny(image_size=[480]), "image_size"),
        (tiny(taps={1, 2}), "set is not JSON serializable"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_value_is_refused_by_name(values, message):
    with pytest.raises(NetworkConfigurationError) as caught:
        make_network_config(values)
    assert message in str(caught.value)
    assert isinstance(caught.value, PerceptionError)


def test_all_wrong_values_are_named_at_once():
    with pytest.raises(NetworkConfigurationError) as caught:
        make_network_config(tiny(num_classes=0, depth_bins=0, wrong=1))
    assert all(key in str(caught.value) for key in ("num_classes", "depth_bins", "'wrong'"))


@pytest.mark.parametrize("tasks", [["edge"], ["semseg", "depth", "edge"], ["depth", "edge"]])
def test_edges_need_all_other_tasks(tasks):
    with pytest.raises(NetworkConfigurationError, match="'edge' mixes in all other tasks"):
        make_network_config(tiny(tasks=tasks))


def test_edges_stand_alone_where_tasks_are_not_mixed():
    assert make_network_config(tiny(tasks=["edge"], cross_task_mixing=False)).tasks == ("edge",)


def test_presets_are_read_without_torch():
    code = (
        "import sys, perception.m2hmx as m\n"
        "m.load_preset('m2hmx-l')\n"
        "assert 'torch' not in sys.modules\n"
        "assert callable(m.load_upstream)\n"
        "assert 'torch' in sys.modules\n"
        "try:\n    m.load_downstream\nexcept AttributeError:\n    print('refused')"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "refused"


def test_a_configuration_survives_being_written_and_read():
    config = load_preset("m2hmx-l")
    assert NetworkConfig.model_validate_json(config.model_dump_json()) == config
