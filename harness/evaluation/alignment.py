"""The least-squares fit between a trajectory and its ground truth, and what is left of the error after it."""

from dataclasses import dataclass

import numpy as np
from evo.core import geometry
from numpy.typing import NDArray

from harness.errors import EvaluationError
from harness.evaluation.association import associate
from harness.evaluation.poses import TimedPoses
from harness.record import Alignment


@dataclass(frozen=True)
class Similarity:
    """Takes a point ``p`` of the estimate's world to ground truth's: ``scale * rotation @ p + translation``.

    Attributes:
        scale: 1.0 for an SE(3) alignment.
        rotation: float64 [3, 3].
        translation: float64 [3], metres.
    """

    scale: float
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]

    def apply(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move points, float64 [N, 3]."""
        return self.scale * points @ self.rotation.T + self.translation

    def distances(
        self, points: NDArray[np.float64], reference_points: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """How far moved points are from where they should be, float64 [N], metres."""
        return np.linalg.norm(self.apply(points) - reference_points, axis=1)


@dataclass(frozen=True)
class AlignedErrors:
    """The translation error of every associated pose, for plots.

    Attributes:
        timestamps_ns: int64 [P], of the estimate.
        positions: float64 [P, 3], the estimate after alignment, metres.
        reference_positions: float64 [P, 3], ground truth, metres.
        errors: float64 [P], distances between the two, metres; their RMSE is the ATE.
        fit: The alignment, so that maps can be moved with it too.
    """

    timestamps_ns: NDArray[np.int64]
    positions: NDArray[np.float64]
    reference_positions: NDArray[np.float64]
    errors: NDArray[np.float64]
    fit: Similarity


def fit_alignments(
    positions: NDArray[np.float64], reference_positions: NDArray[np.float64]
) -> dict[Alignment, Similarity]:
    """Fit associated positions with and without scale, by evo's implementation of Umeyama (PAMI 13(4), 1991).

    Args:
        positions: float64 [P, 3] of the estimate.
        reference_positions: float64 [P, 3] of ground truth, row by row at the same instants.

    Raises:
        EvaluationError: The positions leave the fit open because they all lie on one point or line, or are
            too large to be computed with.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            # The rotation does not depend on the scale (equation 40), so that one fit serves both alignments.
            rotation, _, scale = geometry.umeyama_alignment(
                positions.T, reference_positions.T, with_scale=True
            )
        except geometry.GeometryException as error:
            raise EvaluationError(
                "no alignment can be fitted: all positions of the estimate or of ground truth lie on one "
                "point or line"
            ) from error
        except np.linalg.LinAlgError as error:
            raise EvaluationError("no alignment can be fitted: the positions are too large") from error
    if not (np.isfinite(rotation).all() and np.isfinite(scale) and scale > 0):
        raise EvaluationError(f"no alignment can be fitted: the scale would be {scale}")
    centre, reference_centre = positions.mean(axis=0), reference_positions.mean(axis=0)
    return {
        alignment: Similarity(factor, rotation, reference_centre - factor * rotation @ centre)
        for alignment, factor in ((Alignment.SE3, 1.0), (Alignment.SIM3, float(scale)))
    }


def aligned_errors(
    estimate: TimedPoses, reference: TimedPoses, tolerance_ns: int, alignment: Alignment
) -> AlignedErrors:
    """Associate, align and measure the distance left at every pose.

    Args:
        estimate: The trajectory to look at.
        reference: Ground truth.
        tolerance_ns: Largest difference in time of a pair, as stored in the record.
        alignment: The fit to make.

    Raises:
        EvaluationError: Nothing can be aligned.
    """
    pairs = associate(estimate.timestamps_ns, reference.timestamps_ns, tolerance_ns)
    if not len(pairs):
        raise EvaluationError("no pose of the estimate has a ground-truth pose at its instant")
    positions = estimate.positions[pairs[:, 0]]
    reference_positions = reference.positions[pairs[:, 1]]
    fit = fit_alignments(positions, reference_positions)[alignment]
    return AlignedErrors(
        timestamps_ns=estimate.timestamps_ns[pairs[:, 0]],
        positions=fit.apply(positions),
        reference_positions=reference_positions,
        errors=fit.distances(positions, reference_positions),
        fit=fit,
    )
