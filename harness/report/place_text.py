"""Puts names beside points of a picture so that none lies on another."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

# Where a name is tried, in this order: right, left, above, below, and the corners.
_DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))

_TEXT_COLOUR = "#15181c"


class TextPlacer:
    """Places texts one after the other, each where it covers nothing placed before.

    Args:
        figure: Tells how large texts are.
        panel: With one unit per pixel, rows downwards.
        width: Of the picture, pixels.
        height: Of the picture, pixels.
    """

    def __init__(self, figure: Figure, panel: Axes, width: int, height: int):
        self._renderer = FigureCanvasAgg(figure).get_renderer()
        self._panel = panel
        self._size = np.array([width, height])
        self._taken: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []

    def keep_free(self, centre: NDArray[np.float64], radius: float) -> None:
        """Let no text cover a square, pixels."""
        self._taken.append((centre - radius, centre + radius))

    def place(self, text: str, point: NDArray[np.float64], points_high: float, distance: float) -> bool:
        """Write a text beside a point if there is room for it.

        Args:
            text: The text.
            point: float64 [2], column and row.
            points_high: Size of its type, typographic points.
            distance: From the point to the text, pixels.

        Returns:
            Whether there was room.
        """
        artist = self._panel.text(0, 0, text, fontsize=points_high, color=_TEXT_COLOUR, zorder=5)
        extent = artist.get_window_extent(self._renderer)
        half = np.array([extent.width, extent.height]) / 2
        for direction in _DIRECTIONS:
            centre = point + np.array(direction) * (half + distance)
            low, high = centre - half, centre + half
            if (low < 2).any() or (high > self._size - 2).any() or self._covers(low, high):
                continue
            self._taken.append((low, high))
            artist.set(x=centre[0], y=centre[1], ha="center", va="center")
            artist.set_path_effects([withStroke(linewidth=1.8, foreground="white")])
            return True
        artist.remove()
        return False

    def _covers(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
        return any(
            (low < other_high).all() and (high > other_low).all() for other_low, other_high in self._taken
        )
