"""From the camera's image to the network's input, and from outputs to a prediction of the camera's size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from m2hmx_weights import photograph
from PIL import Image

from perception.errors import PerceptionError
from perception.inference.images import (
    ImageContract,
    NetworkOutput,
    PredictionBuilder,
    Resizing,
    network_input,
    require_classes,
)
from sequences.label_spaces import load_label_space

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def contract(height=60, width=80, label_space=None):
    return ImageContract(image_size=(height, width), min_depth=0.1, max_depth=10.0, label_space=label_space)


def normalised(rgb):
    return (((rgb / 255.0) - MEAN) / STD).transpose(2, 0, 1)[None]


def half_pixel_bilinear(image, height, width):
    """Bilinear interpolation with pixel centres at halves and the border repeated; no filter."""
    rows, columns = (
        np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        for new, old in ((height, image.shape[0]), (width, image.shape[1]))
    )
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    bottom = np.minimum(top + 1, image.shape[0] - 1)
    right = np.minimum(left + 1, image.shape[1] - 1)
    down = (rows - top).reshape(-1, 1, *[1] * (image.ndim - 2))
    across = (columns - left).reshape(1, -1, *[1] * (image.ndim - 2))
    image = image.astype(np.float64)
    upper = image[top][:, left] * (1 - across) + image[top][:, right] * across
    lower = image[bottom][:, left] * (1 - across) + image[bottom][:, right] * across
    return upper * (1 - down) + lower * down


@pytest.mark.parametrize("resizing", list(Resizing))
def test_an_image_of_the_networks_size_is_only_normalised(resizing):
    rgb = photograph(60, 80)
    found = network_input(rgb, contract(), resizing)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, normalised(rgb), atol=1e-6)


def test_opencv_interpolates_between_the_four_neighbours():
    rgb = photograph(150, 200)
    expected = normalised(half_pixel_bilinear(rgb, 60, 80))
    # Eight bits are rounded before the normalisation.
    np.testing.assert_allclose(network_input(rgb, contract()), expected, atol=1.1 / 255 / STD.min())


def test_pillow_filters_when_it_shrinks():
    rgb = photograph(120, 160)
    found = network_input(rgb, contract(), Resizing.PILLOW)
    expected = np.asarray(Image.fromarray(rgb).resize((80, 60), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(found, normalised(expected), atol=1e-6)
    assert found.std() < 0.8 * network_input(rgb, contract(), Resizing.OPENCV).std()


def test_both_ways_of_resizing_nearly_agree_when_the_image_grows():
    rgb = photograph(30, 40)
    opencv, pillow = (network_input(rgb, contract(), resizing) for resizing in Resizing)
    assert np.abs(opencv - pillow).max() < 3 / 255 / STD.min()


def test_views_are_taken_like_any_image():
    rgb = photograph(120, 320)[:, ::-2]
    np.testing.assert_array_equal(
        network_input(rgb, contract()), network_input(np.ascontiguousarray(rgb), contract())
    )


def test_another_normalisation_is_that_of_the_contract():
    plain = ImageContract(
        image_size=(60, 80), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), min_depth=0, max_depth=1
    )
    rgb = photograph(60, 80)
    np.testing.assert_allclose(network_input(rgb, plain)[0], rgb.transpose(2, 0, 1) / 255, atol=1e-6)


def test_depth_is_scaled_clipped_to_the_scaled_range_and_then_interpolated():
    depth = np.array([[0.01, 2.0], [5.0, 30.0]], np.float32)
    found = PredictionBuilder(contract(), 1.5, None).build(NetworkOutput(depth=depth), 6, 8).depth
    expected = half_pixel_bilinear(np.array([[0.15, 3.0], [7.5, 15.0]]), 6, 8)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    # Interpolated first, the pixel beside the far corner would come from 45 m.
    assert found.max() == pytest.approx(15.0)


@given(st.floats(0.1, 3.0), st.integers(1, 20), st.integers(1, 20))
def test_no_depth_leaves_the_scaled_range(scale, height, width):
    depth = np.random.default_rng(0).normal(5, 20, (5, 7)).astype(np.float32)
    found = PredictionBuilder(contract(), scale, None).build(NetworkOutput(depth=depth), height, width).depth
    assert found.shape == (height, width)
    assert found.min() >= 0.1 * scale * (1 - 1e-6)
    assert found.max() <= 10 * scale * (1 + 1e-6)


def labels(own, wanted, classes):
    builder = PredictionBuilder(contract(label_space=own), 1.0, wanted)
    prediction = builder.build(NetworkOutput(classes=np.array([classes], np.uint8)), 1, len(classes))
    return prediction.label_space, prediction.semantics[0].tolist()


def test_class_i_of_nyu40_is_label_i_plus_one():
    assert labels("nyu40", None, range(40)) == ("nyu40", list(range(1, 41)))
    assert labels("nyu40", "nyu40", range(40)) == ("nyu40", list(range(1, 41)))


def test_class_i_of_scannet20_is_label_i():
    assert labels("scannet20", None, range(20)) == ("scannet20", list(range(20)))


@pytest.mark.parametrize("wanted", ["nyud20", "scannet20"])
def test_classes_of_nyu40_are_mapped_to_the_groups_that_the_label_space_lists(wanted):
    groups = {source: entry.id for entry in load_label_space(wanted).classes for source in entry.from_nyu40}
    expected = [groups.get(index + 1, 255) for index in range(40)]
    assert labels("nyu40", wanted, range(40)) == (wanted, expected)
    assert (255 in expected) == (wanted == "scannet20")


def test_labels_are_the_nearest_and_never_mixed():
    builder = PredictionBuilder(contract(label_space="nyu40"), 1.0, "nyud20")
    classes = np.array([[0, 39], [7, 30]], np.uint8)
    found = builder.build(NetworkOutput(classes=classes), 4, 6).semantics
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.repeat(np.repeat([[1, 8], [4, 20]], 2, axis=0), 3, axis=1))


@pytest.mark.parametrize(
    ("own", "wanted", "message"),
    [
        ("scannet20", "nyu40", "only nyu40 is mapped"),
        ("cityscapes19", "scannet20", "only nyu40 is mapped"),
        ("nyu40", "cityscapes19", "does not say from_nyu40"),
        ("nyu40", "nyud21", "Did you mean 'nyud20'"),
        ("nyu41", None, "unknown label space 'nyu41'"),
        (None, "nyu40", "has no semantics"),
    ],
)
def test_other_mappings_are_refused(own, wanted, message):
    with pytest.raises(PerceptionError, match=message):
        PredictionBuilder(contract(label_space=own), 1.0, wanted)


def test_as_many_classes_as_the_label_space_has_are_demanded():
    require_classes(contract(label_space="nyu40"), 40)
    with pytest.raises(PerceptionError, match="has 41 classes and its label space 'nyu40' has 40"):
        require_classes(contract(label_space="nyu40"), 41)
    with pytest.raises(PerceptionError, match="does not say of which label space"):
        require_classes(contract(), 40)


def test_normals_have_length_one_at_every_size():
    normals = np.random.default_rng(0).normal(size=(3, 10, 12)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=0)
    found = PredictionBuilder(contract(), 1.0, None).build(NetworkOutput(normals=normals), 33, 47).normals
    assert (found.shape, found.dtype) == ((33, 47, 3), np.float32)
    np.testing.assert_allclose(np.linalg.norm(found, axis=2), 1, atol=1e-5)
    same = PredictionBuilder(contract(), 1.0, None).build(NetworkOutput(normals=normals), 10, 12).normals
    np.testing.assert_allclose(same, normals.transpose(1, 2, 0), atol=1e-6)


def test_edges_are_probabilities_for_any_logit():
    logits = np.array([[-1000.0, -2.0, 0.0, 3.0, 1000.0]], np.float32)
    found = PredictionBuilder(contract(), 1.0, None).build(NetworkOutput(edges=logits), 1, 5).edges
    expected = [0, 1 / (1 + np.exp(2)), 0.5, 1 / (1 + np.exp(-3)), 1]
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_what_the_network_does_not_give_is_not_made_up():
    prediction = PredictionBuilder(contract(label_space="nyu40"), 1.0, None).build(
        NetworkOutput(depth=np.ones((3, 4), np.float32)), 6, 8
    )
    assert prediction.semantics is prediction.label_space is prediction.normals is prediction.edges is None
