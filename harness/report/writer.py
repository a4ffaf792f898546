"""Writing a report: everything is computed from the experiments' files, then written file by file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.environment import reader_context
from harness.files import write_bytes, write_text
from harness.published import PublishedTable
from harness.report.ate_tables import main_tables
from harness.report.backend_map_section import BackendMapSection, make_backend_map_section
from harness.report.comparison import Comparison, Contender, load_comparison
from harness.report.conditions import (
    conditions_table,
    configurations,
    exceptions_table,
    reader_notes,
    states_table,
    timing_frame,
    timing_table,
)
from harness.report.detail_tables import details_table, groups_frame, trials_frame
from harness.report.document import Picture, Report, SequencePictures, html, markdown
from harness.report.map_section import MapSection, make_map_section
from harness.report.perception_section import PerceptionSection, make_perception_section
from harness.report.published_table import PublishedSection, make_published_section
from harness.report.ratios import ratios_table
from harness.report.stages import counts_table, stages_frame, stages_table
from harness.report.style import contender_colours, file_name, png, report_style
from harness.report.summary import contender_sentence, lead_sentence, title
from harness.report.table import latex
from harness.report.tracks import Track, load_tracks
from harness.report.trajectory_plots import error_scale, plot_errors_over_time, plot_trajectories, top_view
from harness.store import ExperimentDirectory, dated_path
from sequences.reader import ReaderContext, ignore_progress

#: Where the report of one experiment lies within it.
REPORT_DIRECTORY = "report"

#: Where reports of several experiments lie, each in a directory of its own.
REPORTS_DIRECTORY = Path("results/reports")

#: So many names of experiments stand in the name of that directory.
_MOST_NAMES = 2


@dataclass(frozen=True)
class ReportFiles:
    """What was written.

    Attributes:
        markdown: ``report.md``.
        html: ``report.html``, which needs none of the other files.
        tables: CSV and LaTeX.
        figures: PNG.
        maps: Fused surfaces, PLY.
        problems: What the report lacks and why, a sentence each; the same stand in the report.
    """

    markdown: Path
    html: Path
    tables: tuple[Path, ...]
    figures: tuple[Path, ...]
    maps: tuple[Path, ...]
    problems: tuple[str, ...]


def write_report(
    experiments: list[ExperimentDirectory],
    output: Path | None = None,
    *,
    maps: bool = True,
    perception: bool | None = None,
    published: PublishedTable | None = None,
    context: ReaderContext | None = None,
    progress: Callable[[str, int, int], None] = ignore_progress,
) -> ReportFiles:
    """Report on one experiment, or compare several.

    Args:
        experiments: Directories of different experiments.
        output: Directory to write to, by default ``report/`` within the experiment; for several experiments
            a new one in ``results/reports/``, since ``report/`` within each is its own.
        maps: Whether to fuse and render maps, which reads frames of the sequences again.
        perception: Whether to show and measure what perception modules predict, which reads frames again as
            well; None for the same as ``maps``.
        published: Trajectory errors out of papers to put ours beside.
        context: How sequences are opened again; by default as ``harness run`` opens them.
        progress: Told what is being done, how much is done and how much there is.

    Raises:
        ConfigurationError: The published figures are not of trajectories.
        ResultsError: No trial has ended, a record cannot be read, or the output cannot be written.
    """
    comparison = load_comparison(experiments)
    beside = make_published_section(comparison, published) if published else PublishedSection()
    output = output or _default_output(experiments)
    tracks, track_problems = load_tracks(comparison.groups)
    with report_style():
        trajectories = _trajectory_pictures(comparison, tracks, progress)
        context = context or reader_context()
        seen = PerceptionSection()
        if maps if perception is None else perception:
            seen = make_perception_section(comparison, context, progress)
        if maps:
            section = make_map_section(tracks, context, output / "maps", progress)
            backend_section = make_backend_map_section(tracks, context, progress)
        else:
            section = MapSection(problems=("Maps were not asked for.",))
            backend_section = BackendMapSection()
    report = _compose(comparison, beside, seen, trajectories, track_problems, section, backend_section)

    more = (*beside.frames, *seen.frames, *section.frames, *backend_section.frames)
    tables = _write_tables(output / "tables", comparison, report, more)
    figures = []
    for picture in report.pictures:
        figures.append(output / "figures" / picture.name)
        write_bytes(figures[-1], picture.content)
    files = ReportFiles(
        markdown=output / "report.md",
        html=output / "report.html",
        tables=tuple(tables),
        figures=tuple(figures),
        maps=section.files,
        problems=(*seen.problems, *track_problems, *section.problems, *backend_section.problems),
    )
    write_text(files.markdown, markdown(report))
    write_text(files.html, html(report))
    return files


def _default_output(experiments: list[ExperimentDirectory]) -> Path:
    if len(experiments) == 1:
        return experiments[0].path / REPORT_DIRECTORY
    names = [experiment.path.name for experiment in experiments[:_MOST_NAMES]]
    if len(experiments) > _MOST_NAMES:
        names.append(f"and-{len(experiments) - _MOST_NAMES}-more")
    return dated_path(REPORTS_DIRECTORY, "-".join(names))


def _compose(
    comparison: Comparison,
    published: PublishedSection,
    perception: PerceptionSection,
    trajectories: list[SequencePictures],
    track_problems: list[str],
    section: MapSection,
    backend_section: BackendMapSection,
) -> Report:
    return Report(
        title=title(comparison),
        lead=lead_sentence(comparison),
        sentences=tuple(
            (contender.label, contender_sentence(comparison, contender))
            for contender in comparison.contenders
        ),
        states=states_table(comparison),
        exceptions=exceptions_table(comparison),
        ate=tuple(main_tables(comparison)),
        ratios=ratios_table(comparison),
        details=details_table(comparison),
        published=published.table,
        perception_table=perception.table,
        perception=perception.pictures,
        perception_problems=perception.problems,
        trajectories=tuple(trajectories),
        trajectory_problems=tuple(track_problems),
        map_distances=section.table,
        maps=section.pictures,
        map_problems=section.problems,
        backend_map_tables=backend_section.tables,
        backend_maps=backend_section.pictures,
        backend_map_problems=backend_section.problems,
        timing=timing_table(comparison),
        work=tuple(each for each in (stages_table(comparison), counts_table(comparison)) if each),
        conditions=conditions_table(comparison),
        configurations=tuple(configurations(comparison)),
        notes=tuple(reader_notes(comparison)),
    )


def _write_tables(
    directory: Path,
    comparison: Comparison,
    report: Report,
    more: tuple[tuple[str, pd.DataFrame], ...],
) -> list[Path]:
    frames = {
        "ate.csv": groups_frame(comparison),
        "trials.csv": trials_frame(comparison),
        "timing.csv": timing_frame(comparison),
        "stages.csv": stages_frame(comparison),
        **dict(more),
    }
    contents = {name: frame.to_csv(index=False) for name, frame in frames.items() if len(frame)}
    contents |= {f"{table.name}.tex": latex(table) for table in report.tables}
    paths = []
    for name, content in contents.items():
        paths.append(directory / name)
        write_text(paths[-1], content)
    return paths


def _trajectory_pictures(
    comparison: Comparison, tracks: list[Track], progress: Callable[[str, int, int], None]
) -> list[SequencePictures]:
    colours = contender_colours(comparison.contenders)
    members: dict[str, list[Track]] = {}
    for track in tracks:
        members.setdefault(track.group.sequence, []).append(track)
    shown = []
    for number, (sequence, of_sequence) in enumerate(members.items()):
        progress("trajectory plots", number, len(members))
        shown.append(SequencePictures(sequence, tuple(_plots(sequence, of_sequence, colours))))
    progress("trajectory plots", len(members), len(members))
    return shown


def _plots(sequence: str, tracks: list[Track], colours: dict[Contender, str]) -> list[Picture]:
    view, scale = top_view(tracks), error_scale(tracks)
    pictures = []
    for perception in sorted({track.group.perception for track in tracks}):
        members = [track for track in tracks if track.group.perception == perception]
        pictures.append(
            Picture(
                file_name("trajectories", sequence, perception) + ".png",
                f"Trajectories on {sequence} with perception {perception}. Limits and colours are those of "
                "all trials of the sequence.",
                png(plot_trajectories(members, view, scale)),
            )
        )
    pictures.append(
        Picture(
            file_name("errors", sequence) + ".png",
            f"Error of every pose on {sequence}. A line is broken where poses are missing.",
            png(plot_errors_over_time(tracks, colours)),
        )
    )
    return pictures
