import gtsam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from adapters.mono_hydra.loops.options import LoopOptions
from adapters.mono_hydra.loops.pose_graph import PoseGraph
from adapters.mono_hydra.loops.verification import RelativePose

OPTIONS = LoopOptions()
ODOMETRY = np.diag([0.004**2] * 3 + [0.01**2] * 3)
LOOP = np.diag([0.01**2] * 3 + [0.02**2] * 3)


def motion(vector: np.ndarray) -> np.ndarray:
    return gtsam.Pose3.Expmap(vector).matrix()


def noise(random: np.random.Generator, covariance: np.ndarray) -> np.ndarray:
    return motion(np.sqrt(np.diag(covariance)) * random.normal(size=6))


def circles(count: int, rounds: float) -> np.ndarray:
    """float64 [count, 4, 4]: a camera that goes round and round, up and down, looking ahead."""
    poses = np.tile(np.eye(4), (count, 1, 1))
    angles = np.linspace(0.0, rounds * 2.0 * np.pi, count)
    poses[:, :3, :3] = Rotation.from_euler("z", angles[:, None]).as_matrix()
    poses[:, :3, 3] = np.stack(
        [3.0 * np.cos(angles), 3.0 * np.sin(angles), 0.3 * np.sin(3.0 * angles)], axis=1
    )
    return poses


def graph_along(poses: np.ndarray, random: np.random.Generator, lost_at: int = -1) -> PoseGraph:
    graph = PoseGraph(OPTIONS)
    graph.add_first(poses[0])
    for number in range(1, len(poses)):
        truth = np.linalg.inv(poses[number - 1]) @ poses[number]
        if number == lost_at:
            graph.add_keyframe(truth @ motion(np.array([0.0, 0.2, 0.8, 1.0, -1.0, 0.5])), None)
        else:
            graph.add_keyframe(truth @ noise(random, ODOMETRY), ODOMETRY)
    return graph


def loop(source: int, target: int, source_to_target: np.ndarray) -> RelativePose:
    return RelativePose(source, target, source_to_target, LOOP, 50, 0.8, 0.5, 1.0)


def right_loop(poses: np.ndarray, source: int, target: int, random: np.random.Generator) -> RelativePose:
    truth = np.linalg.inv(poses[target]) @ poses[source]
    return loop(source, target, truth @ noise(random, LOOP))


def wrong_loop(source: int, target: int, random: np.random.Generator) -> RelativePose:
    return loop(source, target, motion(random.normal(size=6) * [0.5, 0.5, 0.5, 1.5, 1.5, 1.5]))


def add_loops(
    graph: PoseGraph, poses: np.ndarray, count: int, wrong_part: float, random: np.random.Generator
) -> np.ndarray:
    """Adds loops between random keyframes; bool [count], which are right."""
    right = np.arange(count) >= round(wrong_part * count)
    for is_right in right:
        target, source = sorted(random.choice(len(poses), 2, replace=False))
        if is_right:
            graph.add_loop(right_loop(poses, int(source), int(target), random))
        else:
            graph.add_loop(wrong_loop(int(source), int(target), random))
    return right


def error(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.sum((found[:, :3, 3] - truth[:, :3, 3]) ** 2, axis=1))))


def test_right_loops_take_drift_away():
    random = np.random.default_rng(0)
    poses = circles(120, 3.0)
    graph = graph_along(poses, random)
    drifted = error(graph.optimise().camera_to_world, poses)
    for number in range(40, 120, 4):
        graph.add_loop(right_loop(poses, number, number - 40, random))
    result = graph.optimise()
    assert result.accepted.mean() > 0.7
    assert error(result.camera_to_world, poses) < 0.4 * drifted


@pytest.mark.parametrize("wrong_part", [0.25, 0.6])
def test_wrong_loops_are_dropped_and_right_ones_kept(wrong_part):
    random = np.random.default_rng(1)
    poses = circles(150, 3.0)
    graph = graph_along(poses, random)
    drifted = error(graph.optimise().camera_to_world, poses)
    right = add_loops(graph, poses, 60, wrong_part, random)
    result = graph.optimise()
    assert not result.accepted[~right].any()
    assert result.accepted[right].mean() > 0.75
    assert error(result.camera_to_world, poses) < 0.4 * drifted


def test_when_all_loops_are_wrong_the_result_is_odometry():
    random = np.random.default_rng(2)
    poses = circles(150, 3.0)
    graph = graph_along(poses, random)
    odometry = graph.optimise()
    add_loops(graph, poses, 60, 1.0, random)
    result = graph.optimise()
    assert not result.accepted.any()
    np.testing.assert_array_equal(result.camera_to_world, odometry.camera_to_world)


def test_one_wrong_loop_alone_moves_nothing():
    random = np.random.default_rng(3)
    poses = circles(30, 1.0)
    graph = graph_along(poses, random)
    odometry = graph.optimise().camera_to_world
    graph.add_loop(wrong_loop(25, 2, random))
    np.testing.assert_array_equal(graph.optimise().camera_to_world, odometry)


def test_loops_bring_together_what_lost_tracking_tore_apart():
    random = np.random.default_rng(4)
    poses = circles(80, 2.0)
    graph = graph_along(poses, random, lost_at=40)
    torn = error(graph.optimise().camera_to_world, poses)
    for number in (41, 50, 60, 70):
        graph.add_loop(right_loop(poses, number, number - 40, random))
    graph.add_loop(wrong_loop(65, 5, random))
    result = graph.optimise()
    assert torn > 0.5
    assert list(result.accepted) == [True] * 4 + [False]
    assert error(result.camera_to_world, poses) < 0.1


def test_lost_tracking_without_any_loop_keeps_the_guess():
    random = np.random.default_rng(5)
    poses = circles(20, 0.5)
    result = graph_along(poses, random, lost_at=10).optimise()
    assert np.isfinite(result.camera_to_world).all()
    assert result.camera_to_world.shape == (20, 4, 4)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_a_graph_moved_as_a_whole_gives_the_moved_poses(seed):
    moved_by = motion(np.random.default_rng(seed).uniform(-2.0, 2.0, 6))
    results = []
    for start in (np.eye(4), moved_by):
        random = np.random.default_rng(seed)
        poses = circles(40, 2.0)
        graph = graph_along(start @ poses, random)
        add_loops(graph, poses, 12, 0.25, random)
        results.append(graph.optimise())
    first, second = results
    np.testing.assert_array_equal(first.accepted, second.accepted)
    np.testing.assert_allclose(second.camera_to_world, moved_by @ first.camera_to_world, atol=1e-4)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_loops_that_agree_with_odometry_exactly_change_nothing(seed):
    random = np.random.default_rng(seed)
    poses = np.stack([motion(random.uniform(-1.0, 1.0, 6)) for _ in range(12)])
    graph = PoseGraph(OPTIONS)
    graph.add_first(poses[0])
    for number in range(1, 12):
        graph.add_keyframe(np.linalg.inv(poses[number - 1]) @ poses[number], ODOMETRY)
    for number in range(4, 12):
        graph.add_loop(loop(number, number - 4, np.linalg.inv(poses[number - 4]) @ poses[number]))
    result = graph.optimise()
    assert result.accepted.all()
    np.testing.assert_allclose(result.camera_to_world, poses, atol=1e-6)


def test_the_same_graph_gives_the_same_bits():
    results = []
    for _ in range(2):
        random = np.random.default_rng(6)
        poses = circles(100, 2.0)
        graph = graph_along(poses, random)
        add_loops(graph, poses, 40, 0.25, random)
        results += [graph.optimise(), graph.optimise()]
    for other in results[1:]:
        np.testing.assert_array_equal(other.camera_to_world, results[0].camera_to_world)
        np.testing.assert_array_equal(other.weights, results[0].weights)


def test_a_first_keyframe_alone_stays_where_it_is():
    graph = PoseGraph(OPTIONS)
    place = motion(np.arange(6) / 10.0)
    assert graph.add_first(place) == 0
    result = graph.optimise()
    np.testing.assert_array_equal(result.camera_to_world, place[None])
    assert result.accepted.shape == result.weights.shape == (0,)


def test_edges_of_keyframes_that_do_not_exist_are_refused():
    graph = PoseGraph(OPTIONS)
    with pytest.raises(ValueError, match="has no first keyframe yet"):
        graph.optimise()
    with pytest.raises(ValueError, match="has no first keyframe yet"):
        graph.add_keyframe(np.eye(4), ODOMETRY)
    graph.add_first(np.eye(4))
    with pytest.raises(ValueError, match="has a first keyframe already"):
        graph.add_first(np.eye(4))
    with pytest.raises(ValueError, match="has no keyframe 7; it has 1"):
        graph.add_loop(loop(7, 0, np.eye(4)))
    with pytest.raises(ValueError, match="has no keyframe -1"):
        graph.add_odometry(0, -1, np.eye(4), ODOMETRY)
