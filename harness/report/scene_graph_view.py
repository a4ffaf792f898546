"""Draws a scene graph over the surface it was made of, each layer lifted above the one below."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from harness.evaluation.scene_graph import GraphNode, Layer, SceneGraph
from harness.evaluation.surfaces import Surface
from harness.report.map_views import (
    BACKGROUND,
    Stance,
    SurfaceRenderer,
    View,
    cropped,
    oblique_view,
    solid_part,
)
from harness.report.place_text import TextPlacer
from harness.report.style import DOTS_PER_INCH
from sequences.model import LABEL_UNKNOWN

_WIDTH = 1200
_TALLEST = 1350

# Flatter than the other pictures, so that layers lie above each other and not behind.
_ELEVATION_DEG = 36.0

# How far apart layers are drawn, as a share of the scene's horizontal extent, and at least, metres.
_LIFT_SHARE = 0.16
_LEAST_LIFT = 1.0

#: More names than this cannot be read.
MOST_NAMES = 40

_PLACE_COLOUR = "#5a5f66"
_ROOM_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_BUILDING_COLOUR = "#1c1f23"
_WHITENED = 0.30

# Room at the left for the names of the layers, pixels.
_CAPTIONS_WIDTH = 115

# Corners of a box are numbered by bits, so that neighbours differ in one of them.
_BOX_EDGES = tuple(
    (corner, corner | 1 << axis) for corner in range(8) for axis in range(3) if not corner >> axis & 1
)

# The objects stand on the surface itself; their dots and everything else float above it.
_LEVELS = {Layer.OBJECTS: 0.8, Layer.PLACES: 2.2, Layer.ROOMS: 3.2, Layer.BUILDINGS: 3.8}


@dataclass(frozen=True)
class GraphPicture:
    """A drawn scene graph.

    Attributes:
        figure: The picture.
        named: How many objects have their name in it.
        objects: How many objects there are.
    """

    figure: Figure
    named: int
    objects: int


def draw_scene_graph(
    renderer: SurfaceRenderer,
    surface: Surface,
    graph: SceneGraph,
    stance: Stance,
    colours: NDArray[np.uint8],
    class_names: dict[int, str],
) -> GraphPicture:
    """Draw a graph over its surface.

    Args:
        renderer: Of the surface.
        surface: The map.
        graph: In the world of the surface.
        stance: From where it is seen.
        colours: uint8 [256, 3], by label.
        class_names: What objects are called, by label; others by the name of their node.
    """
    lifted = _lifted(graph, surface.vertices, stance.up)
    view = _view(surface, lifted, stance)
    (picture,) = renderer.render(view, surface.colours)
    pixels = dict(zip(lifted, view.pixels(np.array(list(lifted.values())).reshape(-1, 3)), strict=True))
    figure, panel = _panel(picture)
    _draw_boxes(panel, view, graph, pixels, colours)
    rooms = {
        node.id: _ROOM_COLOURS[number % len(_ROOM_COLOURS)]
        for number, node in enumerate(graph.layer(Layer.ROOMS))
    }
    _draw_edges(panel, graph, pixels, rooms)
    _draw_nodes(panel, graph, pixels, rooms, colours)
    return _name(figure, panel, graph, pixels, class_names, picture.shape)


def _lifted(
    graph: SceneGraph, vertices: NDArray[np.float32], up: NDArray[np.float64]
) -> dict[int, NDArray[np.float64]]:
    """Where every node is drawn, metres: above its position, on the level of its layer."""
    heights = vertices @ up
    floor, top = np.percentile(heights, [2, 98])
    extent = np.percentile(vertices - np.outer(heights, up), 98, axis=0) - np.percentile(
        vertices - np.outer(heights, up), 2, axis=0
    )
    lift = max(_LEAST_LIFT, _LIFT_SHARE * float(np.linalg.norm(extent)))
    places = {}
    for node in graph.nodes.values():
        own = float(node.position @ up)
        # Within a layer heights are kept, small as they are beside the distance of layers.
        height = top + lift * (_LEVELS[node.layer] - 0.5) + 0.3 * (np.clip(own, floor, top) - floor)
        places[node.id] = node.position + (height - own) * up
    return places


def _view(surface: Surface, lifted: dict[int, NDArray[np.float64]], stance: Stance) -> View:
    points = np.concatenate([solid_part(surface), np.array(list(lifted.values())).reshape(-1, 3)])
    return cropped(oblique_view(points, stance, _ELEVATION_DEG, _WIDTH, _WIDTH), points, _WIDTH, _TALLEST)


def _panel(picture: NDArray[np.uint8]) -> tuple[Figure, Axes]:
    """A figure that is the picture, a pixel for a pixel, paler so that lines stand out."""
    height, width = picture.shape[:2]
    full = _CAPTIONS_WIDTH + width
    figure = Figure(figsize=(full / DOTS_PER_INCH, height / DOTS_PER_INCH), dpi=DOTS_PER_INCH)
    figure.set_facecolor(_paler(BACKGROUND[None])[0])
    panel = figure.add_axes((_CAPTIONS_WIDTH / full, 0, width / full, 1))
    panel.imshow(_paler(picture / 255), aspect="auto")
    panel.set_axis_off()
    panel.set_xlim(-0.5, width - 0.5)
    panel.set_ylim(height - 0.5, -0.5)
    return figure, panel


def _paler(colours: NDArray[np.float64] | NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    return colours * (1 - _WHITENED) + _WHITENED


def _colour(node: GraphNode, colours: NDArray[np.uint8]) -> tuple[float, float, float]:
    return to_rgb(colours[LABEL_UNKNOWN if node.label is None else node.label] / 255)


def _node_colour(
    node: GraphNode, rooms: dict[int, str], colours: NDArray[np.uint8]
) -> tuple[float, float, float]:
    match node.layer:
        case Layer.OBJECTS:
            return _colour(node, colours)
        case Layer.ROOMS:
            return to_rgb(rooms[node.id])
        case Layer.PLACES:
            return to_rgb(_PLACE_COLOUR)
        case Layer.BUILDINGS:
            return to_rgb(_BUILDING_COLOUR)


def _draw_boxes(
    panel: Axes,
    view: View,
    graph: SceneGraph,
    pixels: dict[int, NDArray[np.float64]],
    colours: NDArray[np.uint8],
) -> None:
    """The box of every object where it stands, and a line from it up to its dot."""
    edges, edge_colours, stems = [], [], []
    for node in graph.layer(Layer.OBJECTS):
        stems.append([view.pixels(node.position[None])[0], pixels[node.id]])
        if node.box is not None:
            corners = view.pixels(node.box.corners())
            edges += [corners[list(pair)] for pair in _BOX_EDGES]
            edge_colours += [_colour(node, colours)] * len(_BOX_EDGES)
    panel.add_collection(LineCollection(edges, colors="white", linewidths=2.2, alpha=0.7))
    panel.add_collection(LineCollection(edges, colors=edge_colours, linewidths=1.1))
    panel.add_collection(LineCollection(stems, colors="#444444", linewidths=0.4, alpha=0.5))


def _draw_edges(
    panel: Axes, graph: SceneGraph, pixels: dict[int, NDArray[np.float64]], rooms: dict[int, str]
) -> None:
    """Edges within the layer of places darker than those between layers, of which there are many."""
    kinds: dict[tuple[str, float, float], list[list[NDArray[np.float64]]]] = {}
    for pair in graph.edges:
        layers = {graph.nodes[each].layer for each in pair}
        room = next((rooms[each] for each in pair if each in rooms), None)
        if layers == {Layer.PLACES}:
            style = (_PLACE_COLOUR, 0.5, 0.65)
        elif layers == {Layer.PLACES, Layer.ROOMS} and room:
            style = (room, 0.35, 0.35)
        elif Layer.BUILDINGS in layers or layers == {Layer.ROOMS}:
            style = (_BUILDING_COLOUR, 0.9, 0.9)
        else:
            style = ("#444444", 0.35, 0.5)
        kinds.setdefault(style, []).append([pixels[each] for each in pair])
    for (colour, width, alpha), lines in kinds.items():
        panel.add_collection(LineCollection(lines, colors=colour, linewidths=width, alpha=alpha))


def _draw_nodes(
    panel: Axes,
    graph: SceneGraph,
    pixels: dict[int, NDArray[np.float64]],
    rooms: dict[int, str],
    colours: NDArray[np.uint8],
) -> None:
    looks = {
        Layer.PLACES: (7.0, "o", 0.0),
        Layer.OBJECTS: (34.0, "o", 0.6),
        Layer.ROOMS: (170.0, "s", 1.0),
        Layer.BUILDINGS: (210.0, "s", 1.0),
    }
    for layer, (area, marker, edge) in looks.items():
        nodes = graph.layer(layer)
        if not nodes:
            continue
        columns, rows = np.array([pixels[node.id] for node in nodes]).T
        fill = [_node_colour(node, rooms, colours) for node in nodes]
        panel.scatter(
            columns, rows, s=area, c=fill, marker=marker, linewidths=edge, edgecolors="white", zorder=3
        )


def _name(
    figure: Figure,
    panel: Axes,
    graph: SceneGraph,
    pixels: dict[int, NDArray[np.float64]],
    class_names: dict[int, str],
    shape: tuple[int, ...],
) -> GraphPicture:
    """Names beside rooms, buildings and, largest first, as many objects as there is space for."""
    placer = TextPlacer(figure, panel, shape[1], shape[0])
    for node in graph.nodes.values():
        if node.layer is not Layer.PLACES:
            placer.keep_free(pixels[node.id], 7 if node.layer is Layer.OBJECTS else 14)
    for node in (*graph.layer(Layer.BUILDINGS), *graph.layer(Layer.ROOMS)):
        if node.name:
            placer.place(node.name, pixels[node.id], 9, 18)
    objects = graph.layer(Layer.OBJECTS)
    by_size = sorted(objects, key=lambda node: -(node.box.volume if node.box else 0.0))
    named = 0
    for node in by_size:
        name = node.name if node.label is None else class_names.get(node.label, node.name)
        if name and named < MOST_NAMES:
            named += placer.place(name.replace("_", " "), pixels[node.id], 7, 8)
    for layer in Layer:
        nodes = graph.layer(layer)
        if nodes:
            row = float(np.mean([pixels[node.id][1] for node in nodes]))
            text = panel.text(
                8 - _CAPTIONS_WIDTH,
                row,
                layer.value,
                fontsize=9,
                style="italic",
                color="#30353b",
                va="center",
            )
            text.set_path_effects([withStroke(linewidth=2, foreground="white")])
    return GraphPicture(figure, named, len(objects))
