"""Which label space a module's labels are of is said beforehand, and kept to."""

import numpy as np
import pytest

from perception.errors import ModuleFailedError, PerceptionError
from perception.guarded import GuardedModule
from perception.module import PerceptionModule, Prediction
from perception.none import NoneModule
from perception.sensor import SensorModule
from sequences.model import Frame, Intrinsics, SequenceInfo

WIDTH, HEIGHT = 8, 6


def sequence(label_space=None):
    camera = Intrinsics(10, 10, 3.5, 2.5, WIDTH, HEIGHT)
    return SequenceInfo("any", camera, np.arange(5), has_depth=True, label_space=label_space)


class LabellingModule(PerceptionModule):
    """Announces one label space and gives labels of another."""

    def __init__(self, announced, given):
        self.announced, self.given = announced, given

    def outputs(self, sequence):
        return frozenset({"semantics"})

    def label_space(self, sequence):
        if isinstance(self.announced, Exception):
            raise self.announced
        return self.announced

    def predict(self, frame):
        labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        return Prediction(semantics=labels, label_space=self.given)


def predicted(announced, given):
    module = GuardedModule("mine", LabellingModule(announced, given))
    module.outputs(sequence())
    module.label_space(sequence())
    return module.predict(Frame(3, 3, np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)))


def test_labels_of_the_space_that_was_announced_are_taken():
    assert predicted("nyu40", "nyu40").label_space == "nyu40"


@pytest.mark.parametrize("given", ["scannet20", None])
def test_labels_of_another_space_are_refused_and_module_and_frame_named(given):
    with pytest.raises(ModuleFailedError, match=f"frame 3: mine: .* of label space '{given}', .*'nyu40'"):
        predicted("nyu40", given)


@pytest.mark.parametrize("given", ["scannet20", None])
def test_a_module_that_announces_nothing_is_held_to_nothing(given):
    assert predicted(None, given).label_space == given


def announced(module, label_space=None):
    return GuardedModule("mine", module).label_space(sequence(label_space))


def test_the_sensor_announces_the_label_space_of_the_sequence():
    assert announced(SensorModule(), "scannet20") == "scannet20"
    assert announced(SensorModule()) is None


def test_a_module_without_labels_announces_nothing():
    assert announced(NoneModule(), "nyu40") is None


def test_what_is_no_name_is_refused():
    with pytest.raises(ModuleFailedError, match="mine: label_space\\(\\) must give a name or None, got int"):
        announced(LabellingModule(40, "nyu40"))


def test_whatever_a_module_raises_becomes_a_clear_error():
    with pytest.raises(ModuleFailedError, match="mine: KeyError: 'labels'"):
        announced(LabellingModule(KeyError("labels"), None))
    with pytest.raises(PerceptionError, match="no labels today"):
        announced(LabellingModule(PerceptionError("no labels today"), None))
