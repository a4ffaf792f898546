"""The temporal alignment of predictions through its public door."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("cv2")

from plane_views import CHAIR, FLOOR, INTRINSICS, SHAPE, WALL, depth_of_plane, frame, pose

from adapters.labelled_mesh import LABEL_UNKNOWN
from adapters.mono_hydra.mapping.map_options import MapOptions
from adapters.mono_hydra.mapping.temporal_alignment import TemporalAligner

STEP_S = 1 / 30
# The camera walks and turns past an oblique wall.
NORMAL, OFFSET = np.array([0.35, 0.1, 0.93]), 2.5
POSES = [pose((0.02 * step, -0.01 * step, 0.015 * step), 0.8 * step, 0.3 * step) for step in range(5)]
INNER = np.s_[20:-20, 20:-20]


def true_depth(step):
    return depth_of_plane(NORMAL, OFFSET, POSES[step])


def aligned(frames, poses=POSES, **options):
    """The last of some frames, aligned with those before it."""
    aligner = TemporalAligner(MapOptions(**options), INTRINSICS)
    for past, camera_to_world in zip(frames[:-1], poses, strict=False):
        aligner.remember(past, camera_to_world)
    return aligner.align(frames[-1], poses[len(frames) - 1])


def noisy(step, deviation, seed=0):
    random = np.random.default_rng(100 * seed + step)
    return frame(true_depth(step) + random.normal(0, deviation, SHAPE), timestamp_s=step * STEP_S)


def test_exact_depth_stays_exact_while_the_camera_moves():
    fused = aligned([frame(true_depth(step), timestamp_s=step * STEP_S) for step in range(4)])
    errors = (fused.depth - true_depth(3))[INNER]
    # Past pixels are looked up to the nearest; on an oblique wall that is noise, but no bias.
    assert abs(errors.mean()) < 0.0002
    assert np.abs(errors).max() < 0.01


@pytest.mark.parametrize("past_frames", [1, 2, 3])
def test_noise_of_independent_frames_goes_down_with_their_number(past_frames):
    frames = [noisy(step, 0.03) for step in range(past_frames + 1)]
    # Frames of all ages count alike with a decay this slow.
    fused = aligned(frames, alignment_decay_s=1e6)
    errors = (fused.depth - true_depth(past_frames))[INNER]
    assert abs(errors.mean()) < 0.0005
    assert errors.std() == pytest.approx(0.03 / np.sqrt(past_frames + 1), rel=0.05)


def test_past_depth_is_taken_to_where_the_camera_is_now():
    # The wall is 3 m away; from 1 m nearer, 2.1 m were measured instead of 2.
    frames = [frame(2.1), frame(3.0, timestamp_s=STEP_S)]
    fused = aligned(frames, [pose((0.0, 0.0, 1.0)), pose()], alignment_decay_s=1e6)
    seen_by_both = np.s_[50:190, 60:260]
    np.testing.assert_allclose(fused.depth[seen_by_both], (3.0 + 3.1) / 2, atol=1e-4)


def test_older_frames_count_less():
    frames = [frame(2.0), frame(2.1, timestamp_s=0.2)]
    fused = aligned(frames, [pose()] * 2, alignment_decay_s=0.2)
    share = np.exp(-1) / (1 + np.exp(-1))
    np.testing.assert_allclose(fused.depth, 2.1 - 0.1 * share, atol=1e-5)


def test_no_more_frames_take_part_than_are_asked_for():
    frames = [frame(depth, timestamp_s=step * 0.01) for step, depth in enumerate((2.1, 2.1, 2.0, 2.0))]
    fused = aligned(frames, [pose()] * 4, alignment_most_frames=1, alignment_decay_s=1e6)
    np.testing.assert_allclose(fused.depth, 2.0, atol=1e-5)


def test_frames_that_are_too_old_take_no_part():
    frames = [frame(2.1), frame(2.0, timestamp_s=0.6)]
    assert aligned(frames, [pose()] * 2) is frames[1]
    assert aligned(frames, [pose()] * 2, alignment_longest_s=0.7).depth.max() > 2.02


def test_the_first_frame_is_left_alone():
    first = noisy(0, 0.1)
    assert aligned([first]) is first


def test_a_frame_is_not_aligned_with_itself():
    aligner = TemporalAligner(MapOptions(), INTRINSICS)
    here = noisy(0, 0.1)
    aligner.remember(here, POSES[0])
    assert aligner.align(here, POSES[0]) is here


@pytest.mark.parametrize(("distance", "counts"), [(2.0, 2.15), (2.0, None), (6.0, 6.25), (6.0, None)])
def test_depth_that_differs_too_much_does_not_count(distance, counts):
    past = distance + (0.25 if distance == 2.0 else 0.35) if counts is None else counts
    fused = aligned([frame(past), frame(distance, timestamp_s=STEP_S)], [pose()] * 2)
    assert (fused.depth.max() > distance + 0.05) == (counts is not None)


def test_something_that_moves_drags_nothing_along():
    frames, first_column = [], [100, 130, 160, 190]
    for step, first in enumerate(first_column):
        depth, labels = np.full(SHAPE, 3.0), np.full(SHAPE, WALL)
        depth[100:140, first : first + 40], labels[100:140, first : first + 40] = 1.5, CHAIR
        frames.append(frame(depth, labels, timestamp_s=step * STEP_S))
    fused = aligned(frames, [pose()] * 4)
    np.testing.assert_allclose(fused.depth, frames[-1].depth, atol=1e-5)
    assert np.array_equal(fused.labels, frames[-1].labels)


def test_what_is_hidden_in_the_past_frame_is_not_used():
    # From the first pose a board hides a part of the wall that is seen from the second.
    first = true_depth(0)
    first[:, :160] = 1.0
    fused = aligned([frame(first), frame(true_depth(4), timestamp_s=STEP_S)], [POSES[0], POSES[4]])
    np.testing.assert_allclose(fused.depth, true_depth(4), atol=0.02)


def test_labels_are_voted_on():
    random = np.random.default_rng(5)
    frames = []
    for step in range(4):
        wrong = random.random(SHAPE) < 0.2
        labels = np.where(wrong, random.choice([CHAIR, FLOOR, 7], SHAPE), WALL)
        frames.append(frame(true_depth(step), labels, timestamp_s=step * STEP_S))
    fused = aligned(frames)
    # Wrong where two or more of four are: 18 %, less the votes that three different wrong labels split.
    assert np.mean(fused.labels[INNER] == WALL) > 0.9
    assert np.mean(frames[-1].labels[INNER] == WALL) < 0.81


def test_two_votes_win_over_the_current_label_and_one_does_not():
    labels = [CHAIR, CHAIR, WALL]
    frames = [frame(2.0, label, timestamp_s=step * STEP_S) for step, label in enumerate(labels)]
    assert set(aligned(frames, [pose()] * 3).labels.flat) == {CHAIR}
    assert set(aligned(frames[1:], [pose()] * 2).labels.flat) == {WALL}


def test_an_unknown_label_is_no_vote_and_takes_the_label_of_the_past():
    labels = [WALL, LABEL_UNKNOWN, LABEL_UNKNOWN]
    frames = [frame(2.0, label, timestamp_s=step * STEP_S) for step, label in enumerate(labels)]
    assert set(aligned(frames, [pose()] * 3).labels.flat) == {WALL}
    assert set(aligned(frames[1:], [pose()] * 2).labels.flat) == {LABEL_UNKNOWN}
    known_now = [frame(2.0, LABEL_UNKNOWN), frame(2.0, WALL, timestamp_s=STEP_S)]
    assert set(aligned(known_now, [pose()] * 2).labels.flat) == {WALL}


def test_holes_are_filled_where_two_past_frames_agree():
    frames = [frame(true_depth(step), timestamp_s=step * STEP_S) for step in range(4)]
    hole = np.s_[80:160, 120:200]
    frames[3].depth[hole] = 0.0
    # One of two past frames has a hole as well, so that nobody agrees with the other there.
    frames[1].depth[:, :160] = 0.0
    both = aligned(frames[1:], POSES[1:]).depth[hole]
    np.testing.assert_allclose(both[:, 50:], true_depth(3)[hole][:, 50:], atol=0.01)
    assert not both[:, :20].any()
    assert not aligned(frames, alignment_fill_holes=False).depth[hole].any()
    assert not aligned(frames[2:], POSES[2:]).depth[hole].any()


@pytest.mark.parametrize("before", [pose(yaw_deg=7.0, pitch_deg=3.0), pose((0.0, 0.0, 0.3))])
def test_holes_are_filled_from_a_camera_that_turned_or_came_nearer(before):
    wall = NORMAL if before[2, 3] == 0.0 else np.array([0.0, 0.0, 1.0])
    seen = depth_of_plane(wall, OFFSET, before)
    frames = [frame(seen), frame(seen, timestamp_s=STEP_S), frame(0.0, timestamp_s=2 * STEP_S)]
    fused = aligned(frames, [before, before, pose()], alignment_gate_m=0.02, alignment_gate_fraction=0.0)
    middle = np.s_[60:180, 80:240]
    np.testing.assert_allclose(fused.depth[middle], depth_of_plane(wall, OFFSET, pose())[middle], atol=0.01)


@pytest.mark.parametrize("depth", [0.0, 2.0])
def test_frames_without_depth_say_nothing(depth):
    frames = [
        frame(0.0, CHAIR),
        frame(0.0, CHAIR, timestamp_s=STEP_S),
        frame(depth, WALL, timestamp_s=2 * STEP_S),
    ]
    fused = aligned(frames, [pose()] * 3)
    np.testing.assert_array_equal(fused.depth, frames[-1].depth)
    assert set(fused.labels.flat) == {WALL}


def test_a_camera_that_turned_round_shares_nothing():
    frames = [
        frame(2.1, CHAIR),
        frame(2.1, CHAIR, timestamp_s=STEP_S),
        frame(2.0, WALL, timestamp_s=2 * STEP_S),
    ]
    frames[2].depth[:100] = 0.0
    fused = aligned(frames, [pose(), pose(), pose(yaw_deg=180.0)])
    np.testing.assert_array_equal(fused.depth, frames[-1].depth)
    assert set(fused.labels.flat) == {WALL}


def test_what_is_behind_a_past_camera_was_not_seen_by_it():
    # The principal point is in the centre of a pixel: what is behind the camera would be projected there.
    aligner = TemporalAligner(MapOptions(), replace(INTRINSICS, cx=160.0, cy=120.0))
    aligner.remember(frame(0.1), pose(yaw_deg=180.0))
    now = frame(0.05, timestamp_s=STEP_S)
    np.testing.assert_array_equal(aligner.align(now, pose()).depth, now.depth)


def test_frames_without_labels_stay_without():
    assert aligned([noisy(0, 0.1), noisy(1, 0.1)]).labels is None
    with_labels = [noisy(0, 0.0), frame(true_depth(1), WALL, timestamp_s=STEP_S)]
    assert set(aligned(with_labels).labels.flat) == {WALL}


def test_colour_and_what_was_remembered_are_not_touched():
    frames = [noisy(step, 0.05) for step in range(3)]
    before = [past.depth.copy() for past in frames]
    fused = aligned(frames)
    assert all(np.array_equal(old, past.depth) for old, past in zip(before, frames, strict=True))
    assert np.array_equal(fused.rgb, frames[-1].rgb)
    assert (fused.index, fused.timestamp_ns) == (frames[-1].index, frames[-1].timestamp_ns)
    assert fused.depth.dtype == np.float32
