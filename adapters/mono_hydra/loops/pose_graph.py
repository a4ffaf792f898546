"""All keyframe poses from odometry and loops, some of which are wrong.

Yang, Antonante, Tzoumas, Carlone: Graduated Non-Convexity for Robust Spatial Perception: From Non-Minimal
Solvers to Global Outlier Rejection. IEEE RA-L 5(2), 2020, as gtsam has it: loops are dropped one after the
other until those left agree with one another and with odometry. As in Kimera-RPGO (Rosinol et al.: Kimera:
from SLAM to Spatial Perception with 3D Dynamic Scene Graphs. IJRR 40(12-14), 2021) odometry is known to be
right and the loss is truncated least squares.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import gtsam
import numpy as np
from numpy.typing import NDArray

from adapters.mono_hydra.loops.options import LoopOptions
from adapters.mono_hydra.loops.verification import RelativePose

# How firmly the first keyframe stays where it is: radians and metres.
_FIRST_KEYFRAME_NOISE = 1e-6
# A rough solution is enough until the last step.
_ROUGH = 1e-2


@dataclass(frozen=True)
class PoseGraphResult:
    """What all edges together say.

    Attributes:
        camera_to_world: float64 [K, 4, 4], of every keyframe.
        accepted: bool [L], whether each loop, in the order they were added, is believed.
        weights: float64 [L], how much each counts, 0 to 1.
    """

    camera_to_world: NDArray[np.float64]
    accepted: NDArray[np.bool_]
    weights: NDArray[np.float64]


class PoseGraph:
    """Keyframes as nodes, relative poses as edges; keyframes are numbered from 0 as they are added."""

    def __init__(self, options: LoopOptions) -> None:
        self._options = options
        self._odometry_poses: list[NDArray[np.float64]] = []
        self._odometry: list[gtsam.NonlinearFactor] = []
        self._loops: list[gtsam.NonlinearFactor] = []

    def __len__(self) -> int:
        return len(self._odometry_poses)

    def add_first(self, camera_to_world: NDArray[np.float64]) -> int:
        """Adds the keyframe that stays where it is.

        Args:
            camera_to_world: float64 [4, 4].

        Returns:
            Its number, 0.

        Raises:
            ValueError: There is one already.
        """
        if self._odometry_poses:
            raise ValueError("the pose graph has a first keyframe already")
        self._odometry_poses.append(np.array(camera_to_world, dtype=np.float64))
        noise = gtsam.noiseModel.Isotropic.Sigma(6, _FIRST_KEYFRAME_NOISE)
        self._odometry.append(gtsam.PriorFactorPose3(0, gtsam.Pose3(camera_to_world), noise))
        return 0

    def add_keyframe(
        self, camera_to_previous: NDArray[np.float64], covariance: NDArray[np.float64] | None
    ) -> int:
        """Adds a keyframe where odometry says it is.

        Args:
            camera_to_previous: float64 [4, 4], its pose in the camera frame of the keyframe before.
            covariance: float64 [6, 6] of a small motion in its own frame, rotation (rad), then translation
                (m). None when tracking was lost in between: the pose is then but a guess that loops may move.

        Returns:
            Its number.

        Raises:
            ValueError: There is no first keyframe yet.
        """
        if not self._odometry_poses:
            raise ValueError("the pose graph has no first keyframe yet")
        number = len(self._odometry_poses)
        self._odometry_poses.append(self._odometry_poses[-1] @ camera_to_previous)
        self.add_odometry(number, number - 1, camera_to_previous, covariance)
        return number

    def add_odometry(
        self,
        source: int,
        target: int,
        source_to_target: NDArray[np.float64],
        covariance: NDArray[np.float64] | None,
    ) -> None:
        """Adds another edge that is known to be right, such as one over several keyframes.

        Args:
            source: Number of a keyframe.
            target: Number of another.
            source_to_target: float64 [4, 4].
            covariance: As for :meth:`add_keyframe`.

        Raises:
            ValueError: A keyframe does not exist.
        """
        if covariance is None:
            covariance = np.diag(
                [np.radians(self._options.graph_break_rotation) ** 2] * 3
                + [self._options.graph_break_translation**2] * 3
            )
        self._odometry.append(self._between(source, target, source_to_target, covariance))

    def add_loop(self, loop: RelativePose) -> None:
        """Adds a loop, which may be wrong.

        Raises:
            ValueError: A keyframe does not exist.
        """
        self._loops.append(self._between(loop.source, loop.target, loop.source_to_target, loop.covariance))

    def optimise(self) -> PoseGraphResult:
        """All poses, and which loops are believed; the same graph gives the same bits.

        Raises:
            ValueError: There is no keyframe.
        """
        if not self._odometry_poses:
            raise ValueError("the pose graph has no first keyframe yet")
        start = self._start()
        weights = self._loop_weights(start)
        accepted = weights > 0.5
        loops = [loop for loop, believed in zip(self._loops, accepted, strict=True) if believed]
        chain_alone = len(self._odometry) == len(self)
        if not loops and chain_alone:
            return PoseGraphResult(np.stack(self._odometry_poses), accepted, weights)
        graph = _graph([*self._odometry, *loops])
        poses = gtsam.LevenbergMarquardtOptimizer(graph, start, gtsam.LevenbergMarquardtParams()).optimize()
        return PoseGraphResult(
            np.stack([poses.atPose3(number).matrix() for number in range(len(self))]), accepted, weights
        )

    def _between(
        self,
        source: int,
        target: int,
        source_to_target: NDArray[np.float64],
        covariance: NDArray[np.float64],
    ) -> gtsam.NonlinearFactor:
        for number in (source, target):
            if not 0 <= number < len(self):
                raise ValueError(f"the pose graph has no keyframe {number}; it has {len(self)}")
        noise = gtsam.noiseModel.Gaussian.Covariance(covariance)
        return gtsam.BetweenFactorPose3(target, source, gtsam.Pose3(source_to_target), noise)

    def _start(self) -> gtsam.Values:
        values = gtsam.Values()
        for number, pose in enumerate(self._odometry_poses):
            values.insert(number, gtsam.Pose3(pose))
        return values

    def _loop_weights(self, start: gtsam.Values) -> NDArray[np.float64]:
        """How much each loop counts in the end, float64 [L]."""
        if not self._loops:
            return np.zeros(0)
        rough = gtsam.LevenbergMarquardtParams()
        rough.setRelativeErrorTol(_ROUGH)
        parameters = gtsam.GncLMParams(rough)
        parameters.setLossType(gtsam.GncLossType.TLS)
        parameters.setLambdaStep(self._options.graph_control_step)
        parameters.setKnownInliers(list(range(len(self._odometry))))
        optimiser = gtsam.GncLMOptimizer(_graph([*self._odometry, *self._loops]), start, parameters)
        optimiser.setInlierCostThresholdsAtProbability(self._options.graph_inlier_probability)
        optimiser.optimize()
        return np.array(optimiser.getWeights()[len(self._odometry) :], dtype=np.float64)


def _graph(factors: Sequence[gtsam.NonlinearFactor]) -> gtsam.NonlinearFactorGraph:
    graph = gtsam.NonlinearFactorGraph()
    for factor in factors:
        graph.add(factor)
    return graph
