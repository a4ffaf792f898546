"""The configurations of trainings that come with the package, and losses that would train nothing."""

from importlib import resources
from pathlib import Path

import pytest
from training_boxes import config_of

from perception.m2hmx.configuration import load_preset
from perception.training.configuration import TrainingConfigurationError, read_training_config
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


def losses_without(*tasks):
    return {task: {"weight": 0.0} for task in tasks}


def test_a_training_of_no_task_is_refused():
    words = "losses.semseg.weight, losses.depth.weight all 0 nothing is trained"
    with pytest.raises(TrainingConfigurationError, match=words):
        config_of(losses=losses_without("semseg", "depth"))
    # The network has no normals, so that their weight trains nothing either.
    with pytest.raises(TrainingConfigurationError, match=words):
        config_of(losses=losses_without("semseg", "depth") | {"normals": {"weight": 2.0}})


@pytest.mark.parametrize("without", [("semseg", "normals", "edge"), ("depth",)])
def test_one_task_of_several_may_be_trained(without):
    assert config_of(losses=losses_without(*without)).losses.semseg.weight == ("depth" in without)
