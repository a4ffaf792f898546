"""The loss of the normals, and the normals of a depth image."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_batches import camera, compare, everywhere, only, plane

from perception.training.losses.surface_normals import normals_from_depth
from perception.training.targets import Targets

SIZE = (12, 16)
AWAY_FROM_BORDER = (..., slice(2, -2), slice(2, -2))


def tilted(tilt, turn):
    """A normal that points towards the camera, tilted from the optical axis; angles in radians."""
    return (
        math.sin(tilt) * math.cos(turn),
        math.sin(tilt) * math.sin(turn),
        -math.cos(tilt),
    )


def cosine_loss(normals, target, **weights):
    weights = weights or {"cosine": 1.0}
    report = compare({"normals": normals}, Targets(normals=target), only(normals=weights))
    return {name: float(value) for name, value in report.terms.items()}


@pytest.mark.parametrize("angle", [0.0, math.pi / 3, math.pi / 2, math.pi])
def test_the_loss_is_one_minus_the_cosine_of_the_angle(angle):
    found = cosine_loss(everywhere(tilted(angle, 1.0), SIZE), everywhere(tilted(0.0, 0.0), SIZE))
    assert found["normals/cosine"] == pytest.approx(1 - math.cos(angle), abs=1e-6)


def test_only_pixels_with_a_target_count():
    target = everywhere((0.0, 0.0, -1.0), SIZE)
    target[..., 8:] = 0.0
    normals = everywhere((0.0, 0.0, -1.0), SIZE)
    normals[..., 8:] = 1.0
    found = cosine_loss(normals, target)
    assert found["normals/cosine"] == pytest.approx(0.0, abs=1e-6)
    assert found["known/normals"] == 0.5


@given(length=st.floats(1e-3, 1e3))
def test_the_length_of_a_prediction_does_not_matter(length):
    target = everywhere(tilted(0.3, 0.2), SIZE)
    found = cosine_loss(length * everywhere(tilted(0.8, 0.2), SIZE), target)
    assert found["normals/cosine"] == pytest.approx(1 - math.cos(0.5), abs=1e-5)


def test_a_prediction_of_length_zero_has_a_finite_gradient():
    normals = torch.zeros(1, 3, *SIZE, requires_grad=True)
    target = everywhere((0.0, 0.0, -1.0), SIZE)
    compare({"normals": normals}, Targets(normals=target), only(normals={"cosine": 1.0})).total.backward()
    assert normals.grad.isfinite().all()


def test_intermediate_normals_count_where_a_weight_says_so():
    target = everywhere((0.0, 0.0, -1.0), SIZE)
    aux = {"normals": [2 * everywhere(tilted(math.pi / 3, 0.0), SIZE), target]}
    report = compare(
        {"normals": target, "aux": aux}, Targets(normals=target), only(normals={"cosine": 1.0, "aux": 1.0})
    )
    assert float(report.terms["normals/aux"]) == pytest.approx(0.25)


planes = {
    "tilt": st.floats(0.0, 0.9),
    "turn": st.floats(0.0, 2 * math.pi),
    "distance": st.floats(0.8, 2.0),
}


@given(**planes, focal=st.floats(20.0, 60.0), centre=st.floats(5.0, 9.0))
def test_the_normals_of_a_plane_are_exact(tilt, turn, distance, focal, centre):
    intrinsics = torch.tensor([[focal, 1.1 * focal, centre, 0.8 * centre]])
    normal = tilted(tilt, turn)
    depth = plane(normal, distance, SIZE, intrinsics)
    known = depth > 0
    found, flat = normals_from_depth(depth, known, intrinsics)
    inside = torch.zeros_like(known)
    inside[AWAY_FROM_BORDER] = True
    # A plane may leave the image behind the camera.
    whole = -torch.nn.functional.max_pool2d(-known.float(), 5, stride=1, padding=2) > 0
    assert torch.equal(flat, whole & inside)
    expected = everywhere(normal, SIZE)
    torch.testing.assert_close(found * flat, expected * flat, atol=1e-3, rtol=0)


def test_the_normals_of_a_sphere_are_close():
    height, width = 48, 64
    intrinsics = torch.tensor([[60.0, 60.0, 31.5, 23.5]])
    v, u = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    rays = torch.stack([(u - 31.5) / 60, (v - 23.5) / 60, torch.ones_like(u)]).double()
    centre, radius = torch.tensor([0.0, 0.0, 3.0]).double(), 1.0
    along = (rays * centre.view(3, 1, 1)).sum(0)
    squared = rays.square().sum(0)
    root = along.square() - squared * (centre.square().sum() - radius**2)
    depth = torch.where(root > 0, (along - root.clamp_min(0).sqrt()) / squared, 0.0)
    expected = (rays * depth - centre.view(3, 1, 1)) / radius
    found, flat = normals_from_depth(depth.float()[None, None], (root > 0)[None, None], intrinsics)
    cosines = (found[0] * expected.float()).sum(0)[flat[0, 0]]
    assert flat.float().mean() > 0.1
    assert torch.rad2deg(cosines.clamp(max=1).acos()).max() < 3.0


def test_there_are_no_normals_across_a_step():
    depth = torch.full((1, 1, *SIZE), 2.0)
    depth[..., 8:] = 2.2
    found, flat = normals_from_depth(depth, depth > 0, camera())
    # The window of two pixels to each side sees the step from four columns.
    assert flat[0, 0, 5].tolist() == [False] * 2 + [True] * 4 + [False] * 4 + [True] * 4 + [False] * 2
    facing = everywhere((0.0, 0.0, -1.0), SIZE)
    torch.testing.assert_close(found * flat, facing * flat)


def test_there_are_no_normals_beside_unknown_depth():
    depth = torch.full((1, 1, *SIZE), 2.0)
    depth[..., 6, 8] = 0.0
    _, flat = normals_from_depth(depth, depth > 0, camera())
    assert not flat[..., 4:9, 6:11].any()
    assert flat[AWAY_FROM_BORDER].sum() == 8 * 12 - 25


def test_an_image_smaller_than_the_window_has_no_normals():
    depth = torch.full((1, 1, 3, 4), 2.0)
    assert not normals_from_depth(depth, depth > 0, camera())[1].any()


def geometric_loss(normals, depth, target):
    targets = Targets(depth=depth, normals=target)
    outputs = {"normals": normals, "depth": depth}
    return compare(outputs, targets, only(normals={"geometric": 1.0})).terms


@given(**planes)
def test_the_true_normals_of_a_plane_agree_with_its_depth(tilt, turn, distance):
    normal = tilted(tilt / 2, turn)
    depth = plane(normal, distance, SIZE, camera())
    truth = everywhere(normal, SIZE)
    terms = geometric_loss(truth, depth, truth)
    assert float(terms["normals/geometric"]) == pytest.approx(0.0, abs=1e-5)


def test_normals_off_by_an_angle_cost_one_minus_its_cosine():
    depth = plane(tilted(0.1, 0.0), 2.0, SIZE, camera())
    terms = geometric_loss(everywhere(tilted(0.6, 0.0), SIZE), depth, everywhere(tilted(0.1, 0.0), SIZE))
    assert float(terms["normals/geometric"]) == pytest.approx(1 - math.cos(0.5), abs=1e-5)


def test_the_geometric_term_needs_ground_truth_of_both():
    normals = everywhere(tilted(0.1, 0.0), SIZE)
    depth = plane(tilted(0.1, 0.0), 2.0, SIZE, camera())
    for targets in (Targets(normals=normals), Targets(depth=depth)):
        report = compare({"normals": normals, "depth": depth}, targets, only(normals={"geometric": 1.0}))
        assert "normals/geometric" not in report.terms
        assert report.total.item() == 0.0
