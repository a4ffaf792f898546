"""``harness run``: one experiment from its options, or from a file, to its records."""

import os
import re
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import click
import yaml

from harness.cli.console import ERRORS, OUTPUT, say
from harness.cli.progress import StepProgress, TrialProgress
from harness.configuration import (
    ExperimentConfiguration,
    Feed,
    RuntimeChoice,
    load_configuration,
    make_configuration,
)
from harness.environment import reader_context
from harness.errors import ConfigurationError, ResultsError
from harness.executor import LocalExecutor
from harness.experiment import RUNS_DIRECTORY, new_experiment_path, run_trials
from harness.plan import plan_trials
from harness.record import Status
from harness.store import ExperimentDirectory

_EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_DIRECTORY = click.Path(file_okay=False, path_type=Path)


def _names(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[str] | None:
    """The names in all values of an option; None when it was not given."""
    names = [name for value in values for name in ([value] if _is_path(value) else value.split(","))]
    return [name.strip() for name in names if name.strip()] if values else None


def _is_path(value: str) -> bool:
    """Whether a value names something on disk, as ``PATH`` or ``NAME:PATH``; its commas separate nothing."""
    name, _, path = value.partition(":")
    paths = [value] if "," in name else [value, path]
    return any(os.path.exists(os.path.expanduser(path)) for path in paths)


_names_option = partial(click.option, multiple=True, callback=_names, metavar="A,B")


@click.command()
@click.option("--config", "config_file", type=_EXISTING_FILE, help="YAML file; options override it.")
@_names_option("--seqs", "sequences", help="Sets, sequences or directories; repeatable.")
@_names_option("--perception", help="Perception modules: NAME or NAME:FILE; repeatable.")
@_names_option("--backends", help="SLAM systems; default: all that can run here.")
@click.option("--runs", type=int, help="Repetitions of every combination (default 1).")
@click.option("--seed", type=int, help="Seed of the first run (default 0).")
@click.option("--runtime", type=click.Choice([choice.value for choice in RuntimeChoice]))
@click.option("--feed", type=click.Choice([feed.value for feed in Feed]), help="Default: lockstep.")
@click.option("--max-frames", type=int, help="Only the first frames of every sequence.")
@click.option("--coverage-floor", type=float, help="Share of frames that need a pose (default 0.9).")
@click.option("--memory-limit", "memory_limit_bytes", metavar="SIZE", help="For a backend, as in 6G or 800M.")
@click.option("--trial-limit", "trial_limit_s", type=float, help="Seconds a whole trial may take.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME.OPTION=VALUE",
    help="An option of a backend or a perception module; repeatable.",
)
@click.option("--output", type=_DIRECTORY, help="Directory of the experiment (default: a new one).")
@click.option("--resume", type=_DIRECTORY, metavar="DIR", help="Continue an experiment that was cut off.")
def run(output: Path | None, resume: Path | None, **options: Any) -> None:
    """Run perception modules × backends × sequences and score every trajectory.

    Exit codes: 0 all trials ran, 1 a trial failed, none could run, or a backend named in --backends (or in
    the file) cannot run on this machine, 2 wrong usage (nothing was started).

    Trials of a backend that does not fit the sequence or the perception module (it needs depth and there is
    none) are skipped and fail nothing. So are those of backends that cannot run here, unless --backends
    names them: leave it out to run whatever can.
    """
    if resume is not None:
        if output is not None or any(value not in (None, ()) for value in options.values()):
            raise click.UsageError("--resume takes its configuration from the experiment; give it alone")
        path, experiment = resume, ExperimentDirectory.open(resume)
    else:
        path, experiment = _begin(output, options)
    try:
        with TrialProgress(len(experiment.plan().trials), ERRORS) as listener:
            outcome = run_trials(experiment, LocalExecutor(), listener)
    except (KeyboardInterrupt, ResultsError) as error:
        say(ERRORS, str(error) or "stopped")
        say(ERRORS, f"continue with: harness run --resume {shlex.quote(str(path))}")
        raise SystemExit(1) from error
    counts = {status.value: outcome.count(status) for status in Status}
    words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    say(ERRORS, f"{len(outcome.records)} trials: {words}")
    for reason in outcome.named_but_absent():
        say(ERRORS, f"asked for by name and not run: {reason}")
    say(OUTPUT, str(path))
    raise SystemExit(outcome.exit_code())


def _begin(output: Path | None, options: dict[str, Any]) -> tuple[Path, ExperimentDirectory]:
    """Plan an experiment and make its directory."""
    configuration = _configuration(options)
    with StepProgress(ERRORS) as progress:
        plan = plan_trials(configuration, reader_context(progress))
    path = output or new_experiment_path(configuration, RUNS_DIRECTORY)
    return path, ExperimentDirectory.create(path, configuration, plan)


def _configuration(options: dict[str, Any]) -> ExperimentConfiguration:
    """The file's values, overridden by the options that were given."""
    file: Path | None = options.pop("config_file")
    values = load_configuration(file) if file else {}
    settings = [_parse_setting(setting) for setting in options.pop("settings")]
    memory_limit = options.pop("memory_limit_bytes")
    if memory_limit is not None:
        values["memory_limit_bytes"] = _parse_size(memory_limit)
    values |= {name: value for name, value in options.items() if value is not None}
    for name, option in (("sequences", "--seqs"), ("perception", "--perception")):
        if not values.get(name):
            raise ConfigurationError(
                f"say which {name} to use: {option} NAME, or '{name}: [NAME]' in --config"
            )
    configuration = make_configuration(values)
    values = configuration.model_dump()
    modules = {text.partition(":")[0] for text in configuration.perception}
    for name, option, value in settings:
        kind = "perception_options" if name in modules else "backend_options"
        values[kind].setdefault(name, {})[option] = value
    return make_configuration(values)


def _parse_setting(setting: str) -> tuple[str, str, Any]:
    match = re.fullmatch(r"([^.=]+)\.([^=]+)=(.*)", setting)
    if match is None:
        raise ConfigurationError(f"--set {setting}: expected NAME.OPTION=VALUE, as in orbslam3.features=2000")
    name, option, value = match.groups()
    return name, option, parse_value(setting, value)


def parse_value(setting: str, value: str) -> Any:
    """The value of an option, written as in YAML.

    Raises:
        ConfigurationError: It is none; ``setting`` says which.
    """
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"--set {setting}: '{value}' is no value: {error}") from error


def _parse_size(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise ConfigurationError(f"--memory-limit {text}: expected a size such as 6G or 800M")
    number, unit = match.groups()
    return int(float(number) * 1024 ** " KMGT".index(unit.upper() or " "))
