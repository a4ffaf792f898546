from dataclasses import replace

import numpy as np
import pytest
from textured_room import INTRINSICS, OPTIONS, pose, texture, view, without_depth

from adapters.mono_hydra.loops.features import SURFACE_CELL, extract_features
from adapters.mono_hydra.loops.options import LoopOptions
from adapters.mono_hydra.loops.verification import project
from adapters.mono_hydra.model import RgbdLabels

SHAPE = (INTRINSICS.height, INTRINSICS.width)


def test_features_carry_the_points_that_are_seen_there():
    frame = view(pose(0.2, 0.1, -0.3, 25.0))
    features = extract_features(frame, 7, INTRINSICS, OPTIONS)
    known = np.isfinite(features.points[:, 2])
    assert features.keyframe == 7
    assert len(features) == OPTIONS.loop_features
    assert known.mean() > 0.8
    pixels, inside = project(features.points[known], INTRINSICS)
    assert inside.all()
    np.testing.assert_allclose(pixels, features.pixels[known], atol=1e-3)
    columns, rows = np.rint(features.pixels[known]).astype(int).T
    np.testing.assert_allclose(features.points[known, 2], frame.depth[rows, columns], rtol=0.02)


def test_the_surface_is_seen_at_the_middle_of_its_cells():
    frame = view(pose(turn_deg=40.0))
    surface = extract_features(frame, 0, INTRINSICS, OPTIONS).surface
    assert surface.shape == (SHAPE[0] // SURFACE_CELL, SHAPE[1] // SURFACE_CELL, 3)
    middle = frame.depth[SURFACE_CELL // 2 :: SURFACE_CELL, SURFACE_CELL // 2 :: SURFACE_CELL]
    known = np.isfinite(surface[..., 2])
    assert known.mean() > 0.8
    np.testing.assert_allclose(surface[known, 2], middle[known], rtol=0.02)


def test_a_strong_texture_does_not_take_all_features():
    frame = view(pose())
    half = SHAPE[1] // 2
    rgb = frame.rgb.copy()
    rgb[:, half:] = 96 + rgb[:, half:] // 4
    features = extract_features(replace(frame, rgb=rgb), 0, INTRINSICS, OPTIONS)
    assert np.mean(features.pixels[:, 0] > half) > 0.2


def test_nothing_is_taken_from_what_moves():
    frame = view(pose())
    masked = np.zeros(SHAPE, np.bool_)
    masked[100:260, 120:360] = True
    features = extract_features(frame, 0, INTRINSICS, OPTIONS, masked)
    columns, rows = np.rint(features.pixels).astype(int).T
    assert len(features) > 300
    assert not masked[rows, columns].any()
    cells = masked[SURFACE_CELL // 2 :: SURFACE_CELL, SURFACE_CELL // 2 :: SURFACE_CELL]
    assert np.isnan(features.surface[cells]).all()


def test_an_image_without_texture_has_no_features():
    frame = RgbdLabels(0, 0, np.full((*SHAPE, 3), 90, np.uint8), np.full(SHAPE, 2.0, np.float32))
    features = extract_features(frame, 0, INTRINSICS, OPTIONS)
    assert len(features) == 0
    assert features.descriptors.shape == (0, 32)
    assert features.points.shape == (0, 3)
    assert np.isfinite(features.surface).any()


def test_without_depth_there_are_features_without_points():
    features = extract_features(without_depth(view(pose())), 0, INTRINSICS, OPTIONS)
    assert len(features) > 300
    assert np.isnan(features.points).all()
    assert np.isnan(features.surface).all()


def test_corners_where_depth_jumps_have_none():
    frame = view(pose())
    depth = np.full(SHAPE, 1.0, np.float32)
    depth[:, 240:] = 2.0
    features = extract_features(replace(frame, depth=depth), 0, INTRINSICS, OPTIONS)
    beside = np.abs(features.pixels[:, 0] - 239.5) < 1.5
    assert beside.any()
    assert np.isnan(features.points[beside, 2]).all()


def test_the_same_image_gives_the_same_features():
    first, second = (extract_features(view(pose()), 0, INTRINSICS, OPTIONS) for _ in range(2))
    np.testing.assert_array_equal(first.descriptors, second.descriptors)
    np.testing.assert_array_equal(first.points, second.points)


def test_an_image_of_another_shape_than_a_multiple_of_the_cells_works():
    odd = replace(INTRINSICS, width=471, height=353)
    frame = RgbdLabels(0, 0, texture(1)[:353, :471], np.full((353, 471), 2.0, np.float32))
    features = extract_features(frame, 0, odd, OPTIONS)
    assert np.isfinite(features.surface).any()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loop_features", 0),
        ("loop_match_ratio", 1.5),
        ("loop_cell", 4),
        ("loop_word_bits", 40),
        ("loop_least_inliers", 3),
        ("loop_least_cells", 49),
        ("graph_inlier_probability", 1.0),
        ("graph_control_step", 1.0),
    ],
)
def test_options_that_cannot_work_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .*, got {value}"):
        LoopOptions(**{name: value})
