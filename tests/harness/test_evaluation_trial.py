"""A trial's evaluation: coverage, live and final poses, and the states ok, partial and failed."""

import numpy as np
import pytest
from sample_trajectories import (
    FRAME_PERIOD_NS,
    START_NS,
    frame_timestamps,
    in_another_world,
    smooth_path,
    with_noise,
)
from scipy.spatial.transform import Rotation

from harness.errors import EvaluationError
from harness.evaluation import TimedPoses, evaluate, status_of
from harness.record import Alignment, Status

FRAMES = frame_timestamps(100)
#: Motion capture at 100 Hz that begins before the frames and ends after them.
GROUND_TRUTH = smooth_path(START_NS + 10_000_000 * np.arange(-20, 360, dtype=np.int64))


def evaluated(estimate, *, live=None, ground_truth=GROUND_TRUTH, dropped=0, metric=True, frames=FRAMES):
    return evaluate(estimate, live, frames, ground_truth, dropped, FRAME_PERIOD_NS, metric)


def estimated(indices) -> TimedPoses:
    return with_noise(smooth_path(FRAMES[indices]), seed=3)


def test_a_complete_trajectory_is_ok():
    evaluation = evaluated(estimated(np.arange(100)))

    assert (evaluation.frames_tracked, evaluation.frames_with_ground_truth) == (100, 100)
    assert evaluation.coverage == 1.0
    assert evaluation.final.poses == 100
    assert status_of(evaluation) == (Status.OK, None)


def test_every_frame_is_evaluated_not_keyframes_alone():
    evaluation = evaluated(estimated(np.arange(0, 100, 5)))

    assert evaluation.coverage == 0.2
    assert evaluation.final.poses == 20


def test_frames_without_ground_truth_count_neither_for_nor_against_coverage():
    gap = (GROUND_TRUTH.timestamps_ns < FRAMES[40]) | (GROUND_TRUTH.timestamps_ns > FRAMES[59])
    with_gap = GROUND_TRUTH.take(np.flatnonzero(gap))

    evaluation = evaluated(estimated(np.arange(100)), ground_truth=with_gap, dropped=7)

    assert 78 <= evaluation.frames_with_ground_truth <= 82
    assert evaluation.frames_tracked == evaluation.frames_with_ground_truth
    assert evaluation.coverage == 1.0
    assert evaluation.ground_truth_rows_dropped == 7


def test_the_tolerance_is_half_a_frame_period_and_is_stored():
    late = TimedPoses(
        FRAMES + FRAME_PERIOD_NS // 2, smooth_path(FRAMES).positions, smooth_path(FRAMES).quaternions
    )
    too_late = TimedPoses(late.timestamps_ns + 1, late.positions, late.quaternions)

    evaluation = evaluated(estimated(np.arange(100)), ground_truth=late)

    assert evaluation.association_tolerance_s == FRAME_PERIOD_NS // 2 / 1e9
    assert evaluation.frames_with_ground_truth == 100
    # One nanosecond later every row is nearer to the frame after it, and the first frame has none.
    assert evaluated(estimated(np.arange(100)), ground_truth=too_late).frames_with_ground_truth == 99


def test_a_trajectory_from_elsewhere_is_scored_by_the_frames_nearest_to_its_poses():
    poses = estimated(np.arange(100))
    shifted = TimedPoses(poses.timestamps_ns + 3_000_000, poses.positions, poses.quaternions)

    evaluation = evaluated(shifted)

    assert evaluation.coverage == 1.0
    assert evaluation.final == evaluated(poses).final


def test_poses_between_frames_do_not_raise_coverage():
    twice_as_many = with_noise(smooth_path(START_NS + FRAME_PERIOD_NS // 2 * np.arange(200)), seed=1)

    evaluation = evaluated(twice_as_many)

    assert evaluation.frames_tracked == 100
    assert evaluation.coverage == 1.0


def test_metric_trials_are_ranked_by_se3_and_monocular_ones_by_sim3():
    estimate = in_another_world(estimated(np.arange(100)), Rotation.identity(), np.zeros(3), scale=2.0)

    metric, monocular = evaluated(estimate, metric=True), evaluated(estimate, metric=False)

    assert metric.primary_alignment is Alignment.SE3
    assert metric.primary_ate() == metric.final.ate_se3.rmse
    assert monocular.primary_alignment is Alignment.SIM3
    assert monocular.primary_ate() == monocular.final.ate_sim3.rmse
    assert metric.final.ate_sim3 == monocular.final.ate_sim3
    assert metric.final.ate_se3 == monocular.final.ate_se3


def test_live_and_final_poses_are_scored_separately():
    final = estimated(np.arange(100))
    live = with_noise(smooth_path(FRAMES[20:80]), seed=4, metres=0.05)

    evaluation = evaluated(final, live=live)

    assert evaluation.final == evaluated(final).final
    assert evaluation.live == evaluated(live).final
    assert evaluation.live.ate_se3.rmse > 2 * evaluation.final.ate_se3.rmse
    assert (evaluation.coverage, evaluation.live_coverage) == (1.0, 0.6)


def test_without_live_poses_there_are_no_live_figures():
    evaluation = evaluated(estimated(np.arange(100)), live=None)

    assert evaluation.live is None
    assert evaluation.live_coverage is None


@pytest.mark.parametrize(("tracked", "status"), [(100, Status.OK), (90, Status.OK), (89, Status.PARTIAL)])
def test_coverage_below_the_floor_makes_a_trial_partial(tracked, status):
    found, reason = status_of(evaluated(estimated(np.arange(tracked))), coverage_floor=0.9)

    assert found is status
    if status is Status.PARTIAL:
        assert reason == "89 of 100 frames with ground truth have a pose (89.0 %); 90 % are needed"


@pytest.mark.parametrize(("with_ground_truth", "status"), [(50, Status.OK), (49, Status.PARTIAL)])
def test_ground_truth_for_less_than_half_of_the_frames_makes_a_trial_partial(with_ground_truth, status):
    evaluation = evaluated(estimated(np.arange(100)), ground_truth=smooth_path(FRAMES[:with_ground_truth]))

    assert (evaluation.frames, evaluation.frames_with_ground_truth) == (100, with_ground_truth)
    assert evaluation.coverage == 1.0
    found, reason = status_of(evaluation)
    assert found is status
    if status is Status.PARTIAL:
        assert reason == "49 of 100 frames have ground truth; 50 % are needed"


def test_a_trial_that_lacks_poses_and_ground_truth_says_both():
    evaluation = evaluated(estimated(np.arange(20)), ground_truth=smooth_path(FRAMES[:40]))

    assert status_of(evaluation) == (
        Status.PARTIAL,
        "20 of 40 frames with ground truth have a pose (50.0 %); 90 % are needed; "
        "40 of 100 frames have ground truth; 50 % are needed",
    )


@pytest.mark.parametrize("tracked", [0, 1, 2])
def test_a_trial_with_fewer_than_three_poses_has_failed_and_has_no_error(tracked):
    evaluation = evaluated(estimated(np.arange(tracked)))

    assert evaluation.final is None
    assert evaluation.primary_ate() is None
    assert status_of(evaluation) == (
        Status.FAILED,
        f"{tracked} of 100 frames with ground truth have a pose; 3 are needed to measure an error",
    )


def test_a_trial_whose_camera_never_moved_has_failed_and_has_no_error():
    poses = smooth_path(FRAMES)
    evaluation = evaluated(TimedPoses(FRAMES, np.zeros((100, 3)), poses.quaternions))

    status, reason = status_of(evaluation)

    assert evaluation.final is None
    assert evaluation.coverage == 1.0
    assert status is Status.FAILED
    assert "no alignment with ground truth can be fitted" in reason


def test_a_live_trajectory_that_cannot_be_scored_leaves_the_final_one_as_it_is():
    evaluation = evaluated(estimated(np.arange(100)), live=estimated(np.arange(2)))

    assert evaluation.live is None
    assert evaluation.live_coverage == 0.02
    assert status_of(evaluation) == (Status.OK, None)


@pytest.mark.parametrize("ground_truth", [smooth_path(FRAMES + 10**12), smooth_path(FRAMES[:0])])
def test_ground_truth_that_does_not_overlap_in_time_is_refused_with_both_spans(ground_truth):
    with pytest.raises(
        EvaluationError, match=r"no frame has a ground-truth pose within 16\.6667 ms"
    ) as caught:
        evaluated(estimated(np.arange(100)), ground_truth=ground_truth)

    assert "the frames cover 1305031102.175304123 s to 1305031105.475304" in str(caught.value)
