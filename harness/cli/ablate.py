"""``harness ablate``: what each part of a backend contributes."""

from pathlib import Path
from typing import Any

import click

from harness.ablation import AblationDirectory, plan_ablation, print_table, write_results
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
from harness.experiment import RUNS_DIRECTORY
from harness.plan import plan_trials
from harness.store import dated_path


@click.command()
@click.argument("backend", required=False)
@experiment_options
@names_option("--variants", help="Only these variants of those that the backend declares; repeatable.")
@click.option("--output", type=DIRECTORY, help="Directory of the ablation (default: a new one).")
@click.option("--resume", type=DIRECTORY, metavar="DIR", help="Continue an ablation that was cut off.")
def ablate(
    backend: str | None,
    variants: list[str] | None,
    output: Path | None,
    resume: Path | None,
    **options: Any,
) -> None:
    """Run every variant of BACKEND and show what each of its parts contributes.

    Each variant is an experiment of its own in DIR/VARIANT; errors, coverage and times of all stand side by
    side in ablation.md, ablation.csv and ablation.json, with the change against the variant before.

    Exit codes: 0 all trials ran, 1 a trial failed or the backend cannot run on this machine, 2 wrong usage
    (nothing was started).
    """
    if resume is not None:
        require_none(options, backend, variants, output)
        path, directory = resume, AblationDirectory.open(resume)
    elif backend is None:
        raise click.UsageError("say which BACKEND to take apart")
    else:
        path, directory = _begin(backend, variants, output, options)
    exit_code = 0
    chosen = directory.ablation.variants
    for number, variant in enumerate(chosen, start=1):
        say(ERRORS, f"variant {number} of {len(chosen)}: {variant.name}")
        outcome = run_and_tell(directory.experiment(variant), "ablate", path)
        exit_code = max(exit_code, outcome.exit_code())
    print_table(write_results(directory).table, OUTPUT)
    say(OUTPUT, str(path))
    raise SystemExit(exit_code)


def _begin(
    backend: str, variants: list[str] | None, output: Path | None, options: dict[str, Any]
) -> tuple[Path, AblationDirectory]:
    """Plan every variant's experiment and make their directories."""
    ablation = plan_ablation(backend, configuration_of(options), variants)
    first_sequence = Path(ablation.configuration.sequences[0]).name
    path = output or dated_path(RUNS_DIRECTORY, f"ablation-{backend}-{first_sequence}")
    with StepProgress(ERRORS) as progress:
        context = reader_context(progress)
        directory = AblationDirectory.create(
            path, ablation, lambda variant: plan_trials(ablation.configuration_of(variant), context)
        )
    return path, directory
