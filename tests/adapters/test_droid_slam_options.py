"""Presets of DROID-SLAM as they were published, and options in their place."""

import pytest

from adapters.backend import BackendInputError, Mode
from adapters.droid_slam import DroidSlamAdapter
from adapters.droid_slam.options import DroidSlamOptions
from adapters.droid_slam.presets import PRESETS
from adapters.options import parse_options

FRONTEND = ("frontend_thresh", "frontend_window", "frontend_radius", "frontend_nms")
BACKEND = ("backend_thresh", "backend_radius", "backend_nms")
NAMES = ("buffer", "filter_thresh", "warmup", "keyframe_thresh", *FRONTEND, *BACKEND, "beta")
SHA = "0123456789abcdef" * 4

PUBLISHED = {
    ("tum", Mode.MONO): (512, 1.75, 12, 2.25, 12, 25, 2, 1, 15, 2, 3, 0.6),
    ("euroc", Mode.MONO): (512, 2.4, 15, 3.5, 17.5, 20, 2, 1, 24, 2, 2, 0.3),
    ("eth3d", Mode.RGBD): (1024, 2.0, 8, 3.5, 16, 16, 1, 0, 22, 2, 3, 0.5),
    ("scannet", Mode.RGBD): (512, 4, 8, 4, 16, 25, 1, 1, 25, 1, 5, 0.75),
    ("scannet", Mode.MONO): (512, 4, 12, 4, 16, 50, 1, 1, 25, 1, 5, 0.75),
}


@pytest.mark.parametrize(("preset", "mode"), PUBLISHED)
def test_presets_are_as_published(preset, mode):
    parameters = DroidSlamOptions(preset=preset).parameters(mode)
    assert tuple(getattr(parameters, name) for name in NAMES) == PUBLISHED[preset, mode]


def test_the_default_is_the_preset_published_for_rgbd():
    assert DroidSlamOptions().parameters(Mode.RGBD) == PRESETS["eth3d"][Mode.RGBD]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", [*NAMES, "image_pixels"])
def test_every_single_value_can_be_set(preset, name):
    of_preset = DroidSlamOptions(preset=preset).parameters(Mode.RGBD)
    wanted = {"beta": 0.9, "buffer": 300}.get(name, getattr(of_preset, name) + 1)
    changed = parse_options(DroidSlamOptions, {"preset": preset, name: wanted}).parameters(Mode.RGBD)
    assert getattr(changed, name) == wanted
    others = [other for other in NAMES if other != name]
    assert [getattr(changed, other) for other in others] == [getattr(of_preset, other) for other in others]


def test_options_a_user_leaves_alone_do_not_hide_the_preset(tmp_path):
    prepared = DroidSlamAdapter().prepare({"preset": "tum"}, tmp_path)
    parameters = parse_options(DroidSlamOptions, prepared).parameters(Mode.RGBD)
    assert parameters == PRESETS["tum"][Mode.RGBD]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "kitti"}, "preset must be one of tum, euroc, eth3d, scannet"),
        ({"variant": "fast"}, "variant must be full or vo"),
        ({"weights": "droid.pth"}, "weights_sha256 is missing.*sha256sum droid.pth"),
        ({"weights_sha256": SHA}, "given without weights"),
        ({"weights": "droid.pth", "weights_sha256": SHA.upper()}, "64 digits"),
        ({"weights": "droid.pth", "weights_sha256": SHA[:40]}, "64 digits"),
        ({"map_tolerance": 0.0}, "map_tolerance must be above 0"),
        ({"frame_memory_mib": -1}, "frame_memory_mib must not be negative"),
        ({"filter_thresh": 0.0}, "filter_thresh must be above 0"),
        ({"backend_nms": -2}, "backend_nms must not be negative"),
        ({"frontend_window": 0}, "frontend_window must be at least 1"),
        ({"warmup": 3}, "warmup must be at least 4"),
        ({"buffer": 8}, "more than the 8 keyframes of warmup"),
        ({"preset": "scannet", "buffer": 12}, "more than the 12 keyframes of warmup"),
        ({"beta": 1.5}, "beta must be from 0 to 1"),
        ({"warmup": 8.5}, "warmup must be of type int"),
        ({"stereo": True}, "unknown option stereo"),
    ],
)
def test_options_that_cannot_work_are_refused_before_anything_starts(options, message):
    with pytest.raises(BackendInputError, match=message):
        DroidSlamAdapter().check_options(options)


def test_weights_are_what_a_container_is_shown():
    adapter = DroidSlamAdapter()
    assert adapter.input_options == ("weights",)
    assert (adapter.image_folder / "Dockerfile").is_file()
    assert set(adapter.input_options) <= set(adapter.default_options)


def test_variants_of_the_ablation_are_options():
    adapter = DroidSlamAdapter()
    for options in adapter.ablation.values():
        adapter.check_options(options)
