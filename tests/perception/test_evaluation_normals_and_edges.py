"""Figures of normals and edges: planes whose normals are known, borders that are moved by so many pixels."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from seen_room import CAMERA, camera_path, view

from perception.errors import ModuleFailedError
from perception.evaluation.edges import EdgeScore, semantic_edges
from perception.evaluation.normals import NormalsScore
from perception.evaluation.surface_normals import true_normals

SHAPE = (CAMERA.height, CAMERA.width)


def plane_depth(normal, distance=2.0):
    """Depth of the plane ``normal · X = -distance``, which faces the camera."""
    rows, columns = np.indices(SHAPE)
    rays = np.stack([columns, rows, np.ones(SHAPE)], axis=-1) @ np.linalg.inv(CAMERA.matrix()).T
    return (-distance / (rays @ normal)).astype(np.float32)


def unit(*vector):
    return np.array(vector) / np.linalg.norm(vector)


def turned(normals, degrees):
    turn = Rotation.from_rotvec(np.radians(degrees) * unit(1, 0, 0)).as_matrix()
    return (normals @ turn.T).astype(np.float32)


def scored(truth, predicted, depth=None):
    score = NormalsScore()
    score.add(truth, predicted, np.ones(SHAPE, np.float32) if depth is None else depth)
    return score.figures()


def everywhere(normal):
    return np.broadcast_to(np.float32(normal), (*SHAPE, 3)).copy()


@pytest.mark.parametrize("normal", [(0, 0, -1), (0.5, 0.2, -1), (-0.3, 0.9, -1), (0.0, -2.0, -1)])
def test_a_plane_has_its_normal_at_every_pixel_but_the_border(normal):
    depth = plane_depth(unit(*normal))
    seen = (depth > 0) & (depth < 50)
    found = true_normals(np.where(seen, depth, np.float32(0)), CAMERA)
    has = found.any(axis=-1)
    np.testing.assert_allclose(found[has], np.broadcast_to(unit(*normal), found[has].shape), atol=2e-3)
    assert has[20:-20, 20:-20][seen[20:-20, 20:-20]].mean() > 0.9


def test_true_normals_point_towards_the_camera_and_are_missing_at_edges_and_holes():
    _, whole, _ = view(camera_path(2)[0])
    depth = whole.copy()
    depth[50:60, 20:30] = 0
    found = true_normals(depth, CAMERA)
    rows, columns = np.indices(SHAPE)
    rays = np.stack([columns, rows, np.ones(SHAPE)], axis=-1) @ np.linalg.inv(CAMERA.matrix()).T
    has = found.any(axis=-1)
    assert ((found * rays).sum(axis=-1)[has] < 0).all()
    np.testing.assert_allclose(np.linalg.norm(found[has], axis=-1), 1, atol=1e-5)
    assert not has[50:60, 20:30].any()
    jumps = np.abs(np.diff(whole, axis=1)) > 0.3
    assert jumps.any()
    assert not has[:, :-1][jumps].any()
    assert has.mean() > 0.7


def test_a_single_row_of_depth_fixes_no_plane():
    depth = np.zeros(SHAPE, np.float32)
    depth[60] = 2
    assert not true_normals(depth, CAMERA).any()


def test_a_turn_of_all_normals_is_their_mean_and_median_angle():
    truth = everywhere(unit(0.2, 0.1, -1))
    found = scored(everywhere((0, 0, -1)), turned(everywhere((0, 0, -1)), 20.0))
    assert found.mean_deg == pytest.approx(20, abs=1e-4)
    assert found.median_deg == pytest.approx(20, abs=1e-2)
    assert (found.within_11_25, found.within_22_5, found.within_30) == (0, 1, 1)
    assert scored(truth, truth).mean_deg == pytest.approx(0, abs=1e-9)
    assert scored(truth, -truth).mean_deg == pytest.approx(180)


def test_mean_and_median_tell_a_few_wrong_normals_apart():
    truth = everywhere((0, 0, -1))
    predicted = truth.copy()
    predicted[: SHAPE[0] // 4] = turned(truth, 90)[: SHAPE[0] // 4]
    found = scored(truth, predicted)
    assert found.median_deg == pytest.approx(0, abs=0.01)
    assert found.mean_deg == pytest.approx(90 / 4, abs=1e-4)
    assert found.within_30 == pytest.approx(3 / 4)


def test_the_length_of_a_predicted_normal_does_not_matter_and_zero_is_none():
    truth = everywhere((0, 0, -1))
    predicted = 5 * turned(truth, 10)
    predicted[:, : SHAPE[1] // 2] = 0
    found = scored(truth, predicted)
    assert found.mean_deg == pytest.approx(10, abs=1e-4)
    assert found.coverage == pytest.approx(0.5)


def test_the_share_of_pixels_with_a_true_normal_is_told():
    truth = everywhere((0, 0, -1))
    truth[:30] = 0
    assert scored(truth, truth).truth_share == pytest.approx(90 / 120)


def test_normals_and_edges_that_are_not_finite_are_refused():
    broken = everywhere((0, 0, np.nan))
    with pytest.raises(ModuleFailedError, match="normals have NaN"):
        scored(everywhere((0, 0, -1)), broken)
    with pytest.raises(ModuleFailedError, match="edges have NaN"):
        EdgeScore().add(np.ones(SHAPE, np.uint8), np.full(SHAPE, np.inf, np.float32))


def halves(border):
    labels = np.ones(SHAPE, np.uint8)
    labels[:, border:] = 2
    return labels


def line(column, probability=1.0):
    edges = np.zeros(SHAPE, np.float32)
    edges[:, column] = probability
    return edges


def edges_scored(*frames):
    score = EdgeScore()
    for labels, edges in frames:
        score.add(labels, edges)
    return score.figures()


def test_edges_are_where_the_next_pixel_has_another_known_label():
    labels = np.array([[1, 1, 2], [1, 1, 2], [3, 255, 2]], np.uint8)
    assert semantic_edges(labels).tolist() == [[0, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_edges_within_the_tolerance_are_right_and_beyond_it_wrong():
    # The diagonal of 200 pixels lets an edge be 1.5 pixels off.
    assert edges_scored((halves(80), line(79))).ods_f == 1
    assert edges_scored((halves(80), line(80))).ods_f == 1
    assert edges_scored((halves(80), line(82))).ods_f == 0


def test_precision_and_recall_are_of_the_best_threshold():
    # A sure edge in the right place and a doubtful one in the wrong place: best is to leave out the latter.
    found = edges_scored((halves(80), np.maximum(line(79, 0.805), line(20, 0.405))))
    assert (found.ods_f, found.precision, found.recall) == (1, 1, 1)
    assert 0.40 < found.threshold <= 0.80
    # The other way round both have to be taken: one of two is right.
    found = edges_scored((halves(80), np.maximum(line(79, 0.405), line(20, 0.805))))
    assert found.precision == pytest.approx(0.5)
    assert found.ods_f == pytest.approx(2 / 3)


def test_one_threshold_serves_the_whole_data_set():
    sure, doubtful = (halves(80), line(79, 0.9)), (halves(80), np.maximum(line(79, 0.3), line(20, 0.6)))
    # At 0.3 all is found, and of three lines two are right; at 0.9 one of two is found and none is wrong.
    found = edges_scored(sure, doubtful)
    assert found.ods_f == pytest.approx(2 * (2 / 3) * 1 / (2 / 3 + 1))


def test_predictions_where_labels_are_unknown_count_for_nothing():
    labels = halves(40)
    labels[:, 80:90] = 255
    found = edges_scored((labels, np.maximum(line(39), line(85))))
    assert (found.precision, found.recall) == (1, 1)
    # Just beside the unknown pixels there may be a border too, further away there is none.
    assert edges_scored((labels, np.maximum(line(39), line(79)))).precision == 1
    assert edges_scored((labels, np.maximum(line(39), line(75)))).precision == 0.5


def test_labels_without_borders_give_no_figures():
    assert edges_scored((np.ones(SHAPE, np.uint8), line(20))) is None
