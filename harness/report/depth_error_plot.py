"""Trajectory error against the error of the depth that a backend was fed with: a figure and its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from harness.record import Status, count_words
from harness.report.comparison import Comparison, Contender, Group
from harness.report.detail_tables import groups_frame
from harness.report.scores import CENTIMETRES_PER_METRE, ate_summary
from harness.report.style import styled_figure
from harness.report.table import GROUND_TRUTH_MARK, PARTIAL_MARK

#: With fewer modules on a sequence there is nothing to be seen.
FEWEST_MODULES = 3

#: An axis is logarithmic when its values differ by more than this.
_LOGARITHMIC_FROM = 8.0

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_POINTS_PER_INCH = 72
#: Contenders of one module stand side by side, typographic points.
_BESIDE = 5.0

_PANEL_HEIGHT = 3.0
_PANEL_WIDTH = 6.5
#: A line of marks above the points, and a name above the panel, inches.
_MARK_LINE = 0.2
_NAME_GAP = 0.24
_NAMES_AT = 1.05
_NAME_LINE_COLOUR = "#c8c8c8"
_NAME_ROTATION_DEG = 35
_CHARACTER_WIDTH = 0.062


@dataclass(frozen=True)
class DepthErrorGroup:
    """The repetitions of one module and contender on a sequence, with the error of the module's depth.

    Attributes:
        module: What the module is called.
        abs_rel: AbsRel of its depth; 0 by definition for what was recorded.
        group: The trials.
    """

    module: str
    abs_rel: float
    group: Group

    @property
    def not_ok(self) -> int:
        """How many trials were run and are not ok."""
        return sum(len(self.group.with_status(status)) for status in (Status.FAILED, Status.PARTIAL))


def plot_ate_against_depth_error(
    members: Sequence[DepthErrorGroup], colours: dict[Contender, str]
) -> Figure | None:
    """A point per module and contender; None with too few modules.

    Args:
        members: Of one sequence.
        colours: Of all contenders of the report.
    """
    modules = {member.module: member.abs_rel for member in members}
    if len(modules) < FEWEST_MODULES:
        return None
    contenders = sorted({member.group.contender for member in members})
    with_marks = [
        each
        for each in contenders
        if any(member.not_ok for member in members if member.group.contender == each)
    ]
    marks_height = _MARK_LINE * len(with_marks)
    names_height = max(map(len, modules)) * _CHARACTER_WIDTH * np.sin(np.radians(_NAME_ROTATION_DEG))
    figure = styled_figure(10.0, _PANEL_HEIGHT + marks_height + names_height + 0.8)
    axes = figure.subplots()
    _scale_errors_of_depth(axes, list(modules.values()))
    for number, contender in enumerate(contenders):
        of_contender = [member for member in members if member.group.contender == contender]
        shift = _BESIDE * (number - (len(contenders) - 1) / 2)
        _draw_contender(axes, of_contender, colours[contender], _MARKERS[number % len(_MARKERS)], shift)
    _scale_errors_of_trajectories(axes, members, marks_height / (_PANEL_HEIGHT + marks_height))
    for number, contender in enumerate(with_marks):
        height = 1 - (number + 0.5) * _MARK_LINE / (_PANEL_HEIGHT + marks_height)
        _draw_marks(axes, [each for each in members if each.group.contender == contender], colours, height)
    _name_modules(axes, modules)
    axes.set_xlabel("AbsRel of the depth")
    axes.set_ylabel("ATE [cm]")
    figure.legend(loc="outside right center", fontsize=8)
    return figure


def caption(sequence: str, members: Sequence[DepthErrorGroup], absent: Sequence[str]) -> str:
    """What the figure of a sequence shows, and how many trials it shows as not ok.

    Args:
        sequence: What it is called.
        members: What is drawn.
        absent: Modules with trials on the sequence that are not drawn.
    """
    trials = [trial for member in members for trial in member.group.trials]
    sentences = [
        f"ATE on {sequence} against the error of the depth that backends were fed with: medians over the ok "
        "runs with the 95 % bootstrap interval of the median, which a single run has not; hollow where not "
        "every run is ok."
    ]
    if any(member.abs_rel == 0 for member in members):
        sentences.append("The error of what was recorded is 0 by definition.")
    if any(trial.record.status is not Status.OK for trial in trials):
        counted = count_words(trial.record.status for trial in trials)
        sentences.append(
            f"Of {len(trials)} trials: {counted}; × failed and {PARTIAL_MARK} partial ones stand at the top "
            "with their number."
        )
    if absent:
        sentences.append(f"Not shown, having no depth that could be compared: {', '.join(absent)}.")
    return " ".join(sentences)


def depth_error_frame(comparison: Comparison, members: Sequence[DepthErrorGroup]) -> pd.DataFrame:
    """The columns of ``ate.csv`` with the error of depth, for groups that have one."""
    errors = {_key(member.group): member.abs_rel for member in members}
    frame = groups_frame(comparison)
    frame.insert(4, "abs_rel", [errors.get(_key(group)) for group in comparison.groups])
    return frame[frame["abs_rel"].notna()]


def _key(group: Group) -> tuple[str, str, Contender]:
    return group.sequence, group.perception, group.contender


def _scale_errors_of_depth(axes: Axes, errors: list[float]) -> None:
    positive = [error for error in errors if error > 0]
    if not positive or max(positive) <= _LOGARITHMIC_FROM * min(positive):
        axes.set_xlim(*_with_margin(min(errors), max(errors)))
        return
    if min(errors) == 0:
        # Below the smallest error the axis is linear, so that it reaches 0.
        axes.set_xscale("symlog", linthresh=min(positive), linscale=0.5)
        axes.set_xlim(-0.25 * min(positive), 1.4 * max(positive))
    else:
        axes.set_xscale("log")
        axes.set_xlim(min(positive) / 1.4, 1.4 * max(positive))
    exponents = range(int(np.floor(np.log10(min(positive)))), int(np.ceil(np.log10(max(positive)))) + 1)
    nice = [digit * 10.0**exponent for exponent in exponents for digit in (1, 2, 5)]
    shown = [value for value in nice if min(positive) <= value <= 1.4 * max(positive)]
    axes.set_xticks([*([0.0] if min(errors) == 0 else []), *shown])
    axes.minorticks_off()
    axes.xaxis.set_major_formatter("{x:g}")


def _with_margin(low: float, high: float) -> tuple[float, float]:
    margin = 0.06 * (high - low) or 0.01
    return low - margin, high + margin


def _draw_contender(
    axes: Axes, members: list[DepthErrorGroup], colour: str, marker: str, shift: float
) -> None:
    figure = axes.figure
    moved = axes.transData + ScaledTranslation(shift / _POINTS_PER_INCH, 0, figure.dpi_scale_trans)
    group = members[0].group
    alignment = f", {group.alignment.label}" if group.alignment else ""
    mark = GROUND_TRUTH_MARK if any(member.group.ground_truth_is_input for member in members) else ""
    label = f"{group.contender.label}{mark}{alignment}"
    # Drawn without points, it puts the contender into the legend even if it has none.
    axes.plot([], [], marker, color=colour, label=label)
    points = sorted(
        (
            (member.abs_rel, summary, member.group.complete)
            for member in members
            if (summary := ate_summary(member.group))
        ),
        key=lambda point: point[0],
    )
    medians = [CENTIMETRES_PER_METRE * summary.median for _, summary, _ in points]
    errors = [error for error, _, _ in points]
    axes.plot(errors, medians, ":", color=colour, linewidth=0.9, alpha=0.6, transform=moved)
    for (error, summary, complete), median in zip(points, medians, strict=True):
        if summary.interval is not None:
            interval = [CENTIMETRES_PER_METRE * end for end in summary.interval]
            axes.plot([error, error], interval, color=colour, linewidth=1.4, transform=moved)
        axes.plot(
            error,
            median,
            marker,
            markersize=6,
            markeredgecolor=colour,
            markerfacecolor=colour if complete else "white",
            transform=moved,
        )


def _scale_errors_of_trajectories(axes: Axes, members: Sequence[DepthErrorGroup], free: float) -> None:
    """Set the limits so that everything is seen and ``free``, a part of the height, stays free at the top."""
    summaries = [summary for member in members if (summary := ate_summary(member.group))]
    if not summaries:
        axes.set_yticks([])
        return
    ends = [end for each in summaries for end in (*(each.interval or ()), each.median)]
    low, high = CENTIMETRES_PER_METRE * min(ends), CENTIMETRES_PER_METRE * max(ends)
    medians = [summary.median for summary in summaries]
    used = (1 - free) * 0.92
    if min(medians) > 0 and low > 0 and max(medians) > _LOGARITHMIC_FROM * min(medians):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_ylim(low / 1.3, low / 1.3 * (1.3 * high / low) ** (1 / used))
    else:
        axes.set_ylim(0, (high or 1.0) / used)


def _draw_marks(
    axes: Axes, members: list[DepthErrorGroup], colours: dict[Contender, str], height: float
) -> None:
    """One line of marks above the points: what failed and what is partial, with the number of trials."""
    for member in members:
        if not member.not_ok:
            continue
        place = (member.abs_rel, height)
        failed = len(member.group.with_status(Status.FAILED))
        axes.annotate(
            f"{'×' if failed else PARTIAL_MARK} {member.not_ok}/{len(member.group.trials)}",
            place,
            xycoords=axes.get_xaxis_transform(),
            ha="center",
            va="center",
            fontsize=8,
            color=colours[member.group.contender],
            bbox={"color": "white", "pad": 1},
        )


def _name_modules(axes: Axes, modules: dict[str, float]) -> None:
    """Names above the panel, moved apart where errors lie close together."""
    ordered = sorted(modules, key=lambda name: modules[name])
    to_fraction = axes.transData + axes.transAxes.inverted()
    places = [float(to_fraction.transform((modules[name], axes.get_ylim()[1]))[0]) for name in ordered]
    for name, place, shown in zip(ordered, places, _apart(places, _NAME_GAP / _PANEL_WIDTH), strict=True):
        axes.axvline(modules[name], color=_NAME_LINE_COLOUR, linewidth=0.6, zorder=0)
        axes.plot(
            [place, shown],
            [1.0, _NAMES_AT],
            color=_NAME_LINE_COLOUR,
            linewidth=0.6,
            transform=axes.transAxes,
            clip_on=False,
        )
        axes.text(
            shown,
            _NAMES_AT + 0.01,
            name,
            transform=axes.transAxes,
            rotation=_NAME_ROTATION_DEG,
            rotation_mode="anchor",
            fontsize=8,
        )


def _apart(places: list[float], gap: float) -> list[float]:
    """Rising numbers moved as little to the right, and back from the end, as leaves ``gap`` between them."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else place)
    for number in range(len(moved) - 1, -1, -1):
        limit = moved[number + 1] - gap if number + 1 < len(moved) else max(1.0, places[-1])
        moved[number] = min(moved[number], limit)
    return moved
