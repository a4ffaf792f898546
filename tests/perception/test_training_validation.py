"""Which held-out views a network is looked at with while it is trained, and what is said of broken ones."""

import numpy as np
import pytest
from training_boxes import BoxViews, config_of

from perception.inference.device import choose_placement
from perception.inference.options import InferenceOptions
from perception.m2hmx.network import M2HMX
from perception.training.validation import validate
from sequences.errors import DataFileError, SequenceError


class NotingBoxes(BoxViews):
    """Remembers which views were read."""

    def __init__(self, count):
        super().__init__(count)
        self.read = []

    def view(self, index):
        self.read.append(index)
        return super().view(index)


def validated(source, views=None, progress=lambda *_: None):
    network = M2HMX(config_of().network).eval()
    return validate(network, source, views, choose_placement(InferenceOptions(device="cpu")), progress)


@pytest.mark.parametrize(
    ("views", "read"),
    [(3, [0, 3, 6]), (4, [0, 2, 5, 7]), (1, [0]), (10, list(range(10))), (11, list(range(10)))],
)
def test_views_are_spread_evenly_over_the_source(views, read):
    source = NotingBoxes(10)
    validated(source, views)
    assert source.read == read


def test_all_views_are_taken_where_no_number_is_said():
    source, told = NotingBoxes(4), []
    validated(source, None, lambda _, done, total: told.append((done, total)))
    assert source.read == [0, 1, 2, 3]
    assert told == [(done, 4) for done in range(5)]


def test_a_view_that_cannot_be_read_is_named_with_its_source_and_file():
    class Broken(BoxViews):
        def view(self, index):
            if index == 4:
                raise DataFileError("room/4.png", "is damaged")
            return super().view(index)

    with pytest.raises(SequenceError, match=r"boxes/4 cannot be evaluated on: room/4\.png: is damaged"):
        validated(Broken(8), 2)


def test_a_view_with_a_label_that_is_none_is_named():
    class Mislabelled(BoxViews):
        def view(self, index):
            view = super().view(index)
            view.labels[0, 0] = 77 if index == 1 else view.labels[0, 0]
            return view

    with pytest.raises(SequenceError, match="boxes/1 cannot be evaluated on: label 77 of the truth"):
        validated(Mislabelled(2))


def test_what_the_views_lack_has_no_figure():
    class ColoursAlone(BoxViews):
        label_space = None

        def view(self, index):
            view = super().view(index)
            return type(view)(view.rgb, view.intrinsics)

    assert validated(ColoursAlone(2)) == {"abs_rel": None, "rmse": None, "delta1": None, "miou": None}
    found = validated(BoxViews(2))
    assert all(np.isfinite(value) for value in found.values())
