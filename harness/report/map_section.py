"""The report's part on maps: pictures, distances and PLY files, or why there are none."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from harness.files import write_bytes
from harness.report.document import Picture, SequencePictures
from harness.report.scores import centimetres, per_cent
from harness.report.style import file_name, png
from harness.report.table import Cell, Table, text_cells
from harness.report.tracks import Track
from sequences.reader import ReaderContext

if TYPE_CHECKING:
    from harness.evaluation.surfaces import Surface
    from harness.report.maps import FusedMap

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MapSection:
    """What the report says of maps.

    Attributes:
        pictures: Renderings per sequence.
        table: Distances between maps; None without a map.
        frames: The same in metres, by name of their file.
        files: The fused surfaces.
        problems: Why a map is missing, a sentence each.
    """

    pictures: tuple[SequencePictures, ...] = ()
    table: Table | None = None
    frames: tuple[tuple[str, pd.DataFrame], ...] = ()
    files: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()


def make_map_section(
    tracks: list[Track],
    context: ReaderContext,
    directory: Path,
    progress: Callable[[str, int, int], None],
) -> MapSection:
    """Make the map of every track and write the surfaces to ``directory``.

    Raises:
        ResultsError: A surface cannot be written.
    """
    if not tracks:
        return MapSection(problems=("There is no map: no trial has a trajectory.",))
    try:
        # Open3D is an extra and takes seconds to import.
        from harness.report.maps import NoMap, make_maps
    except (ImportError, OSError) as error:  # OSError: a system library that it loads is missing
        problem = (
            f"There are no maps, they need Open3D ({error}); "
            "install it with: pip install 'slam-harness[open3d]'"
        )
        logger.warning("%s", problem)
        return MapSection(problems=(problem,))
    pictures: dict[str, list[Picture]] = {}
    rows, figures = [], []
    problems: list[str] = []
    surfaces = _SurfaceFiles(directory)
    for number, result in enumerate(make_maps(tracks, context)):
        progress("maps", number, len(tracks))
        if isinstance(result, NoMap):
            problems.append(f"No map of {result.track.trial.record.key}: {result.reason}")
            continue
        # Surfaces are large: what the report needs of them is taken out before the next one is made.
        pictures.setdefault(result.track.group.sequence, []).append(_picture(result))
        rows.append(_row(result))
        figures.append(_figures(result))
        try:
            surfaces.write(result)
        except OSError as error:
            problems.append(f"The surface of {result.track.trial.record.key} was not written: {error}")
    progress("maps", len(tracks), len(tracks))
    if not rows:
        return MapSection(problems=tuple(problems))
    return MapSection(
        tuple(SequencePictures(sequence, tuple(pictures[sequence])) for sequence in sorted(pictures)),
        _table(rows),
        (("maps.csv", pd.DataFrame(figures)),),
        tuple(surfaces.paths),
        tuple(problems),
    )


def _picture(fused: "FusedMap") -> Picture:
    group = fused.track.group
    return Picture(
        f"{_name(fused)}.png",
        f"Map of {group.sequence} with perception {group.perception}, {fused.track.label}, "
        f"{fused.track.figures}; {fused.frames} frames, voxels of {centimetres(fused.voxel)} cm. Faces seen "
        "from behind are left out, so that ceiling and near walls do not hide the rest.",
        png(fused.figure),
        rendering=True,
    )


def _name(fused: "FusedMap") -> str:
    group = fused.track.group
    return file_name("map", group.sequence, group.perception, group.contender.label)


class _SurfaceFiles:
    """Writes surfaces as PLY; the one along ground truth once for all trials that share it."""

    def __init__(self, directory: Path):
        self.paths: list[Path] = []
        self._directory = directory
        self._reference: Surface | None = None

    def write(self, fused: "FusedMap") -> None:
        name = _name(fused)
        self._write(f"{name}.ply", fused.estimate)
        # Trials that share it follow each other; a trial with other frames has a reference of its own.
        if fused.reference is not self._reference:
            self._write(f"{name}-ground_truth.ply", fused.reference)
            self._reference = fused.reference

    def _write(self, name: str, surface: "Surface") -> None:
        self.paths.append(self._directory / name)
        write_bytes(self.paths[-1], surface.ply())


def _row(fused: "FusedMap") -> tuple[Cell, ...]:
    group, distances = fused.track.group, fused.distances
    return (
        *text_cells(group.sequence, group.perception, fused.track.label),
        Cell(str(fused.frames)),
        Cell(centimetres(distances.accuracy_median_m), centimetres(distances.accuracy_mean_m)),
        Cell(per_cent(distances.accuracy_share)),
        Cell(centimetres(distances.completeness_median_m), centimetres(distances.completeness_mean_m)),
        Cell(per_cent(distances.completeness_share)),
    )


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    return Table(
        name="maps",
        caption=(
            "Distance between the map along the trajectory and the map along ground truth, median and in "
            "brackets mean. Accuracy: from the first to the second; completeness: from the second to the "
            "first. Both hold the same depth images, so that they differ by the trajectory alone."
        ),
        columns=(
            *("sequence", "perception", "backend", "frames", "accuracy [cm]", "within 5 cm [%]"),
            *("completeness [cm]", "within 5 cm [%]"),
        ),
        rows=tuple(rows),
        text_columns=3,
    )


def _figures(fused: "FusedMap") -> dict[str, object]:
    group = fused.track.group
    return {
        "experiment": fused.track.trial.experiment,
        "sequence": group.sequence,
        "perception": group.perception,
        "backend": group.contender.backend,
        "run": fused.track.trial.record.key.run,
        "frames": fused.frames,
        "voxel_m": fused.voxel,
        **asdict(fused.distances),
    }
