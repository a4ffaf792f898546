"""Label spaces: complete, distinct to look at, and mapped into each other."""

import numpy as np
import pytest

from sequences.errors import SequenceError, UnknownNameError
from sequences.label_spaces import load_label_space
from sequences.synthetic.labels import Nyu40


def test_nyu40_has_forty_classes_that_agree_with_those_of_the_generator():
    names = {entry.id: entry.name for entry in load_label_space("nyu40").classes}
    assert sorted(names) == list(range(1, 41))
    assert {label.value: label.name.lower() for label in Nyu40}.items() <= names.items()


def test_scannet20_numbers_its_classes_in_the_order_of_nyu40():
    space = load_label_space("scannet20")
    assert [entry.id for entry in space.classes] == list(range(20))
    sources = [entry.from_nyu40 for entry in space.classes]
    assert sources == sorted(sources)


def test_labels_are_mapped_by_name_and_what_has_no_class_becomes_unknown():
    nyu40, scannet20 = load_label_space("nyu40"), load_label_space("scannet20")
    table = scannet20.from_nyu40()
    names = {entry.id: entry.name for entry in scannet20.classes}
    for entry in nyu40.classes:
        assert table[entry.id] == 255 or names[int(table[entry.id])] == entry.name
    assert table[255] == 255
    assert table[0] == 255
    assert table[Nyu40.LAMP] == 255
    np.testing.assert_array_equal(np.sort(table[table < 255]), np.arange(20))


def test_every_class_of_nyu40_belongs_to_one_group_of_nyud20():
    space = load_label_space("nyud20")
    assert sorted(label for entry in space.classes for label in entry.from_nyu40) == list(range(1, 41))
    assert space.from_nyu40()[Nyu40.DESK] == space.from_nyu40()[Nyu40.TABLE]


def test_a_label_space_without_indoor_classes_is_not_made_of_nyu40():
    with pytest.raises(SequenceError, match="'cityscapes19': class 'road' does not say from_nyu40"):
        load_label_space("cityscapes19").from_nyu40()


@pytest.mark.parametrize("name", ["cityscapes19", "nyu40", "nyud20", "scannet20"])
def test_no_two_classes_are_drawn_in_the_same_colour(name):
    colours = [entry.colour for entry in load_label_space(name).classes]
    assert len(set(colours)) == len(colours)


def test_an_unknown_label_space_is_refused_with_the_nearest_known_one():
    with pytest.raises(UnknownNameError, match="Did you mean 'nyu40'"):
        load_label_space("nyu4")
