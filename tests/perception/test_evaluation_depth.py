"""Figures of depth: values that can be calculated by hand, and what is counted and left out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from perception.errors import PerceptionError
from perception.evaluation import evaluation_options
from perception.evaluation.depth import DepthScore
from perception.evaluation.ratio_histogram import RatioHistogram

#: How wide a bin is at most, as a part of the ratio.
RESOLUTION = 0.00025


def image(*rows):
    return np.array(rows, np.float32)


def scored(*frames, least=0.1, greatest=10.0):
    score = DepthScore(least, greatest)
    for truth, predicted in frames:
        score.add(truth, predicted)
    return score.figures()


def test_the_truth_itself_has_no_error():
    truth = image([1, 2], [3, 4])
    found = scored((truth, truth))
    assert (found.pooled.rmse, found.pooled.abs_rel, found.pooled.log10, found.pooled.rmse_log) == (0,) * 4
    assert (found.pooled.delta1, found.pooled.delta2, found.pooled.delta3) == (1, 1, 1)
    assert (found.coverage, found.scale) == (1, 1)


def test_ten_per_cent_too_far_is_what_the_formulas_say_and_nothing_after_scaling():
    truth = image([1, 2], [4, 5])
    found = scored((truth, np.float32(1.1) * truth))
    assert found.pooled.rmse == pytest.approx(0.1 * math.sqrt((1 + 4 + 16 + 25) / 4), rel=1e-5)
    assert found.pooled.abs_rel == pytest.approx(0.1, rel=1e-5)
    assert found.pooled.log10 == pytest.approx(math.log10(1.1), rel=1e-5)
    assert found.pooled.rmse_log == pytest.approx(math.log(1.1), rel=1e-5)
    assert found.pooled.delta1 == 1
    assert found.scale == pytest.approx(1 / 1.1, rel=1e-6)
    scaled = found.pooled_after_scaling
    assert max(scaled.rmse, scaled.abs_rel, scaled.log10, scaled.rmse_log) < 1e-6


def test_shares_within_a_factor_count_both_too_near_and_too_far():
    found = scored((image([1, 1, 1, 1, 1]), image([1.2, 1 / 1.2, 1.3, 1 / 1.6, 3])))
    assert found.pooled.delta1 == pytest.approx(2 / 5)
    assert found.pooled.delta2 == pytest.approx(3 / 5)
    assert found.pooled.delta3 == pytest.approx(4 / 5)


def test_pooled_over_pixels_every_pixel_counts_and_over_frames_every_frame():
    full, sparse = image([2, 2, 2]), image([2, 0, 0])
    found = scored((full, full), (sparse, image([3, 3, 3])))
    assert found.pooled.abs_rel == pytest.approx(0.5 / 4)
    assert found.mean_over_frames.abs_rel == pytest.approx(0.5 / 2)
    assert found.pooled.rmse == pytest.approx(math.sqrt(1 / 4))
    assert found.mean_over_frames.rmse == pytest.approx(1 / 2)
    assert found.pooled.delta1 == pytest.approx(3 / 4)
    assert found.mean_over_frames.delta1 == pytest.approx(1 / 2)


def test_scaling_follows_the_median_and_every_figure_is_of_the_scaled_predictions():
    near, far = image([1, 2, 4]), image([1, 1, 0])
    predicted = [image([2, 4, 8]), image([2, 6, 1])]
    found = scored((near, predicted[0]), (far, predicted[1]))
    assert found.scale == pytest.approx(0.5)
    by_hand = scored((near, predicted[0] / 2), (far, predicted[1] / 2))
    for scaled, plain in (
        (found.pooled_after_scaling, by_hand.pooled),
        (found.mean_over_frames_after_scaling, by_hand.mean_over_frames),
    ):
        for name in ("rmse", "abs_rel", "log10", "rmse_log", "delta1", "delta2", "delta3"):
            assert getattr(scaled, name) == pytest.approx(getattr(plain, name), rel=1e-6, abs=1e-9), name


def test_the_scale_is_the_median_over_pixels_and_not_over_frames():
    twice, right = (image([1, 2, 3, 4, 5]), image([2, 4, 6, 8, 10])), (image([3]), image([3]))
    found = scored(twice, right, right)
    assert found.scale == pytest.approx(0.5)
    assert found.pooled_after_scaling.abs_rel == pytest.approx(2 * 0.5 / 7)
    assert found.mean_over_frames_after_scaling.abs_rel == pytest.approx(2 * 0.5 / 3)


def test_pixels_without_prediction_lower_coverage_and_no_error():
    truth = image([2, 2, 2, 2])
    found = scored((truth, image([2, 0, 3, 0])))
    assert (found.truth_pixels, found.coverage) == (4, 0.5)
    assert found.pooled.abs_rel == pytest.approx(0.25)


def test_predictions_where_nothing_is_true_count_for_nothing():
    found = scored((image([0, 2]), image([7, 2])))
    assert (found.truth_pixels, found.pooled.rmse) == (1, 0)


def test_only_truth_within_the_range_is_compared_with_and_predictions_are_not_clipped():
    truth, predicted = image([0.5, 1, 3, 3.5]), image([9, 1, 30, 9])
    found = scored((truth, predicted), least=1.0, greatest=3.0)
    assert found.truth_pixels == 2
    assert found.pooled.rmse == pytest.approx(27 / math.sqrt(2))


def test_frames_with_nothing_to_compare_are_counted_by_what_they_lack():
    truth = image([2, 2])
    found = scored((truth, truth), (image([0, 11]), truth), (truth, image([0, 0])))
    assert (found.frames, found.frames_without_truth, found.frames_without_prediction) == (3, 1, 1)
    assert found.coverage == 0.5
    assert found.mean_over_frames.delta1 == 1


def test_there_are_no_figures_where_nothing_can_be_compared():
    assert scored() is None
    assert scored((image([0, 0]), image([1, 1]))) is None
    assert scored((image([1, 1]), image([0, 0]))) is None


def test_merged_scores_are_those_of_all_frames():
    frames = [
        (image([1, 2]), image([1.5, 2])),
        (image([3, 0]), image([4, 4])),
        (image([2, 2]), image([1, 0])),
    ]
    one, other = DepthScore(0.1, 10), DepthScore(0.1, 10)
    one.add(*frames[0])
    other.add(*frames[1])
    other.add(*frames[2])
    one.merge(other)
    assert one.figures() == scored(*frames)


@given(
    arrays(np.float64, st.integers(1, 60), elements=st.floats(-5, 5)),
    st.floats(0.2, 5.0),
)
def test_the_histogram_tells_means_and_medians_to_its_resolution(logs, scale):
    histogram = RatioHistogram()
    histogram.add(logs, normalise=False)
    ratios = scale * np.exp(logs)
    assert histogram.abs_rel(scale) == pytest.approx(np.abs(ratios - 1).mean(), abs=2 * RESOLUTION, rel=1e-9)
    assert histogram.abs_log(scale) == pytest.approx(
        np.abs(np.log(ratios)).mean(), abs=2 * RESOLUTION, rel=1e-9
    )
    least, greatest = (
        np.exp(np.percentile(logs, 50, method="lower")),
        np.exp(np.percentile(logs, 50, method="higher")),
    )
    assert least * (1 - RESOLUTION) <= histogram.median() <= greatest * (1 + RESOLUTION)


def test_ratios_beyond_all_bins_are_kept_in_the_means():
    histogram = RatioHistogram()
    histogram.add(np.array([0.0, 12.0]), normalise=False)
    assert histogram.abs_rel(1.0) == pytest.approx((math.exp(12) - 1) / 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_depth": 3.0, "max_depth": 2.0}, "range of depth is empty: from 3 m to 2 m"),
        ({"min_depth": 0.0}, "min_depth"),
        ({"every": 0}, "every"),
        ({"warm_up": -1}, "warm_up"),
    ],
)
def test_options_without_sense_are_refused(options, words):
    with pytest.raises(PerceptionError, match=words):
        evaluation_options(**options)
