"""Pictures of what perception modules see: colour, depth and labels of a few frames side by side."""

import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from harness.report.compared_modules import ComparedModule, Images, ShownFrame
from harness.report.scores import per_cent
from harness.report.style import styled_figure
from sequences.label_spaces import load_label_space
from sequences.model import LABEL_UNKNOWN

_WIDTH = 10.0
_WIDEST_PANEL = 2.6
_MOST_COLUMNS = 5
_CAPTION_SIZE = 7.5
_LINE_HEIGHT = 0.15
#: Of a character of a caption, on the average, inches.
_CHARACTER_WIDTH = 0.06

#: Near is bright; no colour of it is grey.
_DEPTH_COLOURS = colormaps["viridis_r"].with_extremes(bad="#b4b4b4")
_UNKNOWN_DEPTH = "#b4b4b4"

#: The colour scale spans what lies between these percentiles of the recorded depth.
_DEPTH_PERCENTILES = (1, 99)

#: So many classes are explained, those that cover most.
_MOST_CLASSES = 18
_CLASSES_IN_A_ROW = 6


@dataclass(frozen=True)
class _Panel:
    image: NDArray[np.generic]
    caption: str
    is_depth: bool = False


@dataclass(frozen=True)
class _Column:
    """What one source, the recording or a module, gives of every frame."""

    name: str
    label_space: str | None
    images: tuple[Images, ...]
    depth_notes: tuple[str, ...]
    label_notes: tuple[str, ...]


def draw_frames(
    frames: tuple[ShownFrame, ...],
    recorded_space: str | None,
    modules: list[ComparedModule],
    recording: str = "recorded",
) -> Figure:
    """Colour, depth and labels of some frames: recorded, and as modules predict them.

    Args:
        frames: What was recorded.
        recorded_space: Label space of the recorded labels.
        modules: What modules say of the same frames.
        recording: What the recorded images are called.
    """
    columns = [
        *_recorded_column(frames, recorded_space, recording),
        *(_module_column(module) for module in modules),
    ]
    slots = 1 + len(columns)
    across = -(-slots // -(-slots // _MOST_COLUMNS))
    width = min(_WIDEST_PANEL, _WIDTH / across)
    characters = int(width / _CHARACTER_WIDTH)
    rows = [
        row
        for number, frame in enumerate(frames)
        for panels in _panels_of(number, frame, columns)
        for row in _wrapped(panels, across)
    ]
    lines = max((len(_lines(panel.caption, characters)) for row in rows for panel in row if panel), default=1)
    rgb = frames[0].rgb
    height = width * rgb.shape[0] / rgb.shape[1] + lines * _LINE_HEIGHT + 0.1
    classes = _class_patches(columns)
    below = 0.75 + 0.2 * -(-(len(classes) + 1) // _CLASSES_IN_A_ROW)
    figure = styled_figure(width * across, height * len(rows) + below)
    grid = figure.subplots(len(rows), across, squeeze=False)
    scale = _depth_scale(columns)
    for axes, row in zip(grid, rows, strict=True):
        for ax, panel in zip(axes, (*row, *(None,) * (across - len(row))), strict=True):
            _draw(ax, panel, scale, characters)
    _explain(figure, grid, scale, classes, any(panel.is_depth for row in rows for panel in row if panel))
    return figure


def _recorded_column(frames: tuple[ShownFrame, ...], label_space: str | None, name: str) -> Iterator[_Column]:
    if any(frame.depth is not None or frame.labels is not None for frame in frames):
        blank = ("",) * len(frames)
        yield _Column(name, label_space, frames, blank, blank)


def _module_column(module: ComparedModule) -> _Column:
    return _Column(
        module.source.label,
        module.label_space,
        module.shown,
        tuple("" if each.abs_rel is None else f"AbsRel {each.abs_rel:.3f}" for each in module.shown),
        tuple(
            "" if each.right_labels is None else f"{per_cent(each.right_labels)} % right"
            for each in module.shown
        ),
    )


def _panels_of(number: int, frame: ShownFrame, columns: list[_Column]) -> Iterator[list[_Panel | None]]:
    """Rows of one frame before they are wrapped: its depth, then its labels, each module in its place."""
    first: _Panel | None = _Panel(frame.rgb, f"frame {frame.index}")
    for panels in (
        [_depth_panel(column, number) for column in columns],
        [_label_panel(column, number) for column in columns],
    ):
        if any(panels):
            yield [first, *panels]
            first = None


def _depth_panel(column: _Column, number: int) -> _Panel | None:
    depth = column.images[number].depth
    if depth is None:
        return None
    caption = f"{column.name}\n{column.depth_notes[number]}".strip()
    return _Panel(np.ma.masked_less_equal(depth, 0), caption, is_depth=True)


def _label_panel(column: _Column, number: int) -> _Panel | None:
    labels = column.images[number].labels
    if labels is None or column.label_space is None:
        return None
    caption = f"{column.name}\n{column.label_notes[number]}".strip()
    return _Panel(load_label_space(column.label_space).colours()[labels], caption)


def _wrapped(panels: list[_Panel | None], across: int) -> Iterator[list[_Panel | None]]:
    for begin in range(0, len(panels), across):
        row = panels[begin : begin + across]
        if any(row):
            yield row


def _depth_scale(columns: list[_Column]) -> Normalize:
    """Of nearly all recorded depth, or of the first module's where none was recorded."""
    for column in columns:
        depths = [images.depth[images.depth > 0] for images in column.images if images.depth is not None]
        known = np.concatenate(depths) if depths else np.zeros(0)
        if len(known):
            least, greatest = np.percentile(known, _DEPTH_PERCENTILES)
            return Normalize(float(least), float(max(greatest, 1.01 * least)))
    return Normalize(0, 1)


def _draw(axes: Axes, panel: _Panel | None, scale: Normalize, characters: int) -> None:
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if panel is None:
        axes.set_axis_off()
        return
    if panel.is_depth:
        axes.imshow(panel.image, cmap=_DEPTH_COLOURS, norm=scale, interpolation="nearest")
    else:
        axes.imshow(panel.image)
    axes.set_xlabel("\n".join(_lines(panel.caption, characters)), fontsize=_CAPTION_SIZE, labelpad=2)


def _lines(caption: str, characters: int) -> list[str]:
    """A caption in lines; long names of modules are broken behind ``:`` and ``+``."""
    found = []
    for line in caption.split("\n"):
        spaced = re.sub(r"([:+])(?=\S)", r"\1 ", line)
        found += [re.sub(r"([:+]) ", r"\1", part) for part in textwrap.wrap(spaced, characters)]
    return found


def _class_patches(columns: list[_Column]) -> list[Patch]:
    """The classes that cover most of the shown labels, by the colours they have."""
    pixels: Counter[tuple[str, str]] = Counter()
    for column in columns:
        if column.label_space is None:
            continue
        labels = [images.labels.ravel() for images in column.images if images.labels is not None]
        counts = np.bincount(np.concatenate(labels), minlength=256) if labels else np.zeros(256)
        for entry in load_label_space(column.label_space).classes:
            colour = "#{:02x}{:02x}{:02x}".format(*entry.colour)
            pixels[entry.name.replace("_", " "), colour] += int(counts[entry.id])
        pixels["no label", "#000000"] += int(counts[LABEL_UNKNOWN])
    most = [(key, count) for key, count in pixels.most_common(_MOST_CLASSES) if count]
    return [Patch(color=colour, label=name) for (name, colour), _ in most]


def _explain(
    figure: Figure, grid: NDArray[np.object_], scale: Normalize, classes: list[Patch], has_depth: bool
) -> None:
    handles = list(classes)
    if has_depth:
        figure.colorbar(
            ScalarMappable(scale, _DEPTH_COLOURS),
            ax=list(grid.ravel()),
            location="bottom",
            label="depth [m]",
            extend="both",
            aspect=60,
            shrink=0.7,
            pad=0.01,
        )
        handles.insert(0, Patch(color=_UNKNOWN_DEPTH, label="unknown depth"))
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=_CLASSES_IN_A_ROW, fontsize=_CAPTION_SIZE
        )
