"""``harness sequences``: which sequence sets and sequences there are."""

import click
from rich.markup import escape

from harness.cli.console import OUTPUT
from harness.environment import reader_context
from sequences.sequence_sets import list_sets


@click.group()
def sequences() -> None:
    """Sets of sequences: recordings on disk and generated ones."""


@sequences.command("ls")
def list_sequences() -> None:
    """List the sets of the catalogue and the sequences in them."""
    for found in list_sets(reader_context()):
        OUTPUT.print(f"[bold]{found.name}[/] (version {found.version}): {escape(found.description)}")
        for entry in found.entries:
            OUTPUT.print(f"  {escape(entry.name)}", highlight=False)
        if found.missing:
            OUTPUT.print(f"  [yellow]none here:[/] {escape(found.missing)}", highlight=False, soft_wrap=True)
