"""The loss of the depth."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_batches import BINS, compare, only

from perception.training.targets import Targets

#: What a depth head gives beside the depth, for tests that do not look at it.
BINS_OF_ONE_METRE = torch.arange(1.0, BINS + 1)[None]


def report_of(depth, target, *, outputs=None, **weights):
    """The loss of images of shape [B, H, W], or of one row, in metres."""
    found = {"depth": images(depth)} | (outputs or {})
    return compare(found, Targets(depth=images(target)), only(depth=weights))


def loss_of(depth, target, *, outputs=None, **weights):
    terms = report_of(depth, target, outputs=outputs, **weights).terms
    return {name: float(value) for name, value in terms.items()}


def images(values):
    tensor = torch.as_tensor(values)
    return tensor.view(-1, 1, *tensor.shape[-2:]) if tensor.ndim == 3 else tensor.view(1, 1, 1, -1)


metres = st.floats(0.5, 9.0)
rows = st.lists(st.tuples(metres, metres), min_size=2, max_size=6)


@given(pairs=rows, focus=st.floats(0.0, 1.0))
def test_silog_is_the_root_of_the_error_of_eigen_and_others(pairs, focus):
    depth, target = zip(*pairs, strict=True)
    differences = [math.log(a) - math.log(b) for a, b in pairs]
    n = len(pairs)
    squared = sum(d * d for d in differences) / n - focus * sum(differences) ** 2 / n**2
    found = loss_of(depth, target, silog=1.0, variance_focus=focus)["depth/silog"]
    assert found == pytest.approx(math.sqrt(max(squared, 0.0)), abs=1e-3 if focus == 1 else 2e-4)


@given(pairs=rows, scale=st.floats(0.2, 5.0))
def test_silog_forgives_a_wrong_scale_at_a_focus_of_one(pairs, scale):
    depth, target = zip(*pairs, strict=True)
    scaled = [scale * value for value in depth]
    before, after = (
        loss_of(found, target, silog=1.0, variance_focus=1.0)["depth/silog"] for found in (depth, scaled)
    )
    assert after == pytest.approx(before, abs=1e-5)


@given(scale=st.floats(1.1, 3.0), focus=st.floats(0.0, 0.9))
def test_a_wrong_scale_costs_its_logarithm_by_what_the_focus_leaves(scale, focus):
    target = torch.tensor([1.0, 2.0, 3.0])
    found = loss_of(scale * target, target, silog=1.0, variance_focus=focus)["depth/silog"]
    assert found == pytest.approx(math.sqrt(1 - focus) * math.log(scale), rel=1e-4)


def test_the_scale_that_is_forgiven_is_that_of_each_image():
    target = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
    depth = target * torch.tensor([2.0, 0.5]).view(2, 1, 1)
    assert loss_of(depth, target, silog=1.0, variance_focus=1.0)["depth/silog"] == pytest.approx(0, abs=2e-6)


def test_rmse_is_the_mean_over_images_with_ground_truth():
    target = torch.tensor([[[1.0, 2.0]], [[3.0, 0.0]], [[0.0, 0.0]]])
    depth = torch.tensor([[[1.0, 4.0]], [[4.0, 99.0]], [[99.0, 99.0]]])
    found = loss_of(depth, target, rmse=1.0)["depth/rmse"]
    assert found == pytest.approx((math.sqrt((0 + 4) / 2) + 1) / 2)


def test_the_l1_terms_are_mean_absolute_errors():
    outputs = {
        "depth_coarse": images([1.5, 2.0, 9.0]),
        "depth_offset": images([0.5, -1.0, 9.0]),
    }
    found = loss_of([2.0, 1.0, 9.0], [1.0, 3.0, 0.0], outputs=outputs, l1=1.0, coarse_l1=1.0, offset_l1=1.0)
    assert found["depth/l1"] == pytest.approx((1 + 2) / 2)
    assert found["depth/coarse_l1"] == pytest.approx((0.5 + 1) / 2)
    # The offset ought to be -0.5 and 1.
    assert found["depth/offset_l1"] == pytest.approx((1 + 2) / 2)


def test_the_loss_of_the_offset_leaves_the_bins_alone():
    coarse = images([1.5, 2.0]).requires_grad_()
    offset = images([0.5, -1.0]).requires_grad_()
    outputs = {"depth_coarse": coarse, "depth_offset": offset}
    report_of([2.0, 1.0], [1.0, 3.0], outputs=outputs, offset_l1=1.0).total.backward()
    assert not coarse.grad.any()
    assert offset.grad.all()


def bin_outputs(*probabilities):
    """Logits of one row of cells, each with the probabilities of bins one metre wide from 0 to 8 m."""
    logits = torch.tensor(probabilities).log().T[None, :, None, :]
    return {"depth_bin_logits": logits, "depth_bin_edges": BINS_OF_ONE_METRE}


def cells(*values):
    """Four by four pixels of each depth."""
    return torch.tensor(values).repeat_interleave(4)[None, None, :].expand(1, 4, -1).clone()


RISING = tuple((index + 1) / 36 for index in range(BINS))
FALLING = RISING[::-1]


def test_the_loss_of_bins_is_that_of_the_bin_with_the_target():
    target = cells(2.5, 7.0)
    found = loss_of(target, target, outputs=bin_outputs(RISING, FALLING), bin_nll=1.0)["depth/bin_nll"]
    # 2.5 m is in the third bin, and 7 m, an upper edge, in the seventh.
    assert found == pytest.approx(-(math.log(3 / 36) + math.log(2 / 36)) / 2)


def test_a_cell_with_an_unknown_pixel_has_no_bin():
    target = cells(2.5, 6.0)
    target[0, 1, 5] = 0.0
    found = loss_of(target, target, outputs=bin_outputs(RISING, FALLING), bin_nll=1.0)["depth/bin_nll"]
    assert found == pytest.approx(-math.log(3 / 36))


def test_the_end_of_the_range_is_in_the_last_bin_where_its_edge_is_less_by_rounding():
    outputs = bin_outputs(RISING)
    outputs["depth_bin_edges"] = torch.linspace(0, 10, BINS + 1)[None, 1:] - 1e-5
    target = cells(10.0)
    found = loss_of(target, target, outputs=outputs, bin_nll=1.0)["depth/bin_nll"]
    assert found == pytest.approx(-math.log(8 / 36))


def test_the_loss_of_bins_leaves_their_edges_alone():
    outputs = bin_outputs(RISING)
    edges = outputs["depth_bin_edges"] = BINS_OF_ONE_METRE.clone().requires_grad_()
    logits = outputs["depth_bin_logits"].requires_grad_()
    report_of(cells(2.5), cells(2.5), outputs=outputs, bin_nll=1.0).total.backward()
    assert not edges.grad.any()
    assert logits.grad.all()


ALL = {"silog": 1.0, "rmse": 1.0, "l1": 1.0}


def test_targets_beyond_the_range_of_the_network_are_not_learned():
    depth, beyond = [2.0, 3.0, 5.0, 5.0], [2.5, 2.5, 0.09, 10.1]
    found = loss_of(depth, beyond, **ALL)
    expected = loss_of(depth[:2], beyond[:2], **ALL)
    assert found.pop("known/depth") == 0.5
    assert expected.pop("known/depth") == 1.0
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("depth", [-3.0, 0.0, 0.01])
def test_a_depth_that_is_negative_or_too_small_is_pulled_up(depth):
    prediction = images([depth, 2.0]).requires_grad_()
    report = compare({"depth": prediction}, Targets(depth=images([1.0, 2.0])), only(depth={"silog": 1.0}))
    report.total.backward()
    assert report.total.isfinite()
    assert prediction.grad.isfinite().all()
    assert prediction.grad[..., 0] < 0


def test_a_perfect_depth_costs_nothing_and_has_finite_gradients():
    target = images([0.1, 1.0, 4.0, 10.0])
    depth = target.clone().requires_grad_()
    outputs = {"depth": depth, "depth_coarse": target - 0.5, "depth_offset": torch.full_like(target, 0.5)}
    report = compare(outputs, Targets(depth=target), only(depth=ALL | {"offset_l1": 1.0}))
    report.total.backward()
    for term in (*ALL, "offset_l1"):
        assert float(report.terms[f"depth/{term}"]) == pytest.approx(0.0, abs=2e-6)
    assert depth.grad.isfinite().all()


def test_intermediate_depths_have_the_loss_of_the_last_without_the_parts():
    target = images([1.0, 3.0])
    level = images([2.0, 5.0])
    outputs = {"depth": target, "depth_coarse": target, "aux": {"depth": [level, target]}}
    report = compare(outputs, Targets(depth=target), only(depth={"l1": 2.0, "coarse_l1": 1.0, "aux": 1.0}))
    assert float(report.terms["depth/aux"]) == pytest.approx((2 * (1 + 2) / 2 + 0) / 2)
