"""How pictures look: one colour per contender, legible type, PNG of moderate size."""

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

from harness.report.comparison import Contender

DOTS_PER_INCH = 150

GROUND_TRUTH_COLOUR = "#9a9a9a"

# Okabe and Ito's palette, which people with any of the common colour deficiencies can tell apart
# (https://jfly.uni-koeln.de/color/).
_PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

# The yellow end of the map would vanish on white paper.
ERROR_COLOURS = LinearSegmentedColormap.from_list("error", colormaps["plasma"](np.linspace(0.0, 0.88, 256)))

_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.facecolor": "white",
}


def contender_colours(contenders: Sequence[Contender]) -> dict[Contender, str]:
    """The colour of every contender, the same in all pictures of a report."""
    return dict(zip(contenders, cycle(_PALETTE), strict=False))


def styled_figure(width: float, height: float) -> Figure:
    """An empty figure, inches; drawn into inside :func:`report_style`."""
    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")


def report_style() -> AbstractContextManager[None]:
    """The report's settings for the time of a ``with`` block; global settings stay as they are."""
    return rc_context(_STYLE)


def png(figure: Figure) -> bytes:
    """The figure as PNG without a time stamp, so that the same results give the same bytes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return _encoded(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))


def reduced_png(content: bytes) -> bytes:
    """The same picture in 256 colours: a third of the space, which counts in a page of many renderings."""
    with Image.open(io.BytesIO(content)) as picture:
        # An octree spreads its colours over all that occur, so that the colour bar stays right; the median
        # cut would spend them on walls.
        return _encoded(picture.quantize(256, method=Image.Quantize.FASTOCTREE))


def _encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", dpi=(DOTS_PER_INCH, DOTS_PER_INCH))
    return buffer.getvalue()


def file_name(*parts: str) -> str:
    """A name for a file made of names that may hold any character."""
    return "-".join("".join(c if c.isalnum() or c in "_.+-" else "_" for c in part) for part in parts)
