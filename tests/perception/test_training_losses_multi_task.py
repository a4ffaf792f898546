"""The loss as a whole: balancing, unknown pixels, missing ground truth, sizes and precision."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_batches import (
    OPTIONS,
    camera,
    compare,
    every_term,
    forget,
    leaves,
    loss_config,
    only,
    random_outputs,
    random_targets,
)
from pydantic import ValidationError

from perception.m2hmx.configuration import TASKS
from perception.training.losses import LossSettings, MultiTaskLoss
from perception.training.targets import Targets

#: Task to its ground truth's name.
TRUTH = {"semseg": "labels", "depth": "depth", "normals": "normals", "edge": "edges"}
#: What no term has a gradient for.
HELD = {"depth_bin_edges"}


def gradients_of(outputs, targets, loss_settings, **kwargs):
    """The report, and the gradient of the total with respect to every output."""
    report = compare(outputs, targets, loss_settings, **kwargs)
    report.total.backward()
    return report, {name: leaf.grad for name, leaf in leaves(outputs).items()}


def floats(terms):
    return {name: float(value) for name, value in terms.items()}


def test_every_weight_has_a_term_of_its_name():
    terms = compare(random_outputs(), random_targets(), every_term()).terms
    weights = {
        f"{section}/{name}"
        for section, values in LossSettings()
        for name in type(values).model_fields
        if name not in OPTIONS
    }
    others = {f"{kind}/{task}" for kind in ("known", "log_variance") for task in TASKS}
    assert terms.keys() == weights | others | {f"{task}/total" for task in TASKS}
    assert not any(value.requires_grad for value in terms.values())


def test_terms_of_weight_zero_are_not_calculated():
    terms = compare(random_outputs(), random_targets(), only(depth={"l1": 1.0})).terms
    assert {name for name in terms if not name.startswith(("known", "log_variance"))} == {
        "depth/l1",
        "depth/total",
    }


def test_the_defaults_are_the_weights_of_the_paper_where_there_are_any():
    defaults = LossSettings()
    assert [getattr(defaults, task).aux for task in TASKS] == [0.3, 0.3, 0.0, 0.1]
    assert defaults.normals.geometric == 0.5
    assert (defaults.consistency.depth_normals, defaults.consistency.edge_semseg) == (0.5, 0.2)
    depth, edge = defaults.depth, defaults.edge
    assert (depth.l1, depth.coarse_l1, depth.offset_l1, depth.bin_nll, edge.dice) == (0, 0, 0, 0, 0)


def weighted_terms(terms, section, values):
    return sum(
        weight * float(terms[f"{section}/{name}"]) for name, weight in values if f"{section}/{name}" in terms
    )


def test_evaluation_sums_terms_by_their_weights():
    chosen = every_term().model_copy(
        update={"depth": LossSettings().depth.model_copy(update={"weight": 3.0})}
    )
    loss = MultiTaskLoss(loss_config(), chosen).eval()
    with torch.no_grad():
        loss.log_variances["depth"].fill_(1.0)
    report = loss(random_outputs(), random_targets(), camera(2))
    tasks = {
        task: getattr(chosen, task).weight * weighted_terms(report.terms, task, getattr(chosen, task))
        for task in TASKS
    }
    assert {task: float(report.terms[f"{task}/total"]) for task in TASKS} == pytest.approx(tasks)
    consistency = weighted_terms(report.terms, "consistency", chosen.consistency)
    assert report.total.item() == pytest.approx(sum(tasks.values()) + consistency)


def test_training_weighs_tasks_by_their_uncertainty():
    loss = MultiTaskLoss(loss_config(), only(depth={"l1": 1.0}, semseg={"ce": 1.0}))
    with torch.no_grad():
        loss.log_variances["depth"].fill_(0.7)
        loss.log_variances["semseg"].fill_(-0.4)
    report = loss(random_outputs(), random_targets(), camera(2))
    depth, semseg = (float(report.terms[name]) for name in ("depth/l1", "semseg/ce"))
    expected = math.exp(-0.7) * depth + 0.35 + math.exp(0.4) * semseg - 0.2
    assert report.total.item() == pytest.approx(expected)
    assert float(report.terms["log_variance/depth"]) == pytest.approx(0.7)
    report.total.backward()
    gradients = {task: float(value.grad) for task, value in loss.log_variances.items()}
    assert gradients == pytest.approx(
        {
            "depth": 0.5 - math.exp(-0.7) * depth,
            "semseg": 0.5 - math.exp(0.4) * semseg,
            "normals": 0.0,
            "edge": 0.0,
        }
    )


def test_the_log_variances_are_kept_with_the_loss():
    loss = MultiTaskLoss(loss_config(tasks=["semseg", "depth"]))
    assert set(loss.state_dict()) == {"log_variances.semseg", "log_variances.depth"}


@st.composite
def unknown_pixels(draw):
    """At least one pixel of a batch is known and one is not, bool [2, 1, 12, 16]."""
    share = draw(st.sampled_from([0.01, 0.2, 0.7, 0.99]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    unknown = torch.rand(2, 1, 12, 16, generator=generator) < share
    unknown[0, 0, 0, :2] = torch.tensor([True, False])
    return unknown


@settings(max_examples=25)
@given(unknown=unknown_pixels(), change=st.floats(-50.0, 50.0))
def test_outputs_at_unknown_pixels_change_nothing(unknown, change):
    targets = forget(random_targets(), unknown)
    outputs = random_outputs()
    # A cell of the bins is of four by four pixels, of which the inner ones make it.
    inner = unknown.unfold(2, 4, 4).unfold(3, 4, 4)[..., 1:3, 1:3].flatten(-2).any(dim=-1)
    with torch.no_grad():
        changed = random_outputs()
        for name, leaf in leaves(changed).items():
            if name != "depth_bin_edges":
                leaf += change * (inner if name == "depth_bin_logits" else unknown)
    one, other = (gradients_of(found, targets, every_term(), train=True) for found in (outputs, changed))
    assert floats(other[0].terms) == pytest.approx(floats(one[0].terms), rel=1e-5, abs=1e-7)
    for name, gradient in one[1].items():
        torch.testing.assert_close(other[1][name], gradient, rtol=1e-4, atol=1e-7, msg=name)
        assert gradient.isfinite().all()
        if name not in ("depth_bin_logits", "depth_bin_edges"):
            assert not gradient[unknown.expand_as(gradient)].any()


@pytest.mark.parametrize("task", TASKS)
def test_where_a_task_alone_is_unknown_it_alone_learns_nothing(task):
    unknown = torch.zeros(2, 1, 12, 16, dtype=torch.bool)
    unknown[..., 3:9, 4:] = True
    targets = random_targets()
    partly = dataclasses.replace(targets, **{TRUTH[task]: getattr(forget(targets, unknown), TRUTH[task])})
    _, gradients = gradients_of(random_outputs(), partly, every_term(), train=True)
    for other in TASKS:
        reached = gradients[other][unknown.expand_as(gradients[other])]
        assert bool(reached.any()) == (other != task), other


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("how", ["absent", "unknown"])
def test_a_batch_without_ground_truth_teaches_nothing_and_says_so(how, train):
    everything = torch.ones(2, 1, 12, 16, dtype=torch.bool)
    targets = Targets() if how == "absent" else forget(random_targets(), everything)
    loss = MultiTaskLoss(loss_config(), every_term()).train(train)
    outputs = random_outputs()
    report = loss(outputs, targets, camera(2))
    report.total.backward()
    assert report.total.item() == 0.0
    for tensor in (*leaves(outputs).values(), *loss.parameters()):
        assert tensor.grad is not None
        assert not tensor.grad.any()
    assert floats(report.terms) == {
        f"{kind}/{task}": 0.0 for kind in ("known", "log_variance") for task in TASKS
    }


@pytest.mark.parametrize("how", ["absent", "unknown"])
@pytest.mark.parametrize("task", TASKS)
def test_a_task_without_ground_truth_contributes_nothing(task, how):
    targets = random_targets()
    nothing = forget(targets, torch.ones(2, 1, 12, 16, dtype=torch.bool))
    gone = None if how == "absent" else getattr(nothing, TRUTH[task])
    without = dataclasses.replace(targets, **{TRUTH[task]: gone})
    outputs = random_outputs()
    report, gradients = gradients_of(outputs, without, every_term(), train=True)
    for name, gradient in gradients.items():
        reached = not name.startswith(task) and name not in HELD
        assert bool(gradient.any()) == reached, name
    assert float(report.terms[f"known/{task}"]) == 0.0
    assert not [name for name in report.terms if name.startswith(f"{task}/")]
    complete, _ = gradients_of(random_outputs(), targets, every_term(), train=True)
    for name, value in report.terms.items():
        # Normals have lost the term that needs the depth.
        if name not in (f"known/{task}", "normals/total"):
            assert float(value) == pytest.approx(float(complete.terms[name])), name


def test_a_network_of_fewer_tasks_has_their_losses_alone():
    targets, both = random_targets(), {"tasks": ["depth", "semseg"], "edge_refine_threshold": None}
    outputs = {name: x for name, x in random_outputs().items() if name.startswith(("depth", "semseg"))}
    terms = compare(outputs, targets, LossSettings(), **both).terms
    assert {name.split("/")[0] for name in terms} == {"depth", "semseg", "known", "log_variance"}


def test_a_task_of_weight_zero_is_not_balanced():
    chosen = LossSettings.model_validate({"depth": {"weight": 0.0}})
    loss = MultiTaskLoss(loss_config(), chosen)
    outputs = random_outputs()
    loss(outputs, random_targets(), camera(2)).total.backward()
    assert loss.log_variances["depth"].grad.item() == 0.0
    assert not outputs["depth"].grad.any()


def test_outputs_are_brought_to_the_size_of_the_targets():
    outputs = random_outputs(height=6, width=8)
    targets = random_targets()

    def enlarged(x):
        return torch.nn.functional.interpolate(x, size=(12, 16), mode="bilinear")

    large = {name: x if "bin" in name or name == "aux" else enlarged(x) for name, x in outputs.items()}
    large["aux"] = {task: [enlarged(x) for x in levels] for task, levels in outputs["aux"].items()}
    one, other = (compare(found, targets, every_term(), train=True) for found in (outputs, large))
    assert floats(one.terms) == pytest.approx(floats(other.terms))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_losses_are_calculated_in_float32_whatever_the_outputs_are(dtype):
    # The squares of so many depths do not fit into float16.
    size = (240, 320)
    outputs, targets = random_outputs(1, *size), random_targets(1, *size)
    rounded = {name: x.detach().to(dtype) for name, x in outputs.items() if name != "aux"}
    exact = {name: x.float() for name, x in rounded.items()}
    for tensor in rounded.values():
        tensor.requires_grad_()
    with torch.autocast("cpu", dtype):
        found = compare(rounded, targets, every_term(), train=True)
    expected = compare(exact, targets, every_term(), train=True)
    assert found.total.dtype == torch.float32
    assert found.total.item() == expected.total.item()
    found.total.backward()
    for name, tensor in rounded.items():
        assert tensor.grad.isfinite().all(), name


@settings(max_examples=20)
@given(size=st.sampled_from([0.0, 1e2, 1e4]), seed=st.integers(0, 100))
def test_gradients_are_finite_for_outputs_of_any_size(size, seed):
    outputs = random_outputs(seed=seed)
    with torch.no_grad():
        for name, leaf in leaves(outputs).items():
            if name not in HELD:
                leaf *= size
    report, gradients = gradients_of(outputs, random_targets(), every_term(), train=True)
    assert report.total.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_the_settings_read_as_a_mapping():
    values = '{"depth": {"silog": 1, "variance_focus": 0.5}, "consistency": {"edge_semseg": 0}}'
    found = LossSettings.model_validate_json(values)
    assert (found.depth.silog, found.depth.variance_focus, found.depth.aux) == (1.0, 0.5, 0.3)
    assert found.consistency.edge_semseg == 0.0


@pytest.mark.parametrize(
    "values",
    [
        {"depth": {"silgo": 1.0}},
        {"depths": {}},
        {"depth": {"silog": -1.0}},
        {"depth": {"silog": math.inf}},
        {"depth": {"variance_focus": 1.5}},
        {"edge": {"positive_share": 0.0}},
        {"semseg": {"ce": "1"}},
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(values):
    with pytest.raises(ValidationError):
        LossSettings.model_validate(values)


def test_the_settings_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        LossSettings().depth.silog = 2.0
