"""Which clusters of vertices are objects, and the boxes around them."""

import numpy as np
import pytest
from box_world import (
    CHAIR,
    FLOOR,
    LABEL_SPACE,
    PERSON,
    TABLE,
    box,
    empty_mesh,
    room,
    together,
    without_labels,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adapters.labelled_mesh import LabelledMesh
from adapters.mono_hydra.scene_graph.objects import SceneObject, euclidean_clusters, find_objects
from adapters.mono_hydra.scene_graph.options import SceneGraphOptions

OPTIONS = SceneGraphOptions()
ROOM = room((-3, -3), (3, 3))


def names(objects: list[SceneObject]) -> list[str]:
    return [entry.label_class.name for entry in objects]


def chairs(gap: float) -> LabelledMesh:
    """Two chairs, 0.4 m wide, so far apart."""
    return together(
        box((0, 0, 0.4), (0.4, 0.4, 0.8), CHAIR), box((0.4 + gap, 0, 0.4), (0.4, 0.4, 0.8), CHAIR)
    )


def point_cloud(count: int, label: int) -> LabelledMesh:
    vertices = np.zeros((count, 3), np.float32)
    vertices[:, 0] = np.linspace(0, 0.4, count)
    labels = np.full(count, label, np.uint8)
    return LabelledMesh(
        vertices, vertices, np.zeros((count, 3), np.uint8), labels, np.zeros((0, 3), np.int32)
    )


def test_things_are_counted_by_label() -> None:
    mesh = together(
        ROOM,
        box((-1, 0, 0.4), (0.4, 0.4, 0.8), CHAIR),
        box((1, 0, 0.4), (0.4, 0.4, 0.8), CHAIR),
        box((1, 2, 0.35), (1.2, 0.8, 0.7), TABLE),
    )
    objects = find_objects(mesh, LABEL_SPACE, OPTIONS)
    assert names(objects) == ["chair", "chair", "table"]
    assert objects[2].box.centre == pytest.approx([1, 2, 0.35], abs=1e-5)
    assert set(mesh.labels[objects[2].vertex_indices]) == {TABLE}


@pytest.mark.parametrize("yaw", [0.0, 0.3, -1.2, 1.5, 2.8])
def test_the_box_of_a_turned_thing_is_turned_with_it(yaw: float) -> None:
    (found,) = find_objects(box((1, 2, 0.35), (1.2, 0.6, 0.7), TABLE, yaw=yaw), LABEL_SPACE, OPTIONS)
    assert found.box.centre == pytest.approx([1, 2, 0.35], abs=1e-4)
    assert found.box.dimensions == pytest.approx([1.2, 0.6, 0.7], abs=1e-4)
    assert np.sin(found.box.yaw - yaw) == pytest.approx(0, abs=1e-4)
    assert -np.pi / 2 <= found.box.yaw <= np.pi / 2


def test_an_axis_aligned_box_encloses_a_turned_thing() -> None:
    options = SceneGraphOptions(object_box="axis_aligned")
    (found,) = find_objects(box((1, 2, 0.35), (1.2, 0.6, 0.7), TABLE, yaw=np.pi / 6), LABEL_SPACE, options)
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    assert found.box.dimensions == pytest.approx([1.2 * c + 0.6 * s, 1.2 * s + 0.6 * c, 0.7], abs=1e-4)
    assert found.box.centre == pytest.approx([1, 2, 0.35], abs=1e-4)
    assert found.box.yaw == 0


def test_things_further_apart_than_the_tolerance_are_two() -> None:
    assert names(find_objects(chairs(gap=0.3), LABEL_SPACE, OPTIONS)) == ["chair", "chair"]


def test_things_nearer_than_the_tolerance_are_one() -> None:
    assert names(find_objects(chairs(gap=0.2), LABEL_SPACE, OPTIONS)) == ["chair"]


@pytest.mark.parametrize(("count", "expected"), [(39, []), (40, ["chair"])])
def test_a_cluster_of_39_vertices_is_no_object(count: int, expected: list[str]) -> None:
    assert names(find_objects(point_cloud(count, CHAIR), LABEL_SPACE, OPTIONS)) == expected


@pytest.mark.parametrize("label", [FLOOR, PERSON, 77])
def test_structure_and_people_and_unknown_classes_are_no_objects(label: int) -> None:
    assert find_objects(point_cloud(500, label), LABEL_SPACE, OPTIONS) == []


def test_without_labels_there_are_no_objects() -> None:
    assert find_objects(without_labels(chairs(gap=0.3)), LABEL_SPACE, OPTIONS) == []


def test_an_empty_mesh_has_no_objects() -> None:
    assert find_objects(empty_mesh(), LABEL_SPACE, OPTIONS) == []


def test_vertices_in_one_spot_make_an_object_with_a_flat_box() -> None:
    mesh = point_cloud(50, CHAIR)
    mesh.vertices[:] = (1.0, 2.0, 0.5)
    (found,) = find_objects(mesh, LABEL_SPACE, OPTIONS)
    assert found.box.dimensions == pytest.approx([0, 0, 0])
    assert found.centroid == pytest.approx([1.0, 2.0, 0.5])


@given(
    arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(-1, 1, width=16)),
    st.floats(0.05, 0.6),
)
def test_clusters_are_the_connected_components_of_near_points(points: np.ndarray, tolerance: float) -> None:
    near = np.linalg.norm(points[:, None] - points[None], axis=-1) <= tolerance
    reached = near
    for _ in points:
        reached = reached @ near
    cluster = euclidean_clusters(points, tolerance)
    assert np.array_equal(cluster[:, None] == cluster[None], reached)
