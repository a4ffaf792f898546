"""What networks do to depth and labels of synthetic sequences, and outages."""

import numpy as np
import pytest

pytest.importorskip("open3d", reason="synthetic sequences are ray cast with Open3D")

from sequences.errors import SequenceError
from sequences.synthetic import sensor_effects
from sequences.synthetic.parameters import Outage, SensorEffects, parameters_from_mapping

DEPTH = np.tile(np.linspace(1.0, 4.0, 320, dtype=np.float32), (240, 1))
LABELS = np.repeat(np.repeat(np.arange(1, 13, dtype=np.uint8).reshape(3, 4), 80, axis=0), 80, axis=1)


def test_depth_without_faults_is_left_as_it_is():
    np.testing.assert_array_equal(sensor_effects.network_depth(DEPTH, SensorEffects(), 1, 0, 0.5), DEPTH)


def test_a_biased_network_multiplies_everything_it_says():
    depth = DEPTH.copy()
    depth[:20] = 0
    scaled = sensor_effects.network_depth(depth, SensorEffects(depth_scale=1.1), 1, 0, 0.5)
    np.testing.assert_allclose(scaled, 1.1 * depth, rtol=1e-6)


def test_the_scale_drifts_slowly_to_its_amplitude_and_not_back_to_where_it_was():
    effects = SensorEffects(depth_scale=0.9, depth_scale_drift=0.05)
    for seed in range(5):
        scales = [sensor_effects.depth_scale(effects, seed, part) for part in np.linspace(0, 1, 201)]
        change = np.array(scales) / 0.9 - 1
        assert np.abs(change).max() == pytest.approx(0.05, rel=1e-3)
        assert np.abs(np.diff(change)).max() < 0.002
        assert abs(change[0] - change[-1]) > 0.01 or abs(change[0] - change[100]) > 0.01


@pytest.mark.parametrize("correlation", [0.0, 3.0, 12.0])
def test_relative_noise_has_the_spread_and_the_correlation_that_were_asked_for(correlation):
    effects = SensorEffects(depth_relative_noise=0.05, depth_relative_noise_px=correlation)
    errors = np.stack(
        [sensor_effects.network_depth(DEPTH, effects, 3, index, 0.0) / DEPTH - 1 for index in range(12)]
    )
    assert errors.std() == pytest.approx(0.05, rel=0.1)
    # The correlation of Gaussian-smoothed noise at a distance d is exp(-d² / 4 σ²).
    apart = 4
    measured = np.mean(errors[:, :, apart:] * errors[:, :, :-apart]) / errors.var()
    expected = np.exp(-(apart**2) / (4 * correlation**2)) if correlation else 0.0
    assert measured == pytest.approx(expected, abs=0.08)


def test_relative_noise_differs_from_frame_to_frame_and_repeats_with_the_seed():
    effects = SensorEffects(depth_relative_noise=0.05)
    first, again, next_one = (
        sensor_effects.network_depth(DEPTH, effects, 3, index, 0.0) for index in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first / next_one - 1).mean() > 0.02


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_just_the_share_of_labels_that_was_asked_for_is_wrong(share):
    wrong = sensor_effects.label_image(LABELS, SensorEffects(label_noise=share), 1, 0) != LABELS
    assert wrong.mean() == pytest.approx(share, abs=0.002)


def test_wrong_labels_lie_in_blobs_and_are_of_classes_in_sight():
    noisy = sensor_effects.label_image(LABELS, SensorEffects(label_noise=0.2), 1, 7)
    wrong = noisy != LABELS
    # Single wrong pixels would have wrong neighbours as often as any pixel has.
    assert wrong[:, 1:][wrong[:, :-1]].mean() > 0.8
    assert set(np.unique(noisy)) <= set(np.unique(LABELS))


def test_an_image_of_one_class_gets_wrong_labels_too():
    labels = np.full((60, 80), 7, np.uint8)
    noisy = sensor_effects.label_image(labels, SensorEffects(label_noise=0.25), 1, 0)
    assert np.mean(noisy != 7) == pytest.approx(0.25, abs=0.005)
    assert noisy.max() <= 40


def test_labels_without_noise_are_left_as_they_are():
    np.testing.assert_array_equal(sensor_effects.label_image(LABELS, SensorEffects(), 1, 0), LABELS)


def test_outages_begin_with_their_first_frame_and_end_before_the_one_at_their_end():
    effects = SensorEffects(outages=(Outage(1.0, 0.5), Outage(3.0, 0.1)))
    lost = [time for time in np.arange(0, 4, 0.25) if sensor_effects.is_lost(effects, float(time))]
    assert lost == [1.0, 1.25, 3.0]


def test_a_lost_image_is_dark_and_noisy_and_knows_nothing():
    effects = SensorEffects(outages=(Outage(0.0, 1.0),))
    image, depth, labels = sensor_effects.lost_images((60, 80), effects, 1, 0, 0.0)
    assert (image.shape, image.dtype) == ((60, 80, 3), np.uint8)
    assert image.mean() < 20
    assert 0.3 < image.std() < 4
    assert not depth.any()
    assert (labels == 255).all()


@pytest.mark.parametrize(
    ("outage", "problem"),
    [
        ({"start_s": 1}, "'effects.outages.0.duration_s'"),
        ({"start_s": 1, "duration_s": 0}, "'effects.outages.0.duration_s'"),
        ({"begin_s": 1, "duration_s": 1}, "unknown parameter 'effects.outages.0.begin_s'"),
        ({"start_s": 100, "duration_s": 1}, r"starts after 100 s, but the last image is taken after 2\.93"),
    ],
)
def test_an_outage_that_cannot_be_is_refused(outage, problem):
    with pytest.raises(SequenceError, match=problem):
        parameters_from_mapping("flat", {"seed": 1, "frames": 45, "effects": {"outages": [outage]}})
