"""What the odometry and the loops say of the keyframes, and where they are when both are heard."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from adapters.mono_hydra.loops.options import LoopOptions
from adapters.mono_hydra.loops.pose_graph import PoseGraph, PoseGraphResult
from adapters.mono_hydra.loops.verification import RelativePose

# How wrong the odometry is from one keyframe to the next: a fixed part, and a part of the motion.
_FIXED_METRES, _PART_OF_SHIFT = 0.002, 0.01
_FIXED_RADIANS, _PART_OF_TURN = 0.0015, 0.01


class KeyframeGraph:
    """All keyframes since the start, by number.

    Args:
        options: Of the pose graph.
    """

    def __init__(self, options: LoopOptions) -> None:
        self._options = options
        self._odometry: list[NDArray[np.float64]] = []
        self._linked: list[bool] = []
        self._loops: list[RelativePose] = []
        self._correction = np.eye(4)
        self._accepted = self._rejected = 0
        #: Camera to world of every keyframe as it is thought to be now, in the odometry's unit.
        self.poses: list[NDArray[np.float64]] = []
        self._solved = 0

    def add(self, keyframe: int, poses: dict[int, NDArray[np.float64]], linked: bool) -> None:
        """Takes in a keyframe.

        Args:
            keyframe: Its number, one more than the one before.
            poses: Camera to world of it and of others that the odometry has refined.
            linked: Whether measurements tie it to the one before.
        """
        self._odometry.append(poses[keyframe])
        self._linked.append(linked)
        self.poses.append(self._correction @ poses[keyframe])
        for number, pose in poses.items():
            self._odometry[number] = pose
            # What the pose graph has solved stays until it is solved again.
            if number >= self._solved:
                self.poses[number] = self._correction @ pose

    def add_loop(self, loop: RelativePose) -> None:
        """Takes in a loop, which may be wrong."""
        self._loops.append(loop)

    def solve(self) -> NDArray[np.float64]:
        """Solves for all poses.

        Returns:
            float64 [4, 4], takes the odometry's world to that of the result, at the newest keyframe.
        """
        scales = np.ones(len(self._odometry))
        solved = self._solve(np.stack(self._odometry), scales).camera_to_world
        self.poses = list(solved)
        self._solved = len(solved)
        self._correction = solved[-1] @ np.linalg.inv(self._odometry[-1])
        return self._correction

    def solve_final(self, poses: NDArray[np.float64], scales: NDArray[np.float64]) -> NDArray[np.float64]:
        """Solves once more with all that is known at the end.

        Args:
            poses: float64 [K, 4, 4], camera to world by the odometry, in its unit.
            scales: float64 [K], units of the odometry per metre.

        Returns:
            float64 [K, 4, 4], camera to world, metres.
        """
        if not len(poses):
            return poses
        solved = self._solve(poses, scales)
        self._accepted, self._rejected = int(solved.accepted.sum()), int((~solved.accepted).sum())
        return solved.camera_to_world

    def statistics(self) -> dict[str, Any]:
        """Loops, for the record."""
        return {
            "loop_closures_accepted": self._accepted,
            "loop_closures_rejected": self._rejected,
            # They knew less than the odometry between their ends.
            "loop_closures_not_needed": len(self._loops) - self._accepted - self._rejected,
            "odometry_breaks": max(len(self._linked) - sum(self._linked) - 1, 0),
        }

    def _solve(self, poses: NDArray[np.float64], scales: NDArray[np.float64]) -> PoseGraphResult:
        graph = PoseGraph(self._options)
        first = poses[0].copy()
        first[:3, 3] /= scales[0]
        graph.add_first(first)
        # Of the position, from the first keyframe to each.
        variances = np.zeros(len(poses))
        for number in range(1, len(poses)):
            step = np.linalg.inv(poses[number - 1]) @ poses[number]
            step[:3, 3] /= (scales[number - 1] + scales[number]) / 2
            covariance = _covariance(step) if self._linked[number] else None
            graph.add_keyframe(step, covariance)
            more = self._options.graph_break_translation**2 if covariance is None else covariance[3, 3]
            variances[number] = variances[number - 1] + more
        for loop in self._loops:
            if np.trace(loop.covariance[3:, 3:]) / 3 > variances[loop.source] - variances[loop.target]:
                continue
            motion = loop.source_to_target.copy()
            motion[:3, 3] /= (scales[loop.source] + scales[loop.target]) / 2
            graph.add_loop(replace(loop, source_to_target=motion))
        return graph.optimise()


def _covariance(step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a step of the odometry, rotation then translation, float64 [6, 6]."""
    turn = float(Rotation.from_matrix(step[:3, :3]).magnitude())
    shift = float(np.linalg.norm(step[:3, 3]))
    radians = _FIXED_RADIANS + _PART_OF_TURN * turn
    metres = _FIXED_METRES + _PART_OF_SHIFT * shift
    return np.diag([radians**2] * 3 + [metres**2] * 3)
