"""The configurations of trainings that come with the package."""

from importlib import resources
from pathlib import Path

import pytest

from perception.m2hmx.configuration import load_preset
from perception.training.configuration import read_training_config
from perception.training.datasets.cityscapes import CityscapesParameters, CityscapesViews
from perception.training.datasets.nyudv2 import NyudV2Parameters, NyudV2Views
from perception.training.datasets.scannet25k import ScanNet25kParameters, ScanNet25kViews


@pytest.mark.parametrize(
    ("name", "preset", "source", "parameters"),
    [
        ("m2hmx-l-nyudv2", "m2hmx-l", NyudV2Views, NyudV2Parameters),
        ("m2hmx-l-cityscapes", "m2hmx-l-cityscapes", CityscapesViews, CityscapesParameters),
        ("m2hmx-l-scannet25k", "m2hmx-l-scannet-released", ScanNet25kViews, ScanNet25kParameters),
    ],
)
def test_the_training_on_a_data_set_is_valid(name, preset, source, parameters):
    path = resources.files("perception.m2hmx").joinpath("training", f"{name}.yaml")
    config = read_training_config(Path(str(path)))
    assert config.network == load_preset(preset)
    assert (config.data.kind, config.evaluation.kind) == (source.name, source.name)
    train, held_out = (
        parameters.model_validate(choice.parameters) for choice in (config.data, config.evaluation)
    )
    assert train != held_out
