"""The loss of the segmentation."""

import math

import pytest
import torch
from loss_batches import CLASSES, compare, only

from perception.training.losses.errors import TargetError
from perception.training.targets import Targets


def loss_of(logits, labels, **weights):
    terms = compare({"semseg": logits}, Targets(labels=labels), only(semseg=weights)).terms
    return {name: float(value) for name, value in terms.items()}


def logits_of(*pixels):
    """One row of pixels, each the probabilities of the first classes; the others have none."""
    probabilities = torch.full((CLASSES, len(pixels)), 1e-30)
    for column, pixel in enumerate(pixels):
        probabilities[: len(pixel), column] = torch.tensor(pixel)
    return probabilities.log()[None, :, None, :]


def row(*labels):
    return torch.tensor(labels)[None, None]


def test_cross_entropy_is_the_mean_over_known_pixels():
    logits = logits_of((0.5, 0.5), (0.2, 0.8), (0.9, 0.1))
    found = loss_of(logits, row(0, 1, 255), ce=1.0)
    assert found["semseg/ce"] == pytest.approx(-(math.log(0.5) + math.log(0.8)) / 2)


def test_dice_is_one_minus_the_overlap_averaged_over_classes():
    found = loss_of(logits_of((0.6, 0.4), (0.3, 0.7), (0.1, 0.9)), row(0, 0, 1), dice=1.0)
    first = 2 * (0.6 + 0.3) / (0.6 + 0.3 + 0.1 + 2)
    second = 2 * 0.9 / (0.4 + 0.7 + 0.9 + 1)
    assert found["semseg/dice"] == pytest.approx(1 - (first + second) / 2)


def test_dice_counts_classes_and_not_pixels():
    labels = row(*[0] * 99, 1)
    missed = logits_of(*[(1.0, 0.0)] * 100)
    # All of class 0 is found and one pixel too many; class 1 is not.
    assert loss_of(missed, labels, dice=1.0)["semseg/dice"] == pytest.approx(0.5, abs=0.01)


def test_dice_does_not_see_unknown_pixels():
    known = loss_of(logits_of((0.6, 0.4), (0.1, 0.9)), row(0, 1), dice=1.0)
    with_unknown = loss_of(logits_of((0.6, 0.4), (0.1, 0.9), (0.5, 0.5)), row(0, 1, 255), dice=1.0)
    assert with_unknown["semseg/dice"] == pytest.approx(known["semseg/dice"])


def test_pixels_are_pooled_over_the_batch():
    pixels, labels = ((0.6, 0.4), (0.3, 0.7), (0.1, 0.9), (0.2, 0.8)), (0, 0, 0, 1)
    logits = logits_of(*pixels)
    together = loss_of(logits, row(*labels), dice=1.0, ce=1.0)
    two_images = torch.cat(logits.split(2, dim=3))
    apart = loss_of(two_images, torch.tensor(labels).view(2, 1, 2), dice=1.0, ce=1.0)
    assert apart == pytest.approx(together)


def test_a_perfect_segmentation_costs_nothing():
    labels = torch.randint(CLASSES, (2, 6, 8))
    logits = 30.0 * torch.nn.functional.one_hot(labels, CLASSES).movedim(-1, 1).float()
    found = loss_of(logits, labels, ce=1.0, dice=1.0)
    assert found["semseg/ce"] == pytest.approx(0.0, abs=1e-6)
    assert found["semseg/dice"] == pytest.approx(0.0, abs=1e-6)


def test_intermediate_predictions_count_by_their_mean():
    labels = row(0, 1)
    good, bad = logits_of((0.9, 0.1), (0.1, 0.9)), logits_of((0.2, 0.8), (0.8, 0.2))
    outputs = {"semseg": good, "aux": {"semseg": [good, bad]}}
    report = compare(outputs, Targets(labels=labels), only(semseg={"ce": 2.0, "aux": 0.5}), train=False)
    aux = 2 * -(math.log(0.9) + math.log(0.2)) / 2
    assert float(report.terms["semseg/aux"]) == pytest.approx(aux)
    assert report.total.item() == pytest.approx(2 * -math.log(0.9) + 0.5 * aux)


@pytest.mark.parametrize("label", [CLASSES, -1])
def test_a_label_of_another_label_space_is_refused(label):
    message = f"has the class {label}, and the network has the classes 0 to 4"
    with pytest.raises(TargetError, match=message):
        loss_of(logits_of((0.5, 0.5), (0.5, 0.5)), row(0, label), ce=1.0)
