"""Where keyframes are by odometry, loops, anchors and the scale of depth together."""

import numpy as np
import pytest

pytest.importorskip("gtsam", reason="gtsam is not installed")

from adapters.mono_hydra.keyframe_graph import KeyframeGraph
from adapters.mono_hydra.loops.options import LoopOptions
from adapters.mono_hydra.loops.verification import RelativePose
from adapters.mono_hydra.model import Anchor, Link

SURE = np.diag([1e-3**2] * 3 + [2e-3**2] * 3)


def shifted(x, y=0.0):
    pose = np.eye(4)
    pose[:2, 3] = x, y
    return pose


def loop(source, target, motion):
    return RelativePose(source, target, motion, SURE, 100, 0.9, 0.9, 0.5)


def walked(positions, breaks=(), anchors=None):
    """A graph of keyframes at positions along x; nothing ties those in ``breaks`` to the one before."""
    graph = KeyframeGraph(LoopOptions())
    for number, x in enumerate(positions):
        link = Link.NONE if number == 0 or number in breaks else Link.TRACKED
        graph.add(number, {number: shifted(x)}, link, (anchors or {}).get(number))
    return graph


def final(graph, positions, scales=None):
    poses = np.stack([shifted(x) for x in positions])
    return graph.solve_final(poses, np.ones(len(poses)) if scales is None else scales)[:, 0, 3]


def test_without_loops_the_odometry_stays_what_it_is():
    positions = [0.0, 0.5, 1.0, 1.5]
    assert final(walked(positions), positions) == pytest.approx(positions, abs=1e-6)


def test_a_loop_pulls_a_drifted_end_back():
    # There and back again: the last keyframe is where the first is, and odometry has it 6 cm off.
    positions = [*np.linspace(0.0, 1.0, 15), *np.linspace(1.0, 0.06, 15)]
    graph = walked(positions)
    graph.add_loop(loop(29, 0, np.eye(4)))
    assert abs(final(graph, positions)[-1]) < 0.01
    assert graph.statistics()["loop_closures_accepted"] == 1


def test_a_loop_that_knows_less_than_the_odometry_is_not_needed():
    positions = [0.0, 0.1, 0.2]
    graph = walked(positions)
    vague = RelativePose(2, 0, shifted(0.3), np.diag([0.1] * 6), 30, 0.5, 0.5, 1.0)
    graph.add_loop(vague)
    assert final(graph, positions) == pytest.approx(positions, abs=1e-6)
    assert graph.statistics()["loop_closures_not_needed"] == 1


def test_steps_and_loops_are_divided_by_the_scale_of_depth():
    positions = [*np.linspace(0.0, 1.1, 12), *np.linspace(1.1, 0.1, 12)]
    graph = walked(positions)
    graph.add_loop(loop(23, 11, shifted(-1.1 + 0.11)))
    found = final(graph, positions, np.full(24, 1.1))
    assert found[11] == pytest.approx(1.0, abs=0.01)
    assert found[23] == pytest.approx(0.1, abs=0.02)


def test_what_nothing_ties_to_the_rest_is_told_apart():
    positions = [0.0, 0.1, 0.2, 0.3, 0.3, 0.4]
    graph = walked(positions, breaks=(4,))
    final(graph, positions)
    assert graph.connected().tolist() == [True] * 4 + [False] * 2
    assert not graph.is_connected_to_first(5)
    assert graph.statistics()["odometry_breaks"] == 1
    assert graph.statistics()["keyframes_not_connected"] == 2


def test_a_loop_ties_a_part_to_the_rest_and_says_where_it_is():
    positions = [0.0, 0.1, 0.2, 0.3, 0.3, 0.4]
    graph = walked(positions, breaks=(4,))
    graph.add_loop(loop(4, 1, shifted(0.5)))
    found = final(graph, positions)
    assert graph.connected().all()
    assert found[4:] == pytest.approx([0.6, 0.7], abs=0.01)


def test_an_anchor_ties_a_recognised_keyframe_to_what_it_was_recognised_by():
    positions = [0.0, 0.1, 0.2, 0.9, 1.0]
    anchor = Anchor(1, shifted(0.3), SURE)
    graph = walked(positions, breaks=(3,), anchors={3: anchor})
    found = final(graph, positions)
    assert graph.connected().all()
    # The odometry's own guess for the jump counts for nothing.
    assert found == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.5], abs=0.01)


def test_an_empty_graph_has_nothing_to_solve():
    graph = KeyframeGraph(LoopOptions())
    assert len(graph.solve_final(np.zeros((0, 4, 4)), np.zeros(0))) == 0
    assert len(graph.connected()) == 0
