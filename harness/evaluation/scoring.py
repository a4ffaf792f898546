"""Absolute and relative errors of one trajectory whose poses have been associated with ground truth.

evo fits the alignment and defines every statistic. What is measured pose by pose is measured here for all
poses at once: evo's own loops take up to 0.15 ms a pose, which would be most of the time of scoring. The
tests hold every figure to evo's own command line.
"""

import numpy as np
from evo.core.metrics import APE
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from harness.errors import EvaluationError
from harness.evaluation.alignment import fit_alignments
from harness.evaluation.poses import TimedPoses
from harness.record import Alignment, ErrorStatistics, TrajectoryScores

MINIMUM_POSES = 3


def score(
    estimate: TimedPoses, reference: TimedPoses, pairs: NDArray[np.int64], *, scale_rpe: bool
) -> TrajectoryScores:
    """Measure a trajectory.

    The absolute errors are those of Sturm et al., "A Benchmark for the Evaluation of RGB-D SLAM Systems",
    IROS 2012, section IV; the relative errors are between one associated pose and the next.

    Args:
        estimate: The trajectory to be judged.
        reference: Ground truth.
        pairs: int64 [P, 2], positions in ``estimate`` and in ``reference`` that belong together, in order of
            time.
        scale_rpe: Bring the estimate to metres by the scale of the Sim(3) alignment before relative errors
            are measured; for trajectories without a scale of their own.

    Raises:
        EvaluationError: Fewer than three pairs, or positions that leave the alignment open.
    """
    if len(pairs) < MINIMUM_POSES:
        raise EvaluationError(f"{len(pairs)} poses with ground truth; at least {MINIMUM_POSES} are needed")
    estimate, reference = estimate.take(pairs[:, 0]), reference.take(pairs[:, 1])
    fits = fit_alignments(estimate.positions, reference.positions)
    se3, sim3 = fits[Alignment.SE3], fits[Alignment.SIM3]
    aligned_rotations = Rotation.from_matrix(se3.rotation) * estimate.rotations()
    rpe_translation, rpe_rotation = _relative_errors(estimate, reference, sim3.scale if scale_rpe else 1.0)
    return TrajectoryScores(
        poses=len(pairs),
        ate_se3=_statistics(se3.distances(estimate.positions, reference.positions)),
        ate_sim3=_statistics(sim3.distances(estimate.positions, reference.positions)),
        sim3_scale=sim3.scale,
        rotation_se3_deg=_statistics(_angles_deg(aligned_rotations.inv() * reference.rotations())),
        rpe_translation=_statistics(rpe_translation),
        rpe_rotation_deg=_statistics(_angles_deg(rpe_rotation)),
    )


def _relative_errors(
    estimate: TimedPoses, reference: TimedPoses, scale: float
) -> tuple[NDArray[np.float64], Rotation]:
    """Differences between the motions from each pose to the next: metres, and rotations."""
    moved, turned = _motions(estimate, scale)
    reference_moved, reference_turned = _motions(reference, 1.0)
    return np.linalg.norm(moved - reference_moved, axis=1), reference_turned.inv() * turned


def _motions(poses: TimedPoses, scale: float) -> tuple[NDArray[np.float64], Rotation]:
    """Translation and rotation from each pose to the next, in the camera frame of the first of the two."""
    rotations = poses.rotations()
    to_camera = rotations[:-1].inv()
    return to_camera.apply(scale * np.diff(poses.positions, axis=0)), to_camera * rotations[1:]


def _angles_deg(rotations: Rotation) -> NDArray[np.float64]:
    return np.rad2deg(rotations.magnitude())


def _statistics(errors: NDArray[np.float64]) -> ErrorStatistics:
    if not np.isfinite(errors).all():
        raise EvaluationError("the positions are too large for an error to be computed")
    metric = APE()
    metric.error = errors
    statistics = metric.get_all_statistics()
    return ErrorStatistics(**{name: float(statistics[name]) for name in ErrorStatistics.model_fields})
