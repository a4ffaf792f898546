"""Builds experiments on disk as a run leaves them: records, trajectories near a known ground truth."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from harness.configuration import ExperimentConfiguration
from harness.evaluation import TimedPoses, evaluate, status_of, write_tum
from harness.planned import ExperimentPlan
from harness.record import FrameCounts, RunRecord, Status, Timings, TrialKey
from harness.store import (
    GROUND_TRUTH_FILE,
    LIVE_TRAJECTORY_FILE,
    TRAJECTORY_FILE,
    ExperimentDirectory,
)

FRAME_PERIOD_NS = 100_000_000
COVERAGE_FLOOR = 0.9
SKIPPED_REASON = "backend 'rgbd-odometry' needs depth and perception 'none' predicts none"


@dataclass(frozen=True)
class TrialRecipe:
    """One trial to build.

    Attributes:
        sequence: One of ``PATHS``.
        noise: Standard deviation of every pose, metres.
        drift: How far the estimate has moved away from ground truth at its end, metres.
        lost_after: Share of the frames after which there are no more poses.
        frames: How many frames there are, the first of the path; None for all.
        ground_truth_until: Share of the frames after which there is no more ground truth.
        ends: State and reason of a trial without a trajectory.
        record: Fields of the record that are not to be as usual.
    """

    sequence: str
    perception: str
    backend: str
    run: int = 0
    noise: float = 0.01
    drift: float = 0.0
    lost_after: float = 1.0
    frames: int | None = None
    ground_truth_until: float = 1.0
    ends: tuple[Status, str] | None = None
    record: dict[str, Any] = field(default_factory=dict)


def corridor() -> TimedPoses:
    """There and back, y upwards: the view from above is the plane of x and z."""
    along = np.linspace(0, 2 * np.pi, 160)
    positions = np.column_stack(
        [2.5 * np.sin(along), 1.4 + 0.04 * np.sin(6 * along), 0.9 * np.sin(2 * along)]
    )
    return _looking(positions, Rotation.from_rotvec(np.outer(0.7 * np.sin(along), [0.0, 1.0, 0.0])))


def office_loop() -> TimedPoses:
    """Once around a room, z upwards."""
    along = np.linspace(0, 2 * np.pi, 140)
    positions = np.column_stack([1.8 * np.cos(along), 1.2 * np.sin(along), 1.5 + 0.03 * np.cos(5 * along)])
    return _looking(positions, Rotation.from_euler("ZX", np.column_stack([along, along * 0 - np.pi / 2])))


def _looking(positions: NDArray[np.float64], rotations: Rotation) -> TimedPoses:
    timestamps_ns = 1_700_000_000_000_000_000 + FRAME_PERIOD_NS * np.arange(len(positions))
    return TimedPoses(timestamps_ns, positions, rotations.as_quat())


PATHS = {"corridor": corridor, "office-loop": office_loop}


def path_of(recipe: TrialRecipe) -> TimedPoses:
    """Where the camera was when each frame was taken."""
    path = PATHS[recipe.sequence]()
    return path.take(np.arange(recipe.frames or len(path)))


def estimated(ground_truth: TimedPoses, recipe: TrialRecipe, seed: int) -> TimedPoses:
    """Ground truth with smooth drift and noise, in a world of its own, cut where tracking was lost."""
    random = np.random.default_rng(seed)
    count = len(ground_truth)
    progress = np.linspace(0, 1, count)[:, None]
    direction = random.normal(size=3)
    offset = recipe.drift * progress**2 * direction / np.linalg.norm(direction)
    positions = ground_truth.positions + offset + _smooth_noise(random, count, recipe.noise)
    # A backend's world begins at its first camera.
    origin = Rotation.from_quat(ground_truth.quaternions[0]).inv()
    scale = 0.37 if recipe.perception == "none" else 1.0
    world = scale * origin.apply(positions - positions[0])
    kept = slice(0, round(recipe.lost_after * count))
    quaternions = (origin * Rotation.from_quat(ground_truth.quaternions)).as_quat()
    return TimedPoses(ground_truth.timestamps_ns[kept], world[kept], quaternions[kept])


def _smooth_noise(random: np.random.Generator, count: int, deviation: float) -> NDArray[np.float64]:
    knots = random.normal(scale=deviation, size=(count // 10 + 2, 3))
    instants = np.linspace(0, len(knots) - 1, count)
    smooth = np.column_stack([np.interp(instants, np.arange(len(knots)), column) for column in knots.T])
    return smooth + random.normal(scale=deviation / 4, size=(count, 3))


def recipes() -> list[TrialRecipe]:
    """Every state, both alignments, a backend that is given ground truth."""
    made = []
    for run in range(3):
        made += [
            TrialRecipe("corridor", "sensor", "orbslam3", run, noise=0.008),
            TrialRecipe("corridor", "sensor", "rgbd-odometry", run, noise=0.012, drift=0.12),
            TrialRecipe("corridor", "none", "orbslam3", run, noise=0.006),
            TrialRecipe("corridor", "none", "rgbd-odometry", run, ends=(Status.SKIPPED, SKIPPED_REASON)),
            TrialRecipe("office-loop", "sensor", "rgbd-odometry", run, noise=0.012, drift=0.2),
            TrialRecipe(
                "office-loop", "sensor", "orbslam3", run, noise=0.01, lost_after=0.6 if run == 1 else 1.0
            ),
        ]
    made += [
        TrialRecipe("office-loop", "none", "orbslam3", 0, noise=0.02, lost_after=0.4),
        TrialRecipe(
            "office-loop",
            "none",
            "orbslam3",
            1,
            ends=(Status.FAILED, "the backend died (signal 11) at frame 17"),
        ),
        TrialRecipe(
            "office-loop", "sensor", "posed-fusion", 0, noise=0.001, record={"ground_truth_is_input": True}
        ),
    ]
    return made


def build_experiment(
    path: Path, trials: list[TrialRecipe] | None = None, seed: int = 0
) -> ExperimentDirectory:
    """Write a whole experiment."""
    trials = recipes() if trials is None else trials
    experiment = ExperimentDirectory.create(
        path,
        ExperimentConfiguration(
            sequences=tuple(sorted({trial.sequence for trial in trials})),
            perception=tuple(sorted({trial.perception for trial in trials})),
            backends=tuple(sorted({trial.backend for trial in trials})),
            runs=1 + max((trial.run for trial in trials), default=0),
            seed=seed,
            coverage_floor=COVERAGE_FLOOR,
        ),
        ExperimentPlan(trials=()),
    )
    for trial in trials:
        experiment.write_record(_write_trial(experiment, trial, seed))
    return experiment


def _write_trial(experiment: ExperimentDirectory, recipe: TrialRecipe, seed: int) -> RunRecord:
    key = TrialKey(
        sequence=recipe.sequence, perception=recipe.perception, backend=recipe.backend, run=recipe.run
    )
    fields = _usual_fields(recipe, seed)
    if recipe.ends is None:
        fields |= _run_fields(experiment.trial_directory(key), recipe, seed)
    else:
        fields |= {"status": recipe.ends[0], "reason": recipe.ends[1]}
    return RunRecord(key=key, **(fields | recipe.record))


def _run_fields(directory: Path, recipe: TrialRecipe, seed: int) -> dict[str, Any]:
    path = path_of(recipe)
    ground_truth = path.take(np.arange(round(recipe.ground_truth_until * len(path))))
    own_seed = [seed, recipe.run, *f"{recipe.sequence}/{recipe.perception}/{recipe.backend}".encode()]
    estimate = estimated(path, recipe, own_seed)
    live = estimated(path, TrialRecipe(**(vars(recipe) | {"noise": 1.5 * recipe.noise})), own_seed)
    write_tum(directory / TRAJECTORY_FILE, estimate)
    write_tum(directory / LIVE_TRAJECTORY_FILE, live)
    write_tum(directory / GROUND_TRUTH_FILE, ground_truth)
    evaluation = evaluate(
        estimate,
        live,
        path.timestamps_ns,
        ground_truth,
        2 if recipe.sequence == "corridor" else 0,
        FRAME_PERIOD_NS,
        metric=recipe.perception != "none",
    )
    status, reason = status_of(evaluation, COVERAGE_FLOOR)
    frames = len(path)
    slow = 1.0 + 0.1 * recipe.run
    backend_ms = (48.0 if recipe.backend == "orbslam3" else 95.0) * slow
    return {
        "status": status,
        "reason": reason,
        "evaluation": evaluation,
        "frames": FrameCounts(
            in_sequence=frames, sent=frames, dropped=0, tracked_live=len(estimate), keyframes=frames // 9
        ),
        "timings": Timings(
            total_s=frames * backend_ms / 900,
            start_s=1.5,
            tracking_s=frames * backend_ms / 1000,
            waited_s=4.0 if recipe.backend == "orbslam3" else 0.0,
            finish_s=0.4,
            evaluation_s=0.1,
            frames_per_second=1000 / backend_ms,
            perception_ms_median=0.2,
            backend_ms_median=backend_ms,
            backend_ms_p95=1.6 * backend_ms,
            backend_ms_p99=2.1 * backend_ms,
            answer_ms_median=backend_ms + 1.1,
        ),
        "peak_memory_bytes": 612_000_000,
        "files": (TRAJECTORY_FILE, LIVE_TRAJECTORY_FILE, GROUND_TRUTH_FILE),
    }


def _usual_fields(recipe: TrialRecipe, seed: int) -> dict[str, Any]:
    skipped = recipe.ends is not None and recipe.ends[0] is Status.SKIPPED
    return {
        "started_at": "2026-03-01T12:00:00+00:00",
        "mode": None if skipped else "mono" if recipe.perception == "none" else "rgbd",
        "feed": "lockstep",
        "seed": seed + recipe.run,
        "configuration": {"coverage_floor": COVERAGE_FLOOR, "predict_limit_s": 60.0},
        "sequence": {
            "entry": {"name": recipe.sequence},
            "frames": len(path_of(recipe)),
            "frame_period_s": FRAME_PERIOD_NS / 1e9,
            "notes": ["lens distortion was removed"] if recipe.sequence == "corridor" else [],
        },
        "perception": {"name": recipe.perception, "choice": {"module": recipe.perception}},
        "backend": {"options": {}, "capabilities": {"version": "1.0"}},
        "timings": Timings(total_s=0.0),
        "environment": {
            "python": "3.11.2",
            "packages": {"evo": "1.38.1", "open3d": None},
            "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "changed": False},
            "hardware": {"cores": 2, "memory_bytes": 8_000_000_000, "gpus": [], "cpu": "a processor"},
        },
    }
