"""What the odometry and the loops say of the keyframes, and where they are when both are heard."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.transform import Rotation

from adapters.mono_hydra.loops.options import LoopOptions
from adapters.mono_hydra.loops.pose_graph import PoseGraph
from adapters.mono_hydra.loops.verification import RelativePose
from adapters.mono_hydra.model import Anchor, Link

# How wrong the odometry is from one keyframe to the next: a fixed part, and a part of the motion.
_FIXED_METRES, _PART_OF_SHIFT = 0.002, 0.01
_FIXED_RADIANS, _PART_OF_TURN = 0.0015, 0.01
# ... by the IMU alone so many times as much.
_COASTING = 5.0


@dataclass(frozen=True)
class _Node:
    """What a keyframe was added with."""

    link: Link
    anchor: Anchor | None


class KeyframeGraph:
    """All keyframes since the start, by number.

    Args:
        options: Of the pose graph.
    """

    def __init__(self, options: LoopOptions) -> None:
        self._options = options
        self._odometry: list[NDArray[np.float64]] = []
        self._nodes: list[_Node] = []
        self._loops: list[RelativePose] = []
        self._believed: list[RelativePose] = []
        self._rejected = 0
        self._correction = np.eye(4)
        #: Camera to world of every keyframe as it is thought to be now, in the odometry's unit.
        self.poses: list[NDArray[np.float64]] = []
        self._solved = 0

    def add(
        self, keyframe: int, poses: dict[int, NDArray[np.float64]], link: Link, anchor: Anchor | None = None
    ) -> None:
        """Takes in a keyframe.

        Args:
            keyframe: Its number, one more than the one before.
            poses: Camera to world of it and of others that the odometry has refined.
            link: What ties it to the one before.
            anchor: The keyframe it was recognised by when tracking was lost.
        """
        if anchor is not None:
            # The odometry put it beside that keyframe as it knew it; now it is beside it as solved.
            self._correction = self.poses[anchor.keyframe] @ np.linalg.inv(self._odometry[anchor.keyframe])
        self._odometry.append(poses[keyframe])
        self._nodes.append(_Node(link, anchor))
        self.poses.append(self._correction @ poses[keyframe])
        for number, pose in poses.items():
            self._odometry[number] = pose
            # What the pose graph has solved stays until it is solved again.
            if number >= self._solved:
                self.poses[number] = self._correction @ pose

    @property
    def correction(self) -> NDArray[np.float64]:
        """float64 [4, 4], takes the odometry's world to that of the solved graph, at the newest keyframe."""
        return self._correction

    def connected(self) -> NDArray[np.bool_]:
        """Which keyframes are in the largest part that measurements hold together: bool [K]."""
        parts = self._parts()
        return np.asarray(parts == np.bincount(parts).argmax()) if len(parts) else np.zeros(0, bool)

    def is_connected_to_first(self, keyframe: int) -> bool:
        """Whether measurements tie a keyframe to the first one."""
        parts = self._parts()
        return bool(parts[keyframe] == parts[0])

    def _parts(self) -> NDArray[np.int32]:
        """int32 [K], which part of the graph each keyframe is in."""
        edges = [
            (number - 1, number) for number, node in enumerate(self._nodes) if node.link is not Link.NONE
        ]
        edges += [(number, node.anchor.keyframe) for number, node in enumerate(self._nodes) if node.anchor]
        edges += [(loop.source, loop.target) for loop in self._believed]
        count = len(self._nodes)
        rows, columns = np.array(edges, dtype=np.int64).reshape(-1, 2).T
        network = coo_array((np.ones(len(edges), bool), (rows, columns)), shape=(count, count))
        return np.asarray(connected_components(network, directed=False)[1])

    def add_loop(self, loop: RelativePose) -> None:
        """Takes in a loop, which may be wrong."""
        self._loops.append(loop)

    def solve(self) -> None:
        """Solves for all poses."""
        scales = np.ones(len(self._odometry))
        solved = self._solve(np.stack(self._odometry), scales)
        self.poses = list(solved)
        self._solved = len(solved)
        self._correction = solved[-1] @ np.linalg.inv(self._odometry[-1])

    def solve_final(self, poses: NDArray[np.float64], scales: NDArray[np.float64]) -> NDArray[np.float64]:
        """Solves once more with all that is known at the end.

        Args:
            poses: float64 [K, 4, 4], camera to world by the odometry, in its unit.
            scales: float64 [K], units of the odometry per metre.

        Returns:
            float64 [K, 4, 4], camera to world, metres.
        """
        return self._solve(poses, scales) if len(poses) else poses

    def statistics(self) -> dict[str, Any]:
        """Loops and breaks, for the record."""
        accepted = len(self._believed)
        return {
            "loop_closures_accepted": accepted,
            "loop_closures_rejected": self._rejected,
            # They knew less than the odometry between their ends.
            "loop_closures_not_needed": len(self._loops) - accepted - self._rejected,
            "odometry_breaks": sum(node.link is Link.NONE for node in self._nodes[1:]),
            "keyframes_not_connected": int((~self.connected()).sum()),
        }

    def _solve(self, poses: NDArray[np.float64], scales: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 [K, 4, 4], camera to world, metres where the scales are known."""
        graph = PoseGraph(self._options)
        first = poses[0].copy()
        first[:3, 3] /= scales[0]
        graph.add_first(first)
        # Of the position, from the first keyframe to each.
        variances = np.zeros(len(poses))
        for number, node in enumerate(self._nodes[1:], start=1):
            step = _metric(np.linalg.inv(poses[number - 1]) @ poses[number], scales[[number - 1, number]])
            covariance = _covariance(step, node.link)
            graph.add_keyframe(step, covariance)
            more = self._options.graph_break_translation**2 if covariance is None else covariance[3, 3]
            variances[number] = variances[number - 1] + more
            if node.anchor is not None:
                target = node.anchor.keyframe
                motion = _metric(node.anchor.camera_to_keyframe, scales[[number, target]])
                graph.add_odometry(number, target, motion, node.anchor.covariance)
        needed = [
            loop
            for loop in self._loops
            if np.trace(loop.covariance[3:, 3:]) / 3 <= variances[loop.source] - variances[loop.target]
        ]
        for loop in needed:
            motion = _metric(loop.source_to_target, scales[[loop.source, loop.target]])
            graph.add_loop(replace(loop, source_to_target=motion))
        solved = graph.optimise()
        self._believed = [loop for loop, yes in zip(needed, solved.accepted, strict=True) if yes]
        self._rejected = len(needed) - len(self._believed)
        return solved.camera_to_world


def _metric(motion: NDArray[np.float64], scales: NDArray[np.float64]) -> NDArray[np.float64]:
    """A motion in the odometry's unit, float64 [4, 4], in metres, by the scales at both ends."""
    metric = motion.copy()
    metric[:3, 3] /= scales.mean()
    return metric


def _covariance(step: NDArray[np.float64], link: Link) -> NDArray[np.float64] | None:
    """Of a step of the odometry, rotation then translation, float64 [6, 6]; None where nothing is known."""
    if link is Link.NONE:
        return None
    turn = float(Rotation.from_matrix(step[:3, :3]).magnitude())
    shift = float(np.linalg.norm(step[:3, 3]))
    factor = _COASTING if link is Link.COASTED else 1.0
    radians = factor * (_FIXED_RADIANS + _PART_OF_TURN * turn)
    metres = factor * (_FIXED_METRES + _PART_OF_SHIFT * shift)
    return np.diag([radians**2] * 3 + [metres**2] * 3)
