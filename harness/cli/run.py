"""``harness run``: one experiment from its options, or from a file, to its records."""

from pathlib import Path
from typing import Any

import click

from harness.cli.console import ERRORS, OUTPUT, say
from harness.cli.experiment_options import (
    DIRECTORY,
    configuration_of,
    experiment_options,
    names_option,
    require_none,
)
from harness.cli.progress import StepProgress
from harness.cli.running import run_and_tell
from harness.environment import reader_context
from harness.experiment import RUNS_DIRECTORY, new_experiment_path
from harness.plan import plan_trials
from harness.store import ExperimentDirectory


@click.command()
@experiment_options
@names_option("--backends", help="SLAM systems; default: all that can run here.")
@click.option("--output", type=DIRECTORY, help="Directory of the experiment (default: a new one).")
@click.option("--resume", type=DIRECTORY, metavar="DIR", help="Continue an experiment that was cut off.")
@click.option("--retry-failed", is_flag=True, help="With --resume: run trials that failed once more.")
def run(output: Path | None, resume: Path | None, retry_failed: bool, **options: Any) -> None:
    """Run perception modules × backends × sequences and score every trajectory.

    Exit codes: 0 all trials ran, 1 a trial failed, none could run, or a backend named in --backends (or in
    the file) cannot run on this machine, 2 wrong usage (nothing was started).

    Trials of a backend that does not fit the sequence or the perception module (it needs depth and there is
    none) are skipped and fail nothing. So are those of backends that cannot run here, unless --backends
    names them: leave it out to run whatever can.
    """
    if retry_failed and resume is None:
        raise click.UsageError("--retry-failed continues an experiment: give --resume DIR")
    if resume is not None:
        require_none(options, output)
        path, experiment = resume, ExperimentDirectory.open(resume)
    else:
        path, experiment = _begin(output, options)
    outcome = run_and_tell(experiment, "run", path, retry_failed)
    say(OUTPUT, str(path))
    raise SystemExit(outcome.exit_code())


def _begin(output: Path | None, options: dict[str, Any]) -> tuple[Path, ExperimentDirectory]:
    """Plan an experiment and make its directory."""
    configuration = configuration_of(options)
    with StepProgress(ERRORS) as progress:
        plan = plan_trials(configuration, reader_context(progress))
    path = output or new_experiment_path(configuration, RUNS_DIRECTORY)
    return path, ExperimentDirectory.create(path, configuration, plan)
