"""What is found out about a trial while it runs, and the record made of it when it has ended."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from adapters.backend import Capabilities, TrackingState
from harness.configuration import ExperimentConfiguration
from harness.environment import environment
from harness.feeding import FeedingLog
from harness.planned import PlannedTrial
from harness.record import Evaluation, FrameCounts, RunRecord, Status, Timings
from sequences.model import NANOSECONDS_PER_SECOND, SequenceInfo


@dataclass
class Findings:
    """What is known of a trial so far; whatever is there when it fails goes into the record."""

    sequence: dict[str, Any] = field(default_factory=dict)
    perception: dict[str, Any] = field(default_factory=dict)
    predictions_kept: bool = False
    backend: dict[str, Any] = field(default_factory=dict)
    frames_in_sequence: int | None = None
    log: FeedingLog | None = None
    keyframes: int = 0
    evaluation: Evaluation | None = None
    peak_memory_bytes: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


def describe_sequence(trial: PlannedTrial, info: SequenceInfo, frames: int) -> dict[str, Any]:
    """What a record holds of a sequence; ``entry`` is enough to open it again."""
    return {
        "entry": trial.entry.to_json(),
        "frames": frames,
        "frame_period_s": info.frame_period_ns / NANOSECONDS_PER_SECOND,
        "intrinsics": asdict(info.intrinsics),
        "label_space": info.label_space,
        "has_imu": info.imu is not None,
        "notes": list(info.notes),
        "source": info.source,
    }


def plain_capabilities(capabilities: Capabilities) -> dict[str, Any]:
    """Capabilities as JSON-compatible values."""
    return asdict(capabilities) | {"modes": [mode.value for mode in capabilities.modes]}


def make_record(
    trial: PlannedTrial,
    configuration: ExperimentConfiguration,
    found: Findings,
    status: Status,
    reason: str | None,
    started_at: str,
) -> RunRecord:
    """Put together the record of a trial that has ended."""
    return RunRecord(
        key=trial.key,
        status=status,
        reason=reason,
        started_at=started_at,
        mode=trial.mode.value if trial.mode else None,
        feed=configuration.feed.value,
        seed=trial.seed,
        ground_truth_is_input=trial.ground_truth_is_input,
        configuration=configuration.model_dump(mode="json"),
        sequence=found.sequence or {"entry": trial.entry.to_json()},
        perception=_perception(trial, found),
        backend=found.backend or {"options": trial.backend_options},
        frames=_frame_counts(found),
        evaluation=found.evaluation,
        timings=_timings(found),
        peak_memory_bytes=found.peak_memory_bytes,
        environment=environment(),
        files=tuple(found.files),
    )


def record_without_findings(
    trial: PlannedTrial,
    configuration: ExperimentConfiguration,
    status: Status,
    reason: str,
    started_at: str | None = None,
    seconds: float | None = None,
) -> RunRecord:
    """The record of a trial that was never started, or whose worker could not write one itself."""
    found = Findings(seconds={} if seconds is None else {"total": seconds})
    return make_record(trial, configuration, found, status, reason, started_at or utc_now())


def utc_now() -> str:
    """The time as records have it: ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _perception(trial: PlannedTrial, found: Findings) -> dict[str, Any]:
    if not found.perception:
        return {"name": trial.key.perception}
    if not found.predictions_kept or found.log is None:
        return found.perception
    return found.perception | {"cached_frames": found.log.cached_frames}


def _frame_counts(found: Findings) -> FrameCounts | None:
    if found.frames_in_sequence is None or found.log is None:
        return None
    return FrameCounts(
        in_sequence=found.frames_in_sequence,
        sent=len(found.log.timestamps_ns),
        dropped=found.log.dropped,
        tracked_live=sum(state is TrackingState.OK for state in found.log.states),
        keyframes=found.keyframes,
    )


def _timings(found: Findings) -> Timings:
    log, seconds = found.log or FeedingLog(), found.seconds
    tracking, waited = seconds.get("tracking"), sum(log.waited_s)
    # With predictions that were made before, the rate would be one that the pipeline does not have.
    working = tracking - waited if tracking and not log.cached_frames else None
    return Timings(
        total_s=seconds.get("total"),
        start_s=seconds.get("start"),
        tracking_s=tracking,
        waited_s=waited if log.waited_s else None,
        finish_s=seconds.get("finish"),
        evaluation_s=seconds.get("evaluation"),
        frames_per_second=len(log.timestamps_ns) / working if working else None,
        reading_ms_median=_percentile(log.reading_ms, 50),
        perception_ms_median=_percentile(log.perception_ms, 50),
        backend_ms_median=_percentile(log.backend_ms, 50),
        backend_ms_p95=_percentile(log.backend_ms, 95),
        backend_ms_p99=_percentile(log.backend_ms, 99),
        answer_ms_median=_percentile(log.answer_ms, 50),
    )


def _percentile(milliseconds: list[float], share: float) -> float | None:
    return float(np.percentile(milliseconds, share)) if milliseconds else None
