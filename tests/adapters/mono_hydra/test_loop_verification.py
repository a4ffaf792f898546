from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp
from textured_room import INTRINSICS, OPTIONS, pose, seen_from, texture, view, without_depth

from adapters.backend import CameraIntrinsics
from adapters.mono_hydra.loops.features import extract_features
from adapters.mono_hydra.loops.matching import descriptor_distances, mutual_matches
from adapters.mono_hydra.loops.two_view_alignment import Observations, align
from adapters.mono_hydra.loops.verification import project, verify
from adapters.mono_hydra.model import RgbdLabels
from adapters.rotations import rotation_angle
from sequences.tum import TumSequence

#: 99.9 % of chi-square with 6 degrees of freedom lie below.
CHI_SQUARE_6 = 22.46
PAIRS = [
    (pose(), pose(0.3, 0.1, 0.2, 10.0)),
    (pose(0.5, 0.0, 0.0, 45.0), pose(0.2, 0.2, 0.3, 30.0)),
    (pose(-0.5, 0.1, 0.4, 170.0), pose(-0.1, 0.0, 0.0, 185.0)),
]


def relative(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.linalg.inv(target) @ source


def difference(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Metres and degrees."""
    apart = np.linalg.inv(first) @ second
    return float(np.linalg.norm(apart[:3, 3])), float(np.degrees(rotation_angle(apart[:3, :3])))


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_motion_between_two_views_of_a_place_is_found(source, target):
    found = verify(seen_from(source, 9), seen_from(target, 4), INTRINSICS, OPTIONS)
    assert (found.source, found.target) == (9, 4)
    metres, degrees = difference(relative(source, target), found.source_to_target)
    assert metres < 0.015
    assert degrees < 0.3
    assert found.inliers > 60
    assert found.reprojection_error < 1.5


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_covariance_explains_the_error(source, target):
    found = verify(seen_from(source), seen_from(target), INTRINSICS, OPTIONS)
    apart = np.linalg.inv(relative(source, target)) @ found.source_to_target
    error = np.concatenate([Rotation.from_matrix(apart[:3, :3]).as_rotvec(), apart[:3, 3]])
    np.testing.assert_allclose(found.covariance, found.covariance.T)
    assert error @ np.linalg.solve(found.covariance, error) < CHI_SQUARE_6


def test_the_way_back_is_the_inverse():
    source, target = (seen_from(place) for place in PAIRS[0])
    there = verify(source, target, INTRINSICS, OPTIONS)
    back = verify(target, source, INTRINSICS, OPTIONS)
    metres, degrees = difference(there.source_to_target, np.linalg.inv(back.source_to_target))
    assert metres < 0.005
    assert degrees < 0.1


@pytest.mark.parametrize("blind", ["source", "target"])
def test_depth_in_one_view_is_enough_for_the_motion_but_not_for_belief(blind):
    frames = {"source": view(PAIRS[0][0]), "target": view(PAIRS[0][1])}
    frames[blind] = without_depth(frames[blind])
    source, target = (extract_features(frames[name], 0, INTRINSICS, OPTIONS) for name in frames)
    # Nothing can be said about the surface without depth, so such a loop is not believed.
    assert verify(source, target, INTRINSICS, OPTIONS) is None
    surface = seen_from(PAIRS[0][0 if blind == "source" else 1]).surface
    if blind == "source":
        source = replace(source, surface=surface)
    else:
        target = replace(target, surface=surface)
    found = verify(source, target, INTRINSICS, OPTIONS)
    metres, degrees = difference(relative(*PAIRS[0]), found.source_to_target)
    assert metres < 0.02
    assert degrees < 0.3


def test_holes_in_depth_do_no_harm():
    random = np.random.default_rng(5)
    keyframes = []
    for place in PAIRS[0]:
        frame = view(place)
        holes = np.kron(random.random((36, 48)) < 0.4, np.ones((10, 10))).astype(np.bool_)
        depth = np.where(holes, np.float32(0.0), frame.depth)
        keyframes.append(extract_features(replace(frame, depth=depth), 0, INTRINSICS, OPTIONS))
    assert np.isnan(keyframes[0].points).any()
    found = verify(*keyframes, INTRINSICS, OPTIONS)
    metres, degrees = difference(relative(*PAIRS[0]), found.source_to_target)
    assert metres < 0.015
    assert degrees < 0.3


def test_without_any_depth_nothing_is_believed():
    keyframes = [extract_features(without_depth(view(place)), 0, INTRINSICS, OPTIONS) for place in PAIRS[0]]
    assert verify(*keyframes, INTRINSICS, OPTIONS) is None


def test_other_places_are_not_taken_for_the_same():
    assert verify(seen_from(pose()), seen_from(pose(turn_deg=180.0)), INTRINSICS, OPTIONS) is None


def test_an_image_without_features_is_no_place():
    nothing = extract_features(
        RgbdLabels(0, 0, np.zeros((360, 480, 3), np.uint8), np.ones((360, 480), np.float32)),
        0,
        INTRINSICS,
        OPTIONS,
    )
    something = seen_from(pose())
    assert verify(nothing, something, INTRINSICS, OPTIONS) is None
    assert verify(something, nothing, INTRINSICS, OPTIONS) is None
    assert verify(nothing, nothing, INTRINSICS, OPTIONS) is None


def poster_on(background: int, wall_depth: float) -> RgbdLabels:
    """The same poster 2 m away, before a wall that is textured and as far as told."""
    rgb = texture(background)[:360, :480].copy()
    depth = np.full((360, 480), wall_depth, np.float32)
    rgb[60:300, 80:400] = texture(9)[:240, :320]
    depth[60:300, 80:400] = 2.0
    return RgbdLabels(0, 0, rgb, depth)


def test_the_same_poster_in_two_rooms_is_no_loop():
    here, again, elsewhere = (
        extract_features(poster_on(*place), 0, INTRINSICS, OPTIONS)
        for place in ((1, 5.0), (1, 5.0), (2, 2.5))
    )
    assert verify(here, again, INTRINSICS, OPTIONS).inliers > 100
    assert verify(here, elsewhere, INTRINSICS, OPTIONS) is None


def test_matches_in_one_corner_of_the_image_are_not_enough():
    here, there = (texture(seed)[:360, :480].copy() for seed in (1, 2))
    there[:120, :120] = here[:120, :120]
    depth = np.full((360, 480), 2.0, np.float32)
    first, second = (
        extract_features(RgbdLabels(0, 0, rgb, depth), 0, INTRINSICS, OPTIONS) for rgb in (here, there)
    )
    assert verify(first, second, INTRINSICS, replace(OPTIONS, loop_least_cells=1)) is not None
    assert verify(first, second, INTRINSICS, OPTIONS) is None


def test_the_same_keyframes_give_the_same_bits():
    source, target = (seen_from(place) for place in PAIRS[1])
    first = verify(source, target, INTRINSICS, OPTIONS)
    verify(target, source, INTRINSICS, OPTIONS)
    second = verify(source, target, INTRINSICS, OPTIONS)
    np.testing.assert_array_equal(first.source_to_target, second.source_to_target)
    np.testing.assert_array_equal(first.covariance, second.covariance)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_alignment_finds_any_motion_though_a_third_of_the_matches_are_wrong(seed):
    random = np.random.default_rng(seed)
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(random.uniform(-0.2, 0.2, 3)).as_matrix()
    motion[:3, 3] = random.uniform(-0.3, 0.3, 3)
    points = random.uniform([-1.0, -0.8, 2.0], [1.0, 0.8, 4.0], (90, 3))
    moved = points @ motion[:3, :3].T + motion[:3, 3]
    pixels, others = project(points, INTRINSICS)[0], project(moved, INTRINSICS)[0]
    wrong = np.arange(90) < 30
    others[wrong] += random.choice([-1.0, 1.0], (30, 2)) * random.uniform(40.0, 90.0, (30, 2))
    inverse_depths = 1.0 / points[:, 2], 1.0 / moved[:, 2]
    # Some depths are known in one view only, some in the other.
    inverse_depths[0][40:60], inverse_depths[1][60:80] = np.nan, np.nan
    start = motion.copy()
    start[:3, 3] += random.uniform(-0.01, 0.01, 3)
    views = (
        Observations(where, depth, np.ones(90))
        for where, depth in zip((pixels, others), inverse_depths, strict=True)
    )
    found = align(start, *views, INTRINSICS, 0.005)
    np.testing.assert_allclose(found.source_to_target, motion, atol=1e-6)
    np.testing.assert_array_equal(found.inliers, ~wrong)


def test_alignment_gives_up_on_matches_without_depth():
    unknown = Observations(
        np.random.default_rng(0).uniform(0, 300, (20, 2)), np.full(20, np.nan), np.ones(20)
    )
    assert align(np.eye(4), unknown, unknown, INTRINSICS, 0.005) is None


def test_only_pairs_that_are_nearest_to_each_other_match():
    descriptors = np.random.default_rng(1).integers(0, 256, (3, 32), dtype=np.uint8)
    distances = descriptor_distances(descriptors, descriptors[[2, 0, 0]])
    np.testing.assert_array_equal(np.diag(distances[[2, 0, 0]]), 0)
    rows, columns = mutual_matches(distances, most=10)
    assert list(zip(rows, columns, strict=True)) == [(0, 1), (2, 0)]
    # The first is found twice, so it is not told apart.
    rows, columns = mutual_matches(distances, most=10, ratio=0.8)
    assert list(zip(rows, columns, strict=True)) == [(2, 0)]


def test_relative_poses_of_a_real_recording_are_near_ground_truth(recorded_data: Path):
    sequence = TumSequence("xyz", recorded_data / "tum" / "freiburg1_xyz_10hz")
    info, truth = sequence.info, sequence.ground_truth()
    camera = info.intrinsics
    intrinsics = CameraIntrinsics(camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height)
    turns = Slerp(truth.timestamps_ns, Rotation.from_quat(truth.quaternions))

    def keyframe(index: int) -> tuple:
        frame = sequence.frame(index)
        seen = RgbdLabels(index, frame.timestamp_ns, frame.rgb, frame.depth)
        place = np.eye(4)
        place[:3, :3] = turns(frame.timestamp_ns).as_matrix()
        place[:3, 3] = [
            np.interp(frame.timestamp_ns, truth.timestamps_ns, positions) for positions in truth.positions.T
        ]
        return extract_features(seen, index, intrinsics, OPTIONS), place

    errors = []
    for first, second in (
        (50, 20),
        (80, 0),
        (130, 20),
        (190, 120),
        (180, 80),
        (240, 80),
        (260, 120),
        (230, 20),
    ):
        (source, source_pose), (target, target_pose) = keyframe(first), keyframe(second)
        found = verify(source, target, intrinsics, OPTIONS)
        if found is not None:
            errors.append(difference(relative(source_pose, target_pose), found.source_to_target))
    metres, degrees = np.transpose(errors)
    assert len(errors) >= 6
    assert np.median(metres) < 0.02
    assert np.median(degrees) < 1.5
    assert metres.max() < 0.06
