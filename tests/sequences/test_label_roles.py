"""Every class of every label space says what kind of thing it is, and says the same everywhere."""

import pytest

from sequences.label_spaces import LabelRole, load_label_space


def roles(space):
    return {entry.id: entry.role for entry in load_label_space(space).classes}


def named(space, role):
    return {entry.name for entry in load_label_space(space).classes if entry.role is role}


def test_people_are_what_moves_indoors():
    assert named("nyu40", LabelRole.DYNAMIC) == {"person"}
    assert named("nyud20", LabelRole.DYNAMIC) == {"human"}
    assert named("scannet20", LabelRole.DYNAMIC) == set()


def test_people_and_vehicles_are_what_moves_on_a_street():
    vehicles = {"car", "truck", "bus", "train", "motorcycle", "bicycle"}
    assert named("cityscapes19", LabelRole.DYNAMIC) == {"person", "rider"} | vehicles


def test_the_room_and_what_is_flat_on_it_is_structure():
    building = {"wall", "floor", "ceiling", "door", "window", "other_structure"}
    flat = {"picture", "mirror", "whiteboard", "blinds", "curtain", "shower_curtain", "floor_mat"}
    assert named("nyu40", LabelRole.STRUCTURE) == building | flat


def test_furniture_and_what_lies_on_it_are_objects():
    assert {"chair", "counter", "lamp", "books", "other_furniture", "other_prop"} <= named(
        "nyu40", LabelRole.OBJECT
    )


@pytest.mark.parametrize("name", ["scannet20", "nyud20"])
def test_a_group_has_the_role_of_at_least_half_of_the_classes_it_is_made_of(name):
    of_nyu40 = roles("nyu40")
    for entry in load_label_space(name).classes:
        of_sources = [of_nyu40[source] for source in entry.from_nyu40]
        assert 2 * of_sources.count(entry.role) >= len(of_sources), entry.name
