"""Figures of labels: an example worked out by hand, other label spaces, and what is ignored."""

import numpy as np
import pytest

from perception.errors import ModuleFailedError, PerceptionError
from perception.evaluation.label_comparison import compare_labels
from perception.evaluation.semantics import SemanticsScore
from sequences.errors import SequenceError
from sequences.label_spaces import load_label_space

NYU40 = load_label_space("nyu40")
WALL, FLOOR, CHAIR, BED = 1, 2, 5, 4


def labels(*rows):
    return np.array(rows, np.uint8)


def scored(*frames, space=NYU40):
    score = SemanticsScore(space)
    for truth, predicted in frames:
        score.add(truth, predicted)
    return score.figures()


def by_name(figures):
    return {each.name: each for each in figures.classes}


def test_miou_is_that_of_an_example_worked_out_by_hand():
    truth = labels([WALL, WALL, WALL, WALL], [FLOOR, FLOOR, CHAIR, 255])
    predicted = labels([WALL, WALL, WALL, FLOOR], [FLOOR, BED, 255, CHAIR])
    found = scored((truth, predicted))
    # Wall 3 of 4, floor 1 of 3 (one wall called floor, one floor called bed), chair 0 of 1, bed 0 of 1.
    classes = by_name(found)
    assert classes["wall"].iou == pytest.approx(3 / 4)
    assert classes["floor"].iou == pytest.approx(1 / 3)
    assert (classes["chair"].iou, classes["bed"].iou, classes["sofa"].iou) == (0, 0, None)
    assert found.miou == pytest.approx((3 / 4 + 1 / 3) / 4)
    assert found.miou_of_true_classes == pytest.approx((3 / 4 + 1 / 3) / 3)
    assert found.pixel_accuracy == pytest.approx(4 / 7)
    assert found.coverage == pytest.approx(6 / 7)
    assert (found.pixels, found.classes_left_out) == (7, 36)


def test_iou_is_pooled_over_frames_and_no_mean_of_frames():
    good, bad = (labels([WALL] * 9), labels([WALL] * 9)), (labels([WALL]), labels([FLOOR]))
    assert by_name(scored(good, bad))["wall"].iou == pytest.approx(9 / 10)


def test_every_pixel_predicted_right_is_an_miou_of_one():
    truth = labels([WALL, FLOOR, 255])
    found = scored((truth, truth))
    assert (found.miou, found.miou_of_true_classes, found.pixel_accuracy, found.coverage) == (1, 1, 1, 1)


def test_there_are_no_figures_without_a_true_label():
    assert scored((labels([255]), labels([WALL]))) is None


def test_merged_scores_are_those_of_all_frames():
    frames = [(labels([WALL, FLOOR]), labels([WALL, WALL])), (labels([BED, 255]), labels([BED, BED]))]
    one, other = SemanticsScore(NYU40), SemanticsScore(NYU40)
    one.add(*frames[0])
    other.add(*frames[1])
    one.merge(other)
    assert one.figures() == scored(*frames)


def test_truth_of_nyu40_is_compared_in_the_space_of_the_predictions():
    comparison = compare_labels("nyu40", "nyud20")
    assert comparison.space.name == "nyud20"
    # A window and a curtain are of the same class there; so are floor and floor mat.
    assert comparison.true_labels(labels([9, 16, 2, 20])).tolist() == [[5, 5, 2, 2]]
    assert comparison.predicted_labels(labels([5, 255])).tolist() == [[5, 255]]


def test_true_classes_that_the_predictions_space_lacks_are_ignored():
    comparison = compare_labels("nyu40", "scannet20")
    lamp = 35
    assert comparison.true_labels(labels([WALL, lamp])).tolist() == [[0, 255]]


def test_predictions_of_nyu40_are_turned_into_the_space_of_the_truth():
    comparison = compare_labels("scannet20", "nyu40")
    assert comparison.space.name == "scannet20"
    assert comparison.predicted_labels(labels([WALL, CHAIR, 255])).tolist() == [[0, 4, 255]]


def test_both_can_be_compared_in_a_third_space():
    comparison = compare_labels("nyu40", "nyu40", "nyud20")
    assert comparison.true_labels(labels([9])).tolist() == comparison.predicted_labels(labels([13])).tolist()


@pytest.mark.parametrize(
    ("truth", "predicted", "wanted", "words"),
    [
        ("scannet20", "nyud20", None, "only nyu40 is mapped to other label spaces"),
        ("nyu40", "cityscapes19", None, "does not say from_nyu40"),
        ("nyu40", "nyu40", "nyu41", "unknown label space 'nyu41'.*Did you mean"),
    ],
)
def test_spaces_that_have_nothing_in_common_are_refused(truth, predicted, wanted, words):
    with pytest.raises(PerceptionError, match=words):
        compare_labels(truth, predicted, wanted)


def test_labels_that_are_no_class_are_refused_by_whose_they_are():
    comparison = compare_labels("nyu40", "nyu40")
    with pytest.raises(ModuleFailedError, match="predicted label 77 is no class of 'nyu40'"):
        comparison.predicted_labels(labels([WALL, 77]))
    with pytest.raises(SequenceError, match="label 0 of the truth is no class of 'nyu40'"):
        comparison.true_labels(labels([0]))
