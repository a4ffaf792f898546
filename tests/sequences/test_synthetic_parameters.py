"""Parameters of synthetic sequences: what is accepted, what is refused and how it is said."""

import pytest
import yaml

from sequences.errors import SequenceError
from sequences.synthetic.parameters import PathKind, parameters_from_mapping


def test_values_from_yaml_become_parameters():
    mapping = yaml.safe_load("{seed: 4, frames: 20, path: orbit, rooms: 1, effects: {depth_holes: true}}")
    parameters = parameters_from_mapping("flat", mapping)
    assert parameters.path is PathKind.ORBIT
    assert parameters.effects.depth_holes
    assert parameters.effects.image_noise == 0


def test_an_unknown_parameter_is_refused_with_the_nearest_known_one():
    with pytest.raises(SequenceError, match=r"'flat'.*unknown parameter 'frame'.*Did you mean 'frames'"):
        parameters_from_mapping("flat", {"seed": 1, "frame": 20})


def test_an_unknown_effect_is_refused_with_the_nearest_known_one():
    with pytest.raises(SequenceError, match=r"'effects.image_noize'.*Did you mean 'effects.image_noise'"):
        parameters_from_mapping("flat", {"seed": 1, "effects": {"image_noize": 2}})


@pytest.mark.parametrize(
    ("mapping", "parameter"),
    [
        ({}, "seed"),
        ({"seed": 1, "rooms": 5}, "rooms"),
        ({"seed": 1, "frames": "many"}, "frames"),
        ({"seed": 1, "path": "wander"}, "path"),
        ({"seed": 1, "rate_hz": float("nan")}, "rate_hz"),
        ({"seed": 1, "imu": {"rate_hz": 0}}, "imu.rate_hz"),
    ],
)
def test_a_missing_or_impossible_value_names_its_parameter(mapping, parameter):
    with pytest.raises(SequenceError, match=f"sequence 'flat': parameter '{parameter}'"):
        parameters_from_mapping("flat", mapping)


def test_the_digest_changes_with_every_parameter_and_not_with_spelled_out_defaults():
    base = parameters_from_mapping("a", {"seed": 1})
    assert base.digest() == parameters_from_mapping("b", {"seed": 1, "rooms": 2, "effects": {}}).digest()
    others = [{"seed": 2}, {"seed": 1, "laps": 1.5}, {"seed": 1, "effects": {"image_noise": 1}}]
    assert len({base.digest(), *(parameters_from_mapping("c", other).digest() for other in others)}) == 4


def test_intrinsics_have_the_field_of_view_that_was_asked_for():
    camera = parameters_from_mapping(
        "a", {"seed": 1, "width": 200, "height": 100, "horizontal_field_of_view_deg": 90}
    ).intrinsics()
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == pytest.approx((100, 100, 99.5, 49.5))
