"""Sensor depth that is made worse by just what was asked for, frame by frame the same every time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.store import directory_name
from perception.choice import parse_choice
from perception.degraded import DegradedModule
from perception.errors import PerceptionError
from perception.guarded import GuardedModule
from perception.sensor import SensorModule
from sequences.model import Frame, Intrinsics, SequenceInfo

WIDTH, HEIGHT, FRAMES = 80, 60, 21
SEQUENCE = SequenceInfo(
    name="walls",
    intrinsics=Intrinsics(70, 70, 39.5, 29.5, WIDTH, HEIGHT),
    timestamps_ns=np.arange(FRAMES) * 100_000_000,
    has_depth=True,
    label_space="nyu40",
)
DEPTH = np.tile(np.linspace(1.0, 4.0, WIDTH, dtype=np.float32), (HEIGHT, 1))
LABELS = np.repeat(np.arange(1, 5, dtype=np.uint8), WIDTH // 4)[None].repeat(HEIGHT, axis=0)


def frame(index=0, depth=DEPTH, labels=LABELS):
    return Frame(index, index * 100_000_000, np.zeros((HEIGHT, WIDTH, 3), np.uint8), depth, labels)


def degraded(argument, sequence=SEQUENCE, **options):
    module = GuardedModule("degraded", DegradedModule.create(argument, options))
    module.outputs(sequence)
    return module


def factors(argument, index=0, **options):
    """What depth is multiplied with, at every pixel."""
    return degraded(argument, **options).predict(frame(index)).depth / DEPTH


def test_nothing_is_worse_unless_it_is_asked_for():
    found, sensor = degraded("noise=0").predict(frame(3)), SensorModule()
    sensor.outputs(SEQUENCE)
    expected = sensor.predict(frame(3))
    np.testing.assert_array_equal(found.depth, expected.depth)
    np.testing.assert_array_equal(found.semantics, expected.semantics)
    assert found.label_space == "nyu40"


def test_a_bias_is_the_same_everywhere_and_always():
    for index in (0, 7, 20):
        np.testing.assert_allclose(factors("bias=-0.1", index), 0.9, rtol=1e-6)


def test_noise_has_the_spread_that_was_asked_for_and_is_alike_among_neighbours():
    errors = np.stack([factors("noise=0.05+noise_px=6", index) - 1 for index in range(FRAMES)])
    assert errors.std() == pytest.approx(0.05, rel=0.15)
    assert np.mean(errors[:, :, 1:] * errors[:, :, :-1]) > 0.9 * errors.var()
    white = factors("noise=0.05+noise_px=0") - 1
    assert abs(np.mean(white[:, 1:] * white[:, :-1])) < 0.1 * white.var()


def test_the_scale_drifts_slowly_to_its_amplitude_over_the_sequence():
    scales = np.array([factors("scale_drift=0.1", index).mean() - 1 for index in range(FRAMES)])
    assert np.abs(scales).max() == pytest.approx(0.1, rel=0.05)
    assert np.abs(np.diff(scales)).max() < 0.03
    assert factors("scale_drift=0.1", 5).std() < 1e-6


def test_the_scale_flickers_from_frame_to_frame_and_is_one_within_each():
    images = [factors("flicker=0.05", index) for index in range(200)]
    assert max(image.std() for image in images) < 1e-6
    scales = np.array([image.mean() for image in images])
    assert scales.std() == pytest.approx(0.05, rel=0.15)
    assert scales.mean() == pytest.approx(1.0, abs=0.015)
    assert abs(np.corrcoef(scales[1:], scales[:-1])[0, 1]) < 0.2


def test_holes_take_their_share_of_every_image_in_blobs_and_leave_the_rest_alone():
    holes = degraded("holes=0.3").predict(frame(4)).depth == 0
    assert holes.mean() == pytest.approx(0.3, abs=0.001)
    # Single pixels would have neighbours without depth as often as any pixel has.
    assert holes[:, 1:][holes[:, :-1]].mean() > 0.7
    found = degraded("holes=0.3").predict(frame(4)).depth
    np.testing.assert_array_equal(found[~holes], DEPTH[~holes])
    assert (degraded("holes=0.3").predict(frame(5)).depth == 0)[holes].mean() < 0.9


def test_labels_are_wrong_for_their_share_and_depth_stays_right():
    found = degraded("label_noise=0.2").predict(frame(2))
    assert np.mean(found.semantics != LABELS) == pytest.approx(0.2, abs=0.005)
    np.testing.assert_array_equal(found.depth, DEPTH)


def test_a_sequence_without_labels_stays_without():
    module = degraded("label_noise=0.2", replace(SEQUENCE, label_space=None))
    assert module.predict(frame(labels=None)).semantics is None


def test_what_the_sensor_does_not_know_stays_unknown():
    depth = DEPTH.copy()
    depth[10:20, 30:40] = 0
    everything = "noise=0.1+bias=0.2+scale_drift=0.1+flicker=0.1"
    found = degraded(everything).predict(frame(depth=depth)).depth
    np.testing.assert_array_equal(found == 0, depth == 0)


EVERYTHING = "noise=0.05+bias=0.1+scale_drift=0.1+holes=0.2+flicker=0.05+label_noise=0.2+seed=3"


@given(order=st.permutations(range(6)))
def test_every_frame_has_the_same_errors_in_whatever_order_frames_are_asked_for(order):
    in_turn, other = degraded(EVERYTHING), degraded(EVERYTHING)
    expected = [in_turn.predict(frame(index)) for index in range(6)]
    for index in order:
        found = other.predict(frame(index))
        np.testing.assert_array_equal(found.depth, expected[index].depth)
        np.testing.assert_array_equal(found.semantics, expected[index].semantics)


@pytest.mark.parametrize(
    "argument", ["noise=0.05", "scale_drift=0.1", "holes=0.2", "flicker=0.05", "label_noise=0.2"]
)
def test_another_seed_gives_other_errors(argument):
    one, other = (degraded(f"{argument}+seed={seed}").predict(frame(1)) for seed in (1, 2))
    different = one.semantics if argument.startswith("label") else one.depth
    assert np.any(different != (other.semantics if argument.startswith("label") else other.depth))


def test_one_more_kind_of_error_leaves_the_others_as_they_were():
    alone, joined = factors("noise=0.05", 3), degraded("noise=0.05+holes=0.4+label_noise=0.2")
    depth = joined.predict(frame(3)).depth
    np.testing.assert_array_equal(depth[depth > 0], (alone * DEPTH)[depth > 0])


def test_holes_are_not_where_the_noise_is():
    # As smooth as the field that holes are cut from.
    noise = "noise=0.05+noise_px=2.4"
    depth = degraded(f"{noise}+holes=0.3").predict(frame(3)).depth
    assert np.mean(factors(noise, 3)[depth == 0]) == pytest.approx(1.0, abs=0.03)


@given(
    noise=st.floats(0, 0.5),
    bias=st.floats(-0.99, 10),
    drift=st.floats(0, 0.99),
    flicker=st.floats(0, 0.5),
    holes=st.floats(0, 0.99),
    index=st.integers(0, FRAMES - 1),
    seed=st.integers(0, 2**31 - 1),
)
def test_depth_stays_depth_whatever_is_asked_for(noise, bias, drift, flicker, holes, index, seed):
    options = {"noise": noise, "bias": bias, "scale_drift": drift, "flicker": flicker, "holes": holes}
    # A guarded module refuses depth that is NaN, infinite, negative or of another type.
    found = degraded(None, seed=seed, **options).predict(frame(index))
    assert (found.depth == 0).sum() <= np.ceil(holes * found.depth.size)


def test_variants_have_names_of_their_own_in_results_and_on_disk():
    texts = [
        "degraded:noise=0.05",
        "degraded:noise=0.5",
        "degraded:bias=-0.1",
        "degraded:noise=0.05+bias=0.1",
    ]
    labels = [parse_choice(text).label for text in texts]
    assert labels == texts
    assert len({directory_name(label) for label in labels}) == len(texts)


def test_what_is_set_holds_beside_what_stands_behind_the_name():
    module = degraded("noise=0.05", seed=4, noise_px=2)
    assert module.describe().items() >= {"noise": 0.05, "seed": 4, "noise_px": 2.0, "bias": 0.0}.items()


@pytest.mark.parametrize(
    ("argument", "options", "message"),
    [
        (None, {}, "say what is to be worse, as in degraded:noise=0.05"),
        ("noise", {}, "'noise' is not OPTION=VALUE"),
        ("noise=0.1+noise=0.2", {}, "option noise is given twice"),
        ("noise=0.1", {"noise": 0.1}, "option noise stands behind its name and is set as well"),
        ("nose=0.1", {}, "there is no option nose; options: noise, noise_px, bias"),
        ("noise=much", {}, "option noise: Input should be a valid number"),
        ("noise=nan", {}, "option noise: Input should be a finite number"),
        ("bias=-1", {}, "option bias: Input should be greater than -1"),
        ("holes=1", {}, "option holes: Input should be less than 1"),
        ("seed=1.5", {}, "option seed: Input should be a valid integer"),
        (None, {"flicker": "0.1"}, "option flicker: Input should be a valid number"),
    ],
)
def test_a_mistake_is_said_in_words(argument, options, message):
    with pytest.raises(PerceptionError, match=message):
        DegradedModule.create(argument, options)


def test_a_sequence_without_depth_has_nothing_to_make_worse():
    module = DegradedModule.create("noise=0.1", {})
    with pytest.raises(PerceptionError, match="makes recorded depth worse and sequence 'walls' has none"):
        module.outputs(replace(SEQUENCE, has_depth=False))


def test_it_says_that_it_reads_the_sensor():
    assert degraded("noise=0.1").reads_sensor
