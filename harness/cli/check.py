"""``harness check`` and ``harness baseline``: whether an experiment got worse than stored figures."""

from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from harness.baseline import load_baseline, save_baseline
from harness.check import CheckLimits
from harness.check import check as check_records
from harness.check_formats import to_junit_xml, to_markdown
from harness.cli.console import OUTPUT, say
from harness.errors import ResultsError
from harness.experiment import RUNS_DIRECTORY
from harness.files import write_text
from harness.store import ExperimentDirectory, newest_experiment

BASELINES_DIRECTORY = Path("results/baselines")

_BASELINES_OPTION = click.option(
    "--baselines",
    type=click.Path(file_okay=False, path_type=Path),
    default=BASELINES_DIRECTORY,
    show_default=True,
    help="Where baselines are kept.",
)
_FILE = click.Path(dir_okay=False, path_type=Path)
_DEFAULTS = CheckLimits()


def _experiment(directory: Path | None) -> ExperimentDirectory:
    return ExperimentDirectory.open(directory) if directory else newest_experiment(RUNS_DIRECTORY)


@click.command()
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--baseline", "name", required=True, help="Name of a stored baseline, or a file.")
@click.option(
    "--factor", type=float, default=_DEFAULTS.factor, show_default=True, help="Ratio of median ATEs."
)
@click.option(
    "--coverage-drop", type=float, default=_DEFAULTS.coverage_drop, show_default=True, help="Of the medians."
)
@click.option("--junit", type=_FILE, help="Write JUnit XML.")
@click.option("--markdown", type=_FILE, help="Write the summary to a file as well.")
@_BASELINES_OPTION
def check(
    directory: Path | None,
    name: str,
    factor: float,
    coverage_drop: float,
    junit: Path | None,
    markdown: Path | None,
    baselines: Path,
) -> None:
    """Compare the experiment in DIR (default: the newest) with a baseline.

    Worse means both: by more than a factor, and significantly over the runs.
    Exit codes: 0 nothing got worse, 1 something is worse, failed, missing, inconclusive, or nothing could be
    compared, 2 wrong usage.
    """
    experiment = _experiment(directory)
    experiment.require_finished()
    limits = CheckLimits(factor=factor, coverage_drop=coverage_drop)
    result = check_records(experiment.records(), load_baseline(name, baselines), limits)
    summary = to_markdown(result)
    if junit:
        write_text(junit, to_junit_xml(result))
    if markdown:
        write_text(markdown, summary)
    click.echo(summary, nl=False)
    raise SystemExit(0 if result.passed else 1)


@click.group()
def baseline() -> None:
    """Stored figures that later experiments are compared with."""


@baseline.command("save")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("name")
@_BASELINES_OPTION
def save(directory: Path, name: str, baselines: Path) -> None:
    """Store the figures of the experiment in DIR as baseline NAME."""
    experiment = ExperimentDirectory.open(directory)
    experiment.require_finished()
    path = save_baseline(experiment.records(), name, baselines)
    say(OUTPUT, str(path))


@baseline.command("ls")
@_BASELINES_OPTION
def list_baselines(baselines: Path) -> None:
    """List the stored baselines."""
    table = Table("baseline", "saved", "groups", box=None, pad_edge=False)
    for path in sorted(baselines.glob("*.json")):
        try:
            stored = load_baseline(str(path), baselines)
            table.add_row(stored.name, stored.saved_at, str(len(stored.groups)))
        except ResultsError as error:
            table.add_row(path.stem, escape(str(error)), "")
    OUTPUT.print(table)
