"""``harness sequences``: what there is, what is in it, whether it is right, and how to come by it."""

from collections.abc import Iterable
from pathlib import Path

import click
from rich.markup import escape

from harness.cli.console import ERRORS, OUTPUT, say
from harness.cli.download import download
from harness.cli.progress import StepProgress
from harness.contact_sheet import write_contact_sheet
from harness.environment import reader_context
from harness.sequence_texts import description, findings, set_heading
from sequences.errors import MissingRecordingError, SequenceError
from sequences.reader import ReaderContext
from sequences.sequence_sets import SequenceEntry, list_sets, open_sequence, resolve
from sequences.verification import verify

_NAMES = click.argument("names", metavar="NAME...", nargs=-1, required=True)


@click.group()
def sequences() -> None:
    """Sets of sequences: recordings on disk and generated ones.

    NAME is a set, a sequence of one, or the path of a recording.
    """


sequences.add_command(download)


@sequences.command("ls")
def list_sequences() -> None:
    """List the sets of the catalogue and the sequences in them."""
    for found in list_sets(reader_context()):
        heading = set_heading(found)
        OUTPUT.print(f"[bold]{escape(found.name)}[/]{escape(heading[len(found.name) :])}", soft_wrap=True)
        for entry in found.entries:
            if not entry.is_missing:
                OUTPUT.print(f"  {escape(entry.name)}", highlight=False, soft_wrap=True)
        missing = ", ".join(entry.name for entry in found.entries if entry.is_missing)
        if missing:
            OUTPUT.print(f"  [dim]not here: {escape(missing)}[/]", highlight=False, soft_wrap=True)
        if found.missing:
            OUTPUT.print(f"  [yellow]none here:[/] {escape(found.missing)}", highlight=False, soft_wrap=True)


@sequences.command()
@_NAMES
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write a PNG with some frames of one sequence: colour, depth, labels.",
)
def show(names: tuple[str, ...], picture: Path | None) -> None:
    """Say what is known about sequences without reading their images.

    Exit codes: 0 all are shown, 1 a recording is missing or cannot be opened.
    """
    failed = False
    with StepProgress(ERRORS) as progress:
        context = reader_context(progress)
        entries = resolve(names, context)
        if picture is not None and len(entries) != 1:
            raise click.UsageError(f"--picture is of one sequence, and {len(entries)} are named")
        for entry in entries:
            try:
                sequence = open_sequence(entry, context)
                _print(entry.name, description(sequence, entry))
                if picture is not None:
                    write_contact_sheet(sequence, picture)
            except SequenceError as error:
                failed = True
                say(ERRORS, f"{entry.name}: {error}")
    raise SystemExit(1 if failed else 0)


@sequences.command("verify")
@_NAMES
@click.option(
    "--sample",
    type=click.IntRange(min=2),
    metavar="N",
    help="Read N frames of each sequence, spread evenly, instead of all.",
)
def verify_sequences(names: tuple[str, ...], sample: int | None) -> None:
    """Read every frame, count what is missing, and hold ground truth against the images.

    Depth of one frame is moved into another by the ground-truth poses and must agree with the depth there
    far better than without moving; likewise brightness, and features that both images show. Without depth,
    features must lie on the lines that the poses give; with an IMU, its rotation must be that of the poses.
    Known mistakes of readers (inverted poses, other axes, another scale, clock or camera) are tried, and
    named when one would explain the images much better.

    Exit codes: 0 everything is clean, 1 something is wrong or missing.
    """
    with StepProgress(ERRORS) as progress:
        context = reader_context(progress)
        clean = [_is_clean(entry, sample, context) for entry in resolve(names, context)]
    raise SystemExit(0 if all(clean) else 1)


@sequences.command()
@_NAMES
def prepare(names: tuple[str, ...]) -> None:
    """Do now what a first run would do: generate synthetic sequences, index videos, check what is there.

    Exit codes: 0 everything is ready, 1 a recording is missing or cannot be opened.
    """
    failed = 0
    with StepProgress(ERRORS) as progress:
        context = reader_context(progress)
        for entry in resolve(names, context):
            try:
                frames = len(open_sequence(entry, context))
            except SequenceError as error:
                failed += 1
                say(ERRORS, f"{entry.name}: {error}")
            else:
                say(OUTPUT, f"{entry.name}: ready, {frames} frames")
    raise SystemExit(1 if failed else 0)


def _is_clean(entry: SequenceEntry, sample: int | None, context: ReaderContext) -> bool:
    """Verify one sequence and print what came of it."""
    try:
        found = verify(open_sequence(entry, context), sample, context.progress)
    except MissingRecordingError as error:
        say(OUTPUT, f"{entry.name}: not here: {error}")
        return False
    except SequenceError as error:
        say(OUTPUT, f"{entry.name}: WRONG: {error}")
        return False
    _print(entry.name, findings(found))
    for problem in found.problems:
        say(OUTPUT, f"{entry.name}: WRONG: {problem}")
    if found.clean:
        say(OUTPUT, f"{entry.name}: clean")
    return found.clean


def _print(name: str, lines: Iterable[tuple[str, str]]) -> None:
    OUTPUT.print(f"[bold]{escape(name)}[/]", highlight=False)
    for heading, text in lines:
        say(OUTPUT, f"  {heading:<22} {text}")
