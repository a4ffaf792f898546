"""The loss of the edges."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_batches import compare, only

from perception.training.targets import Targets


def logit(probability):
    return math.log(probability / (1 - probability))


def loss_of(probabilities, target, **weights):
    logits = torch.tensor([logit(p) for p in probabilities]).view(1, 1, 1, -1)
    edges = torch.tensor(target, dtype=torch.float32).view(1, 1, 1, -1)
    report = compare({"edge": logits}, Targets(edges=edges), only(edge=weights))
    return {name: float(value) for name, value in report.terms.items()}


def test_edges_weigh_as_much_as_all_the_rest():
    found = loss_of((0.8, 0.3, 0.4, 0.5), (1, 0, 0, 0), bce=1.0)["edge/bce"]
    elsewhere = -(math.log(0.7) + math.log(0.6) + math.log(0.5)) / 3
    assert found == pytest.approx((-math.log(0.8) + elsewhere) / 2)


def test_the_share_of_edges_can_be_less():
    found = loss_of((0.8, 0.3, 0.4), (1, 0, 0), bce=1.0, positive_share=0.2)["edge/bce"]
    elsewhere = -(math.log(0.7) + math.log(0.6)) / 2
    assert found == pytest.approx(0.2 * -math.log(0.8) + 0.8 * elsewhere)


@pytest.mark.parametrize(("kind", "right"), [(1, 0.8), (0, 0.2)])
def test_where_all_pixels_are_of_one_kind_it_has_the_whole_weight(kind, right):
    found = loss_of((0.8, 0.8), (kind, kind), bce=1.0, positive_share=0.3)["edge/bce"]
    assert found == pytest.approx(-math.log(right))


def test_the_focal_loss_looks_less_at_what_is_right_already():
    found = loss_of((0.8, 0.3), (1, 0), bce=1.0, focal_gamma=2.0)["edge/bce"]
    assert found == pytest.approx((0.2**2 * -math.log(0.8) + 0.3**2 * -math.log(0.7)) / 2)


def test_dice_is_one_minus_the_overlap():
    found = loss_of((0.8, 0.3, 0.4), (1, 0, 1), dice=1.0)["edge/dice"]
    assert found == pytest.approx(1 - 2 * (0.8 + 0.4) / (0.8 + 0.3 + 0.4 + 2))


def test_dice_says_nothing_without_edges():
    assert "edge/dice" not in loss_of((0.8, 0.3), (0, 0), dice=1.0)


def test_unknown_pixels_do_not_count():
    weights = {"bce": 1.0, "dice": 1.0}
    expected = loss_of((0.8, 0.3), (1, 0), **weights)
    found = loss_of((0.8, 0.3, 0.9, 0.2), (1, 0, -1, -1), **weights)
    assert found.pop("known/edge") == 0.5
    assert expected.pop("known/edge") == 1.0
    assert found == pytest.approx(expected)


def test_perfect_edges_cost_nothing():
    target = torch.tensor([1.0, 0.0, 0.0, 1.0]).view(1, 1, 1, 4)
    report = compare({"edge": 60 * target - 30}, Targets(edges=target), only(edge={"bce": 1.0, "dice": 1.0}))
    for term in ("edge/bce", "edge/dice"):
        assert float(report.terms[term]) == pytest.approx(0.0, abs=1e-6)


@given(gamma=st.floats(0.0, 4.0), size=st.sampled_from([0.0, 1.0, 30.0, 1e4]))
def test_gradients_are_finite_for_logits_of_any_size(gamma, size):
    logits = torch.tensor([size, -size, size, -size]).view(1, 1, 1, 4).requires_grad_()
    target = torch.tensor([1.0, 0.0, 0.0, 1.0]).view(1, 1, 1, 4)
    settings = only(edge={"bce": 1.0, "dice": 1.0, "focal_gamma": gamma})
    report = compare({"edge": logits}, Targets(edges=target), settings)
    report.total.backward()
    assert report.total.isfinite()
    assert logits.grad.isfinite().all()
