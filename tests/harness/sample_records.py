"""Records of trials as an experiment would have written them."""

from harness.record import (
    Alignment,
    ErrorStatistics,
    Evaluation,
    FrameCounts,
    RunRecord,
    Status,
    Timings,
    TrajectoryScores,
    TrialKey,
)

GROUP = ("demo/flat", "sensor", "orbslam3")
FRAMES = 100


def statistics(rmse: float) -> ErrorStatistics:
    return ErrorStatistics(rmse=rmse, mean=rmse, median=rmse, std=0.0, min=rmse, max=rmse)


def evaluation(ate: float | None, coverage: float, alignment: Alignment) -> Evaluation:
    scores = None
    if ate is not None:
        scores = TrajectoryScores(
            poses=round(FRAMES * coverage),
            ate_se3=statistics(ate if alignment is Alignment.SE3 else 9.0),
            ate_sim3=statistics(ate if alignment is Alignment.SIM3 else 9.0),
            sim3_scale=1.0,
            rotation_se3_deg=statistics(1.0),
            rpe_translation=None,
            rpe_rotation_deg=None,
        )
    return Evaluation(
        primary_alignment=alignment,
        association_tolerance_s=0.0166,
        ground_truth_rows_dropped=0,
        frames=FRAMES,
        frames_with_ground_truth=FRAMES,
        frames_tracked=round(FRAMES * coverage),
        coverage=coverage,
        final=scores,
        live=None,
        live_coverage=None,
    )


def record(
    run: int = 0,
    ate: float | None = 0.01,
    coverage: float = 1.0,
    status: Status = Status.OK,
    *,
    group: tuple[str, str, str] = GROUP,
    reason: str | None = None,
    alignment: Alignment = Alignment.SE3,
    deterministic: bool = False,
    frames: int = FRAMES,
    source: dict[str, object] | None = None,
    ground_truth_is_input: bool = False,
) -> RunRecord:
    sequence, perception, backend = group
    attempted = status in (Status.OK, Status.PARTIAL)
    return RunRecord(
        key=TrialKey(sequence=sequence, perception=perception, backend=backend, run=run),
        status=status,
        reason=reason,
        started_at="2026-01-01T00:00:00+00:00",
        mode="rgbd" if alignment is Alignment.SE3 else "mono",
        feed="lockstep",
        seed=run,
        configuration={"coverage_floor": 0.9},
        ground_truth_is_input=ground_truth_is_input,
        sequence={"source": source or {"reader": "synthetic", "seed": 1, "directory": "/cache"}},
        perception={"name": perception},
        backend={"capabilities": {"deterministic": deterministic}},
        frames=FrameCounts(in_sequence=frames, sent=frames, dropped=0, tracked_live=frames, keyframes=5)
        if attempted
        else None,
        evaluation=evaluation(ate, coverage, alignment) if attempted else None,
        timings=Timings(total_s=1.0),
        environment={"git_commit": "abc"},
    )


def runs(*ates: float, coverage: float = 1.0, status: Status = Status.OK, **properties) -> list[RunRecord]:
    """One record per error, metres."""
    return [record(run, ate, coverage, status, **properties) for run, ate in enumerate(ates)]
