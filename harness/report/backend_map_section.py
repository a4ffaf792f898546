"""The report's part on maps that backends wrote themselves: pictures and scores, or why there are none."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from harness.report.backend_map_tables import classes_frame, classes_table, maps_frame, maps_table
from harness.report.document import Picture, SequencePictures
from harness.report.style import file_name, png
from harness.report.table import Table
from harness.report.tracks import Track
from sequences.reader import ReaderContext

if TYPE_CHECKING:
    from harness.report.backend_maps import ShownMap

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BackendMapSection:
    """What the report says of the maps that backends wrote; nothing where none wrote one.

    Attributes:
        tables: Scores per map, and by class.
        frames: The same as numbers, by name of their file.
        pictures: Meshes and scene graphs per sequence.
        problems: Why a map is missing or not measured, a sentence each.
    """

    tables: tuple[Table, ...] = ()
    frames: tuple[tuple[str, pd.DataFrame], ...] = ()
    pictures: tuple[SequencePictures, ...] = ()
    problems: tuple[str, ...] = ()


def make_backend_map_section(
    tracks: list[Track], context: ReaderContext, progress: Callable[[str, int, int], None]
) -> BackendMapSection:
    """Show and measure the map of every track whose backend wrote one."""
    with_map = [track for track in tracks if track.has_backend_map]
    if not with_map:
        return BackendMapSection()
    try:
        # Open3D is an extra and takes seconds to import.
        from harness.report.backend_maps import ShownMap, show_backend_maps
    except (ImportError, OSError) as error:  # OSError: a system library that it loads is missing
        problem = (
            f"Maps of backends are not shown, this needs Open3D ({error}); "
            "install it with: pip install 'slam-harness[open3d]'"
        )
        logger.warning("%s", problem)
        return BackendMapSection(problems=(problem,))
    shown: list[ShownMap] = []
    pictures: dict[str, list[Picture]] = {}
    problems: list[str] = []
    for number, result in enumerate(show_backend_maps(with_map, context)):
        progress("maps of backends", number, len(with_map))
        key = result.track.trial.record.key
        if isinstance(result, ShownMap):
            shown.append(result)
            problems += [f"Map of {key}: {problem}." for problem in result.problems]
            pictures.setdefault(result.track.group.sequence, []).extend(_pictures(result))
        else:
            problems.append(f"No map of {key}: {result.reason}")
    progress("maps of backends", len(with_map), len(with_map))
    if not shown:
        return BackendMapSection(problems=tuple(problems))
    by_class = classes_table(shown)
    return BackendMapSection(
        (maps_table(shown), *((by_class,) if by_class else ())),
        (
            ("backend_maps.csv", maps_frame(shown)),
            *((("backend_map_classes.csv", classes_frame(shown)),) if by_class else ()),
        ),
        tuple(SequencePictures(sequence, tuple(pictures[sequence])) for sequence in sorted(pictures)),
        tuple(problems),
    )


def _pictures(shown: "ShownMap") -> list[Picture]:
    group = shown.track.group
    names = (group.sequence, group.perception, group.contender.label)
    what = (
        f"{group.sequence} with perception {group.perception} by {shown.track.label}, {shown.track.figures}"
    )
    pictures = [
        Picture(
            file_name("backend_map", *names) + ".png",
            f"Map of {what}. Faces seen from behind are left out.",
            png(shown.meshes),
            rendering=True,
        )
    ]
    if shown.graph is not None:
        unnamed = shown.graph.objects - shown.graph.named
        pictures.append(
            Picture(
                file_name("scene_graph", *names) + ".png",
                f"Scene graph of {what}. Each layer is drawn above the one below it; objects have their box "
                "where they stand and their dot above it, in the colour of their class."
                + (
                    f" {unnamed} of {shown.graph.objects} objects have no name for want of room."
                    if unnamed
                    else ""
                ),
                png(shown.graph.figure),
                rendering=True,
            )
        )
    return pictures
