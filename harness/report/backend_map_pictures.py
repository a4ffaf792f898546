"""Pictures of a backend's mesh: by colour, by label, and beside the true labels where those are known."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from harness.evaluation.labelled_surface import LabelledSurface
from harness.report.map_views import Stance, View, cropped, oblique_view, solid_part
from harness.report.style import styled_figure
from sequences.label_spaces import LabelSpace
from sequences.model import LABEL_UNKNOWN

_WIDTH = 660
_TALLEST = 620
_ELEVATION_DEG = 50.0

# Darker than the colour of any class.
_UNKNOWN_COLOUR = (0.07, 0.07, 0.07)
_RIGHT_COLOUR = (0.82, 0.84, 0.80)
_WRONG_COLOUR = (0.84, 0.16, 0.11)
_LEGEND_COLUMNS = 6
_INCHES_PER_PIXEL = 1 / 150


def mesh_view(mesh: LabelledSurface, stance: Stance) -> View:
    """From above, with the mesh filling the picture."""
    points = solid_part(mesh.surface)
    return cropped(oblique_view(points, stance, _ELEVATION_DEG, _WIDTH, _WIDTH), points, _WIDTH, _TALLEST)


def label_paint(labels: NDArray[np.uint8], space: LabelSpace) -> NDArray[np.float32]:
    """The colour of every vertex by its label, float32 [V, 3]; black where unknown."""
    table = (space.colours() / 255).astype(np.float32)
    table[LABEL_UNKNOWN] = _UNKNOWN_COLOUR
    return table[labels]


def error_paint(
    labels: NDArray[np.uint8], true: NDArray[np.uint8], is_known: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The colour of every vertex by whether its label is right, float32 [V, 3]; black where nobody knows."""
    paint = np.where((labels == true)[:, None], _RIGHT_COLOUR, _WRONG_COLOUR)
    return np.where(is_known[:, None], paint, _UNKNOWN_COLOUR).astype(np.float32)


def draw_meshes(
    pictures: dict[str, NDArray[np.uint8]],
    labels: NDArray[np.uint8] | None,
    space: LabelSpace | None,
    shows_errors: bool,
) -> Figure:
    """Pictures two by two, all from one viewpoint, over a legend of the labels that occur.

    Args:
        pictures: uint8 [H, W, 3] each, by title.
        labels: All labels in the pictures, uint8 [N], for the legend; None without labels.
        space: What they mean.
        shows_errors: The last picture is painted by :func:`error_paint`.
    """
    handles = _legend(labels, space, shows_errors) if labels is not None and space is not None else []
    columns = min(2, len(pictures))
    rows = -(-len(pictures) // columns)
    height, width = next(iter(pictures.values())).shape[:2]
    lines = -(-len(handles) // _LEGEND_COLUMNS)
    figure = styled_figure(
        columns * (width * _INCHES_PER_PIXEL + 0.1), rows * (height * _INCHES_PER_PIXEL + 0.3) + 0.2 * lines
    )
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(pictures) :]:
        panel.set_axis_off()
    for panel, (title, picture) in zip(panels, pictures.items(), strict=False):
        panel.imshow(picture)
        panel.set_title(title)
        panel.set_axis_off()
    if handles:
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=_LEGEND_COLUMNS if columns > 1 else _LEGEND_COLUMNS // 2,
            fontsize=8,
            handlelength=1.1,
            handleheight=1.0,
            columnspacing=1.4,
        )
    return figure


def _legend(labels: NDArray[np.uint8], space: LabelSpace, shows_errors: bool) -> list[Patch]:
    """One entry per label that occurs, the most frequent first."""
    counts = np.bincount(labels, minlength=256)
    occurring = sorted((each for each in space.classes if counts[each.id]), key=lambda each: -counts[each.id])
    handles = [
        Patch(
            facecolor=_fraction(each.colour),
            edgecolor="#777777",
            linewidth=0.3,
            label=each.name.replace("_", " "),
        )
        for each in occurring
    ]
    if counts[LABEL_UNKNOWN]:
        handles.append(Patch(facecolor=_UNKNOWN_COLOUR, label="unknown"))
    if shows_errors:
        handles.append(
            Patch(facecolor=_RIGHT_COLOUR, edgecolor="#777777", linewidth=0.3, label="label is right")
        )
        handles.append(Patch(facecolor=_WRONG_COLOUR, label="label is wrong"))
    return handles


def _fraction(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
