"""Agreement between tasks."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_batches import CLASSES, camera, compare, everywhere, only, plane

from perception.training.losses.consistency import class_changes
from perception.training.targets import Targets

SIZE = (12, 16)
EDGES_AND_CLASSES = only(consistency={"edge_semseg": 1.0})
DEPTH_AND_NORMALS = only(consistency={"depth_normals": 1.0})


def class_logits(labels):
    return torch.nn.functional.one_hot(labels, CLASSES).movedim(-1, 1).float()


def test_classes_change_towards_the_right_and_below():
    labels = torch.tensor([[0, 0, 1], [0, 0, 1], [2, 0, 1]])
    expected = [[False, True, False], [True, True, False], [True, True, False]]
    assert class_changes(labels[None, None])[0, 0].tolist() == expected


def test_the_last_row_has_no_neighbour_below_and_the_last_column_none_to_the_right():
    labels = torch.tensor([[3, 3], [3, 1]])
    assert class_changes(labels[None, None])[0, 0].tolist() == [[False, True], [True, False]]


def test_edges_are_compared_with_changes_of_the_predicted_class():
    predicted = torch.tensor([[[0, 0, 1], [0, 0, 1]]])
    probabilities = torch.tensor([[0.1, 0.8, 0.2], [0.3, 0.6, 0.4]])
    outputs = {"semseg": class_logits(predicted), "edge": probabilities.logit()[None, None]}
    # What the ground truth says does not matter, so long as it says something.
    targets = Targets(labels=torch.zeros(1, 2, 3, dtype=torch.int64), edges=torch.zeros(1, 1, 2, 3))
    found = compare(outputs, targets, EDGES_AND_CLASSES).terms["consistency/edge_semseg"]
    assert float(found) == pytest.approx((0.1 + 0.2 + 0.2 + 0.3 + 0.4 + 0.4) / 6)


def test_a_pixel_counts_where_its_neighbours_are_known_too():
    predicted = torch.zeros(1, 2, 3, dtype=torch.int64)
    probabilities = torch.tensor([[0.1, 0.8, 0.2], [0.3, 0.6, 0.4]])
    outputs = {"semseg": class_logits(predicted), "edge": probabilities.logit()[None, None]}
    labels = torch.tensor([[[0, 0, 0], [0, 255, 0]]])
    edges = torch.tensor([[[[0.0, 0.0, -1.0], [0.0, 0.0, 0.0]]]])
    # The pixels above and to the left of the unknown label have it as neighbour.
    found = compare(outputs, Targets(labels=labels, edges=edges), EDGES_AND_CLASSES)
    assert float(found.terms["consistency/edge_semseg"]) == pytest.approx((0.1 + 0.4) / 2)


def test_only_the_edges_are_trained_towards_the_classes():
    semseg = class_logits(torch.tensor([[[0, 1], [0, 1]]])).requires_grad_()
    edge = torch.zeros(1, 1, 2, 2, requires_grad=True)
    targets = Targets(labels=torch.zeros(1, 2, 2, dtype=torch.int64), edges=torch.zeros(1, 1, 2, 2))
    compare({"semseg": semseg, "edge": edge}, targets, EDGES_AND_CLASSES).total.backward()
    assert not semseg.grad.any()
    assert edge.grad.all()


def tilted(tilt):
    return (math.sin(tilt), 0.0, -math.cos(tilt))


def depth_and_normals(depth, normals, known=None):
    size = depth.shape[-2:]
    known = torch.ones(1, 1, *size, dtype=torch.bool) if known is None else known
    targets = Targets(depth=3.0 * known, normals=everywhere((0.0, 0.0, -1.0), size) * known)
    return compare({"depth": depth, "normals": normals}, targets, DEPTH_AND_NORMALS)


@given(tilt=st.floats(-0.8, 0.8), distance=st.floats(0.3, 3.0))
def test_the_depth_and_the_normals_of_a_plane_agree(tilt, distance):
    depth = plane(tilted(tilt), distance, SIZE, camera())
    found = depth_and_normals(depth, everywhere(tilted(tilt), SIZE)).terms["consistency/depth_normals"]
    assert float(found) == pytest.approx(0.0, abs=1e-5)


def test_normals_off_the_predicted_depth_cost_one_minus_the_cosine():
    depth = plane(tilted(0.2), 2.0, SIZE, camera())
    found = depth_and_normals(depth, everywhere(tilted(0.5), SIZE)).terms["consistency/depth_normals"]
    assert float(found) == pytest.approx(1 - math.cos(0.3), abs=1e-5)


def test_only_the_normals_are_trained_towards_the_depth():
    depth = plane(tilted(0.2), 2.0, SIZE, camera()).requires_grad_()
    normals = everywhere(tilted(0.5), SIZE).requires_grad_()
    depth_and_normals(depth, normals).total.backward()
    assert not depth.grad.any()
    assert normals.grad.any()


def test_a_depth_that_cannot_be_is_compared_with_nothing():
    normals = everywhere(tilted(0.5), SIZE).requires_grad_()
    report = depth_and_normals(torch.full((1, 1, *SIZE), -1.0), normals)
    report.total.backward()
    assert "consistency/depth_normals" not in report.terms
    assert not normals.grad.any()


@pytest.mark.parametrize("settings", [EDGES_AND_CLASSES, DEPTH_AND_NORMALS], ids=["edges", "normals"])
@pytest.mark.parametrize("missing", ["labels", "edges", "depth", "normals"])
def test_there_is_no_agreement_with_a_task_without_ground_truth(settings, missing):
    depth = plane(tilted(0.2), 2.0, SIZE, camera())
    outputs = {
        "semseg": class_logits(torch.zeros(1, *SIZE, dtype=torch.int64)),
        "depth": depth,
        "normals": everywhere(tilted(0.5), SIZE),
        "edge": torch.zeros(1, 1, *SIZE),
    }
    given_truth = {
        "labels": torch.zeros(1, *SIZE, dtype=torch.int64),
        "depth": depth,
        "normals": everywhere(tilted(0.2), SIZE),
        "edges": torch.zeros(1, 1, *SIZE),
    }
    report = compare(outputs, Targets(**(given_truth | {missing: None})), settings)
    of_edges = settings is EDGES_AND_CLASSES
    concerned = missing in (("labels", "edges") if of_edges else ("depth", "normals"))
    assert any(name.startswith("consistency/") for name in report.terms) != concerned
