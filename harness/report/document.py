"""The report as a document: what stands in it, and its Markdown and HTML made by templates."""

import base64
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.report.style import DOTS_PER_INCH, reduced_png
from harness.report.table import Table

_CSS_PIXELS_PER_INCH = 96


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: Of its file under ``figures/``.
        caption: What it shows.
        content: PNG.
        rendering: Surfaces rather than lines; it takes much space in full colour.
    """

    name: str
    caption: str
    content: bytes
    rendering: bool = False

    @property
    def data_uri(self) -> str:
        """The picture itself in place of an address, so that a page needs no other file."""
        content = reduced_png(self.content) if self.rendering else self.content
        return "data:image/png;base64," + base64.b64encode(content).decode("ascii")

    @property
    def display_width(self) -> int:
        """Width in CSS pixels at which type has the size it was drawn with."""
        # A PNG begins with its signature and the header chunk, whose first number is the width.
        width = int.from_bytes(self.content[16:20], "big")
        return round(width * _CSS_PIXELS_PER_INCH / DOTS_PER_INCH)


@dataclass(frozen=True)
class SequencePictures:
    """The pictures of one sequence.

    Attributes:
        sequence: Its name.
        pictures: In the order they are shown.
    """

    sequence: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Report:
    """Everything a report shows, in the order it is shown.

    Attributes:
        title: What was compared.
        lead: Sequences, perception modules, runs and experiments in a sentence.
        sentences: Per contender, its label and its results in a sentence.
        states: How many trials ended how.
        exceptions: Those that are not ok with their reasons; without rows when all are.
        ate: One table per alignment.
        ratios: Errors and speeds in relation to one contender's; None for a single one.
        details: Everything behind it.
        published: Figures of papers with ours beside them; None unless they were asked for.
        perception_table: How good predictions are; None without any that can be compared.
        perception: Frames as perception modules see them, and what errors of depth do, per sequence.
        perception_problems: Why predictions are not shown.
        trajectories: Plots per sequence.
        trajectory_problems: Why a trial is missing in them.
        map_distances: How far maps lie apart; None without maps.
        maps: Map renderings per sequence.
        map_problems: Why a map is missing.
        backend_map_tables: How good the maps are that backends wrote.
        backend_maps: Pictures of them per sequence.
        backend_map_problems: Why one is missing or not measured.
        timing: Speed and memory.
        work: What backends say of their stages and of what they counted.
        conditions: Versions, hardware and so on.
        configurations: Label and YAML per experiment.
        notes: Sequence and what its reader noted.
    """

    title: str
    lead: str
    sentences: tuple[tuple[str, str], ...]
    states: Table
    exceptions: Table
    ate: tuple[Table, ...]
    ratios: Table | None
    details: Table
    published: Table | None
    perception_table: Table | None
    perception: tuple[SequencePictures, ...]
    perception_problems: tuple[str, ...]
    trajectories: tuple[SequencePictures, ...]
    trajectory_problems: tuple[str, ...]
    map_distances: Table | None
    maps: tuple[SequencePictures, ...]
    map_problems: tuple[str, ...]
    backend_map_tables: tuple[Table, ...]
    backend_maps: tuple[SequencePictures, ...]
    backend_map_problems: tuple[str, ...]
    timing: Table
    work: tuple[Table, ...]
    conditions: Table
    configurations: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...]

    @property
    def tables(self) -> tuple[Table, ...]:
        """Every table, each of them also written as LaTeX."""
        perhaps = (self.ratios, self.published, self.perception_table, self.map_distances)
        optional = (each for each in perhaps if each)
        return (
            self.states,
            *self.ate,
            self.details,
            *optional,
            *self.backend_map_tables,
            self.timing,
            *self.work,
        )

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Every picture."""
        groups = (*self.perception, *self.trajectories, *self.maps, *self.backend_maps)
        return tuple(picture for group in groups for picture in group.pictures)

    @property
    def has_perception(self) -> bool:
        """Some module predicts something, or did."""
        return bool(self.perception or self.perception_problems)

    @property
    def has_backend_maps(self) -> bool:
        """Some backend wrote a map."""
        return bool(self.backend_map_tables or self.backend_map_problems)


def markdown(report: Report) -> str:
    """The report as Markdown; pictures are links to ``figures/``."""
    environment = _environment(autoescape=False)
    environment.filters["cell"] = _markdown_text
    return environment.get_template("report.md.j2").render(report=report)


def html(report: Report) -> str:
    """The report as one page that needs no other file and no network."""
    environment = _environment(autoescape=True)
    return environment.get_template("report.html.j2").render(report=report)


def _environment(autoescape: bool) -> Environment:
    return Environment(
        loader=PackageLoader("harness.report"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _markdown_text(text: str) -> str:
    """Text without what Markdown would take for its own inside a table or a paragraph."""
    for character in "\\`*_|<>":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
