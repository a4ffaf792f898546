"""``harness doctor``: what this machine lacks and the commands that bring it."""

import click
from rich.markup import escape
from rich.table import Table

from harness.cli.console import OUTPUT
from harness.doctor import Finding, examine, where_things_are

_MARKS = {
    Finding.PRESENT: "[green]present[/]",
    Finding.MISSING: "[red]missing[/]",
    Finding.OPTIONAL: "[yellow]absent[/]",
}


@click.command()
def doctor() -> None:
    """Say what is missing on this machine, what it is for, and what installs it.

    Exit codes: 0 nothing is missing, 1 something is.
    """
    pieces = examine()
    table = Table("piece", "state", "needed for", box=None, pad_edge=False)
    for piece in pieces:
        table.add_row(escape(piece.name), _MARKS[piece.finding], escape(piece.purpose))
    OUTPUT.print(table)
    OUTPUT.print(where_things_are(), highlight=False, soft_wrap=True)
    for piece in pieces:
        if piece.finding is not Finding.PRESENT and piece.remedy:
            OUTPUT.print(
                f"[bold]{escape(piece.name)}[/]: {escape(piece.remedy)}", highlight=False, soft_wrap=True
            )
    raise SystemExit(any(piece.finding is Finding.MISSING for piece in pieces))
