"""Changes of views: where things are seen after a crop, a resize and a flip, and what happens to colours."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from perception.inference.canonical_camera import canonical_factor
from perception.training.augmentation import (
    AugmentationSettings,
    altered_colours,
    augmented,
    cropped,
    flipped,
    resized,
)
from perception.training.derived_targets import edges_from_labels, with_normals
from perception.training.views import View
from sequences.model import LABEL_UNKNOWN, Intrinsics

HEIGHT, WIDTH = 48, 64
CAMERA = Intrinsics(50.0, 55.0, 30.0, 25.5, WIDTH, HEIGHT)
SIZES = st.tuples(st.integers(16, 90), st.integers(16, 90))
COLOURS_AS_THEY_ARE = {
    "exposure_stops": 0.0,
    "white_balance": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "gamma": 0.0,
    "vignetting": 0.0,
    "blur": 0.0,
    "motion_blur": 0.0,
    "noise": 0.0,
    "jpeg": 0.0,
}


def view_of(depth=None, rgb=None, labels=None):
    grey = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    return View(grey if rgb is None else rgb, CAMERA, depth, labels)


def view_of_places():
    """Every pixel holds the point that it shows: its depth, and x and y of the point in place of normals."""
    rows, columns = np.indices((HEIGHT, WIDTH)).astype(np.float32)
    depth = 1 + 0.05 * rows + 0.03 * columns
    x = (columns - CAMERA.cx) / CAMERA.fx * depth
    y = (rows - CAMERA.cy) / CAMERA.fy * depth
    colours = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return View(
        colours, CAMERA, depth.astype(np.float32), normals=np.stack([x, y, depth], -1).astype(np.float32)
    )


def seen_places(view):
    """Where the points that the pixels hold are by the intrinsics, minus where they are seen; pixels."""
    rows, columns = np.indices(view.depth.shape)
    x, y, z = np.moveaxis(view.normals, -1, 0)
    camera = view.intrinsics
    return camera.fx * x / z + camera.cx - columns, camera.fy * y / z + camera.cy - rows


@given(st.data())
def test_points_are_seen_where_the_intrinsics_of_a_crop_say(data):
    left, top = data.draw(st.integers(0, WIDTH - 2)), data.draw(st.integers(0, HEIGHT - 2))
    width = data.draw(st.integers(1, WIDTH - left))
    height = data.draw(st.integers(1, HEIGHT - top))
    crop = cropped(view_of_places(), left, top, width, height)
    assert crop.depth.shape == crop.rgb.shape[:2] == (height, width)
    assert (crop.intrinsics.height, crop.intrinsics.width) == (height, width)
    for error in seen_places(crop):
        np.testing.assert_allclose(error, 0, atol=1e-3)


@given(SIZES)
def test_points_are_seen_where_the_intrinsics_of_another_size_say(size):
    changed = resized(view_of_places(), size)
    assert changed.depth.shape == changed.rgb.shape[:2] == size
    across, down = (np.abs(error) for error in seen_places(changed))
    # The nearest pixel is at most half a pixel of the smaller or the larger grid away.
    assert across.max() <= 0.5 * max(1, size[1] / WIDTH) + 1e-3
    assert down.max() <= 0.5 * max(1, size[0] / HEIGHT) + 1e-3
    # No shift to any side.
    assert abs(np.mean(seen_places(changed)[0])) < 0.26 * max(1, size[1] / WIDTH)


def test_an_image_a_third_as_high_keeps_the_rows_in_the_middle_of_three():
    view = view_of_places()
    changed = resized(view, (HEIGHT // 3, WIDTH))
    np.testing.assert_array_equal(changed.depth, view.depth[1::3])
    np.testing.assert_allclose(seen_places(changed)[1], 0, atol=1e-3)


def test_points_of_a_mirrored_room_are_seen_where_the_intrinsics_say():
    mirrored = flipped(view_of_places())
    # The x of the points was negated with that of the normals that stand for them.
    for error in seen_places(mirrored):
        np.testing.assert_allclose(error, 0, atol=1e-3)


def test_a_view_mirrored_twice_is_the_view():
    view = view_of_places()
    again = flipped(flipped(view))
    assert again.intrinsics == view.intrinsics
    for name in ("rgb", "depth", "normals"):
        np.testing.assert_array_equal(getattr(again, name), getattr(view, name))


def test_colours_and_depth_stay_on_each_other_when_resized():
    rng = np.random.default_rng(0)
    # A step in the middle, of colour and of depth.
    place = int(rng.integers(20, 40))
    depth = np.where(np.arange(WIDTH) < place, 1.0, 3.0).astype(np.float32) * np.ones((HEIGHT, 1), np.float32)
    rgb = np.where(depth[..., None] < 2, 40, 220).astype(np.uint8).repeat(3, axis=2)
    for size in ((96, 128), (30, 41), (24, 32)):
        changed = resized(view_of(depth, rgb), size)
        near = changed.rgb[..., 0] < 130
        # Half-way colours may fall on either side.
        assert np.mean(near != (changed.depth < 2)) <= 1 / size[1]


@given(st.integers(0, 2**32), SIZES)
@settings(max_examples=50)
def test_whatever_chance_does_points_are_seen_where_the_intrinsics_say(seed, size):
    view = view_of_places()
    changed = augmented(view, size, AugmentationSettings(), np.random.default_rng(seed))
    camera = changed.intrinsics
    assert (camera.height, camera.width) == changed.depth.shape == changed.rgb.shape[:2] == size
    enlarged = (camera.fx / CAMERA.fx, camera.fy / CAMERA.fy)
    for error, factor in zip(seen_places(changed), enlarged, strict=True):
        assert np.abs(error).max() <= 0.5 * max(1, factor) + 1e-2


@given(st.integers(0, 2**32))
def test_depth_has_no_value_that_the_view_does_not_have(seed):
    view = view_of_places()
    changed = augmented(view, (40, 56), AugmentationSettings(), np.random.default_rng(seed))
    assert np.isin(changed.depth, view.depth).all()


@given(st.integers(0, 2**32))
def test_the_crop_has_the_shape_of_the_network_but_for_the_stretch(seed):
    chosen = AugmentationSettings(stretch=0.1)
    changed = augmented(view_of_places(), (60, 60), chosen, np.random.default_rng(seed))
    before, after = CAMERA.fx / CAMERA.fy, changed.intrinsics.fx / changed.intrinsics.fy
    # Crops are of whole pixels.
    assert 1 / 1.15 < after / before < 1.15


def test_the_same_random_numbers_make_the_same_view():
    rgb = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    view = replace(view_of_places(), rgb=rgb)
    first, second, other = (
        augmented(view, (40, 56), AugmentationSettings(), np.random.default_rng(seed)) for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first.rgb, second.rgb)
    np.testing.assert_array_equal(first.depth, second.depth)
    assert first.intrinsics == second.intrinsics
    assert not np.array_equal(first.rgb, other.rgb)


def test_colours_stay_when_chance_may_change_nothing():
    rgb = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    chosen = AugmentationSettings(**COLOURS_AS_THEY_ARE)
    np.testing.assert_array_equal(altered_colours(rgb, chosen, np.random.default_rng(0)), rgb)


@pytest.mark.parametrize(
    "change",
    [
        {"exposure_stops": 0.5},
        {"white_balance": 0.2},
        {"contrast": 0.3},
        {"saturation": 0.5},
        {"gamma": 0.4},
        {"vignetting": 0.5},
        {"blur": 1.0},
        {"motion_blur": 1.0},
        {"noise": 6.0},
        {"jpeg": 1.0},
    ],
)
def test_every_change_of_colours_does_something_and_not_too_much(change):
    ramp = np.linspace(30, 220, WIDTH)[None, :, None] * np.array([1.0, 0.8, 0.6])
    squares = 20 * ((np.indices((HEIGHT, WIDTH)) // 4).sum(axis=0) % 2)
    rgb = (ramp + squares[..., None]).astype(np.uint8)
    chosen = AugmentationSettings(**{**COLOURS_AS_THEY_ARE, **change})
    found = [altered_colours(rgb, chosen, np.random.default_rng(seed)) for seed in range(8)]
    assert {(image.dtype, image.shape) for image in found} == {(np.dtype(np.uint8), rgb.shape)}
    differences = [np.abs(image.astype(float) - rgb).mean() for image in found]
    assert 1 < max(differences) < 60


def test_vignetting_darkens_corners_and_leaves_the_middle():
    white = np.full((49, 65, 3), 200, np.uint8)
    chosen = AugmentationSettings(**{**COLOURS_AS_THEY_ARE, "vignetting": 0.5})
    found = altered_colours(white, chosen, np.random.default_rng(1))
    assert found[24, 32, 0] == 200
    assert found[0, 0, 0] < found[24, 0, 0] < 200


@pytest.mark.parametrize("wrong", [{"crop": (0.9, 0.5)}, {"crop": (0.0, 1.0)}, {"jpeg_quality": (90, 20)}])
def test_ranges_that_are_not_possible_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        AugmentationSettings(**wrong)


def test_normals_derived_from_a_plane_are_those_of_the_plane_and_follow_a_flip():
    normal = np.array([0.3, -0.4, -np.sqrt(1 - 0.25)])
    rows, columns = np.indices((HEIGHT, WIDTH))
    x, y = (columns - CAMERA.cx) / CAMERA.fx, (rows - CAMERA.cy) / CAMERA.fy
    depth = (-2.0 / (normal[0] * x + normal[1] * y + normal[2])).astype(np.float32)
    view = with_normals(view_of(depth))
    for found, expected in ((view, normal), (flipped(view), normal * [-1, 1, 1])):
        inner = found.normals[4:-4, 4:-4]
        np.testing.assert_allclose(inner, np.broadcast_to(expected, inner.shape), atol=1e-3)


def test_normals_that_a_view_brings_are_kept():
    view = view_of_places()
    assert with_normals(view) is view


def test_edges_are_unknown_where_an_unknown_label_would_decide():
    labels = np.array([[1, 1, 2, 2], [1, 1, 2, LABEL_UNKNOWN], [1, 1, 1, 1]], np.uint8)
    expected = [[0, 1, 0, -1], [0, 1, 1, -1], [0, 0, 0, 0]]
    # The pixel left of the unknown one is an edge by its lower neighbour.
    np.testing.assert_array_equal(edges_from_labels(labels), expected)


@given(st.floats(0.3, 3.0))
def test_two_cameras_that_see_the_same_image_have_the_same_canonical_depth(longer):
    short = Intrinsics(60.0, 60.0, 31.5, 23.5, WIDTH, HEIGHT)
    long = replace(short, fx=60 * longer, fy=60 * longer)
    # The same thing looks the same through a longer lens from farther away.
    near, far = 2.0, 2.0 * longer
    assert near * canonical_factor(short, 0.8) == pytest.approx(far * canonical_factor(long, 0.8))


def test_the_canonical_factor_does_not_depend_on_the_size_of_the_image_and_is_one_for_its_own_camera():
    view = view_of_places()
    factor = canonical_factor(view.intrinsics, 0.8)
    assert canonical_factor(resized(view, (20, 30)).intrinsics, 0.8) == pytest.approx(factor)
    assert canonical_factor(Intrinsics(51.2, 51.2, 31.5, 23.5, 64, 48), 0.8) == pytest.approx(1.0)
