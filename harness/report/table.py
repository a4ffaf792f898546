"""A table of formatted cells, and how it is written as LaTeX; templates write it as Markdown and HTML."""

import re
from dataclasses import dataclass

import pandas as pd

#: Stands where a figure does not exist.
MISSING = "–"

#: Marks in cells; their meaning stands below every table that has them.
PARTIAL_MARK = "‡"
GROUND_TRUTH_MARK = "†"

FOOTNOTES = {
    PARTIAL_MARK: (
        "partial: too few frames have a pose, or ground truth to compare it with; shown, but neither "
        "averaged nor ranked."
    ),
    GROUND_TRUTH_MARK: "the backend receives ground truth in some form; never ranked.",
}

_LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
    "·": r"$\cdot$",
    "²": r"$^2$",
    "δ": r"$\delta$",
}


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: The value.
        detail: A second, smaller value: spread, count.
        best: The best of its row.
        muted: No figure but a state, or a figure that is not ranked.
    """

    text: str
    detail: str = ""
    best: bool = False
    muted: bool = False

    @property
    def plain(self) -> str:
        """Value and detail on one line."""
        return f"{self.text} ({self.detail})" if self.detail else self.text


@dataclass(frozen=True)
class Table:
    """One table of the report.

    Attributes:
        name: Of its files; letters, digits and ``_``.
        caption: What it shows and by which alignment, a sentence.
        columns: Headings, with units.
        rows: As many cells a row as there are columns.
        text_columns: How many columns from the left hold text; the others are set flush right.
        notes: What must be known of single rows, a sentence each.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    text_columns: int = 2
    notes: tuple[str, ...] = ()

    @property
    def footnotes(self) -> list[tuple[str, str]]:
        """Marks that occur in the cells with their meaning."""
        text = "".join(cell.plain for row in self.rows for cell in row)
        return [(mark, meaning) for mark, meaning in FOOTNOTES.items() if mark in text]


def text_cells(*texts: object) -> tuple[Cell, ...]:
    """Cells of plain text."""
    return tuple(Cell(str(text)) for text in texts)


def latex(table: Table) -> str:
    """The table as a LaTeX float with booktabs rules."""
    body = [[_latex_cell(cell) for cell in row] for row in table.rows]
    frame = pd.DataFrame(body, columns=[latex_text(column) for column in table.columns], dtype=object)
    below = (*table.notes, *(f"{mark} {meaning}" for mark, meaning in table.footnotes))
    return frame.style.hide(axis="index").to_latex(
        hrules=True,
        column_format="l" * table.text_columns + "r" * (len(table.columns) - table.text_columns),
        caption=latex_text(" ".join([table.caption, *below])),
        label=f"tab:{table.name}",
        position="tb",
        position_float="centering",
    )


def latex_text(text: str) -> str:
    """Text with every character escaped that LaTeX would take for a command."""
    return re.sub(r".", lambda match: _LATEX_ESCAPES.get(match[0], match[0]), text, flags=re.DOTALL)


def _latex_cell(cell: Cell) -> str:
    text = rf"\textbf{{{latex_text(cell.text)}}}" if cell.best else latex_text(cell.text)
    return f"{text} ({latex_text(cell.detail)})" if cell.detail else text
