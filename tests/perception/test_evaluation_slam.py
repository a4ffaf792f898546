"""What SLAM needs of depth: agreement between frames, a scale that stays, and known times."""

import weakref
from dataclasses import replace

import numpy as np
import pytest
from evaluated_room import EvaluatedRoom, depth_of, evaluate, module_class
from seen_room import CAMERA

from perception.evaluation.latency import latency_figures
from perception.evaluation.scale_drift import scale_drift, summarise_drift
from perception.guarded import GuardedModule
from perception.module import Prediction
from sequences.model import GroundTruth


def consistency(evaluation, gap):
    return next(each for each in evaluation.together.consistency if each.gap == gap)


def test_the_truth_is_as_consistent_as_the_sensor_and_far_more_than_standing_still(monkeypatch):
    room = EvaluatedRoom()
    found = evaluate(monkeypatch, room, depth_of(room, lambda depth, index: depth))
    for gap, pairs, seconds in (("next frame", 23, 0.1), ("a second", 14, 1.0)):
        each = consistency(found, gap)
        assert (each.pairs, each.pairs_without_pose) == (pairs, 0)
        assert each.seconds == pytest.approx(seconds)
        assert each.predicted == each.sensor
        assert each.predicted.moved < 0.1 * each.predicted.unmoved


def test_flicker_shows_between_frames_by_its_size(monkeypatch):
    room = EvaluatedRoom()
    flicker = depth_of(room, lambda depth, index: depth * (1.05 if index % 2 else 1.0))
    found = evaluate(monkeypatch, room, flicker)
    assert consistency(found, "next frame").predicted.moved == pytest.approx(0.05, rel=0.1)
    # Ten frames are a second: both frames of such a pair are of the same kind, and only the scale is wrong.
    assert consistency(found, "a second").predicted.moved < 0.02
    drift = found.sequences[0].drift
    assert drift.frame_to_frame == pytest.approx(np.log(1.05), rel=1e-3)
    assert drift.frame_to_frame_rms == pytest.approx(np.log(1.05), rel=1e-3)


def test_a_wrong_scale_is_inconsistent_as_soon_as_the_camera_goes_somewhere(monkeypatch):
    room = EvaluatedRoom()
    found = evaluate(monkeypatch, room, depth_of(room, lambda depth, index: 2 * depth))
    second = consistency(found, "a second")
    assert second.predicted.moved > 10 * second.sensor.moved


def test_frames_without_pose_are_counted_and_without_any_the_reason_is_told(monkeypatch):
    room = EvaluatedRoom()
    truth = room.ground_truth()
    few = type(truth)(truth.timestamps_ns[:5], truth.positions[:5], truth.quaternions[:5])
    room.ground_truth = lambda: few
    each = consistency(evaluate(monkeypatch, room, depth_of(room, lambda d, i: d)), "next frame")
    assert (each.pairs, each.pairs_without_pose, each.predicted.pairs) == (23, 19, 4)
    room.has_poses = False
    room.ground_truth = lambda: None
    found = evaluate(monkeypatch, room, depth_of(room, lambda depth, index: depth)).together
    assert (found.consistency, found.absent["consistency"]) == ((), "no frame has a ground-truth pose")


def test_frames_that_see_nothing_in_common_are_no_pairs_to_compare(monkeypatch):
    room = EvaluatedRoom()

    def left_or_right(depth, index):
        # Every other frame knows the left edge alone, the others the right edge.
        seen = np.zeros_like(depth)
        part = slice(0, 8) if index % 2 else slice(-8, None)
        seen[:, part] = depth[:, part]
        return seen

    each = consistency(evaluate(monkeypatch, room, depth_of(room, left_or_right)), "next frame")
    assert (each.pairs, each.predicted) == (23, None)
    assert each.sensor.pairs == 23


def strip(columns):
    """Depth of so many columns in odd frames, and of all in the others."""

    def change(depth, index):
        seen = np.zeros_like(depth)
        seen[:, 60 : 60 + columns] = depth[:, 60 : 60 + columns]
        return seen if index % 2 else depth

    return change


def test_a_hundredth_of_the_pixels_in_common_makes_a_pair_and_less_does_not(monkeypatch):
    room = EvaluatedRoom()
    # A frame has 160 columns.
    few, many = (evaluate(monkeypatch, room, depth_of(room, strip(columns))) for columns in (1, 5))
    assert consistency(many, "next frame").predicted.pairs == 23
    # Pairs that begin with an odd frame move few pixels, and nearly all of them land where there is depth.
    assert consistency(few, "next frame").predicted.pairs == 11


def test_a_few_dozen_pixels_in_common_are_needed_however_few_are_moved(monkeypatch):
    room = EvaluatedRoom()

    def dots(count):
        def change(depth, index):
            seen = np.zeros_like(depth)
            seen.flat[:count] = depth.flat[:count]
            return depth if index % 2 else seen

        return change

    assert consistency(evaluate(monkeypatch, room, depth_of(room, dots(40))), "next frame").predicted is None


@pytest.mark.parametrize(("rows", "compared"), [(10, False), (60, True)])
def test_enough_must_be_in_common_with_a_camera_that_stands_still_too(monkeypatch, rows, compared):
    room = EvaluatedRoom(frames=2)
    # The camera goes to the right, so that a wall at 2 m moves by 25 pixels to the left.
    positions = np.array([[0, 0, 0], [25 * 2 / CAMERA.fx, 0, 0]])
    truth = GroundTruth(room.info.timestamps_ns, positions, np.tile([0.0, 0, 0, 1], (2, 1)))
    room.ground_truth = lambda: truth

    def wall(depth, index):
        seen = np.zeros_like(depth)
        seen[:, 75:95] = 2
        if index == 0:
            return np.roll(seen, 25, axis=1)
        seen[:rows, 100] = 2
        return seen

    found = consistency(evaluate(monkeypatch, room, depth_of(room, wall)), "next frame").predicted
    assert (found is not None) == compared


def test_prediction_is_compared_between_frames_where_the_sequence_has_no_depth(monkeypatch):
    room = EvaluatedRoom(has_depth=False)
    found = evaluate(monkeypatch, room, depth_of(room, lambda depth, index: depth))
    each = consistency(found, "next frame")
    assert (each.predicted.pairs, each.sensor) == (23, None)
    assert found.together.absent["depth"] == "the sequence has no depth"


def test_only_frames_of_about_a_second_are_kept(monkeypatch):
    room = EvaluatedRoom(frames=60)
    made, most = [], []

    def watched(frame):
        depth = room.depth[frame.index].copy()
        made.append(weakref.ref(depth))
        most.append(sum(each() is not None for each in made))
        return Prediction(depth=depth)

    evaluate(monkeypatch, room, module_class(watched))
    # A second is ten frames; beside them there are the newest one and the one before.
    assert max(most) <= 13


def test_scale_that_grows_is_a_trend_over_time_and_way():
    seconds = np.arange(0, 120, 0.1)
    way = 0.25 * seconds
    ratios = 0.9 * np.exp(0.02 * seconds / 60)
    found = scale_drift(ratios, seconds, way.tolist())
    assert found.trend_per_minute == pytest.approx(0.02, rel=1e-6)
    assert found.trend_per_metre == pytest.approx(0.02 / 15, rel=1e-6)
    assert found.frame_to_frame == pytest.approx(0, abs=1e-12)
    assert found.path_m == pytest.approx(way[-1])
    assert found.ratio == pytest.approx(0.9 * np.exp(0.02), rel=1e-4)


def test_single_wild_frames_move_neither_trend_nor_robust_deviation():
    seconds = np.arange(0, 60, 0.1)
    ratios = np.ones(600)
    ratios[::50] = 3.0
    found = scale_drift(ratios, seconds, [None] * 600)
    assert (found.trend_per_minute, found.spread, found.frame_to_frame) == (0, 0, 0)
    assert found.frame_to_frame_rms > 0.1
    assert (found.path_m, found.trend_per_metre) == (None, None)


def test_only_neighbours_among_the_evaluated_frames_are_a_step_from_frame_to_frame(monkeypatch):
    found = scale_drift([1.0, 1.0, None, 2.0, 2.0, None, 4.0], np.arange(7.0), [None] * 7)
    assert (found.frames, found.frame_to_frame, found.frame_to_frame_rms) == (5, 0, 0)
    apart = scale_drift([1.0, None, 2.0], np.arange(3.0), [None, 0.0, 1.0])
    assert (apart.frames, apart.seconds, apart.frame_to_frame, apart.frame_to_frame_rms) == (2, 2, None, None)
    assert (apart.ratio, apart.path_m) == (pytest.approx(np.sqrt(2)), None)
    assert scale_drift([None, None], [0.0, 1.0], [0.0, 1.0]) is None
    room = EvaluatedRoom()
    scales = {index: 0.0 if index % 3 == 2 else 1 + index // 3 for index in range(24)}
    steps = evaluate(monkeypatch, room, depth_of(room, lambda depth, index: scales[index] * depth))
    drift = steps.sequences[0].drift
    assert (drift.frames, drift.frame_to_frame_rms) == (16, pytest.approx(0, abs=1e-6))


def test_noise_of_known_size_is_found_as_its_standard_deviation():
    random = np.random.default_rng(0)
    found = scale_drift(np.exp(random.normal(0, 0.03, 4000)), np.arange(4000) / 30, [None] * 4000)
    assert found.spread == pytest.approx(0.03, rel=0.05)
    assert found.frame_to_frame == pytest.approx(0.03 * np.sqrt(2), rel=0.05)


def test_too_little_of_a_sequence_has_no_trend():
    assert scale_drift([], [], []) is None
    single = scale_drift([1.1], [0.0], [0.0])
    assert (single.frames, single.frame_to_frame, single.trend_per_minute) == (1, None, None)
    standing = scale_drift([1.0, 1.1, 1.2], [0.0, 10.0, 20.0], [0.0, 0.1, 0.2])
    assert (standing.trend_per_minute is None, standing.trend_per_metre) == (False, None)
    short = scale_drift([1.0, 1.1, 1.2], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0])
    assert (short.trend_per_minute, short.trend_per_metre is None) == (None, False)


def test_several_sequences_are_summarised_by_the_sizes_of_their_trends():
    seconds = np.arange(0, 60, 1.0)
    up, down = (scale_drift(np.exp(sign * 0.03 * seconds / 60), seconds, [None] * 60) for sign in (1, -1))
    found = summarise_drift([up, down])
    assert found.trend_per_minute == pytest.approx(0.03)
    assert found.ratio_least < 1 < found.ratio_greatest
    assert summarise_drift([]) is None


def test_the_warm_up_is_no_part_of_the_latency(monkeypatch):
    predict = GuardedModule.predict_timed

    def slow_at_first(module, frame):
        return replace(predict(module, frame), seconds=5.0 if frame.index < 2 else 0.010)

    monkeypatch.setattr(GuardedModule, "predict_timed", slow_at_first)
    room = EvaluatedRoom()
    found = evaluate(monkeypatch, room, depth_of(room, lambda depth, index: depth), warm_up=2).together
    assert (found.latency.frames, found.latency.warm_up_frames) == (22, 2)
    assert found.latency.median_ms == pytest.approx(10)
    assert found.latency.p99_ms == pytest.approx(10)
    # Warm-up frames are compared like all others.
    assert found.depth.frames == 24


def test_percentiles_are_of_all_frames_and_none_without_frames():
    found = latency_figures(list(range(1, 102)), 0)
    assert (found.median_ms, found.p95_ms, found.p99_ms) == (51, 96, 100)
    assert latency_figures([], 3) is None


def test_a_sequence_of_warm_up_alone_says_so(monkeypatch):
    room = EvaluatedRoom()
    found = evaluate(monkeypatch, room, depth_of(room, lambda d, i: d), max_frames=3, warm_up=3).together
    assert found.latency is None
    assert found.absent["latency"] == "all 3 frames were warm-up"


def test_device_and_threads_are_told(monkeypatch):
    kind = module_class(lambda frame: Prediction(), outputs=(), details={"device": "cpu"})
    found = evaluate(monkeypatch, EvaluatedRoom(), kind).execution
    assert found["device"] == "cpu"
    assert found["cores"] >= 1
