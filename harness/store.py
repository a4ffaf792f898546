"""One directory per experiment: what lies where, written atomically, read with clear errors."""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from harness.configuration import ExperimentConfiguration, validation_message
from harness.errors import ResultsError
from harness.files import write_text
from harness.planned import ExperimentPlan
from harness.record import RunRecord, TrialKey

Model = TypeVar("Model", bound=BaseModel)

EXPERIMENT_FILE = "experiment.json"
PLAN_FILE = "plan.json"
TRIALS_DIRECTORY = "trials"
RECORD_FILE = "record.json"
TRIALS_FILE = "trials.csv"

#: Names of the files in a trial's directory.
TRAJECTORY_FILE = "trajectory.tum"
LIVE_TRAJECTORY_FILE = "live.tum"
GROUND_TRUTH_FILE = "groundtruth.tum"
WORKER_LOG_FILE = "worker.log"
BACKEND_LOG_FILE = "backend.log"


def directory_name(label: str) -> str:
    """A name in the results as a name on disk; a module may be called by a file ("onnx:model")."""
    name = re.sub(r"[^\w.+-]", "_", label)
    return name if name.strip(".") else name.replace(".", "_")


@dataclass(frozen=True)
class ExperimentDirectory:
    """The results of one experiment on disk.

    ``experiment.json`` (configuration), ``plan.json`` (the trials it was resolved to), ``trials.csv`` (one
    row per trial that has ended), and per trial
    ``trials/SEQUENCE/PERCEPTION/BACKEND/run-N/`` with ``record.json``, the trajectories and the logs.
    """

    path: Path

    @classmethod
    def open(cls, path: Path) -> "ExperimentDirectory":
        """An existing experiment.

        Raises:
            ResultsError: There is none at ``path``.
        """
        try:
            (path / EXPERIMENT_FILE).stat()
        except FileNotFoundError as error:
            raise ResultsError(f"{path} is no experiment directory: it has no {EXPERIMENT_FILE}") from error
        except OSError as error:
            raise ResultsError(f"cannot read {path}: {error.strerror}") from error
        # Absolute, since workers and backends have working directories of their own.
        return cls(path.absolute())

    @classmethod
    def create(
        cls, path: Path, configuration: ExperimentConfiguration, plan: ExperimentPlan
    ) -> "ExperimentDirectory":
        """Begin an experiment in a new directory.

        Raises:
            ResultsError: The directory holds an experiment already, or cannot be written to.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            # Of two harnesses that begin here in one instant, one gets to make the directory of the trials.
            (path / TRIALS_DIRECTORY).mkdir()
        except FileExistsError as error:
            raise ResultsError(
                f"{path} holds an experiment already; continue it with --resume {path}"
            ) from error
        except OSError as error:
            raise ResultsError(f"cannot write {path}: {error.strerror}") from error
        try:
            write_text(path / PLAN_FILE, plan.model_dump_json(indent=2) + "\n")
            write_text(path / EXPERIMENT_FILE, configuration.model_dump_json(indent=2) + "\n")
        except ResultsError:
            (path / TRIALS_DIRECTORY).rmdir()
            raise
        return cls(path.absolute())

    def configuration(self) -> ExperimentConfiguration:
        """The configuration the experiment was started with.

        Raises:
            ResultsError: It was written by another version or damaged.
        """
        return _read(self.path / EXPERIMENT_FILE, ExperimentConfiguration)

    def plan(self) -> ExperimentPlan:
        """The trials the experiment consists of.

        Raises:
            ResultsError: The plan was written by another version or damaged.
        """
        return _read(self.path / PLAN_FILE, ExperimentPlan)

    def unfinished(self) -> list[TrialKey]:
        """Keys of the planned trials that have no record yet; a killed run leaves some."""
        finished = {record.key for record in self.records()}
        return [trial.key for trial in self.plan().trials if trial.key not in finished]

    def require_finished(self) -> None:
        """Refuse an experiment of which trials are missing.

        Raises:
            ResultsError: Says how many, and how to go on.
        """
        unfinished = self.unfinished()
        if unfinished:
            raise ResultsError(
                f"{self.path} is not finished: {len(unfinished)} of {len(self.plan().trials)} trials have no "
                f"record, the first is {unfinished[0]}; finish it with: harness run --resume {self.path}"
            )

    def trial_directory(self, key: TrialKey) -> Path:
        """Where the files of a trial are."""
        parts = (directory_name(part) for part in key.group())
        return self.path.joinpath(TRIALS_DIRECTORY, *parts, f"run-{key.run}")

    def record(self, key: TrialKey) -> RunRecord | None:
        """The record of a trial, None when the trial has not ended yet.

        Raises:
            ResultsError: The record was written by another version or damaged.
        """
        file = self.trial_directory(key) / RECORD_FILE
        return self._read_record(file) if file.exists() else None

    def records(self) -> list[RunRecord]:
        """Records of all trials that have ended, in the order of their keys.

        Raises:
            ResultsError: A record was written by another version or damaged.
        """
        files = self.path.glob(f"{TRIALS_DIRECTORY}/*/*/*/run-*/{RECORD_FILE}")
        records = (self._read_record(file) for file in files)
        return sorted(records, key=lambda record: (*record.key.group(), record.key.run))

    def _read_record(self, file: Path) -> RunRecord:
        advice = f"; delete this file, and its trial is run again by: harness run --resume {self.path}"
        return _read(file, RunRecord, advice)

    def write_record(self, record: RunRecord) -> None:
        """Store the record of a trial that has ended; only then it counts as done.

        Raises:
            ResultsError: It cannot be written; the trial then counts as not done.
        """
        file = self.trial_directory(record.key) / RECORD_FILE
        write_text(file, record.model_dump_json(indent=2) + "\n")

    def write_trials_table(self, records: Iterable[RunRecord]) -> None:
        """Write ``trials.csv``, one row per trial; figures that do not exist are empty."""
        table = io.StringIO()
        rows = [trial_row(record) for record in records]
        writer = csv.DictWriter(table, TRIAL_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path / TRIALS_FILE, table.getvalue())


def _read(file: Path, kind: type[Model], advice: str = "") -> Model:
    try:
        return kind.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise ResultsError(f"{validation_message(str(file), error)}{advice}") from error
    except OSError as error:
        raise ResultsError(f"cannot read {file}: {error.strerror}") from error


TRIAL_COLUMNS = [
    "sequence",
    "perception",
    "backend",
    "run",
    "status",
    "reason",
    "mode",
    "frames",
    "frames_with_ground_truth",
    "frames_tracked",
    "coverage",
    "ate_se3_rmse_m",
    "ate_sim3_rmse_m",
    "sim3_scale",
    "rpe_trans_rmse_m",
    "live_ate_se3_rmse_m",
    "live_ate_sim3_rmse_m",
    "primary_alignment",
    "ground_truth_is_input",
    "frames_dropped",
    "seconds",
    "fps",
    "peak_memory_bytes",
]


def trial_row(record: RunRecord) -> dict[str, object]:
    """One row of ``trials.csv``."""
    evaluation = record.evaluation
    final = evaluation.final if evaluation else None
    live = evaluation.live if evaluation else None
    return {
        "sequence": record.key.sequence,
        "perception": record.key.perception,
        "backend": record.key.backend,
        "run": record.key.run,
        "status": record.status.value,
        # Reasons may have lines; a row is one line for those who read the table with grep or cut.
        "reason": " ".join(record.reason.split()) if record.reason else record.reason,
        "mode": record.mode,
        "frames": record.frames.in_sequence if record.frames else None,
        "frames_with_ground_truth": evaluation.frames_with_ground_truth if evaluation else None,
        "frames_tracked": evaluation.frames_tracked if evaluation else None,
        "coverage": evaluation.coverage if evaluation else None,
        "ate_se3_rmse_m": final.ate_se3.rmse if final else None,
        "ate_sim3_rmse_m": final.ate_sim3.rmse if final else None,
        "sim3_scale": final.sim3_scale if final else None,
        "rpe_trans_rmse_m": final.rpe_translation.rmse if final and final.rpe_translation else None,
        "live_ate_se3_rmse_m": live.ate_se3.rmse if live else None,
        "live_ate_sim3_rmse_m": live.ate_sim3.rmse if live else None,
        "primary_alignment": evaluation.primary_alignment.value if evaluation else None,
        "ground_truth_is_input": record.ground_truth_is_input,
        "frames_dropped": record.frames.dropped if record.frames else None,
        "seconds": record.timings.total_s,
        "fps": record.timings.frames_per_second,
        "peak_memory_bytes": record.peak_memory_bytes,
    }


def dated_path(parent: Path, subject: str) -> Path:
    """A path below ``parent``, named by time and subject, at which nothing is yet."""
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{subject}".replace(":", "_").replace("/", "_")
    path, attempt = parent / name, 1
    while path.exists():
        attempt += 1
        path = parent / f"{name}-{attempt}"
    return path


def newest_experiment(runs_directory: Path) -> ExperimentDirectory:
    """The experiment begun last.

    Raises:
        ResultsError: There is none yet.
    """
    experiments = list(runs_directory.glob(f"*/{EXPERIMENT_FILE}"))
    if not experiments:
        raise ResultsError(f"no experiment in {runs_directory} yet; 'harness run' makes one")
    return ExperimentDirectory(max(experiments, key=lambda file: file.stat().st_mtime).parent)
