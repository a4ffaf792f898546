"""The figures of a perception module in tables."""

from collections.abc import Iterator

from harness.report.scores import per_cent
from harness.report.table import MISSING, Cell, Table, text_cells
from perception.evaluation import Evaluation
from perception.evaluation.consistency import DepthConsistency
from perception.evaluation.depth import DepthFigures, DepthMetrics
from perception.evaluation.options import EvaluationOptions
from perception.evaluation.scale_drift import LEAST_PATH_M, LEAST_SECONDS, ScaleDrift
from perception.evaluation.semantics import ClassFigures
from perception.evaluation.sequence_scores import Figures
from perception.evaluation.surface_normals import window_reach

#: What the row over all sequences is called.
TOGETHER = "all together"


def evaluation_tables(evaluation: Evaluation, options: EvaluationOptions) -> list[Table]:
    """Every table that has rows, in the order of reading."""
    rows = list(named_figures(evaluation))
    tables = (
        _depth(rows, options),
        _semantics(rows),
        _classes(evaluation),
        _normals(rows, evaluation),
        _edges(rows),
        _consistency(rows),
        _drift(evaluation),
        _latency(rows, evaluation),
    )
    return [table for table in tables if table.rows]


def named_figures(evaluation: Evaluation) -> Iterator[tuple[str, Figures]]:
    """The figures of every sequence with its name, and, of several sequences, those of all together."""
    for each in evaluation.sequences:
        yield each.info.name, each.figures
    if len(evaluation.sequences) > 1:
        yield TOGETHER, evaluation.together


def _depth(rows: list[tuple[str, Figures]], options: EvaluationOptions) -> Table:
    return Table(
        name="depth",
        caption=(
            f"Depth, where the true one is known and {options.min_depth:g} m to {options.max_depth:g} m; "
            "predictions are not clipped. Coverage: share of these pixels with predicted depth; the errors "
            "are of those alone. 'Pixels' pools over all pixels of all frames, as papers on several tasks at "
            "once do on NYUDv2; 'frames' is the mean over the figures of single frames, as papers on depth "
            "alone mostly do. 'Scaled' is after all predictions were multiplied with one factor, the median "
            "of true over predicted depth over all pixels of the row; it stands in the column beside."
        ),
        columns=(
            *("sequence", "over", "factor", "coverage [%]", "RMSE [m]", "AbsRel", "log10", "RMSE log"),
            *("δ < 1.25 [%]", "δ < 1.25² [%]", "δ < 1.25³ [%]"),
        ),
        rows=tuple(
            row for name, figures in rows if figures.depth for row in _depth_rows(name, figures.depth)
        ),
        notes=tuple(
            f"{name}: {part}."
            for name, figures in rows
            if figures.depth
            for part in _frames_left_out(figures.depth)
        ),
    )


def _depth_rows(name: str, depth: DepthFigures) -> Iterator[tuple[Cell, ...]]:
    for over, factor, metrics in (
        ("pixels", 1.0, depth.pooled),
        ("frames", 1.0, depth.mean_over_frames),
        ("pixels, scaled", depth.scale, depth.pooled_after_scaling),
        ("frames, scaled", depth.scale, depth.mean_over_frames_after_scaling),
    ):
        yield (
            *text_cells(name, over, f"{factor:.3f}", per_cent(depth.coverage)),
            *text_cells(*_depth_words(metrics)),
        )


def _depth_words(metrics: DepthMetrics) -> Iterator[str]:
    for value in (metrics.rmse, metrics.abs_rel, metrics.log10, metrics.rmse_log):
        yield f"{value:.4f}"
    for value in (metrics.delta1, metrics.delta2, metrics.delta3):
        yield per_cent(value)


def _frames_left_out(depth: DepthFigures) -> Iterator[str]:
    if depth.frames_without_truth:
        yield f"{depth.frames_without_truth} of {depth.frames} frames have no true depth in the range"
    if depth.frames_without_prediction:
        yield (
            f"{depth.frames_without_prediction} of {depth.frames} frames have no predicted depth there; they "
            "lower coverage and are in no mean over frames"
        )


def _semantics(rows: list[tuple[str, Figures]]) -> Table:
    return Table(
        name="semantics",
        caption=(
            "Labels: one confusion matrix over all pixels with a true label; a pixel without a predicted one "
            "counts against its class. mIoU is the mean over the classes that are true or predicted "
            "somewhere, as the benchmarks have it; beside it the mean over the classes that are true "
            "somewhere."
        ),
        columns=(
            *("sequence", "label space", "mIoU [%]", "mIoU of true classes [%]", "pixel accuracy [%]"),
            *("coverage [%]", "classes left out"),
        ),
        rows=tuple(
            text_cells(
                name,
                found.label_space,
                f"{100 * found.miou:.2f}",
                f"{100 * found.miou_of_true_classes:.2f}",
                per_cent(found.pixel_accuracy),
                per_cent(found.coverage),
                f"{found.classes_left_out} of {len(found.classes)}",
            )
            for name, figures in rows
            if (found := figures.semantics)
        ),
    )


def _classes(evaluation: Evaluation) -> Table:
    found = evaluation.together.semantics
    classes = [each for each in found.classes if each.iou is not None] if found else []
    pixels = found.pixels if found else 1
    return Table(
        name="classes",
        caption=(
            "IoU of every class over all sequences; classes that are neither true nor predicted are left out."
        ),
        columns=("class", "IoU [%]", "of the true pixels [%]", "of the predicted ones [%]"),
        rows=tuple(_class_row(each, pixels) for each in classes),
        text_columns=1,
    )


def _class_row(each: ClassFigures, pixels: int) -> tuple[Cell, ...]:
    shares = (f"{100 * count / pixels:.2f}" for count in (each.truth_pixels, each.predicted_pixels))
    return text_cells(each.name, f"{100 * (each.iou or 0.0):.2f}", *shares)


def _normals(rows: list[tuple[str, Figures]], evaluation: Evaluation) -> Table:
    widths = sorted({each.info.intrinsics.width for each in evaluation.sequences})
    windows = ", ".join(f"{2 * window_reach(width) + 1}² at a width of {width}" for width in widths)
    return Table(
        name="normals",
        caption=(
            "Surface normals. The true ones come from true depth, by planes fitted to the inverse depth of a "
            f"window around every pixel ({windows} pixels), and exist only where the window shows a plane: "
            "not at edges and corners, and not where depth has holes."
        ),
        columns=(
            *("sequence", "mean [°]", "median [°]", "< 11.25° [%]", "< 22.5° [%]", "< 30° [%]"),
            *("coverage [%]", "pixels with a true normal [%]"),
        ),
        rows=tuple(
            text_cells(
                name,
                f"{found.mean_deg:.2f}",
                f"{found.median_deg:.2f}",
                *map(per_cent, (found.within_11_25, found.within_22_5, found.within_30)),
                *map(per_cent, (found.coverage, found.truth_share)),
            )
            for name, figures in rows
            if (found := figures.normals)
        ),
        text_columns=1,
    )


def _edges(rows: list[tuple[str, Figures]]) -> Table:
    return Table(
        name="edges",
        caption=(
            "Semantic edges: F-measure at the one threshold that is best for the row (ODS), with a tolerance "
            "of 0.0075 of the diagonal. True edges are borders between true labels. Pixels are matched with "
            "whatever is near and not one to one, and predictions are not thinned: for broad edges both make "
            "F higher than the benchmark's own program would."
        ),
        columns=("sequence", "ODS F [%]", "threshold", "precision [%]", "recall [%]"),
        rows=tuple(
            text_cells(
                name,
                f"{100 * found.ods_f:.2f}",
                f"{found.threshold:.2f}",
                per_cent(found.precision),
                per_cent(found.recall),
            )
            for name, figures in rows
            if (found := figures.edges)
        ),
        text_columns=1,
    )


def _consistency(rows: list[tuple[str, Figures]]) -> Table:
    return Table(
        name="consistency",
        caption=(
            "Consistency in time: depth of a frame is moved into a later one by ground-truth poses and "
            "compared with the depth there, in per cent of the distance; medians over the pixels of a pair, "
            "then median and 95th percentile over pairs. 'Unmoved' is with the camera taken as standing "
            "still. 'Sensor' is the same of the recorded depth. Consistent depth may still be wrong: read it "
            "beside the errors."
        ),
        columns=(
            *("sequence", "apart", "time apart [s]", "pairs", "predicted [%]", "95 % [%]", "unmoved [%]"),
            *("sensor [%]", "95 % [%]", "unmoved [%]"),
        ),
        rows=tuple(
            (
                *text_cells(name, found.gap, f"{found.seconds:.2f}"),
                Cell(
                    str(found.predicted.pairs if found.predicted else 0),
                    f"{found.pairs - found.pairs_without_pose} with poses of {found.pairs}"
                    if found.pairs_without_pose
                    else "",
                ),
                *text_cells(*_consistency_words(found.predicted), *_consistency_words(found.sensor)),
            )
            for name, figures in rows
            for found in figures.consistency
        ),
    )


def _consistency_words(found: DepthConsistency | None) -> tuple[str, str, str]:
    if found is None:
        return MISSING, MISSING, MISSING
    moved, slowest, unmoved = (
        f"{100 * value:.2f}" for value in (found.moved, found.moved_p95, found.unmoved)
    )
    return moved, slowest, unmoved


def _drift(evaluation: Evaluation) -> Table:
    summary = evaluation.drift
    rows = [_drift_row(each.info.name, each.drift) for each in evaluation.sequences if each.drift]
    if summary is not None and len(evaluation.sequences) > 1:
        rows.append(
            text_cells(
                "medians of sizes",
                f"{summary.ratio_least:.3f} to {summary.ratio_greatest:.3f}",
                MISSING,
                _per_cent_of(summary.frame_to_frame),
                MISSING,
                _per_cent_of(summary.trend_per_minute),
                _per_cent_of(summary.trend_per_metre),
                MISSING,
                MISSING,
            )
        )
    return Table(
        name="scale_drift",
        caption=(
            "Scale along a sequence: the ratio of predicted to true depth, the median of every frame. "
            "Spread, and spread of the change from a frame to the next, are robust standard deviations "
            "(half of what 68 % of the values span); RMS of the change shows single jumps and drift as well. "
            "Trends are slopes by Theil and Sen, of the logarithm of the ratio; there is none over less than "
            f"{LEAST_SECONDS:g} s or {LEAST_PATH_M:g} m."
        ),
        columns=(
            *("sequence", "ratio", "spread [%]", "frame to frame [%]", "RMS [%]", "per minute [%]"),
            *("per metre [%]", "time [s]", "way [m]"),
        ),
        rows=tuple(rows),
        text_columns=1,
    )


def _drift_row(name: str, drift: ScaleDrift) -> tuple[Cell, ...]:
    return text_cells(
        name,
        f"{drift.ratio:.3f}",
        _per_cent_of(drift.spread),
        _per_cent_of(drift.frame_to_frame),
        _per_cent_of(drift.frame_to_frame_rms),
        _signed_per_cent(drift.trend_per_minute),
        _signed_per_cent(drift.trend_per_metre),
        f"{drift.seconds:.1f}",
        MISSING if drift.path_m is None else f"{drift.path_m:.2f}",
    )


def _per_cent_of(value: float | None) -> str:
    return MISSING if value is None else f"{100 * value:.2f}"


def _signed_per_cent(value: float | None) -> str:
    return MISSING if value is None else f"{100 * value:+.2f}"


def _latency(rows: list[tuple[str, Figures]], evaluation: Evaluation) -> Table:
    where = evaluation.execution
    torch = f", of torch {where['torch_threads']}" if where["torch_threads"] else ""
    return Table(
        name="latency",
        caption=(
            "Time from handing a frame to the module until its prediction is there, nothing else going on "
            f"in the harness. Device: {where['device'] or 'not said by the module'}; {where['cores']} "
            f"cores; threads of OpenCV {where['opencv_threads']}{torch}."
        ),
        columns=("sequence", "frames", "warm-up left out", "median [ms]", "95 % [ms]", "99 % [ms]"),
        rows=tuple(
            text_cells(
                name,
                found.frames,
                found.warm_up_frames,
                *(f"{value:.2f}" for value in (found.median_ms, found.p95_ms, found.p99_ms)),
            )
            for name, figures in rows
            if (found := figures.latency)
        ),
        text_columns=1,
    )
