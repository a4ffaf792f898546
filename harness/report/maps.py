"""Maps: the depth a backend was fed with, fused along its trajectory and along ground truth, compared."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.evaluation.surfaces import (
    NEAR,
    Surface,
    SurfaceDistances,
    distances_to,
    measure_distances,
    raycasting_scene,
)
from harness.report.failures import in_words
from harness.report.fusion import fuse, voxel_length
from harness.report.map_frames import MapFrames, PosedFrames, pose_frames, read_map_frames
from harness.report.map_views import SurfaceRenderer, View, inside_view, overview
from harness.report.scores import CENTIMETRES_PER_METRE
from harness.report.style import ERROR_COLOURS, styled_figure
from harness.report.tracks import Track
from sequences.reader import ReaderContext

logger = logging.getLogger(__name__)

_PICTURE_WIDTH = 440
_PICTURE_HEIGHT = 330

#: In steps of half a centimetre, which can be told apart under shading.
_DISTANCE_COLOURS = ERROR_COLOURS.resampled(10)

#: Where along the trajectory the inside views look from, as a share of the frames.
_INSIDE_AT = (0.25, 0.75)

#: Fewer frames with both poses make no map worth looking at.
_FEWEST_FRAMES = 5


@dataclass(frozen=True)
class FusedMap:
    """The map of one trial beside the map its depth gives with perfect poses.

    Attributes:
        track: The trial.
        figure: Both maps from the same viewpoints, and the estimate coloured by its distance.
        estimate: Fused along the aligned trajectory.
        reference: Fused along ground truth.
        distances: Between the two.
        frames: How many frames were fused.
        voxel: Edge of a voxel, metres.
    """

    track: Track
    figure: Figure
    estimate: Surface
    reference: Surface
    distances: SurfaceDistances
    frames: int
    voxel: float


@dataclass(frozen=True)
class NoMap:
    """A trial without a map.

    Attributes:
        track: The trial.
        reason: Why, a sentence.
    """

    track: Track
    reason: str


@dataclass(frozen=True)
class _Reference:
    """The ground-truth map with its pictures; trials with the same frames share it."""

    surface: Surface
    voxel: float
    views: tuple[View, ...]
    pictures: tuple[NDArray[np.uint8], ...]


def make_maps(tracks: list[Track], context: ReaderContext) -> Iterator[FusedMap | NoMap]:
    """Make the map of every track, one after the other.

    Frames are read once for all trials of the same sequence and perception module. Whatever goes wrong is
    the reason for a missing map: a report has more to say than its maps.
    """
    sources: dict[str, list[Track]] = {}
    for track in tracks:
        record = track.trial.record
        if record.mode == "mono":
            yield NoMap(track, "it ran in mode mono: no depth was fed to it that could be fused.")
            continue
        source = [record.sequence.get("entry"), record.sequence.get("frames"), record.key.perception]
        sources.setdefault(json.dumps(source, sort_keys=True), []).append(track)
    for members in sources.values():
        yield from _maps_of_source(members, context)


def _maps_of_source(tracks: list[Track], context: ReaderContext) -> Iterator[FusedMap | NoMap]:
    record = tracks[0].trial.record
    try:
        frames = read_map_frames(record, context)
    except Exception as error:  # noqa: BLE001 - see make_maps
        cause = in_words(error)
        logger.warning("no maps of %s with %s: %s", record.key.sequence, record.key.perception, cause)
        reason = (
            f"sequence {record.key.sequence} with perception {record.key.perception} cannot be read again: "
            f"{cause}"
        )
        yield from (NoMap(track, reason) for track in tracks)
        return
    references: dict[tuple[int, ...], _Reference] = {}
    for track in tracks:
        try:
            result = _map_of_track(track, frames, references)
        except Exception as error:  # noqa: BLE001 - see make_maps
            cause = in_words(error)
            logger.warning("no map of %s: %s", track.trial.record.key, cause)
            result = NoMap(track, f"it cannot be made: {cause}")
        yield result


def _map_of_track(
    track: Track, frames: MapFrames, references: dict[tuple[int, ...], _Reference]
) -> FusedMap | NoMap:
    posed = pose_frames(frames, track)
    if len(posed.chosen) < _FEWEST_FRAMES:
        return NoMap(track, f"only {len(posed.chosen)} of the frames chosen for maps have a pose.")
    if posed.chosen not in references:
        references[posed.chosen] = _make_reference(frames, posed)
    return _make_map(track, frames, posed, references[posed.chosen])


def _make_reference(frames: MapFrames, posed: PosedFrames) -> _Reference:
    images = [frames.images[number] for number in posed.chosen]
    voxel = voxel_length(posed.ground_truth[:, :3, 3], images)
    surface = fuse(images, posed.ground_truth, frames.intrinsics, voxel)
    if not len(surface):
        return _Reference(surface, voxel, (), ())
    inside = (posed.ground_truth[round(share * (len(images) - 1))] for share in _INSIDE_AT)
    views = (
        overview(surface, posed.ground_truth, _PICTURE_WIDTH, _PICTURE_HEIGHT),
        *(inside_view(frames.camera, pose, _PICTURE_WIDTH) for pose in inside),
    )
    renderer = SurfaceRenderer(surface)
    return _Reference(
        surface, voxel, views, tuple(renderer.render(view, surface.colours)[0] for view in views)
    )


def _make_map(track: Track, frames: MapFrames, posed: PosedFrames, reference: _Reference) -> FusedMap | NoMap:
    images = [frames.images[number] for number in posed.chosen]
    surface = fuse(images, posed.estimate, frames.intrinsics, reference.voxel)
    if not len(surface) or not len(reference.surface):
        return NoMap(track, "no surface was seen by two frames; the depth may be empty or beyond the limit.")
    distances = distances_to(raycasting_scene(reference.surface), surface.vertices)
    painted = _DISTANCE_COLOURS(np.clip(distances / NEAR, 0, 1))[:, :3].astype(np.float32)
    renderer = SurfaceRenderer(surface)
    coloured, by_distance = zip(
        *(renderer.render(view, surface.colours, painted) for view in reference.views), strict=True
    )
    columns = {
        "fused along ground truth": reference.pictures,
        f"fused along {track.label}": coloured,
        "distance between the two": by_distance,
    }
    return FusedMap(
        track,
        _draw(columns),
        surface,
        reference.surface,
        measure_distances(surface, reference.surface),
        len(images),
        reference.voxel,
    )


def _draw(columns: dict[str, tuple[NDArray[np.uint8], ...]]) -> Figure:
    """Pictures side by side: a row per viewpoint, a column per map."""
    rows = len(_INSIDE_AT) + 1
    figure = styled_figure(9.6, 2.25 * rows + 0.35)
    panels = figure.subplots(rows, len(columns), squeeze=False)
    names = ("from above", *("from inside" for _ in _INSIDE_AT))
    for column, (title, pictures) in enumerate(columns.items()):
        for row, picture in enumerate(pictures):
            panel = panels[row, column]
            panel.imshow(picture)
            panel.grid(visible=False)
            panel.set_xticks([])
            panel.set_yticks([])
            panel.spines[:].set_visible(False)
            if row == 0:
                panel.set_title(title)
            if column == 0:
                panel.set_ylabel(names[row])
    scale = Normalize(0, NEAR * CENTIMETRES_PER_METRE)
    figure.colorbar(
        ScalarMappable(scale, _DISTANCE_COLOURS),
        ax=list(panels[:, -1]),
        label="distance [cm]",
        extend="max",
        pad=0.03,
        aspect=40,
    )
    return figure
