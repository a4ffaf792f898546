"""The aligned trajectories that pictures show: the median run of every group, read from its trial's files."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import EvaluationError
from harness.evaluation import AlignedErrors, TimedPoses, aligned_errors, read_tum
from harness.record import Status
from harness.report.comparison import Group, Trial
from harness.report.scores import centimetres, coverage, per_cent, primary_ate
from harness.report.table import GROUND_TRUTH_MARK, PARTIAL_MARK
from harness.store import GROUND_TRUTH_FILE, TRAJECTORY_FILE
from sequences.model import NANOSECONDS_PER_SECOND

logger = logging.getLogger(__name__)

#: A backend that makes maps names their files in this one.
MAP_FILE = "map.json"


@dataclass(frozen=True)
class Track:
    """The trajectory of one trial with its ground truth.

    Attributes:
        group: The group the trial stands for.
        trial: The trial of median error.
        estimate: The trajectory in the backend's own world.
        ground_truth: Every valid ground-truth pose.
        aligned: The estimate aligned by the trial's primary alignment, with the error of every pose.
        tolerance_ns: Largest difference in time between a pose and its ground truth.
    """

    group: Group
    trial: Trial
    estimate: TimedPoses
    ground_truth: TimedPoses
    aligned: AlignedErrors
    tolerance_ns: int

    @property
    def partial(self) -> bool:
        """Too few frames have a pose, or ground truth, for the trial to be ranked."""
        return self.trial.record.status is Status.PARTIAL

    @property
    def backend_directory(self) -> Path:
        """Where the backend's own files are."""
        return self.trial.directory / "backend"

    @property
    def has_backend_map(self) -> bool:
        """The backend wrote a map, or says that it did."""
        path = self.backend_directory / MAP_FILE
        return path.exists() or f"{path.parent.name}/{path.name}" in self.trial.record.files

    @property
    def label(self) -> str:
        """The contender with its marks."""
        marks = (PARTIAL_MARK if self.partial else "") + (
            GROUND_TRUTH_MARK if self.group.ground_truth_is_input else ""
        )
        return f"{self.group.contender.label}{marks}"

    @property
    def figures(self) -> str:
        """Run, error with its alignment, and coverage, for titles."""
        name = self.group.alignment.label if self.group.alignment else ""
        return (
            f"run {self.trial.record.key.run}: {name} ATE {centimetres(primary_ate(self.trial))} cm, "
            f"coverage {per_cent(coverage(self.trial))} %"
        )


def load_tracks(groups: Iterable[Group]) -> tuple[list[Track], list[str]]:
    """Read the median run of every group that has one.

    Returns:
        The tracks, and a sentence for every trial whose files cannot be used.
    """
    tracks, problems = [], []
    for group in groups:
        trial = group.median_trial()
        if trial is None:
            continue
        try:
            tracks.append(_load_track(group, trial))
        except EvaluationError as error:
            problem = f"{trial.record.key} has no trajectory in the pictures: {error}"
            logger.warning("%s", problem)
            problems.append(problem)
    return tracks, problems


def _load_track(group: Group, trial: Trial) -> Track:
    evaluation = trial.record.evaluation
    if evaluation is None:
        raise EvaluationError("its record has no evaluation")
    estimate = read_tum(trial.directory / TRAJECTORY_FILE)
    ground_truth = read_tum(trial.directory / GROUND_TRUTH_FILE)
    tolerance_ns = round(evaluation.association_tolerance_s * NANOSECONDS_PER_SECOND)
    aligned = aligned_errors(estimate, ground_truth, tolerance_ns, evaluation.primary_alignment)
    return Track(group, trial, estimate, ground_truth, aligned, tolerance_ns)
