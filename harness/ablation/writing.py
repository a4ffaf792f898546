"""The results of an ablation as files, and as a table to print."""

import json
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table as PrintedTable
from rich.text import Text

from harness.ablation.comparison import load_steps
from harness.ablation.directory import AblationDirectory
from harness.ablation.tables import ablation_figures, ablation_table
from harness.ablation.variants import Ablation
from harness.files import write_text
from harness.report.table import Cell, Table

#: Wide enough that no line of Markdown is ever broken.
_NO_LIMIT = 100_000


@dataclass(frozen=True)
class AblationResults:
    """What was written.

    Attributes:
        table: Everything in one table.
        files: Markdown, CSV and JSON.
    """

    table: Table
    files: tuple[Path, ...]


def write_results(directory: AblationDirectory) -> AblationResults:
    """Compare the variants and write ``ablation.md``, ``ablation.csv`` and ``ablation.json``.

    Raises:
        ResultsError: An experiment is missing or damaged, nothing has ended, or the files cannot be written.
    """
    rows = load_steps(directory)
    table, figures = ablation_table(directory.ablation, rows), ablation_figures(rows)
    contents = {
        "ablation.md": _markdown(f"Ablation of {directory.ablation.backend}", table),
        "ablation.csv": pd.DataFrame(figures).to_csv(index=False),
        "ablation.json": _json(directory.ablation, figures),
    }
    files = []
    for name, content in contents.items():
        files.append(directory.path / name)
        write_text(files[-1], content)
    return AblationResults(table, tuple(files))


def print_table(table: Table, console: Console) -> None:
    """Print a table with what belongs above and below it; where there is no terminal, as wide as it is."""
    if not console.is_terminal:
        console = Console(file=console.file, width=_NO_LIMIT)
    for part in (table.caption, _printed(table), *_below(table)):
        console.print(part, markup=False, highlight=False)


def _printed(table: Table, outline: box.Box | None = None) -> PrintedTable:
    """A table as rich prints it."""
    result = PrintedTable(box=outline, pad_edge=outline is not None)
    for number, column in enumerate(table.columns):
        justify: JustifyMethod = "left" if number < table.text_columns else "right"
        result.add_column(Text(column), justify=justify, overflow="fold")
    for row in table.rows:
        result.add_row(*(Text(cell.plain, style="dim" if cell.muted else "") for cell in row))
    return result


def _below(table: Table) -> list[str]:
    """What stands below a table, a line each: notes, and the meaning of the marks in it."""
    return [*table.notes, *(f"{mark} {meaning}" for mark, meaning in table.footnotes)]


def _markdown(title: str, table: Table) -> str:
    buffer = StringIO()
    # Only the character that ends a cell; the rest is as legible with Markdown as without.
    rows = tuple(tuple(Cell(cell.plain.replace("|", "\\|")) for cell in row) for row in table.rows)
    whole = Table(table.name, table.caption, table.columns, rows, table.text_columns)
    Console(file=buffer, width=_NO_LIMIT).print(_printed(whole, box.MARKDOWN))
    lines = (line.strip() for line in buffer.getvalue().splitlines())
    grid = "\n".join(line for line in lines if line)
    return "\n\n".join([f"# {title}", table.caption, grid, *_below(table)]) + "\n"


def _json(ablation: Ablation, figures: list[dict[str, object]]) -> str:
    content = ablation.model_dump(mode="json") | {"rows": figures}
    return json.dumps(content, indent=2, allow_nan=False) + "\n"
