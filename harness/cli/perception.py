"""``harness perception``: which perception modules there are."""

import inspect

import click
from rich.table import Table

from harness.cli.console import OUTPUT
from perception.module import PERCEPTION_MODULES


@click.group()
def perception() -> None:
    """Perception modules: what turns a frame into depth and semantics."""


@perception.command("ls")
def list_modules() -> None:
    """List the modules that are installed."""
    table = Table("module", "what it does", box=None, pad_edge=False)
    for name in PERCEPTION_MODULES.names():
        summary = inspect.getdoc(PERCEPTION_MODULES.load(name)) or ""
        table.add_row(name, summary.partition("\n")[0])
    OUTPUT.print(table)
