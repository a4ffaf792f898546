"""The record of one trial: its state, its scores and everything needed to repeat it.

Distances are metres, times seconds, ratios lie in 0 to 1. A figure that does not exist is ``None``, never
zero or NaN.
"""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

NonNegative = Annotated[FiniteFloat, Field(ge=0)]


class Status(StrEnum):
    """How a trial ended. Four different words, kept apart everywhere."""

    OK = "ok"
    PARTIAL = "partial"
    FAILED = "failed"
    SKIPPED = "skipped"


def count_words(statuses: Iterable[Status]) -> str:
    """How many trials ended in each state, as in "2 ok, 1 failed"; the states in their order."""
    counts = Counter(statuses)
    return ", ".join(f"{counts[status]} {status.value}" for status in Status if counts[status])


class Alignment(StrEnum):
    """Which transformation was fitted before distances were measured."""

    SE3 = "se3"
    SIM3 = "sim3"

    @property
    def label(self) -> str:
        """As people write it."""
        return {"se3": "SE(3)", "sim3": "Sim(3)"}[self.value]


class FrozenModel(BaseModel):
    """Plain values that do not change and have no other fields than these."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TrialKey(FrozenModel):
    """What makes a trial unique within its experiment."""

    sequence: str
    perception: str
    backend: str
    run: int = Field(ge=0)

    def group(self) -> tuple[str, str, str]:
        """The key without the run number: repetitions share it."""
        return self.sequence, self.perception, self.backend

    def __str__(self) -> str:
        return f"{self.sequence} / {self.perception} / {self.backend} / run {self.run}"


class ErrorStatistics(FrozenModel):
    """Statistics of one kind of error over a trajectory, by evo's definitions."""

    rmse: NonNegative
    mean: NonNegative
    median: NonNegative
    std: NonNegative
    min: NonNegative
    max: NonNegative


class TrajectoryScores(FrozenModel):
    """Everything measured of one trajectory against ground truth.

    Attributes:
        poses: Associated pairs of poses the figures rest on.
        ate_se3: Absolute trajectory error, translation, after SE(3) alignment, metres.
        ate_sim3: The same after Sim(3) alignment.
        sim3_scale: Scale that Sim(3) alignment fitted to the estimate.
        rotation_se3_deg: Absolute rotation error after SE(3) alignment, degrees.
        rpe_translation: Relative pose error between consecutive associated poses, metres; for mode ``mono``
            of the trajectory scaled by ``sim3_scale``.
        rpe_rotation_deg: Relative rotation error between consecutive associated poses, degrees.
    """

    poses: int
    ate_se3: ErrorStatistics
    ate_sim3: ErrorStatistics
    sim3_scale: FiniteFloat
    rotation_se3_deg: ErrorStatistics
    rpe_translation: ErrorStatistics | None
    rpe_rotation_deg: ErrorStatistics | None


class Evaluation(FrozenModel):
    """Scores of a trial with what they rest on.

    Attributes:
        primary_alignment: The one that tables print: SE(3) with metric depth, Sim(3) without.
        association_tolerance_s: Frames and ground truth further apart than this were not associated.
        ground_truth_rows_dropped: Rows with NaN or infinite entries that were left out.
        frames: Frames of the sequence that took part.
        frames_with_ground_truth: Those that have a ground-truth pose within the tolerance.
        frames_tracked: Those of them that the backend gave a pose.
        coverage: ``frames_tracked / frames_with_ground_truth``.
        final: Scores of the trajectory handed over at the end; None with fewer than three poses.
        live: Scores of the poses as they were known frame by frame; None where there were none.
        live_coverage: As ``coverage``, of the live poses.
    """

    primary_alignment: Alignment
    association_tolerance_s: NonNegative
    ground_truth_rows_dropped: int
    frames: int
    frames_with_ground_truth: int
    frames_tracked: int
    coverage: Annotated[FiniteFloat, Field(ge=0, le=1)]
    final: TrajectoryScores | None
    live: TrajectoryScores | None
    live_coverage: Annotated[FiniteFloat, Field(ge=0, le=1)] | None

    def primary_ate(self) -> float | None:
        """RMSE that tables print, metres; None when nothing could be scored."""
        if self.final is None:
            return None
        chosen = self.final.ate_se3 if self.primary_alignment is Alignment.SE3 else self.final.ate_sim3
        return chosen.rmse


class FrameCounts(FrozenModel):
    """What became of the frames of a sequence."""

    in_sequence: int
    sent: int
    dropped: int
    tracked_live: int
    keyframes: int


class Timings(FrozenModel):
    """Where the time went, seconds; per-frame figures in milliseconds.

    ``waited_s`` is what the backend waited on purpose between frames for threads of its own. It is part of
    ``tracking_s``, and no part of ``frames_per_second`` and ``backend_ms``.
    """

    total_s: NonNegative | None = None
    start_s: NonNegative | None = None
    tracking_s: NonNegative | None = None
    waited_s: NonNegative | None = None
    finish_s: NonNegative | None = None
    evaluation_s: NonNegative | None = None
    frames_per_second: NonNegative | None = None
    reading_ms_median: NonNegative | None = None
    perception_ms_median: NonNegative | None = None
    backend_ms_median: NonNegative | None = None
    backend_ms_p95: NonNegative | None = None
    backend_ms_p99: NonNegative | None = None
    answer_ms_median: NonNegative | None = None


class RunRecord(FrozenModel):
    """One trial. Written once, atomically, when the trial has ended."""

    schema_version: Literal[1] = 1
    key: TrialKey
    status: Status
    reason: str | None = Field(description="Why the state is not ok; None for ok.")
    started_at: str = Field(description="ISO 8601, UTC.")
    mode: Literal["mono", "rgbd"] | None
    feed: Literal["lockstep", "realtime"]
    seed: int
    ground_truth_is_input: bool = False
    configuration: dict[str, Any] = Field(description="Of the experiment, resolved.")
    sequence: dict[str, Any] = Field(description="Source, frames, camera and reader's notes.")
    perception: dict[str, Any]
    backend: dict[str, Any] = Field(description="Capabilities, options, runtime, image digest, statistics.")
    frames: FrameCounts | None = None
    evaluation: Evaluation | None = None
    timings: Timings
    peak_memory_bytes: int | None = Field(default=None, description="Of the backend.")
    environment: dict[str, Any] = Field(description="Versions, git commit, hardware.")
    files: tuple[str, ...] = ()

    def ranked(self) -> bool:
        """Whether its error may be averaged and compared: only complete trials may."""
        return self.status is Status.OK
