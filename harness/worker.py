"""A process that runs one trial: the job comes on standard input, progress leaves on standard output.

Started by the executor as ``python -m harness.worker``; a trial that takes the process down takes no other
trial with it.
"""

import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO

from adapters.parent_death import die_with_parent
from harness.environment import reader_context
from harness.errors import ResultsError
from harness.planned import PlannedTrial
from harness.record import FrozenModel
from harness.store import ExperimentDirectory
from harness.trial import TrialRun

#: Exit code when results cannot be written: the experiment stops, and no trial is blamed for it.
RESULTS_NOT_WRITTEN = os.EX_CANTCREAT

#: How often progress is reported at most, seconds.
_REPORT_PERIOD_S = 0.1


class Job(FrozenModel):
    """What a worker is told to do."""

    experiment: Path
    trial: PlannedTrial
    parent_pid: int


class ProgressLine(FrozenModel):
    """One line of a worker's standard output."""

    phase: str
    done: int
    total: int


class _Reporter:
    """Writes progress lines, not more often than anybody can look at."""

    def __init__(self, stream: IO[str]):
        self._stream = stream
        self._phase = ""
        self._last = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if phase != self._phase or now - self._last >= _REPORT_PERIOD_S:
            self._phase, self._last = phase, now
            self._stream.write(ProgressLine(phase=phase, done=done, total=total).model_dump_json() + "\n")
            self._stream.flush()


def main() -> int:
    """Run the job on standard input; 0 when its record was written, whatever the trial's state."""
    job = Job.model_validate_json(sys.stdin.read())
    die_with_parent(job.parent_pid)
    # Stopping politely lets the trial stop its backend.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Libraries may print; that must not get between the lines of progress.
    report = _Reporter(os.fdopen(os.dup(sys.stdout.fileno()), "w"))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    experiment = ExperimentDirectory.open(job.experiment)
    try:
        experiment.write_record(TrialRun(job.trial, experiment, reader_context(report), report).run())
    except ResultsError as error:
        # The last line of the log: what the executor tells the user.
        sys.stderr.write(f"{error}\n")
        return RESULTS_NOT_WRITTEN
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # A thread in which a perception module hangs would keep the interpreter from ending.
    os._exit(code)
