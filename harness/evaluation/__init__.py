"""Scores of estimated trajectories against ground truth, by the rules in ``docs/evaluation.md``."""

from harness.evaluation.alignment import AlignedErrors, Similarity, aligned_errors, fit_alignments
from harness.evaluation.association import associate
from harness.evaluation.poses import TimedPoses
from harness.evaluation.scoring import MINIMUM_POSES, score
from harness.evaluation.trial import evaluate, status_of
from harness.evaluation.tum_format import read_tum, write_tum

__all__ = [
    "MINIMUM_POSES",
    "AlignedErrors",
    "Similarity",
    "TimedPoses",
    "aligned_errors",
    "associate",
    "evaluate",
    "fit_alignments",
    "read_tum",
    "score",
    "status_of",
    "write_tum",
]
