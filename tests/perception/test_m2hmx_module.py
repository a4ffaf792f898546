"""Perception module m2hmx: a file of weights in, predictions at the camera's size out."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from m2hmx_fill import filled_checkpoint, filled_network
from m2hmx_weights import SIZE, photograph, photographed, small, write_small_weights

from perception.choice import ModuleChoice, parse_choice
from perception.errors import ModuleFailedError, PerceptionError
from perception.guarded import create_module
from perception.m2hmx.configuration import load_preset
from perception.m2hmx.module import M2hmxModule, image_contract
from perception.m2hmx.weights import import_weights
from perception.weights import write_weights
from sequences.model import Frame

FRAME = Frame(0, 0, photograph())


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_small_weights(tmp_path_factory.mktemp("weights") / "small.safetensors").path


def predict(path, frame=FRAME, **options):
    module = create_module(ModuleChoice("m2hmx", str(path), options))
    module.load()
    return module.predict(frame)


def announced(path, **options):
    return create_module(ModuleChoice("m2hmx", str(path), options)).label_space(None)


def refusal(path, load=False, **options):
    with pytest.raises(PerceptionError) as caught:
        module = create_module(ModuleChoice("m2hmx", None if path is None else str(path), options))
        if load:
            module.load()
    assert not isinstance(caught.value, ModuleFailedError)
    return str(caught.value)


@torch.no_grad()
def test_a_prediction_is_the_network_between_two_resizings(weights):
    height, width = SIZE
    pixels = cv2.resize(FRAME.rgb, (width, height), interpolation=cv2.INTER_LINEAR) / 255
    image = ((pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose(2, 0, 1)[None]
    outputs = filled_network(small())(torch.from_numpy(image.astype(np.float32)))
    depth = np.clip(1.4 * outputs["depth"][0, 0].numpy(), 0.14, 14.0)
    labels = outputs["semseg"][0].argmax(0).numpy().astype(np.uint8) + 1

    found = predict(weights, depth_scale=1.4)
    np.testing.assert_allclose(found.depth, cv2.resize(depth, (160, 120)), atol=1e-4)
    nearest = cv2.resize(labels, (160, 120), interpolation=cv2.INTER_NEAREST)
    assert (found.semantics == nearest).mean() > 0.999
    assert len(np.unique(nearest)) > 1
    assert found.label_space == "nyu40"
    assert found.normals is found.edges is None


def test_depth_of_a_canonical_camera_becomes_that_of_the_one_that_took_the_image(weights, tmp_path):
    canonical = write_small_weights(tmp_path / "canonical.safetensors", canonical_focal=0.5)
    plain = predict(weights).depth
    for focal in (40.0, 80.0, 240.0):
        module = create_module(ModuleChoice("m2hmx", str(canonical.path)))
        module.outputs(photographed(focal))
        # 80 pixels are half of the width.
        np.testing.assert_allclose(module.predict(FRAME).depth, plain * (focal / 80), rtol=1e-4)


def test_depth_of_a_canonical_camera_without_a_camera_is_an_error(tmp_path):
    canonical = write_small_weights(tmp_path / "canonical.safetensors", canonical_focal=0.5)
    module = create_module(ModuleChoice("m2hmx", str(canonical.path)))
    with pytest.raises(PerceptionError, match="needs the focal length of the camera"):
        module.predict(FRAME)


def test_what_the_sensor_recorded_changes_nothing(weights):
    recorded = replace(
        FRAME, depth=np.full((120, 160), 3.0, np.float32), labels=np.ones((120, 160), np.uint8)
    )
    assert not M2hmxModule.reads_sensor
    np.testing.assert_array_equal(predict(weights, recorded).depth, predict(weights).depth)


def test_outputs_are_those_of_the_tasks(weights, tmp_path):
    module = create_module(ModuleChoice("m2hmx", str(weights)))
    assert module.outputs(photographed()) == {"depth", "semantics"}
    four = write_small_weights(
        tmp_path / "four.safetensors", tasks=["semseg", "depth", "normals", "edge"], edge_refine_threshold=0.6
    )
    module = create_module(ModuleChoice("m2hmx", str(four.path)))
    assert module.outputs(photographed()) == {"depth", "semantics", "normals", "edges"}
    prediction = module.predict(FRAME)
    np.testing.assert_allclose(np.linalg.norm(prediction.normals, axis=2), 1, atol=1e-5)
    assert 0 <= prediction.edges.min() < prediction.edges.max() <= 1


def test_depth_alone_needs_no_label_space(tmp_path):
    written = write_small_weights(tmp_path / "depth.safetensors", tasks=["depth"], label_space=None)
    prediction = predict(written.path)
    assert prediction.semantics is None
    assert prediction.depth.shape == (120, 160)
    assert announced(written.path) is None
    assert "no semantics" in refusal(written.path, label_space="nyud20")


def test_labels_are_mapped_to_the_label_space_that_is_asked_for(weights):
    own, grouped = predict(weights), predict(weights, label_space="nyud20")
    assert grouped.label_space == "nyud20"
    assert grouped.semantics.max() <= 20
    assert (announced(weights), announced(weights, label_space="nyud20")) == ("nyu40", "nyud20")
    assert len(np.unique(grouped.semantics)) <= len(np.unique(own.semantics))


def test_a_description_tells_what_is_needed_to_repeat_a_prediction(weights):
    module = create_module(ModuleChoice("m2hmx", str(weights), {"depth_scale": 1.427, "device": "cpu"}))
    module.load()
    described = json.loads(json.dumps(module.describe()))
    assert described["weights"]["file"] == "small.safetensors"
    assert len(described["weights"]["digest"]) == 64
    assert described["weights"]["source"] == {"file": "made for a test"}
    assert described["configuration"]["image_size"] == list(SIZE)
    assert (described["depth_scale"], described["device"]) == (1.427, "cpu")
    assert (described["precision"], described["label_space"]) == ("float32", "nyu40")
    assert described["packages"].keys() == {"torch", "timm", "peft"}
    assert described["selective_scan"] == "chunked"


def test_bfloat16_is_close_and_recorded(weights):
    exact, short = predict(weights), predict(weights, precision="bfloat16", device="cpu")
    difference = np.abs(exact.depth - short.depth)
    assert 0 < np.median(difference) < 0.05 * np.median(exact.depth)
    module = create_module(ModuleChoice("m2hmx", str(weights), {"precision": "bfloat16", "device": "cpu"}))
    assert module.describe()["precision"] == "bfloat16"


def test_merged_adapters_predict_the_same(tmp_path):
    checkpoint = tmp_path / "checkpoint.pth"
    torch.save(filled_checkpoint(small()), checkpoint)
    config = tmp_path / "small.yaml"
    config.write_text(json.dumps(small()))
    kept, merged = (
        import_weights(checkpoint, str(config), tmp_path / f"{adapters}.safetensors", adapters).info
        for adapters in ("keep", "merge")
    )
    assert kept.digest != merged.digest
    assert merged.configuration["lora"] is None
    np.testing.assert_allclose(predict(kept.path).depth, predict(merged.path).depth, atol=1e-5)


def test_without_a_file_it_runs_the_network_that_comes_with_the_package():
    module = create_module(ModuleChoice("m2hmx"))
    assert module.outputs(photographed()) == {"depth", "semantics"}
    prediction = module.predict(FRAME)
    assert prediction.depth.shape == FRAME.rgb.shape[:2]
    assert module.describe()["weights"]["file"] == "m2hmx-nano.safetensors"
    by_name = create_module(ModuleChoice("m2hmx", "m2hmx-nano"))
    by_name.outputs(photographed())
    np.testing.assert_array_equal(by_name.predict(FRAME).depth, prediction.depth)


def test_weights_that_do_not_come_with_the_package_are_named_with_those_that_do():
    with pytest.raises(PerceptionError, match=r"no weights 'm2hmx-giant'; .* package: m2hmx-nano; or give a"):
        create_module(ModuleChoice("m2hmx", "m2hmx-giant"))


def test_a_missing_file_is_named(tmp_path):
    assert "nothing.safetensors" in refusal(tmp_path / "nothing.safetensors")


def test_weights_of_another_network_are_refused(tmp_path):
    write_weights(tmp_path / "other.safetensors", {"weight": torch.ones(1)}, "othernet", {}, {})
    assert "weights of the network 'othernet', not of 'm2hmx'" in refusal(tmp_path / "other.safetensors")


def test_weights_that_do_not_fit_their_own_configuration_are_refused(tmp_path):
    network = filled_network(small())
    config = network.config.model_dump(mode="json") | {"depth_bins": 17}
    write_weights(tmp_path / "odd.safetensors", network.state_dict(), "m2hmx", config, {})
    assert "does not fit its own configuration" in refusal(tmp_path / "odd.safetensors", load=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": None}, "lacks image_size or label_space"),
        ({"label_space": None}, "lacks image_size or label_space"),
        ({"label_space": "nyu41"}, "unknown label space 'nyu41'"),
        ({"num_classes": 13}, "has 13 classes and its label space 'nyu40' has 40"),
    ],
    ids=str,
)
def test_a_configuration_that_leaves_open_what_predictions_mean_is_refused(changes, message, tmp_path):
    written = write_small_weights(tmp_path / "w.safetensors", **changes)
    assert message in refusal(written.path)


def test_an_image_size_of_which_a_border_is_not_seen_is_refused(tmp_path):
    written = write_small_weights(tmp_path / "w.safetensors", image_size=[70, 100])
    assert "image_size: [64, 96]" in refusal(written.path, load=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 2}, "there is no option scale"),
        ({"label_space": "nyu"}, "unknown label space 'nyu'"),
        ({"device": "cpu", "precision": "float16"}, "float16"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused_with_the_modules_name(weights, options, message):
    words = refusal(weights, **options)
    assert words.startswith("perception 'm2hmx:small'")
    assert message in words


@pytest.mark.parametrize(
    ("preset", "label_space", "size"),
    [
        ("m2hmx-l-scannet-released", "scannet20", (480, 640)),
        ("m2hmx-l-released", "nyu40", (480, 640)),
        ("m2hmx-l-cityscapes", "cityscapes19", (512, 1024)),
        ("m2hmx-nano", "nyu40", (240, 320)),
    ],
)
def test_presets_say_what_their_classes_are(preset, label_space, size):
    contract = image_contract(load_preset(preset))
    assert (contract.label_space, contract.image_size) == (label_space, size)


def test_a_choice_means_the_same_file_everywhere(weights, monkeypatch):
    monkeypatch.chdir(weights.parent)
    assert parse_choice("m2hmx:small.safetensors").argument == str(weights)
    monkeypatch.setenv("HOME", str(weights.parent))
    assert parse_choice("m2hmx:~/small.safetensors").argument == str(weights)
    assert parse_choice("m2hmx:").argument == ""
    assert parse_choice("m2hmx:small.safetensors").label == "m2hmx:small"
    assert parse_choice("constant:1.5").label == "constant:1.5"
