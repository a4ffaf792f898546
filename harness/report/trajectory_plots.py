"""Plots of trajectories seen from above, coloured by error, and of the error over time."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.report.comparison import Contender
from harness.report.scores import CENTIMETRES_PER_METRE
from harness.report.style import ERROR_COLOURS, GROUND_TRUTH_COLOUR, styled_figure
from harness.report.tracks import Track
from sequences.model import NANOSECONDS_PER_SECOND

_COLUMNS = 3
_PANEL_WIDTH = 3.3
_LINE_STYLES = ("-", "--", ":", "-.")

#: Error that ends the colour scale: so many per cent of the poses of complete trials lie below it.
_COLOUR_PERCENTILE = 98

#: A gap in time this many times the usual distance of two poses is drawn as a gap.
_GAP = 2.5

#: The error axis is logarithmic when the median errors of two contenders differ by more than this.
_LOGARITHMIC_FROM = 8.0


@dataclass(frozen=True)
class TopView:
    """The plane in which ground truth extends furthest, the same for every trial of a sequence.

    Attributes:
        axes: float64 [2, 3], unit vectors along the plane: the two largest principal axes of ground truth.
        limits: float64 [2, 2], per axis the smallest and largest coordinate to show, metres.
        ground_truth: float64 [N, 2], where the camera was while the frames were taken, metres.
    """

    axes: NDArray[np.float64]
    limits: NDArray[np.float64]
    ground_truth: NDArray[np.float64]


def top_view(tracks: list[Track]) -> TopView:
    """Choose plane and limits for the tracks of one sequence.

    Whichever axis of a recording points up, a hand-held or driven camera moves least along it.
    """
    ground_truth = _during_frames(tracks)
    _, _, axes = np.linalg.svd(ground_truth - ground_truth.mean(axis=0), full_matrices=True)
    axes = axes[:2]
    # The sign of a principal axis is open: its largest component shall be positive.
    largest_component = np.argmax(np.abs(axes), axis=1)
    axes = axes * np.sign(axes[np.arange(2), largest_component])[:, None]
    shown = ground_truth @ axes.T
    low, high = shown.min(axis=0), shown.max(axis=0)
    # A trajectory gone astray may widen the picture, but not so far that the others become a dot.
    allowance = 0.35 * float((high - low).max())
    estimates = np.concatenate([track.aligned.positions @ axes.T for track in tracks])
    low = np.minimum(low, np.maximum(estimates.min(axis=0), low - allowance))
    high = np.maximum(high, np.minimum(estimates.max(axis=0), high + allowance))
    margin = 0.05 * float((high - low).max()) + 1e-6
    return TopView(axes, np.column_stack([low - margin, high + margin]), shown)


def _during_frames(tracks: list[Track]) -> NDArray[np.float64]:
    """Ground-truth positions while frames were taken; a recording of them may be much longer."""
    ground_truth = tracks[0].ground_truth
    source = tracks[0].trial.record.sequence
    first = min(int(track.aligned.timestamps_ns[0]) for track in tracks)
    last = max(int(track.aligned.timestamps_ns[-1]) for track in tracks)
    covered_s = source.get("frames", 0) * source.get("frame_period_s", 0.0)
    last = max(last, first + round(covered_s * NANOSECONDS_PER_SECOND))
    tolerance_ns = tracks[0].tolerance_ns
    instants = ground_truth.timestamps_ns
    return ground_truth.positions[(instants >= first - tolerance_ns) & (instants <= last + tolerance_ns)]


def error_scale(tracks: list[Track]) -> Normalize:
    """The colour scale of a sequence in centimetres; what failed half way does not stretch it."""
    complete = [track for track in tracks if not track.partial] or tracks
    tops = [np.percentile(track.aligned.errors, _COLOUR_PERCENTILE) for track in complete]
    return Normalize(0.0, max(float(max(tops)) * CENTIMETRES_PER_METRE, 1e-6))


def plot_trajectories(tracks: list[Track], view: TopView, scale: Normalize) -> Figure:
    """One panel per track: ground truth in grey, the estimate coloured by its error, the start marked."""
    columns = min(len(tracks), _COLUMNS)
    rows = -(-len(tracks) // columns)
    span = view.limits[:, 1] - view.limits[:, 0]
    panel_height = float(np.clip(_PANEL_WIDTH * span[1] / span[0], 1.2, 1.2 * _PANEL_WIDTH))
    figure = styled_figure(_PANEL_WIDTH * columns + 1.0, (panel_height + 0.75) * rows + 0.35)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for panel, track in zip(panels, tracks, strict=False):
        _draw_trajectory(panel, track, view, scale)
    for panel in panels[len(tracks) :]:
        panel.set_axis_off()
    for number, panel in enumerate(panels[: len(tracks)]):
        panel.tick_params(labelbottom=number + columns >= len(tracks))
        if number + columns >= len(tracks):
            panel.set_xlabel("1st principal axis [m]")
        if number % columns == 0:
            panel.set_ylabel("2nd principal axis [m]")
    # A line collection given to colorbar directly would take the colour bar's end from its own data.
    figure.colorbar(
        ScalarMappable(scale, ERROR_COLOURS),
        ax=list(panels),
        label="error [cm]",
        extend="max",
        pad=0.02,
        aspect=25,
        shrink=0.9,
    )
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    return figure


def _draw_trajectory(panel: Axes, track: Track, view: TopView, scale: Normalize) -> None:
    estimate = track.aligned.positions @ view.axes.T
    panel.plot(*view.ground_truth.T, color=GROUND_TRUTH_COLOUR, linewidth=1.0, label="ground truth")
    segments = np.stack([estimate[:-1], estimate[1:]], axis=1)
    without_gap = ~_gaps(track.aligned.timestamps_ns)
    # A segment has the larger error of its two poses, so that every error is seen, the first as well.
    errors = np.maximum(track.aligned.errors[:-1], track.aligned.errors[1:]) * CENTIMETRES_PER_METRE
    panel.add_collection(
        LineCollection(
            list(segments[without_gap]),
            array=errors[without_gap],
            norm=scale,
            cmap=ERROR_COLOURS,
            linewidths=1.8,
            capstyle="round",
        ),
        autolim=False,
    )
    panel.plot(
        *estimate[0], "o", color="white", markeredgecolor="black", markersize=5.5, label="start", linestyle=""
    )
    panel.set_title(f"{track.label}\n{track.figures}")
    panel.set_aspect("equal", adjustable="box")
    panel.set_xlim(*view.limits[0])
    panel.set_ylim(*view.limits[1])


def plot_errors_over_time(tracks: list[Track], colours: dict[Contender, str]) -> Figure:
    """The error of every pose over time: a colour per contender, a line style per perception module."""
    figure = styled_figure(10.0, 3.2)
    axes = figure.subplots()
    perceptions = sorted({track.group.perception for track in tracks})
    start_ns = min(int(track.aligned.timestamps_ns[0]) for track in tracks)
    for track in tracks:
        seconds = (track.aligned.timestamps_ns - start_ns) / NANOSECONDS_PER_SECOND
        errors = track.aligned.errors * CENTIMETRES_PER_METRE
        # NaN breaks the line where poses are missing.
        breaks = np.flatnonzero(_gaps(track.aligned.timestamps_ns)) + 1
        several = f", {track.group.perception}" if len(perceptions) > 1 else ""
        axes.plot(
            np.insert(seconds, breaks, np.nan),
            np.insert(errors, breaks, np.nan),
            color=colours[track.group.contender],
            linestyle=_LINE_STYLES[perceptions.index(track.group.perception) % len(_LINE_STYLES)],
            linewidth=1.2,
            label=f"{track.label}{several}\n{track.figures}",
        )
    medians = [float(np.median(track.aligned.errors)) for track in tracks]
    if max(medians) > _LOGARITHMIC_FROM * min(medians):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(bottom=0)
    axes.margins(x=0.01)
    axes.set_xlabel("time since the first pose [s]")
    axes.set_ylabel("error [cm]")
    figure.legend(loc="outside right center", fontsize=8, labelspacing=1.0)
    return figure


def _gaps(timestamps_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """For every pair of neighbours, whether poses are missing between them."""
    steps = np.diff(timestamps_ns)
    return steps > _GAP * np.median(steps) if len(steps) else np.zeros(0, bool)
