"""Where things move by themselves."""

import numpy as np

from adapters.mono_hydra.dynamic_labels import dynamic_mask

PERSON = 31


def test_a_person_and_a_margin_around_are_masked():
    labels = np.full((20, 30), 1, np.uint8)
    labels[8:12, 10:14] = PERSON
    mask = dynamic_mask(labels, (PERSON,), margin=2)
    assert mask.sum() == 8 * 8
    assert mask[6:14, 8:16].all()


def test_without_dynamic_classes_in_sight_nothing_is_masked():
    labels = np.full((20, 30), 255, np.uint8)
    assert dynamic_mask(labels, (PERSON,), margin=2) is None
    assert dynamic_mask(None, (PERSON,), margin=2) is None
    labels[0, 0] = PERSON
    assert dynamic_mask(labels, (), margin=2) is None
    assert dynamic_mask(labels, (PERSON,), margin=0).sum() == 1
