"""Predicting images of one's own with a perception module: files as described, mistakes as sentences."""

import numpy as np
import pytest
from m2hmx_weights import photograph, write_small_weights
from PIL import Image

from harness.errors import ResultsError
from harness.predict import predict_images
from perception.choice import ModuleChoice
from perception.errors import ModuleFailedError, PerceptionError
from perception.module import PERCEPTION_MODULES, PerceptionModule, Prediction
from sequences.label_spaces import load_label_space

CONSTANT = ModuleChoice("constant", "2")


class EverythingModule(PerceptionModule):
    """Says what is in its table, for an image of two rows and three columns."""

    def outputs(self, sequence):
        return frozenset({"depth", "semantics", "normals", "edges"})

    def predict(self, frame):
        normals = np.zeros((2, 3, 3), np.float32)
        normals[..., 2] = -1
        return Prediction(
            depth=np.array([[0, 1, 2], [13.1, 13.2, 80]], np.float32),
            semantics=np.array([[1, 2, 3], [4, 40, 255]], np.uint8),
            label_space="nyu40",
            normals=normals,
            edges=np.array([[0, 0.5, 1], [0, 0, 0]], np.float32),
        )


@pytest.fixture
def everything(monkeypatch):
    monkeypatch.setattr(type(PERCEPTION_MODULES), "load", lambda registry, name: EverythingModule)
    return ModuleChoice("everything")


def write_image(path, height=20, width=30, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photograph(height, width)).convert(mode).save(path)
    return path


def predict(choice, *paths, output):
    steps = []
    return predict_images(choice, paths, output, lambda *step: steps.append(step)), steps


def read(path):
    return np.asarray(Image.open(path))


def test_a_picture_and_depth_are_written_for_every_image(tmp_path):
    one, two = write_image(tmp_path / "one.png"), write_image(tmp_path / "two.jpg", 12, 16)
    pictures, steps = predict(CONSTANT, one, two, output=tmp_path / "out")
    assert pictures == [tmp_path / "out" / "one.overview.png", tmp_path / "out" / "two.overview.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "one.depth.png",
        "one.overview.png",
        "two.depth.png",
        "two.overview.png",
    ]
    depth = read(tmp_path / "out" / "one.depth.png")
    assert (depth.dtype, depth.shape) == (np.uint16, (20, 30))
    assert (depth == 10_000).all()
    assert read(pictures[1]).shape == (12, 2 * 16, 3)
    assert steps == [("predicting", 0, 2), ("predicting", 1, 2), ("predicting", 2, 2)]


def test_all_that_is_predicted_is_written(everything, tmp_path):
    image = write_image(tmp_path / "a.png", 2, 3)
    (picture,), _ = predict(everything, image, output=tmp_path / "out")
    assert read(tmp_path / "out" / "a.labels.png").tolist() == [[1, 2, 3], [4, 40, 255]]
    panels = np.split(read(picture), 5, axis=1)
    np.testing.assert_array_equal(panels[0], read(image))
    np.testing.assert_array_equal(panels[2][0, 0], load_label_space("nyu40").classes[0].colour)
    np.testing.assert_array_equal(panels[2][1, 2], [0, 0, 0])
    assert panels[3][0, 0].tolist() == [128, 128, 0]
    assert panels[4][0, :, 0].tolist() == [0, 128, 255]


def test_depth_that_does_not_fit_into_the_file_is_unknown_there(everything, tmp_path):
    predict(everything, write_image(tmp_path / "a.png", 2, 3), output=tmp_path / "out")
    assert read(tmp_path / "out" / "a.depth.png").tolist() == [[0, 5000, 10_000], [65_500, 0, 0]]


def test_near_is_bright(everything, tmp_path):
    (picture,), _ = predict(everything, write_image(tmp_path / "a.png", 2, 3), output=tmp_path / "out")
    depth = np.split(read(picture), 5, axis=1)[1].sum(axis=2)
    assert depth[0, 1] > depth[0, 2] > depth[1, 0] > depth[1, 2]


def test_the_images_of_a_directory_are_taken_in_order_and_other_files_left(tmp_path):
    for name in ("b.png", "a.JPG", "c.jpeg"):
        write_image(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.txt").write_text("not an image")
    pictures, _ = predict(CONSTANT, tmp_path / "photos", output=tmp_path / "out")
    assert [picture.name for picture in pictures] == ["a.overview.png", "b.overview.png", "c.overview.png"]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_images_of_every_mode_are_taken_as_colours(mode, tmp_path):
    (picture,), _ = predict(CONSTANT, write_image(tmp_path / "a.png", mode=mode), output=tmp_path / "out")
    assert read(picture).shape == (20, 60, 3)


def test_predicting_again_replaces_what_was_there(tmp_path):
    image = write_image(tmp_path / "a.png")
    predict(CONSTANT, image, output=tmp_path / "out")
    predict(ModuleChoice("constant", "3"), image, output=tmp_path / "out")
    assert (read(tmp_path / "out" / "a.depth.png") == 15_000).all()


def test_nothing_is_written_among_the_images(tmp_path):
    write_image(tmp_path / "photos" / "a.png")
    with pytest.raises(ResultsError, match="to another directory"):
        predict(CONSTANT, tmp_path / "photos", output=tmp_path / "photos")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["a.png"]


def test_two_images_of_one_name_are_refused_before_anything_is_written(tmp_path):
    images = [write_image(tmp_path / name / "a.png") for name in ("left", "right")]
    with pytest.raises(ResultsError, match="two images are called 'a'"):
        predict(CONSTANT, *images, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_directory_without_images_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ResultsError, match=r"no images \(\.png, \.jpg, \.jpeg\) in .*empty"):
        predict(CONSTANT, tmp_path / "empty", output=tmp_path / "out")


def test_files_that_are_no_images_are_named(tmp_path):
    whole = write_image(tmp_path / "whole.png").read_bytes()
    broken = {
        "text.png": b"not an image",
        "nothing.png": b"",
        "cut.png": whole[: len(whole) // 2],
        "wrong.png": whole[:40] + bytes(40) + whole[80:],
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ResultsError, match=f"cannot read the image .*{name}"):
            predict(CONSTANT, tmp_path / name, output=tmp_path / "out")


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(ResultsError, match=r"cannot write .*out"):
        predict(CONSTANT, write_image(tmp_path / "a.png"), output=tmp_path / "out")


def test_a_module_that_reads_a_sensor_is_refused(tmp_path):
    with pytest.raises(PerceptionError, match="'sensor' reads a sensor"):
        predict(ModuleChoice("sensor"), write_image(tmp_path / "a.png"), output=tmp_path / "out")


def test_a_module_that_breaks_its_promises_is_stopped(monkeypatch, tmp_path):
    monkeypatch.setattr(EverythingModule, "predict", lambda module, frame: Prediction())
    monkeypatch.setattr(type(PERCEPTION_MODULES), "load", lambda registry, name: EverythingModule)
    with pytest.raises(ModuleFailedError, match="missing, which outputs"):
        predict(ModuleChoice("everything"), write_image(tmp_path / "a.png", 2, 3), output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_field_of_view_says_how_far_away_things_are(tmp_path):
    weights = write_small_weights(tmp_path / "canonical.safetensors", canonical_focal=0.5)
    choice = ModuleChoice("m2hmx", str(weights.path))
    image = write_image(tmp_path / "one.png", 64, 96)
    found = []
    # Half of the width over the focal length is 1, and 2.
    for name, degrees in (("near", 2 * np.degrees(np.arctan(2))), ("far", 90.0)):
        predict_images(choice, [image], tmp_path / name, lambda *_: None, field_of_view_deg=degrees)
        found.append(read(tmp_path / name / "one.depth.png").astype(float))
    known = (found[0] > 100) & (found[1] > 0)
    assert known.mean() > 0.5
    np.testing.assert_allclose(found[1][known] / found[0][known], 2, rtol=0.02)
