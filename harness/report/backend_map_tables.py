"""Tables of the maps that backends wrote: one row per map, and one per class of a map."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import pandas as pd

from harness.evaluation.scene_graph import Layer
from harness.report.scores import centimetres, per_cent
from harness.report.table import MISSING, Cell, Table, text_cells

if TYPE_CHECKING:
    from harness.evaluation.surfaces import SurfaceDistances
    from harness.report.backend_maps import ShownMap

_NO_FIGURE = Cell(MISSING, muted=True)


def maps_table(maps: list["ShownMap"]) -> Table:
    """One row per map: its geometry, its labels, its scene graph."""
    return Table(
        name="backend_maps",
        caption=(
            "Maps that backends wrote, brought into the world of ground truth with their trajectory and "
            "measured against the true scene. Accuracy: from the mesh to the true surface, completeness: "
            "from what the camera saw of the true surface to the mesh; median and in brackets mean. Labels: "
            "of the mesh's vertices against the nearest point of the true surface; mIoU over the classes "
            "that were seen, also those of which the map has nothing. Objects: those of the graph / those "
            "that were seen, matched one to one by class and place. Rooms: those of the graph / those that "
            "the camera was in, matched by the places in them."
        ),
        columns=(
            *("sequence", "perception", "backend", "vertices", "accuracy [cm]", "within 5 cm [%]"),
            *("completeness [cm]", "within 5 cm [%]", "label mIoU [%]", "labels right [%]", "places"),
            *("objects", "precision [%]", "recall [%]", "rooms", "matched", "overlap [%]"),
        ),
        rows=tuple(_map_row(each) for each in maps),
        text_columns=3,
    )


def _map_row(shown: "ShownMap") -> tuple[Cell, ...]:
    group = shown.track.group
    return (
        *text_cells(group.sequence, group.perception, shown.track.label),
        Cell(str(shown.vertices)),
        *_surface_cells(shown.scores.surface if shown.scores else None),
        *_label_cells(shown),
        Cell(MISSING if shown.nodes is None else str(shown.nodes[Layer.PLACES])),
        *_object_cells(shown),
        *_room_cells(shown),
    )


def _surface_cells(distances: "SurfaceDistances | None") -> tuple[Cell, ...]:
    if distances is None:
        return (_NO_FIGURE,) * 4
    return (
        Cell(centimetres(distances.accuracy_median_m), centimetres(distances.accuracy_mean_m)),
        Cell(per_cent(distances.accuracy_share)),
        Cell(centimetres(distances.completeness_median_m), centimetres(distances.completeness_mean_m)),
        Cell(per_cent(distances.completeness_share)),
    )


def _label_cells(shown: "ShownMap") -> tuple[Cell, ...]:
    labels = shown.scores.labels if shown.scores else None
    if labels is None:
        return (_NO_FIGURE,) * 2
    counted = sum(each.counts for each in labels.classes)
    return Cell(per_cent(labels.mean_iou), f"{counted} classes"), Cell(per_cent(labels.accuracy))


def _object_cells(shown: "ShownMap") -> tuple[Cell, ...]:
    objects = shown.scores.objects if shown.scores else None
    if objects is None:
        return Cell(_of_unknown(shown, Layer.OBJECTS), muted=True), _NO_FIGURE, _NO_FIGURE
    return (
        Cell(f"{objects.found} / {objects.true}"),
        Cell(per_cent(objects.precision)),
        Cell(per_cent(objects.recall)),
    )


def _room_cells(shown: "ShownMap") -> tuple[Cell, ...]:
    rooms = shown.scores.rooms if shown.scores else None
    if rooms is None:
        return Cell(_of_unknown(shown, Layer.ROOMS), muted=True), _NO_FIGURE, _NO_FIGURE
    return Cell(f"{rooms.found} / {rooms.true}"), Cell(str(rooms.matched)), Cell(per_cent(rooms.mean_overlap))


def _of_unknown(shown: "ShownMap", layer: Layer) -> str:
    return MISSING if shown.nodes is None else f"{shown.nodes[layer]} / {MISSING}"


def maps_frame(maps: list["ShownMap"]) -> pd.DataFrame:
    """The same as numbers, one row per map; metres, shares from 0 to 1."""
    return pd.DataFrame([_identity(each) | _figures(each) for each in maps])


def _identity(shown: "ShownMap") -> dict[str, object]:
    group = shown.track.group
    return {
        "experiment": shown.track.trial.experiment,
        "sequence": group.sequence,
        "perception": group.perception,
        "backend": group.contender.backend,
        "run": shown.track.trial.record.key.run,
    }


def _figures(shown: "ShownMap") -> dict[str, object]:
    scores = shown.scores
    figures: dict[str, object] = {"vertices": shown.vertices}
    figures |= {layer.value: shown.nodes[layer] if shown.nodes else None for layer in Layer}
    figures |= asdict(scores.surface) if scores else {}
    if labels := scores and scores.labels:
        figures |= {
            "label_miou": labels.mean_iou,
            "label_accuracy": labels.accuracy,
            "label_vertices": labels.vertices,
            "label_vertices_unlabelled": labels.unlabelled,
        }
    if objects := scores and scores.objects:
        figures |= {f"objects_{name}": getattr(objects, name) for name in ("true", "found", "matched")}
        figures |= {
            "objects_ignored": objects.ignored,
            "object_precision": objects.precision,
            "object_recall": objects.recall,
        }
    if rooms := scores and scores.rooms:
        figures |= {f"rooms_{name}": getattr(rooms, name) for name in ("true", "found", "matched")}
        figures["room_overlap"] = rooms.mean_overlap
    return figures


def classes_table(maps: list["ShownMap"]) -> Table | None:
    """One row per class of every map that was measured; None where none was."""
    rows = []
    for shown in maps:
        group = shown.track.group
        rows += [
            (
                *text_cells(group.sequence, group.perception, shown.track.label, str(row["class"])),
                *(Cell(_class_text(name, row)) for name in ("iou", "true", "found", "matched")),
            )
            for row in _class_figures(shown)
        ]
    if not rows:
        return None
    return Table(
        name="backend_map_classes",
        caption=(
            "The same by class, the largest surface first: intersection over union of the mesh's labels, in "
            "brackets where too little was seen for it to count in the mean, and how many objects there are, "
            "the graph has, and are the same."
        ),
        columns=(
            *("sequence", "perception", "backend", "class", "IoU [%]"),
            *("objects seen", "objects in the graph", "matched"),
        ),
        rows=tuple(rows),
        text_columns=4,
    )


def classes_frame(maps: list["ShownMap"]) -> pd.DataFrame:
    """The same as numbers."""
    return pd.DataFrame([_identity(each) | row for each in maps for row in _class_figures(each)])


def _class_text(name: str, row: dict[str, object]) -> str:
    value = row["iou" if name == "iou" else f"objects_{name}"]
    if name != "iou":
        return MISSING if value is None else str(value)
    text = per_cent(value if isinstance(value, float) else None)
    return text if row["counts"] or value is None else f"({text})"


def _class_figures(shown: "ShownMap") -> list[dict[str, object]]:
    scores = shown.scores
    labels = {each.label: each for each in scores.labels.classes} if scores and scores.labels else {}
    objects = {each.label: each for each in scores.objects.classes} if scores and scores.objects else {}
    rows: list[dict[str, object]] = []
    for label in dict.fromkeys([*labels, *objects]):
        of_surface, of_objects = labels.get(label), objects.get(label)
        named = of_surface or of_objects
        rows.append(
            {
                "class": named.name if named else None,
                "iou": of_surface.iou if of_surface else None,
                "counts": bool(of_surface and of_surface.counts),
                "points_seen": of_surface.seen if of_surface else None,
                "vertices_true": of_surface.true if of_surface else None,
                "vertices_found": of_surface.found if of_surface else None,
                "vertices_both": of_surface.both if of_surface else None,
                "objects_true": of_objects.true if of_objects else None,
                "objects_found": of_objects.found if of_objects else None,
                "objects_matched": of_objects.matched if of_objects else None,
            }
        )
    return rows
