"""Running an experiment: what has no record yet is run, then the table of trials is written."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.configuration import ExperimentConfiguration
from harness.errors import ResultsError
from harness.executor import Executor, Listener
from harness.findings import record_without_findings
from harness.record import RunRecord, Status
from harness.store import ExperimentDirectory, dated_path
from perception.choice import parse_choice

RUNS_DIRECTORY = Path("results/runs")
_LOCK_FILE = ".lock"


@dataclass(frozen=True)
class ExperimentOutcome:
    """What an experiment came to.

    Attributes:
        experiment: Where its results are.
        records: One per trial, of this run and of those before that it continued.
    """

    experiment: ExperimentDirectory
    records: tuple[RunRecord, ...]

    def count(self, status: Status) -> int:
        """How many trials ended in a state."""
        return sum(record.status is status for record in self.records)

    def named_but_absent(self) -> list[str]:
        """Why backends that the configuration names could not run on this machine, a sentence for each.

        One that is skipped because sequence or perception do not fit it is not among them.
        """
        named = self.experiment.configuration().backends
        reasons = {
            trial.key.backend: trial.reason
            for trial in self.experiment.plan().trials
            if trial.cannot_run_here and trial.reason is not None
        }
        return [reasons[name] for name in named if name in reasons]

    def exit_code(self) -> int:
        """1 when a trial failed, none ran at all, or a backend asked for by name cannot run here; else 0.

        Whoever names a backend counts on its figures: a build that lost a library must not pass without them.
        Without names every backend that can run here is meant, and what cannot is no failure.
        """
        none_ran = self.count(Status.SKIPPED) == len(self.records)
        return 1 if none_ran or self.count(Status.FAILED) or self.named_but_absent() else 0


def new_experiment_path(configuration: ExperimentConfiguration, runs_directory: Path) -> Path:
    """A directory named by time and by what is compared, not used yet."""
    modules = [parse_choice(text).label for text in configuration.perception]
    subject = "-".join([Path(configuration.sequences[0]).name, *modules])
    return dated_path(runs_directory, subject)


def run_trials(
    experiment: ExperimentDirectory,
    executor: Executor,
    listener: Listener,
    retry_failed: bool = False,
) -> ExperimentOutcome:
    """Run every trial that has no record yet, and write the table of all.

    Args:
        experiment: Has the plan, takes the results, and holds those of an interrupted run.
        executor: Runs them.
        listener: Told how it goes.
        retry_failed: Run those that failed once more.

    Raises:
        ResultsError: Results cannot be written, or another harness is at work on the experiment.
    """
    configuration, trials = experiment.configuration(), experiment.plan().trials
    with _only_harness_in(experiment):
        finished = {
            record.key: record
            for record in experiment.records()
            if not (retry_failed and record.status is Status.FAILED)
        }
        todo = [trial for trial in trials if trial.key not in finished]
        listener.resumed(list(finished.values()))
        for trial in todo:
            if trial.verdict is not None:
                assert trial.reason is not None, "a verdict comes with its reason"
                record = record_without_findings(trial, configuration, trial.verdict, trial.reason)
                experiment.write_record(record)
                listener.ended(record)
        executor.run([trial for trial in todo if trial.verdict is None], experiment, listener)
        records = experiment.records()
        experiment.write_trials_table(records)
    return ExperimentOutcome(experiment, tuple(records))


@contextmanager
def _only_harness_in(experiment: ExperimentDirectory) -> Iterator[None]:
    """Hold the experiment for this process; the kernel lets go when the process ends, however it ends."""
    try:
        lock = (experiment.path / _LOCK_FILE).open("w")
    except OSError as error:
        raise ResultsError(f"cannot write to {experiment.path}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ResultsError(f"another harness is at work in {experiment.path}; wait for it") from error
        yield
