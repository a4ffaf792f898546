"""A picture of some frames of a sequence - colour, depth, labels - to see at a glance what is in it."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from harness.files import write_bytes
from harness.report.style import png, report_style, styled_figure
from sequences.label_spaces import load_label_space
from sequences.model import Frame, Sequence

_COLUMNS = 4
_WIDTH_INCHES = 3.2


def write_contact_sheet(sequence: Sequence, path: Path) -> None:
    """Write a PNG with frames spread evenly over a sequence, one column each.

    Raises:
        DataFileError: A frame cannot be read.
        ResultsError: The file cannot be written.
    """
    indices = np.unique(np.linspace(0, len(sequence) - 1, _COLUMNS).round().astype(int)).tolist()
    frames = [sequence.frame(index) for index in indices]
    rows = ["rgb", *(kind for kind in ("depth", "labels") if getattr(frames[0], kind) is not None)]
    camera = sequence.info.intrinsics
    height = _WIDTH_INCHES * camera.height / camera.width
    with report_style():
        figure = styled_figure(_WIDTH_INCHES * len(frames), (height + 0.25) * len(rows))
        grid = figure.subplots(len(rows), len(frames), squeeze=False)
        farthest = max((float(frame.depth.max()) for frame in frames if frame.depth is not None), default=0.0)
        for axes, frame in zip(grid.T, frames, strict=True):
            for kind, ax in zip(rows, axes, strict=True):
                _draw(ax, kind, frame, farthest, sequence.info.label_space)
            axes[0].set_title(f"frame {frame.index}")
        write_bytes(path, png(figure))


def _draw(axes: Axes, kind: str, frame: Frame, farthest: float, label_space: str | None) -> None:
    axes.set_axis_off()
    if kind == "rgb":
        axes.imshow(frame.rgb)
    elif kind == "depth" and frame.depth is not None:
        # What is unknown is white, as the paper is.
        known = np.ma.masked_less_equal(frame.depth, 0)
        axes.imshow(known, cmap="viridis_r", vmin=0, vmax=farthest or 1)
        axes.text(0, -4, f"depth, 0 to {farthest:.1f} m", fontsize="small")
    elif frame.labels is not None and label_space is not None:
        axes.imshow(load_label_space(label_space).colours()[frame.labels])
        axes.text(0, -4, f"labels, {label_space}", fontsize="small")
