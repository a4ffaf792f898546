"""``harness report``: tables, figures and maps of one or several experiments."""

import os
from pathlib import Path

import click

from harness.cli.console import ERRORS, OUTPUT, say
from harness.cli.progress import StepProgress
from harness.environment import reader_context
from harness.experiment import RUNS_DIRECTORY
from harness.published import load_published
from harness.report import write_report
from harness.report.writer import REPORT_DIRECTORY, REPORTS_DIRECTORY
from harness.store import ExperimentDirectory, newest_experiment

#: Where published figures are kept, as CSV: in the checkout that the code is from, wherever it is run.
PUBLISHED_DIRECTORY = Path(__file__).parents[2] / "results" / "published"


@click.command()
@click.argument("directories", metavar="[DIR]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Default: DIR/{REPORT_DIRECTORY}; for several DIRs a new directory in {REPORTS_DIRECTORY}.",
)
@click.option("--maps/--no-maps", default=True, show_default=True, help="Fuse and render the depth.")
@click.option(
    "--perception/--no-perception",
    default=None,
    help="Show and measure what perception modules predict (default: as --maps).",
)
@click.option(
    "--published",
    metavar="NAME|FILE",
    help="Trajectory errors out of papers to put ours beside: a table in results/published (scannet) or "
    "a CSV file like those.",
)
def report(
    directories: tuple[Path, ...],
    output: Path | None,
    maps: bool,
    perception: bool | None,
    published: str | None,
) -> None:
    """Write report.md, report.html, tables and figures of the experiments in DIR (default: the newest)."""
    papers = load_published(published, PUBLISHED_DIRECTORY) if published is not None else None
    if directories:
        experiments = [ExperimentDirectory.open(directory) for directory in directories]
    else:
        experiments = [newest_experiment(RUNS_DIRECTORY)]
    with StepProgress(ERRORS) as progress:
        context = reader_context(progress)
        files = write_report(
            experiments,
            output,
            maps=maps,
            perception=perception,
            published=papers,
            context=context,
            progress=progress,
        )
    for experiment in experiments:
        unfinished = experiment.unfinished()
        if unfinished:
            say(ERRORS, f"{experiment.path} is not finished: {len(unfinished)} trials have no record yet")
    say(OUTPUT, os.path.relpath(files.html))
