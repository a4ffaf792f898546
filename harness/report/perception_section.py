"""The report's part on perception: what modules saw, how good it was, and what it did to the trajectories."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from harness.report.compared_modules import (
    MOST_FRAMES,
    ComparedModule,
    can_be_shown,
    compare_module,
    read_shown_frames,
    shown_indices,
)
from harness.report.comparison import Comparison, Contender
from harness.report.depth_error_plot import (
    DepthErrorGroup,
    caption,
    depth_error_frame,
    plot_ate_against_depth_error,
)
from harness.report.document import Picture, SequencePictures
from harness.report.failures import in_words
from harness.report.perception_sources import ModuleSource, SequenceSource, find_sources
from harness.report.perception_tables import perception_frame, perception_table
from harness.report.perception_views import draw_frames
from harness.report.recorded_frames import open_recorded_sequence, spread_frames
from harness.report.style import contender_colours, file_name, png
from harness.report.table import Table
from sequences.model import Sequence
from sequences.reader import ReaderContext

logger = logging.getLogger(__name__)

#: Told what is being done, how much is done and how much there is.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PerceptionSection:
    """What the report says of perception; nothing where no module predicts anything.

    Attributes:
        table: How good predictions are; None without any that can be compared.
        frames: The same as numbers, and trajectory errors with errors of depth, by name of their file.
        pictures: Frames as modules see them, and trajectory error against error of depth, per sequence.
        problems: What is missing and why, a sentence each.
    """

    table: Table | None = None
    frames: tuple[tuple[str, pd.DataFrame], ...] = ()
    pictures: tuple[SequencePictures, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class _SeenSequence:
    """What came of the modules of one sequence."""

    source: SequenceSource
    frames: Picture
    compared: tuple[ComparedModule, ...]
    errors: tuple[DepthErrorGroup, ...]


def make_perception_section(
    comparison: Comparison, context: ReaderContext, progress: Progress
) -> PerceptionSection:
    """Ask every module again for some frames of every sequence that it worked on, once for all its trials."""
    sources, problems = find_sources(comparison)
    seen = []
    for source in sources:
        try:
            of_sequence = _look_at(source, context, progress, problems)
        except Exception as error:  # noqa: BLE001 - a report has more to say
            problems.append(f"Predictions on {source.label} are not shown: {in_words(error)}")
            logger.warning("%s", problems[-1])
            continue
        if of_sequence is not None:
            seen.append(of_sequence)
    rows = [(each.source.label, module) for each in seen for module in each.compared]
    errors = [member for each in seen for member in each.errors]
    numbers = {"perception.csv": perception_frame(rows)}
    if errors:
        numbers["ate_against_depth_error.csv"] = depth_error_frame(comparison, errors)
    colours = contender_colours(comparison.contenders)
    return PerceptionSection(
        perception_table(rows),
        tuple(numbers.items()),
        tuple(
            SequencePictures(each.source.label, tuple(_pictures(each, comparison, colours))) for each in seen
        ),
        tuple(problems),
    )


def _look_at(
    source: SequenceSource, context: ReaderContext, progress: Progress, problems: list[str]
) -> _SeenSequence | None:
    """Compare the modules of one sequence; what goes wrong with one of them is added to ``problems``."""
    sequence = open_recorded_sequence(source.record, context)
    indices = spread_frames(source.record, sequence, MOST_FRAMES)
    recordings = [module for module in source.modules if module.is_recording]
    compared = []
    for module in source.modules:
        if module.is_recording:
            continue
        result = _compared(source, module, sequence, indices, context, progress, problems)
        if result is not None:
            compared.append(result)
            problems += result.problems
    if not compared and not recordings:
        return None
    picture = _frames_picture(source, sequence, indices, recordings, compared)
    return _SeenSequence(
        source, picture, tuple(compared), tuple(_depth_errors(sequence, recordings, compared))
    )


def _compared(
    source: SequenceSource,
    module: ModuleSource,
    sequence: Sequence,
    indices: list[int],
    context: ReaderContext,
    progress: Progress,
    problems: list[str],
) -> ComparedModule | None:
    try:
        return compare_module(module, sequence, indices, context, progress)
    except Exception as error:  # noqa: BLE001 - the other modules are shown
        problems.append(f"Predictions of {module.label} on {source.label} are not shown: {in_words(error)}")
        logger.warning("%s", problems[-1])
        return None


def _frames_picture(
    source: SequenceSource,
    sequence: Sequence,
    indices: list[int],
    recordings: list[ModuleSource],
    compared: list[ComparedModule],
) -> Picture:
    info = sequence.info
    frames = read_shown_frames(sequence, shown_indices(indices))
    recorded_name = f"recorded ({recordings[0].label})" if recordings else "recorded"
    figure = draw_frames(
        frames, info.label_space if can_be_shown(info.label_space) else None, compared, recorded_name
    )
    has_labels = any(module.label_space for module in compared) or can_be_shown(info.label_space)
    what = "Colour, depth and labels" if has_labels else "Colour and depth"
    return Picture(
        file_name("perception", source.label) + ".png",
        f"{what} of {source.label} as recorded and as modules predict them. Depth has one colour scale in "
        "all pictures, and is grey where it is unknown. AbsRel is that of the single frame.",
        png(figure),
        rendering=True,
    )


def _depth_errors(
    sequence: Sequence, recordings: list[ModuleSource], compared: list[ComparedModule]
) -> Iterator[DepthErrorGroup]:
    """Every group of trials whose module has an error of depth here."""
    errors = [(module, 0.0) for module in recordings if sequence.info.has_depth]
    errors += [(each.source, each.depth.pooled.abs_rel) for each in compared if each.depth is not None]
    for module, abs_rel in errors:
        yield from (DepthErrorGroup(module.label, abs_rel, group) for group in module.groups)


def _pictures(
    seen: _SeenSequence, comparison: Comparison, colours: dict[Contender, str]
) -> Iterator[Picture]:
    yield seen.frames
    figure = plot_ate_against_depth_error(seen.errors, colours)
    if figure is None:
        return
    name = seen.source.record.key.sequence
    drawn = {member.group.perception for member in seen.errors}
    of_sequence = {group.perception for group in comparison.groups if group.sequence == name}
    yield Picture(
        file_name("ate_against_depth_error", seen.source.label) + ".png",
        caption(seen.source.label, seen.errors, sorted(of_sequence - drawn)),
        png(figure),
    )
