"""Scores: what they are for known trajectories, and that what cannot be scored says why."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_trajectories import (
    FRAME_PERIOD_NS,
    frame_timestamps,
    in_another_world,
    smooth_path,
    with_noise,
)
from scipy.spatial.transform import Rotation

from harness.errors import EvaluationError
from harness.evaluation import TimedPoses, aligned_errors, score
from harness.record import Alignment

FRAMES = 60
EVERY_FRAME = np.column_stack([np.arange(FRAMES), np.arange(FRAMES)])

rotations = st.tuples(*[st.floats(-3, 3)] * 3).map(Rotation.from_rotvec)
shifts = st.tuples(*[st.floats(-100, 100)] * 3).map(np.array)


def ground_truth():
    return smooth_path(frame_timestamps(FRAMES))


@given(rotations, shifts, st.floats(0.01, 100))
def test_sim3_alignment_undoes_any_world_and_tells_its_scale(rotation, shift, scale):
    estimate = in_another_world(ground_truth(), rotation, shift, scale)

    scores = score(estimate, ground_truth(), EVERY_FRAME, scale_rpe=True)

    assert scores.ate_sim3.max < 1e-9
    assert scores.sim3_scale == pytest.approx(1 / scale)
    assert scores.rotation_se3_deg.max < 1e-5
    assert scores.rpe_translation.max < 1e-9


@given(rotations, shifts)
def test_no_error_depends_on_the_world_the_estimate_was_given_in(rotation, shift):
    estimate = with_noise(ground_truth(), seed=1)
    moved = in_another_world(estimate, rotation, shift, scale=1.0)

    here = score(estimate, ground_truth(), EVERY_FRAME, scale_rpe=False)
    there = score(moved, ground_truth(), EVERY_FRAME, scale_rpe=False)

    for name in ("ate_se3", "ate_sim3", "rotation_se3_deg", "rpe_translation", "rpe_rotation_deg"):
        assert getattr(there, name).rmse == pytest.approx(getattr(here, name).rmse, abs=1e-8)


def test_a_wrong_scale_shows_in_se3_and_not_in_sim3():
    estimate = in_another_world(ground_truth(), Rotation.identity(), np.zeros(3), scale=1.1)

    scores = score(estimate, ground_truth(), EVERY_FRAME, scale_rpe=False)

    assert scores.ate_se3.rmse > 0.03
    assert scores.ate_sim3.rmse < 1e-9


def test_relative_errors_of_a_monocular_trajectory_are_measured_at_the_fitted_scale():
    estimate = in_another_world(ground_truth(), Rotation.identity(), np.zeros(3), scale=0.5)

    as_metric = score(estimate, ground_truth(), EVERY_FRAME, scale_rpe=False)
    as_monocular = score(estimate, ground_truth(), EVERY_FRAME, scale_rpe=True)

    assert as_metric.rpe_translation.rmse > 0.01
    assert as_monocular.rpe_translation.rmse < 1e-9


def test_a_single_wrong_pose_has_the_size_it_has():
    truth = ground_truth()
    positions = truth.positions.copy()
    positions[10] += [0.0, 0.0, 0.3]
    estimate = TimedPoses(truth.timestamps_ns, positions, truth.quaternions)

    scores = score(estimate, truth, EVERY_FRAME, scale_rpe=False)

    assert scores.ate_se3.max == pytest.approx(0.3, abs=0.02)
    assert scores.rpe_translation.max == pytest.approx(0.3, abs=1e-9)
    assert scores.rpe_rotation_deg.max < 1e-5


def test_the_distances_for_plots_are_those_of_the_score():
    estimate = with_noise(ground_truth(), seed=2)
    scores = score(estimate, ground_truth(), EVERY_FRAME, scale_rpe=False)

    for alignment, ate in ((Alignment.SE3, scores.ate_se3), (Alignment.SIM3, scores.ate_sim3)):
        aligned = aligned_errors(estimate, ground_truth(), FRAME_PERIOD_NS // 2, alignment)
        assert np.sqrt(np.mean(aligned.errors**2)) == pytest.approx(ate.rmse, abs=1e-12)
        assert np.array_equal(aligned.fit.apply(estimate.positions), aligned.positions)
        assert np.array_equal(aligned.reference_positions, ground_truth().positions)


@pytest.mark.parametrize("pairs", [0, 1, 2])
def test_fewer_than_three_poses_are_refused(pairs):
    with pytest.raises(EvaluationError, match=f"{pairs} poses with ground truth; at least 3"):
        score(ground_truth(), ground_truth(), EVERY_FRAME[:pairs], scale_rpe=False)


def with_positions(positions):
    truth = ground_truth()
    return TimedPoses(truth.timestamps_ns, np.ascontiguousarray(positions, dtype=float), truth.quaternions)


@pytest.mark.parametrize(
    "positions",
    [
        np.full((FRAMES, 3), 1000.1),
        np.outer(np.arange(FRAMES), [0.0, 0.0, 1.0]),
    ],
    ids=["one point", "one line"],
)
def test_positions_that_leave_the_alignment_open_are_refused(positions):
    with pytest.raises(EvaluationError, match="one point or line"):
        score(with_positions(positions), ground_truth(), EVERY_FRAME, scale_rpe=False)


@pytest.mark.parametrize("size", [1e160, 1e300])
def test_positions_too_large_to_compute_with_are_refused_and_never_become_nan(size):
    estimate = with_positions(ground_truth().positions * size)

    with pytest.raises(EvaluationError, match=r"no alignment can be fitted|too large"):
        score(estimate, ground_truth(), EVERY_FRAME, scale_rpe=False)


def test_arrays_of_different_lengths_are_refused():
    truth = ground_truth()

    with pytest.raises(EvaluationError, match="60 time stamps, positions of shape \\(55, 3\\)"):
        TimedPoses(truth.timestamps_ns, truth.positions[:55], truth.quaternions)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["positions", "quaternions"])
def test_a_pose_with_nan_or_infinity_is_refused_by_number_and_time(field, value):
    truth = ground_truth()
    arrays = {"positions": truth.positions.copy(), "quaternions": truth.quaternions.copy()}
    arrays[field][7, 1] = value

    with pytest.raises(
        EvaluationError, match=r"pose 7 \(t = 1305031102\.\d+ s\) has NaN or infinite entries"
    ):
        TimedPoses(truth.timestamps_ns, **arrays)
