"""One trial from its first frame to its record."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from adapters.adapter import Adapter
from adapters.backend import CameraIntrinsics, Capabilities, Mode, StartRequest, Trajectory
from adapters.client import BackendClient
from adapters.connection import Connection
from adapters.errors import AdapterError, ProtocolViolationError
from adapters.label_space import LabelSpace
from adapters.messages import FinalAnswer
from adapters.runtimes.runtime import LaunchRequest, Runtime, socket_directory
from harness.backends import BACKENDS, make_runtime
from harness.configuration import Feed
from harness.environment import hardware
from harness.errors import EvaluationError
from harness.evaluation import TimedPoses, evaluate, status_of, write_tum
from harness.feeding import FeedingLog, FeedingPlan, feed
from harness.findings import Findings, describe_sequence, make_record, plain_capabilities, utc_now
from harness.labels import labels_for
from harness.planned import PlannedTrial
from harness.record import RunRecord, Status
from harness.store import (
    BACKEND_LOG_FILE,
    GROUND_TRUTH_FILE,
    LIVE_TRAJECTORY_FILE,
    TRAJECTORY_FILE,
    ExperimentDirectory,
)
from perception.cache import PredictionCache
from perception.errors import PerceptionError
from perception.guarded import create_module
from sequences.errors import SequenceError
from sequences.model import NANOSECONDS_PER_SECOND, GroundTruth, Sequence, SequenceInfo
from sequences.reader import ReaderContext
from sequences.sequence_sets import open_sequence

_log = logging.getLogger(__name__)

#: Called with what is being done, how much is done and how much there is.
Progress = Callable[[str, int, int], None]

#: What of a backend's statistics every reader of the experiment has to read again.
_LARGEST_STATISTICS = 1_000_000
_DEEPEST_STATISTICS = 50

#: What a trial may die of. Anything else is a defect of the harness and is shown as one.
_EXPECTED_FAILURES = (AdapterError, SequenceError, PerceptionError, EvaluationError)


class TrialRun:
    """Runs one planned trial in this process.

    Args:
        trial: What to run.
        experiment: Where its files and record go.
        context: What sequence readers need.
        progress: Told about every frame.
    """

    def __init__(
        self,
        trial: PlannedTrial,
        experiment: ExperimentDirectory,
        context: ReaderContext,
        progress: Progress,
    ):
        self._trial = trial
        self._experiment = experiment
        self._configuration = experiment.configuration()
        self._context = context
        self._progress = progress
        self._directory = experiment.trial_directory(trial.key)
        self._found = Findings()

    def run(self) -> RunRecord:
        """Run it to its end, good or bad, and return its record.

        Raises:
            ResultsError: Results cannot be written; nothing was recorded.
        """
        started_at = utc_now()
        started = time.monotonic()
        try:
            status, reason = self._run()
        except _EXPECTED_FAILURES as error:
            _log.error("%s", error)
            status, reason = Status.FAILED, str(error)
        self._found.seconds["total"] = time.monotonic() - started
        return make_record(self._trial, self._configuration, self._found, status, reason, started_at)

    def _run(self) -> tuple[Status, str | None]:
        found = self._found
        sequence = open_sequence(self._trial.entry, self._context)
        info = sequence.info
        frames = min(len(sequence), self._configuration.max_frames or len(sequence))
        found.frames_in_sequence = frames
        found.sequence = describe_sequence(self._trial, info, frames)
        # Read before anything is started: a sequence with broken ground truth costs no backend's time.
        ground_truth = sequence.ground_truth()
        answer = self._run_backend(sequence, frames)
        estimate = as_timed_poses(answer.result.trajectory)
        return self._evaluate(estimate, info.timestamps_ns[:frames], info.frame_period_ns, ground_truth)

    def _run_backend(self, sequence: Sequence, frames: int) -> FinalAnswer:
        adapter = BACKENDS.load(self._trial.key.backend)()
        assert self._trial.runtime is not None, "trials that cannot run here are never started"
        runtime = make_runtime(self._trial.runtime, self._trial.image)
        output_directory = self._directory / "backend"
        with socket_directory() as directory:
            request = LaunchRequest(
                adapter,
                directory / "s",
                output_directory,
                self._directory / BACKEND_LOG_FILE,
                self._trial.needs.memory_bytes,
                self._configuration.output_limit_bytes,
                self._trial.backend_options,
                tuple(gpu.identifier for gpu in hardware().gpus[: self._trial.needs.gpus]),
            )
            with (
                Connection(request.socket_path) as connection,
                runtime.start(request) as running,
            ):
                connection.watch(running)
                client = BackendClient(connection, self._configuration.limits)
                try:
                    capabilities = self._introduce(client, adapter, runtime)
                    started = _Started(adapter, runtime, client, capabilities)
                    return self._converse(started, sequence, frames, output_directory)
                except AdapterError as error:
                    raise running.account_for(error) from error

    def _introduce(self, client: BackendClient, adapter: Adapter, runtime: Runtime) -> Capabilities:
        announced, declared = client.hello(), adapter.capabilities()
        self._found.backend = {
            "capabilities": plain_capabilities(announced),
            "options": self._trial.backend_options,
            **runtime.describe(adapter),
        }
        if not announced.agrees_with(declared):
            raise ProtocolViolationError(
                f"the backend announces {announced}, its adapter declares {declared}"
            )
        return announced

    def _converse(
        self,
        started: "_Started",
        sequence: Sequence,
        frames: int,
        output_directory: Path,
    ) -> FinalAnswer:
        found, trial = self._found, self._trial
        client, capabilities = started.client, started.capabilities
        module = create_module(trial.perception, self._prediction_cache())
        outputs = module.outputs(sequence.info)
        labels = labels_for(capabilities, module, outputs, sequence.info)
        if labels.why_not is not None:
            _log.warning("%s", labels.why_not)
        assert trial.mode is not None, "trials without a mode are never started"
        with self._phase("start"):
            self._progress("starting", 0, frames)
            module.load()
            found.predictions_kept = module.keeps_predictions()
            found.perception = {
                "name": module.name,
                "choice": asdict(trial.perception),
                "outputs": sorted(outputs),
                "reads_sensor": module.reads_sensor,
                "details": module.describe(),
                **labels.as_recorded(),
            }
            feed_kind = self._configuration.feed
            request = start_request(trial, sequence.info, feed_kind, output_directory, labels.space)
            client.start(started.runtime.as_seen_inside(request, started.adapter))
        with self._phase("tracking"):
            plan = FeedingPlan(
                sequence,
                module,
                trial.mode,
                sends_labels=labels.space is not None,
                sends_imu=capabilities.takes_imu,
                frames=frames,
                limit_s=self._configuration.predict_limit_s,
            )
            found.log = FeedingLog()
            feed(plan, client, self._configuration.feed, found.log, self._show_frames)
        with self._phase("finish"):
            self._progress("finishing", frames, frames)
            answer = client.finish()
        found.keyframes = len(answer.result.keyframe_indices)
        found.peak_memory_bytes = answer.peak_memory_bytes
        found.backend["statistics"] = plain_statistics(answer.result.statistics)
        found.files += backend_files(answer.result.files, output_directory)
        return answer

    def _prediction_cache(self) -> PredictionCache | None:
        """None where all frames must be predicted: at the sensor's rate kept predictions would fake speed."""
        if self._configuration.feed is Feed.REALTIME or not self._configuration.prediction_cache:
            return None
        return PredictionCache.below(self._context.cache_directory)

    def _evaluate(
        self,
        estimate: TimedPoses,
        frame_timestamps_ns: NDArray[np.int64],
        frame_period_ns: int,
        ground_truth: GroundTruth | None,
    ) -> tuple[Status, str | None]:
        found = self._found
        self._write(TRAJECTORY_FILE, estimate)
        live = live_poses(found.log) if found.log is not None else None
        if live is not None:
            self._write(LIVE_TRAJECTORY_FILE, live)
        if not len(estimate):
            return Status.FAILED, "the backend gave no frame a pose"
        if ground_truth is None:
            return Status.PARTIAL, "the sequence has no ground truth: there is a trajectory and no score"
        reference = TimedPoses(ground_truth.timestamps_ns, ground_truth.positions, ground_truth.quaternions)
        self._write(GROUND_TRUTH_FILE, reference)
        with self._phase("evaluation"):
            found.evaluation = evaluate(
                estimate,
                live,
                frame_timestamps_ns,
                reference,
                ground_truth.rows_dropped,
                frame_period_ns,
                metric=self._trial.mode is Mode.RGBD,
            )
        return status_of(found.evaluation, self._configuration.coverage_floor)

    def _write(self, name: str, poses: TimedPoses) -> None:
        write_tum(self._directory / name, poses)
        self._found.files.append(name)

    def _show_frames(self, done: int, total: int) -> None:
        self._progress("tracking", done, total)

    def _phase(self, name: str) -> "_Stopwatch":
        return _Stopwatch(self._found.seconds, name)


@dataclass(frozen=True)
class _Started:
    """A backend that has introduced itself."""

    adapter: Adapter
    runtime: Runtime
    client: BackendClient
    capabilities: Capabilities


class _Stopwatch:
    """Notes the seconds a block took, also when it fails."""

    def __init__(self, seconds: dict[str, float], name: str):
        self._seconds, self._name = seconds, name

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(self, *exception: object) -> None:
        self._seconds[self._name] = time.monotonic() - self._started


def backend_files(names: tuple[str, ...], output_directory: Path) -> list[str]:
    """What a backend says it wrote, relative to the trial's directory.

    Raises:
        ProtocolViolationError: A file is not there, or leads elsewhere.
    """
    root = output_directory.resolve()
    for name in names:
        path = (root / name).resolve()
        # Neither a pipe nor a device, on which whoever opens it would wait.
        if not path.is_relative_to(root) or not (path.is_file() or path.is_dir()):
            raise ProtocolViolationError(f"the backend names the file '{name}', which it did not write")
    return [f"{output_directory.name}/{name}" for name in names]


def plain_statistics(statistics: dict[str, Any]) -> dict[str, Any]:
    """A backend's statistics, which go into the record as they are.

    Raises:
        ProtocolViolationError: They are no plain values, or too many.
    """
    try:
        size = len(json.dumps(statistics, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ProtocolViolationError(f"the backend's statistics are no plain values: {error}") from error
    if size > _LARGEST_STATISTICS:
        raise ProtocolViolationError(
            f"the backend's statistics take {size} characters; at most {_LARGEST_STATISTICS} go into a record"
        )
    if _depth(statistics) > _DEEPEST_STATISTICS:
        raise ProtocolViolationError(
            f"the backend's statistics are nested more than {_DEEPEST_STATISTICS} levels deep"
        )
    return statistics


def _depth(value: Any) -> int:
    """How deep lists and mappings are nested."""
    depth, level = 0, [value]
    while level:
        depth += 1
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list | tuple):
                inner += item
        level = inner
    return depth


def start_request(
    trial: PlannedTrial,
    info: SequenceInfo,
    feed: Feed,
    output_directory: Path,
    label_space: LabelSpace | None,
) -> StartRequest:
    """What the backend of a trial is told before the first frame."""
    imu = None
    if info.imu is not None:
        imu = asdict(info.imu) | {"imu_to_camera": info.imu.imu_to_camera.ravel().tolist()}
    assert trial.mode is not None, "trials without a mode are never started"
    return StartRequest(
        intrinsics=CameraIntrinsics(**asdict(info.intrinsics)),
        mode=trial.mode,
        seed=trial.seed,
        frame_rate_hz=NANOSECONDS_PER_SECOND / info.frame_period_ns,
        options=trial.backend_options,
        output_directory=output_directory,
        realtime=feed is Feed.REALTIME,
        imu=imu,
        label_space=label_space,
    )


def as_timed_poses(trajectory: Trajectory) -> TimedPoses:
    """A backend's trajectory as poses that can be scored."""
    return TimedPoses(trajectory.timestamps_ns, trajectory.poses[:, :3], trajectory.poses[:, 3:])


def live_poses(log: FeedingLog) -> TimedPoses | None:
    """The poses as they were known frame by frame; None when there were none."""
    if not log.live_poses:
        return None
    poses = np.stack(log.live_poses)
    quaternions = Rotation.from_matrix(poses[:, :3, :3]).as_quat()
    return TimedPoses(np.asarray(log.live_timestamps_ns, dtype=np.int64), poses[:, :3, 3], quaternions)
