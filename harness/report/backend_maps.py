"""The maps that backends wrote: read, brought into ground truth's world, drawn and measured."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.errors import EvaluationError
from harness.evaluation.labelled_surface import nearest_labels
from harness.evaluation.scene_graph import Layer
from harness.evaluation.scene_objects import ObjectScores, score_objects
from harness.evaluation.scene_rooms import RoomScores, score_rooms
from harness.evaluation.semantic_map import (
    LABELLED_WITHIN,
    LabelScores,
    label_mapping,
    score_labels,
    score_surface,
)
from harness.evaluation.surfaces import SurfaceDistances
from harness.report.backend_map_files import BackendMap, read_backend_map
from harness.report.backend_map_pictures import draw_meshes, error_paint, label_paint, mesh_view
from harness.report.failures import in_words
from harness.report.map_frames import pose_matrices
from harness.report.map_views import Stance, SurfaceRenderer, stance
from harness.report.scene_graph_view import GraphPicture, draw_scene_graph
from harness.report.tracks import Track
from harness.report.true_scene import TrueScene, read_true_scene
from sequences.model import LABEL_UNKNOWN
from sequences.reader import ReaderContext

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MapScores:
    """What a map is worth; parts that cannot be measured are None.

    Attributes:
        surface: Distances between the map and the true scene.
        labels: How good its labels are.
        objects: How well objects are found.
        rooms: How well rooms are found.
    """

    surface: SurfaceDistances
    labels: LabelScores | None = None
    objects: ObjectScores | None = None
    rooms: RoomScores | None = None


@dataclass(frozen=True)
class ShownMap:
    """The map of one trial.

    Attributes:
        track: The trial.
        meshes: Pictures of the mesh.
        graph: The scene graph over the mesh; None where the backend makes none.
        vertices: How many the mesh has.
        nodes: How many each layer of the graph has; None without a graph.
        scores: Against the true scene; None where they cannot be measured.
        problems: What cannot be measured and why, a sentence each.
    """

    track: Track
    meshes: Figure
    graph: GraphPicture | None
    vertices: int
    nodes: dict[Layer, int] | None
    scores: MapScores | None
    problems: tuple[str, ...]


@dataclass(frozen=True)
class UnreadableMap:
    """A trial whose map cannot be shown.

    Attributes:
        track: The trial.
        reason: Why, a sentence.
    """

    track: Track
    reason: str


def show_backend_maps(tracks: list[Track], context: ReaderContext) -> Iterator[ShownMap | UnreadableMap]:
    """Show the map of every track, one after the other; the truth of a sequence is read once.

    Maps of one sequence are seen from the same side.
    """
    truths, sides = _Truths(context), dict[str, Stance]()
    for track in tracks:
        try:
            yield _show(track, truths, sides)
        except Exception as error:  # noqa: BLE001 - a report has more to say than its maps
            cause = in_words(error)
            logger.warning("no map of %s: %s", track.trial.record.key, cause)
            yield UnreadableMap(track, cause)


class _Truths:
    """The true scene of the sequence that is being looked at; tracks of one sequence follow each other."""

    def __init__(self, context: ReaderContext):
        self._context = context
        self._key: str | None = None
        self._scene: TrueScene | None = None
        self._why_not: str | None = None

    def of(self, track: Track) -> tuple[TrueScene | None, str | None]:
        """The true scene, or why there is none."""
        record = track.trial.record
        frames = record.frames.in_sequence if record.frames else None
        key = json.dumps([record.sequence.get("entry"), frames], sort_keys=True)
        if key != self._key:
            self._key, self._scene, self._why_not = key, None, None
            try:
                self._scene = read_true_scene(track, self._context)
                if self._scene is None:
                    self._why_not = f"sequence {record.key.sequence} comes without the truth of its scene"
            except Exception as error:  # noqa: BLE001 - the map is shown without it
                self._why_not = in_words(error)
        return self._scene, self._why_not


def _show(track: Track, truths: _Truths, sides: dict[str, Stance]) -> ShownMap:
    found = _in_world_of_truth(read_backend_map(track.backend_directory), track)
    truth, why_not = truths.of(track)
    problems = [f"it is not measured: {why_not}"] if why_not else []
    mapping, scores = None, None
    if truth is not None:
        mapping, scores = _score(found, truth, problems)
    poses = pose_matrices(track.ground_truth, list(range(len(track.ground_truth))))
    renderer = SurfaceRenderer(found.mesh.surface)
    side = sides.setdefault(track.group.sequence, stance(found.mesh.surface, poses))
    graph = None
    if found.graph is not None and found.graph.nodes:
        graph = draw_scene_graph(
            renderer,
            found.mesh.surface,
            found.graph,
            side,
            found.label_space.colours() if found.label_space else np.full((256, 3), 110, np.uint8),
            {entry.id: entry.name for entry in found.label_space.classes} if found.label_space else {},
        )
    return ShownMap(
        track,
        _draw(found, renderer, side, truth, mapping),
        graph,
        len(found.mesh.labels),
        {layer: len(found.graph.layer(layer)) for layer in Layer} if found.graph else None,
        scores,
        tuple(problems),
    )


def _in_world_of_truth(found: BackendMap, track: Track) -> BackendMap:
    fit = track.aligned.fit
    graph = found.graph.moved(fit) if found.graph else None
    return BackendMap(found.mesh.moved(fit), graph, found.label_space)


def _score(
    found: BackendMap, truth: TrueScene, problems: list[str]
) -> tuple[NDArray[np.uint8] | None, MapScores | None]:
    """Scores of a map, and the table from the truth's labels to its own; adds what cannot be measured."""
    if not len(truth.seen):
        problems.append("it is not measured: the camera saw nothing of the true scene")
        return None, None
    mapping = labels = objects = None
    if found.label_space is None:
        problems.append("labels and objects are not measured: the backend was given no labels")
    else:
        try:
            mapping = label_mapping(truth.truth.label_space, found.label_space)
        except EvaluationError as error:
            problems.append(f"labels and objects are not measured: {error}")
    if mapping is not None and found.label_space is not None:
        labels = score_labels(found.mesh, truth.mesh, truth.seen, found.label_space, mapping)
        if found.graph is not None and truth.truth.objects:
            true_objects = truth.objects(found.label_space, mapping)
            names = {entry.id: entry.name for entry in found.label_space.classes}
            objects = score_objects(found.graph.layer(Layer.OBJECTS), true_objects, names)
    rooms = score_rooms(found.graph, truth.rooms()) if found.graph and truth.truth.rooms else None
    if found.graph is not None:
        unlisted = [name for name in ("objects", "rooms") if not getattr(truth.truth, name)]
        if unlisted:
            problems.append(
                f"{' and '.join(unlisted)} are not measured: the truth of the scene does not list them"
            )
    return mapping, MapScores(score_surface(found.mesh, truth.mesh, truth.seen), labels, objects, rooms)


def _draw(
    found: BackendMap,
    renderer: SurfaceRenderer,
    side: Stance,
    truth: TrueScene | None,
    mapping: NDArray[np.uint8] | None,
) -> Figure:
    mesh, space = found.mesh, found.label_space
    view = mesh_view(mesh, side)
    if space is None:
        (by_colour,) = renderer.render(view, mesh.surface.colours)
        return draw_meshes({"mesh by colour": by_colour}, None, None, shows_errors=False)
    paints = {"mesh by colour": mesh.surface.colours, "mesh by label": label_paint(mesh.labels, space)}
    shown = mesh.labels
    if truth is None or mapping is None:
        pictures = dict(zip(paints, renderer.render(view, *paints.values()), strict=True))
        return draw_meshes(pictures, shown, space, shows_errors=False)
    nearest = nearest_labels(truth.mesh, mesh.surface.vertices)
    is_known = (nearest.distances <= LABELLED_WITHIN) & (mapping[nearest.labels] != LABEL_UNKNOWN)
    true = np.where(is_known, mapping[nearest.labels], np.uint8(LABEL_UNKNOWN))
    paints["the true label of every vertex"] = label_paint(true, space)
    paints["where labels are right"] = error_paint(mesh.labels, true, is_known)
    pictures = dict(zip(paints, renderer.render(view, *paints.values()), strict=True))
    return draw_meshes(pictures, np.concatenate([shown, true]), space, shows_errors=True)
