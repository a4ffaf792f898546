"""Running planned trials: a bounded pool of processes here, the seam for a distributed engine elsewhere."""

import logging
import os
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters.runtimes.runtime import last_lines
from harness.environment import Hardware, hardware
from harness.errors import ResultsError
from harness.findings import record_without_findings, utc_now
from harness.machine import GPU_VARIABLE, Gpu
from harness.planned import PlannedTrial
from harness.record import RunRecord, Status, TrialKey
from harness.store import WORKER_LOG_FILE, ExperimentDirectory
from harness.worker import RESULTS_NOT_WRITTEN, Job, ProgressLine

_log = logging.getLogger(__name__)

_POLL_S = 0.1
#: How long a worker that is told to stop may take to stop its backend.
_STOP_GRACE_S = 10.0


class Listener(ABC):
    """Told how an experiment goes, to show it."""

    @abstractmethod
    def resumed(self, records: Sequence[RunRecord]) -> None:
        """These trials were finished by an earlier run."""

    @abstractmethod
    def started(self, key: TrialKey) -> None:
        """A trial has started."""

    @abstractmethod
    def progressed(self, key: TrialKey, progress: ProgressLine) -> None:
        """A trial has come further."""

    @abstractmethod
    def ended(self, record: RunRecord) -> None:
        """A trial has ended and its record is on the disk."""


class Executor(ABC):
    """Runs trials somewhere. Every trial it is given ends in a record."""

    @abstractmethod
    def run(
        self, trials: Sequence[PlannedTrial], experiment: ExperimentDirectory, listener: Listener
    ) -> None:
        """Run all trials to their records.

        Raises:
            ResultsError: Results cannot be written. Finished trials keep their records.
        """


class LocalExecutor(Executor):
    """Runs each trial in a process of its own, as many at a time as cores, memory and GPUs allow.

    Args:
        machine: What there is to share out; this machine by default.
    """

    def __init__(self, machine: Hardware | None = None):
        self._machine = machine or hardware()

    def run(
        self, trials: Sequence[PlannedTrial], experiment: ExperimentDirectory, listener: Listener
    ) -> None:
        """Run all trials on this machine."""
        waiting = list(trials)
        running: list[_Worker] = []
        try:
            while waiting or running:
                for trial in [trial for trial in waiting if self._fits(trial, running)]:
                    # Each start changes what still fits.
                    if self._fits(trial, running):
                        waiting.remove(trial)
                        running.append(_Worker(trial, experiment, self._free_gpus(running, trial)))
                        listener.started(trial.key)
                time.sleep(_POLL_S)
                for worker in list(running):
                    for progress in worker.news():
                        listener.progressed(worker.trial.key, progress)
                    record = worker.record_when_ended()
                    if record is not None:
                        running.remove(worker)
                        listener.ended(record)
        finally:
            for worker in running:
                worker.stop()

    def _free_gpus(self, running: Sequence["_Worker"], trial: PlannedTrial) -> list[Gpu]:
        taken = {gpu for worker in running for gpu in worker.gpus}
        free = [gpu for gpu in self._machine.gpus if gpu not in taken]
        return free[: trial.needs.gpus]

    def _fits(self, trial: PlannedTrial, running: Sequence["_Worker"]) -> bool:
        if not running:
            # A trial that wants more than the machine has runs alone rather than never.
            return True
        taken = [worker.trial.needs for worker in running] + [trial.needs]
        return (
            sum(needs.cores for needs in taken) <= self._machine.cores
            and sum(needs.memory_bytes for needs in taken) <= self._machine.memory_bytes
            and sum(needs.gpus for needs in taken) <= len(self._machine.gpus)
        )


class _Worker:
    """One worker process and what it has said so far."""

    def __init__(self, trial: PlannedTrial, experiment: ExperimentDirectory, gpus: Sequence[Gpu]):
        self.trial = trial
        self.gpus = gpus
        self._experiment = experiment
        self._limit_s = experiment.configuration().trial_limit_s
        self._started = time.monotonic()
        self._started_at = utc_now()
        self._partial_line = b""
        directory = experiment.trial_directory(trial.key)
        self._log_file = directory / WORKER_LOG_FILE
        job = Job(experiment=experiment.path, trial=trial, parent_pid=os.getpid())
        # A trial whose backend needs no GPU keeps all of them for its perception module, which runs in the
        # worker; the backend itself is then started without.
        visible = {GPU_VARIABLE: ",".join(gpu.identifier for gpu in gpus)} if gpus else {}
        self._process = _start_worker(job, directory, self._log_file, visible)
        assert self._process.stdout is not None, "the worker was started with a pipe"
        self._output = self._process.stdout
        os.set_blocking(self._output.fileno(), False)

    def news(self) -> list[ProgressLine]:
        """Progress reported since the last call."""
        received = self._output.read() or b""
        *lines, self._partial_line = (self._partial_line + received).split(b"\n")
        return [ProgressLine.model_validate_json(line) for line in lines]

    def record_when_ended(self) -> RunRecord | None:
        """The trial's record once the worker has ended; None while it runs.

        Raises:
            ResultsError: The worker could not write its results.
        """
        elapsed = time.monotonic() - self._started
        if self._process.poll() is None and elapsed <= self._limit_s:
            return None
        reason = f"the trial took longer than its limit of {self._limit_s:g} s"
        if self._process.poll() is None:
            self.stop()
        else:
            reason = self._cause_of_death()
        self._output.close()
        if self._process.returncode == RESULTS_NOT_WRITTEN:
            raise ResultsError(last_lines(self._log_file, 1) or "results cannot be written")
        record = self._experiment.record(self.trial.key)
        if record is None:
            configuration = self._experiment.configuration()
            record = record_without_findings(
                self.trial, configuration, Status.FAILED, reason, self._started_at, elapsed
            )
            self._experiment.write_record(record)
        return record

    def stop(self) -> None:
        """Tell the worker to stop its backend and end; kill it when it does not."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            _log.warning("worker of %s does not stop and is killed", self.trial.key)
            self._process.kill()
            self._process.wait()

    def _cause_of_death(self) -> str:
        code = self._process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        words = last_lines(self._log_file)
        return f"the trial's process {how} and left no record" + (f"; its log ends: {words}" if words else "")


def _remove(directory: Path) -> None:
    """Remove what an earlier attempt left, which may be nested deeper than Python goes."""
    try:
        shutil.rmtree(directory, ignore_errors=True)
    except RecursionError:
        subprocess.run(["rm", "-rf", "--", str(directory)], check=False)


def _start_worker(
    job: Job, directory: Path, log_file: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    try:
        # What an interrupted run of this trial left behind must not be taken for a result of this one.
        _remove(directory)
        directory.mkdir(parents=True, exist_ok=True)
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                # -P: a file called queue.py in the working directory must not take the place of Python's.
                [sys.executable, "-P", "-m", "harness.worker"],
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
    except OSError as error:
        raise ResultsError(f"cannot start a trial in {directory}: {error.strerror}") from error
    assert process.stdin is not None, "the worker was started with a pipe"
    with process.stdin as pipe:
        pipe.write(job.model_dump_json().encode())
    return process
