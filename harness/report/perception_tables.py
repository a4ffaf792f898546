"""How good predictions are, as a table and as numbers: one row per sequence and perception module."""

import pandas as pd

from harness.report.compared_modules import MOST_FRAMES, OPTIONS, ComparedModule
from harness.report.scores import per_cent
from harness.report.table import MISSING, Cell, Table, text_cells

#: A module with the name of its sequence.
Row = tuple[str, ComparedModule]


def perception_table(rows: list[Row]) -> Table | None:
    """Errors of depth and labels; None where there is nothing to compare with."""
    shown = [row for row in rows if _is_measured(row[1])]
    if not shown:
        return None
    return Table(
        name="perception",
        caption=(
            "What perception modules predict against what the sequences recorded, over all pixels of at "
            f"most {MOST_FRAMES} frames spread evenly over each. Known: share of the recorded depth where "
            "depth is predicted too; all other figures of depth are of those pixels. Scale: median of "
            "predicted over recorded depth. mIoU: mean over the classes that occur in the recorded labels."
        ),
        columns=(
            *("sequence", "perception", "frames", "AbsRel", "RMSE [m]", "δ1 [%]", "scale", "known [%]"),
            "mIoU [%]",
        ),
        rows=tuple(_cells(*row) for row in shown),
        notes=(
            f"Compared is recorded depth from {OPTIONS.min_depth:g} m to {OPTIONS.max_depth:g} m. That of "
            "real sensors has errors and holes of its own; its errors count here as errors of the module. "
            "Module sensor, which hands on what was recorded, is what the others are compared with, and has "
            "no row.",
        ),
    )


def perception_frame(rows: list[Row]) -> pd.DataFrame:
    """The same as numbers."""
    return pd.DataFrame([_figures(*row) for row in rows if _is_measured(row[1])])


def _is_measured(module: ComparedModule) -> bool:
    return module.depth is not None or module.semantics is not None


def _cells(sequence: str, module: ComparedModule) -> tuple[Cell, ...]:
    figures = _figures(sequence, module)

    def number(name: str, decimals: int) -> str:
        value = figures[name]
        return f"{value:.{decimals}f}" if isinstance(value, float) else MISSING

    def share(name: str) -> str:
        value = figures[name]
        return per_cent(value) if isinstance(value, float) else MISSING

    texts = (
        number("abs_rel", 3),
        number("rmse_m", 3),
        share("delta1"),
        number("scale", 3),
        share("depth_coverage"),
        share("miou"),
    )
    return (
        *text_cells(sequence, module.source.label, figures["frames"]),
        *(Cell(text, muted=text == MISSING) for text in texts),
    )


def _figures(sequence: str, module: ComparedModule) -> dict[str, object]:
    depth, semantics = module.depth, module.semantics
    pooled = depth.pooled if depth else None
    return {
        "sequence": sequence,
        "perception": module.source.label,
        "frames": module.frames,
        "frames_with_depth": (
            depth.frames - depth.frames_without_truth - depth.frames_without_prediction if depth else 0
        ),
        "abs_rel": pooled.abs_rel if pooled else None,
        "rmse_m": pooled.rmse if pooled else None,
        "delta1": pooled.delta1 if pooled else None,
        "scale": 1 / depth.scale if depth else None,
        "depth_coverage": depth.coverage if depth else None,
        "label_space": semantics.label_space if semantics else None,
        "miou": semantics.miou_of_true_classes if semantics else None,
        "pixel_accuracy": semantics.pixel_accuracy if semantics else None,
    }
