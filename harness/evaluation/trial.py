"""What a trial is worth: its coverage, its scores, and whether it counts as complete."""

import logging

import numpy as np
from numpy.typing import NDArray

from harness.errors import EvaluationError
from harness.evaluation.association import associate
from harness.evaluation.poses import TimedPoses
from harness.evaluation.scoring import MINIMUM_POSES, score
from harness.record import Alignment, Evaluation, Status, TrajectoryScores
from sequences.model import NANOSECONDS_PER_SECOND
from sequences.timestamps import nanoseconds_to_seconds_text

#: Share of the frames that must have ground truth for an error to stand for a trajectory.
LEAST_GROUND_TRUTH = 0.5

_log = logging.getLogger(__name__)


def evaluate(
    estimate: TimedPoses,
    live: TimedPoses | None,
    frame_timestamps_ns: NDArray[np.int64],
    ground_truth: TimedPoses,
    ground_truth_rows_dropped: int,
    frame_period_ns: int,
    metric: bool,
) -> Evaluation:
    """Score a trial over all frames of its sequence.

    Frames are associated with ground truth, poses with frames, both one to one and at most half a frame
    period apart. A backend's poses carry the time stamps of frames; a trajectory from elsewhere need not.

    Args:
        estimate: The trajectory handed over at the end; may be empty.
        live: The poses as they were known frame by frame; None when the backend has none to give.
        frame_timestamps_ns: int64 [N], of every frame of the sequence, strictly increasing.
        ground_truth: The poses to compare with, without NaN.
        ground_truth_rows_dropped: Rows of ground truth that were left out for NaN or infinite entries.
        frame_period_ns: Median time between two frames.
        metric: Whether the backend was fed with metric depth, so that its scale counts.

    Raises:
        EvaluationError: No frame has a ground-truth pose.
    """
    tolerance_ns = frame_period_ns // 2
    with_ground_truth = associate(frame_timestamps_ns, ground_truth.timestamps_ns, tolerance_ns)
    if not len(with_ground_truth):
        raise EvaluationError(
            f"no frame has a ground-truth pose within {tolerance_ns / 1e6:g} ms: the frames cover "
            f"{_span(frame_timestamps_ns)}, ground truth {_span(ground_truth.timestamps_ns)}; "
            "check that both are on the same clock"
        )

    final_pairs = _pairs(estimate, frame_timestamps_ns, with_ground_truth, tolerance_ns)
    live_scores, live_coverage = None, None
    if live is not None:
        live_pairs = _pairs(live, frame_timestamps_ns, with_ground_truth, tolerance_ns)
        live_scores = _score_if_possible(live, ground_truth, live_pairs, metric)
        live_coverage = len(live_pairs) / len(with_ground_truth)
    return Evaluation(
        primary_alignment=Alignment.SE3 if metric else Alignment.SIM3,
        association_tolerance_s=tolerance_ns / NANOSECONDS_PER_SECOND,
        ground_truth_rows_dropped=ground_truth_rows_dropped,
        frames=len(frame_timestamps_ns),
        frames_with_ground_truth=len(with_ground_truth),
        frames_tracked=len(final_pairs),
        coverage=len(final_pairs) / len(with_ground_truth),
        final=_score_if_possible(estimate, ground_truth, final_pairs, metric),
        live=live_scores,
        live_coverage=live_coverage,
    )


def status_of(evaluation: Evaluation, coverage_floor: float = 0.9) -> tuple[Status, str | None]:
    """Say whether an evaluated trial is ``ok``, ``partial`` or ``failed``, and why it is not ok.

    Args:
        evaluation: The scores of the trial.
        coverage_floor: Share of the frames with ground truth that must have a pose.
    """
    have_a_pose = (
        f"{evaluation.frames_tracked} of {evaluation.frames_with_ground_truth} frames with ground truth "
        "have a pose"
    )
    if evaluation.frames_tracked < MINIMUM_POSES:
        return Status.FAILED, f"{have_a_pose}; {MINIMUM_POSES} are needed to measure an error"
    if evaluation.final is None:
        return Status.FAILED, (
            f"{have_a_pose}, but no alignment with ground truth can be fitted: the positions all lie on one "
            "point or line, or are too large"
        )
    lacks = []
    if evaluation.coverage < coverage_floor:
        share, floor = 100 * evaluation.coverage, 100 * coverage_floor
        lacks.append(f"{have_a_pose} ({share:.1f} %); {floor:g} % are needed")
    if evaluation.frames_with_ground_truth < LEAST_GROUND_TRUTH * evaluation.frames:
        lacks.append(
            f"{evaluation.frames_with_ground_truth} of {evaluation.frames} frames have ground truth; "
            f"{100 * LEAST_GROUND_TRUTH:g} % are needed"
        )
    return (Status.PARTIAL, "; ".join(lacks)) if lacks else (Status.OK, None)


def _pairs(
    trajectory: TimedPoses,
    frame_timestamps_ns: NDArray[np.int64],
    with_ground_truth: NDArray[np.int64],
    tolerance_ns: int,
) -> NDArray[np.int64]:
    """Positions in the trajectory and in ground truth that belong to the same frame, int64 [P, 2]."""
    posed = associate(trajectory.timestamps_ns, frame_timestamps_ns, tolerance_ns)
    if len(posed) < len(trajectory):
        _log.warning("%d poses belong to no frame and are not scored", len(trajectory) - len(posed))
    _, in_posed, in_ground_truth = np.intersect1d(
        posed[:, 1], with_ground_truth[:, 0], assume_unique=True, return_indices=True
    )
    return np.column_stack([posed[in_posed, 0], with_ground_truth[in_ground_truth, 1]])


def _score_if_possible(
    trajectory: TimedPoses, ground_truth: TimedPoses, pairs: NDArray[np.int64], metric: bool
) -> TrajectoryScores | None:
    try:
        return score(trajectory, ground_truth, pairs, scale_rpe=not metric)
    except EvaluationError as error:
        _log.warning("not scored: %s", error)
        return None


def _span(timestamps_ns: NDArray[np.int64]) -> str:
    if not len(timestamps_ns):
        return "nothing"
    first, last = (nanoseconds_to_seconds_text(int(timestamps_ns[index])) for index in (0, -1))
    return f"{first} s to {last} s"
