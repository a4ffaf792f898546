"""``harness perception eval``: how good a perception module is, and how steady."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import ERRORS, OUTPUT, say
from harness.cli.experiment_options import DIRECTORY
from harness.cli.module_options import module_options
from harness.cli.progress import StepProgress
from harness.environment import reader_context
from harness.experiment import RUNS_DIRECTORY
from harness.store import dated_path
from perception.choice import parse_choice
from sequences.sequence_sets import resolve

if TYPE_CHECKING:
    from harness.published import PublishedTable


@click.command("eval")
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option("--module", required=True, metavar="NAME[:FILE]", help="As for 'harness run --perception'.")
@click.option("--set", "settings", multiple=True, metavar="OPTION=VALUE", help="An option of the module.")
@click.option(
    "--held-out",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="CONFIG",
    help="In place of sequences: the views that the CONFIG of a training holds out.",
)
@click.option("--every", type=click.IntRange(min=1), metavar="N", default=1, help="Only every Nth frame.")
@click.option("--max-frames", type=click.IntRange(min=1), metavar="N", help="At most N frames per sequence.")
@click.option(
    "--min-depth",
    type=click.FloatRange(min=0, min_open=True),
    metavar="METRES",
    default=0.1,
    show_default=True,
    help="Nearer true depth is not compared with.",
)
@click.option(
    "--max-depth",
    type=click.FloatRange(min=0, min_open=True),
    metavar="METRES",
    default=10.0,
    show_default=True,
    help="Farther true depth is not compared with.",
)
@click.option("--label-space", metavar="SPACE", help="Compare labels in this label space.")
@click.option(
    "--warm-up",
    type=click.IntRange(min=0),
    metavar="N",
    default=5,
    show_default=True,
    help="The first N frames of a sequence are no part of the latency.",
)
@click.option("--published", metavar="NAME|FILE", help="Figures of papers to put ours beside: nyudv2.")
@click.option("--output", type=DIRECTORY, help="Directory of the results (default: a new one).")
def eval_command(
    names: tuple[str, ...],
    module: str,
    settings: tuple[str, ...],
    held_out: Path | None,
    published: str | None,
    output: Path | None,
    **options: Any,
) -> None:
    """Predict the frames of sequences, and compare with their depth, labels and poses.

    NAME is a set, a sequence of one, or the path of a recording. Depth and labels that were recorded are the
    truth; the module is not shown them unless it says that it reads the sensor. With --held-out the views
    that a network was not trained on take the place of sequences.

    A frame that cannot be read or predicted ends the evaluation, and nothing is written.
    """
    if bool(names) == (held_out is not None):
        raise click.UsageError("name sequences, or views with --held-out, and not both")
    from harness.ablation import print_table
    from harness.perception_evaluation import (
        evaluate_and_write,
        notes,
        open_held_out_views,
        open_sequences,
        require_place,
    )
    from perception.evaluation import evaluation_options
    from perception.guarded import create_module

    choice = parse_choice(module, module_options(settings))
    # A module that cannot be made is found out before sequences are, which may have to be generated.
    create_module(choice)
    chosen = evaluation_options(**options)
    papers = _papers(published) if published is not None else None
    subject = f"perception-{choice.label}-{held_out.stem if held_out else Path(names[0]).name}"
    directory = output or dated_path(RUNS_DIRECTORY, subject)
    require_place(directory)
    with StepProgress(ERRORS) as progress:
        context = reader_context(progress)
        if held_out is not None:
            opened = [open_held_out_views(held_out, progress)]
        else:
            opened = open_sequences(resolve(names, context), context)
        run = evaluate_and_write(choice, opened, progress, chosen, papers, directory)
    for table in run.tables:
        print_table(table, OUTPUT)
        say(OUTPUT, "")
    for note in notes(run.evaluation):
        say(OUTPUT, note)
    say(OUTPUT, str(directory))


def _papers(name: str) -> "PublishedTable":
    from harness.cli.report import PUBLISHED_DIRECTORY
    from harness.perception_evaluation import require_perception_figures
    from harness.published import load_published

    papers = load_published(name, PUBLISHED_DIRECTORY)
    require_perception_figures(papers)
    return papers
