"""One directory per experiment: what lies where, written atomically, read with clear errors."""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.configuration import ExperimentConfiguration, validation_message
from harness.errors import ResultsError
from harness.files import write_text
from harness.record import RunRecord, TrialKey

EXPERIMENT_FILE = "experiment.json"
RECORD_FILE = "record.json"
TRIALS_FILE = "trials.csv"

#: Names of the files in a trial's directory.
TRAJECTORY_FILE = "trajectory.tum"
LIVE_TRAJECTORY_FILE = "live.tum"
GROUND_TRUTH_FILE = "groundtruth.tum"
WORKER_LOG_FILE = "worker.log"
BACKEND_LOG_FILE = "backend.log"


@dataclass(frozen=True)
class ExperimentDirectory:
    """The results of one experiment on disk.

    ``experiment.json`` (resolved configuration), ``trials.csv`` (one row per trial), and per trial
    ``trials/SEQUENCE/PERCEPTION/BACKEND/run-N/`` with ``record.json``, the trajectories and the logs.
    """

    path: Path

    @classmethod
    def open(cls, path: Path) -> "ExperimentDirectory":
        """An existing experiment.

        Raises:
            ResultsError: There is none at ``path``.
        """
        if not (path / EXPERIMENT_FILE).is_file():
            raise ResultsError(f"{path} is no experiment directory: it has no {EXPERIMENT_FILE}")
        return cls(path)

    @classmethod
    def create(cls, path: Path, configuration: ExperimentConfiguration) -> "ExperimentDirectory":
        """Begin an experiment in a new directory.

        Raises:
            ResultsError: The directory holds an experiment already, or cannot be written to.
        """
        if (path / EXPERIMENT_FILE).exists():
            raise ResultsError(f"{path} holds an experiment already; continue it with --resume {path}")
        write_text(path / EXPERIMENT_FILE, configuration.model_dump_json(indent=2) + "\n")
        return cls(path)

    def configuration(self) -> ExperimentConfiguration:
        """The configuration the experiment was started with.

        Raises:
            ResultsError: It was written by another version or damaged.
        """
        file = self.path / EXPERIMENT_FILE
        try:
            return ExperimentConfiguration.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise ResultsError(validation_message(str(file), error)) from error
        except OSError as error:
            raise ResultsError(f"cannot read {file}: {error.strerror}") from error

    def trial_directory(self, key: TrialKey) -> Path:
        """Where the files of a trial are."""
        # A module may be named by a file ("onnx:model.onnx"); that is no name for a directory.
        parts = (re.sub(r"[^\w.+-]", "_", part) for part in key.group())
        return self.path.joinpath("trials", *parts, f"run-{key.run}")

    def record(self, key: TrialKey) -> RunRecord | None:
        """The record of a trial, None when the trial has not ended yet.

        Raises:
            ResultsError: The record was written by another version or damaged.
        """
        file = self.trial_directory(key) / RECORD_FILE
        return read_record(file) if file.exists() else None

    def records(self) -> list[RunRecord]:
        """Records of all trials that have ended, in the order of their keys.

        Raises:
            ResultsError: A record was written by another version or damaged.
        """
        records = (read_record(file) for file in self.path.glob(f"trials/*/*/*/run-*/{RECORD_FILE}"))
        return sorted(records, key=lambda record: (*record.key.group(), record.key.run))

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


def read_record(file: Path) -> RunRecord:
    """Read one record.

    Raises:
        ResultsError: The file is unreadable, damaged or of another schema version.
    """
    try:
        return RunRecord.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise ResultsError(validation_message(str(file), error)) from error
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
        "reason": record.reason,
        "mode": record.mode,
        "frames": record.frames.in_sequence if record.frames else None,
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


def newest_experiment(runs_directory: Path) -> ExperimentDirectory:
    """The experiment begun last.

    Raises:
        ResultsError: There is none yet.
    """
    experiments = list(runs_directory.glob(f"*/{EXPERIMENT_FILE}"))
    if not experiments:
        raise ResultsError(f"no experiment in {runs_directory} yet; 'harness run' makes one")
    return ExperimentDirectory(max(experiments, key=lambda file: file.stat().st_mtime).parent)
