"""Figures that papers print, read from CSV files of one row per figure and checked row by row."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from harness.configuration import validation_message
from harness.errors import ConfigurationError, ResultsError
from harness.record import Alignment, FrozenModel
from sequences.registry import unknown_name_message

Metric = Literal["ate_rmse", "frames", "miou", "depth_rmse", "params", "flops"]
Input = Literal["rgbd", "mono"]

_UNITS: dict[Metric, str] = {
    "ate_rmse": "cm",
    "frames": "frames",
    "miou": "%",
    "depth_rmse": "m",
    "params": "M",
    "flops": "GFLOPs",
}


#: What says where a figure comes from, not which one it is; with ``value``, no part of what must be unique.
_ORIGIN = {"paper", "arxiv", "where", "note"}


class PublishedFigure(FrozenModel):
    """One row of a file: one figure with all that is needed to read it. A cell that says nothing is empty.

    Attributes:
        metric: What was measured; ``frames`` is the length of a sequence.
        unit: The one unit of this metric.
        kind: Of one sequence, a mean over sequences as the paper prints it, or of a whole test set or model.
        method: As the paper calls it; empty for ``frames``.
        input: What the camera gave: RGB-D, or RGB alone.
        sequence: Name of the sequence, for ``per_sequence``.
        value: As printed, with its trailing zeros.
        alignment: Fitted before an ATE was measured; ``unknown`` where that is not known.
        ground_truth_is_input: Whether ground truth reached the method in some form.
        paper: Which prints the figure.
        arxiv: Its number.
        where: Table of the paper, or ``unknown``.
        note: What must be known of the figure.
    """

    metric: Metric
    unit: str
    kind: Literal["per_sequence", "mean_printed", "overall"]
    method: str
    input: Input | Literal[""]
    sequence: str
    value: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
    alignment: Literal["se3", "sim3", "unknown", ""]
    ground_truth_is_input: Literal["true", "false", "unknown", ""]
    paper: Annotated[str, Field(min_length=1)]
    arxiv: Annotated[str, Field(pattern=r"^(\d{4}\.\d{4,5})?$")]
    where: Annotated[str, Field(min_length=1)]
    note: str

    @model_validator(mode="after")
    def _says_what_its_kind_needs(self) -> "PublishedFigure":
        if self.unit != _UNITS[self.metric]:
            raise ValueError(f"the unit of {self.metric} is {_UNITS[self.metric]}, not '{self.unit}'")
        if bool(self.sequence) != (self.kind == "per_sequence"):
            raise ValueError("a sequence is named where kind is per_sequence, and only there")
        if (self.kind == "overall") == (self.metric in ("ate_rmse", "frames")):
            raise ValueError(f"kind {self.kind} does not go with {self.metric}")
        protocol = (self.input, self.alignment, self.ground_truth_is_input)
        if self.metric == "ate_rmse" and not all(protocol):
            raise ValueError(
                "an ate_rmse needs input, alignment and ground_truth_is_input, the last two perhaps 'unknown'"
            )
        if self.metric != "ate_rmse" and any(protocol):
            raise ValueError(
                f"input, alignment and ground_truth_is_input say nothing of {self.metric}: leave them empty"
            )
        if self.metric == "frames":
            if self.method or self.kind != "per_sequence" or self.value != self.value.to_integral_value():
                raise ValueError("frames are a whole number per sequence, of no method")
        elif not self.method:
            raise ValueError("the method is missing")
        return self

    @property
    def source(self) -> str:
        """Paper, its number and the table in it, as far as they are known."""
        arxiv = f"arXiv {self.arxiv}" if self.arxiv else ""
        where = "" if self.where == "unknown" else self.where
        return ", ".join(filter(None, [self.paper, arxiv, where]))


@dataclass(frozen=True)
class PublishedMethod:
    """The trajectory errors of one method with one input and one protocol: a row of a paper's table.

    Attributes:
        name: As the paper calls it.
        input: What the camera gave.
        alignment: Fitted before errors were measured; None where that is not known.
        ground_truth_is_input: Ground truth reached it in some form; None where that is not known.
        ate_cm: ATE by sequence, centimetres, as printed.
        printed_mean_cm: Mean over sequences as printed; None where none is.
        sources: Where the figures stand.
        notes: What must be known of them.
    """

    name: str
    input: Input
    alignment: Alignment | None
    ground_truth_is_input: bool | None
    ate_cm: dict[str, Decimal]
    printed_mean_cm: Decimal | None
    sources: tuple[str, ...]
    notes: tuple[str, ...]

    def mean_cm(self, sequences: tuple[str, ...]) -> Decimal | None:
        """Mean over ``sequences``, from the figures themselves; None unless there is one of each."""
        values = [self.ate_cm[sequence] for sequence in sequences if sequence in self.ate_cm]
        return sum(values, Decimal()) / len(values) if values and len(values) == len(sequences) else None

    def mean_is_printed_otherwise(self, sequences: tuple[str, ...]) -> bool:
        """Whether the printed mean is further from the figures' own than rounding can bring it."""
        mean, printed = self.mean_cm(sequences), self.printed_mean_cm
        if mean is None or printed is None:
            return False
        # Half of one in the last digit that is printed.
        rounding = Decimal(5).scaleb(int(printed.as_tuple().exponent) - 1)
        return abs(mean - printed) > rounding


@dataclass(frozen=True)
class PublishedTable:
    """One file of published figures.

    Attributes:
        name: That of the file, without its ending.
        figures: In the order of the file.
    """

    name: str
    figures: tuple[PublishedFigure, ...]

    @cached_property
    def frames(self) -> dict[str, int]:
        """Published number of frames by sequence, where there is one."""
        return {each.sequence: int(each.value) for each in self.figures if each.metric == "frames"}

    @cached_property
    def sequences(self) -> tuple[str, ...]:
        """Sequences with a trajectory error, in the order of the file."""
        return tuple(dict.fromkeys(each.sequence for each in self._errors if each.sequence))

    @cached_property
    def methods(self) -> tuple[PublishedMethod, ...]:
        """The methods with trajectory errors, in the order of the file."""
        members: dict[tuple[object, ...], list[PublishedFigure]] = {}
        for figure in self._errors:
            key = (figure.method, figure.input, figure.alignment, figure.ground_truth_is_input)
            members.setdefault(key, []).append(figure)
        return tuple(_method(figures) for figures in members.values())

    @property
    def _errors(self) -> list[PublishedFigure]:
        return [each for each in self.figures if each.metric == "ate_rmse"]


def _method(figures: list[PublishedFigure]) -> PublishedMethod:
    first = figures[0]
    assert first.input, "a figure without an input is refused when it is read"
    return PublishedMethod(
        name=first.method,
        input=first.input,
        alignment=Alignment(first.alignment) if first.alignment != "unknown" else None,
        ground_truth_is_input={"true": True, "false": False}.get(first.ground_truth_is_input),
        ate_cm={each.sequence: each.value for each in figures if each.kind == "per_sequence"},
        printed_mean_cm=next((each.value for each in figures if each.kind == "mean_printed"), None),
        sources=tuple(dict.fromkeys(each.source for each in figures)),
        notes=tuple(dict.fromkeys(each.note for each in figures if each.note)),
    )


def load_published(name_or_path: str, directory: Path) -> PublishedTable:
    """Read published figures by the name of their table, or from any CSV file by its path.

    Raises:
        ConfigurationError: There is no such table; lists those there are.
        ResultsError: The file cannot be read, or a row is wrong; names file and line.
    """
    path = directory / f"{name_or_path}.csv"
    if not path.is_file():
        path = Path(name_or_path)
    if not path.is_file():
        known = [file.stem for file in directory.glob("*.csv")]
        message = unknown_name_message("table of published figures", name_or_path, known)
        raise ConfigurationError(f"{message} They lie in {directory}; the path of a CSV file serves as well.")
    lines: dict[tuple[object, ...], int] = {}
    figures = []
    for line, figure in _read_figures(path):
        key = tuple(figure.model_dump(exclude={"value", *_ORIGIN}).values())
        if key in lines:
            raise ResultsError(f"{path}, line {line} says again what line {lines[key]} says")
        lines[key] = line
        figures.append(figure)
    if not figures:
        raise ResultsError(f"{path} holds no figures")
    return PublishedTable(path.stem, tuple(figures))


def _read_figures(path: Path) -> Iterator[tuple[int, PublishedFigure]]:
    """Line number and figure of every row."""
    columns = list(PublishedFigure.model_fields)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if header != columns:
                raise ResultsError(f"{path}, line 1 must name the columns {','.join(columns)}")
            for cells in reader:
                if len(cells) != len(columns):
                    raise ResultsError(
                        f"{path}, line {reader.line_num} has {len(cells)} columns, expected {len(columns)}"
                    )
                yield reader.line_num, _figure(path, reader.line_num, dict(zip(columns, cells, strict=True)))
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ResultsError(f"{path} is not text in UTF-8: {error}") from error
    except csv.Error as error:
        raise ResultsError(f"{path}, line {reader.line_num} is not CSV: {error}") from error


def _figure(path: Path, line: int, cells: dict[str, str]) -> PublishedFigure:
    try:
        return PublishedFigure.model_validate(cells)
    except ValidationError as error:
        raise ResultsError(validation_message(f"{path}, line {line}", error)) from error
