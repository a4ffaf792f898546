"""Running an experiment in front of its user: bars, what became of the trials, and how to go on."""

import shlex
from pathlib import Path

from harness.cli.console import ERRORS, say
from harness.cli.progress import TrialProgress
from harness.errors import ResultsError
from harness.executor import LocalExecutor
from harness.experiment import ExperimentOutcome, run_trials
from harness.record import count_words
from harness.store import ExperimentDirectory


def run_and_tell(
    experiment: ExperimentDirectory, command: str, path: Path, retry_failed: bool = False
) -> ExperimentOutcome:
    """Run every trial that has no record yet, and say what came of all of them.

    Args:
        experiment: What to run.
        command: The command that continues when this is cut off, and
        path: the directory it is given.
        retry_failed: Run trials that failed once more.

    Raises:
        SystemExit: With 1, when the user stopped it or results cannot be written.
    """
    try:
        with TrialProgress(len(experiment.plan().trials), ERRORS) as listener:
            outcome = run_trials(experiment, LocalExecutor(), listener, retry_failed)
    except (KeyboardInterrupt, ResultsError) as error:
        say(ERRORS, str(error) or "stopped")
        say(ERRORS, f"continue with: harness {command} --resume {shlex.quote(str(path))}")
        raise SystemExit(1) from error
    say(ERRORS, f"{len(outcome.records)} trials: {count_words(record.status for record in outcome.records)}")
    for reason in outcome.named_but_absent():
        say(ERRORS, f"asked for by name and not run: {reason}")
    return outcome
