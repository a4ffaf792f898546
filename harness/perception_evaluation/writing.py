"""The evaluation of a perception module as files, with everything to repeat it."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.environment import environment
from harness.errors import ResultsError
from harness.files import write_text
from harness.perception_evaluation.tables import TOGETHER, named_figures
from harness.report.table import Table
from perception.choice import ModuleChoice
from perception.evaluation import EvaluatedSequence, Evaluation, EvaluationOptions
from perception.evaluation.sequence_scores import Figures
from sequences.model import NANOSECONDS_PER_SECOND
from sequences.sequence_sets import SequenceEntry

EVALUATION_FILE = "evaluation.json"
_SCHEMA = 1


@dataclass(frozen=True)
class EvaluationRun:
    """An evaluation with what it was made from.

    Attributes:
        evaluation: What came of it.
        choice: The module as it was asked for.
        entries: The sequences, enough to open them again.
        options: Of the evaluation.
        started_at: ISO 8601, UTC.
        tables: What people read.
    """

    evaluation: Evaluation
    choice: ModuleChoice
    entries: tuple[SequenceEntry, ...]
    options: EvaluationOptions
    started_at: str
    tables: tuple[Table, ...]


def require_place(directory: Path) -> None:
    """Refuse a directory before anything is predicted.

    Raises:
        ResultsError: It holds an evaluation, or cannot be written to.
    """
    if (directory / EVALUATION_FILE).exists():
        raise ResultsError(f"{directory} holds an evaluation already; write to another directory")
    existing = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ResultsError(f"cannot write {directory}: {existing} is no directory that can be written to")


def write_evaluation(run: EvaluationRun, directory: Path) -> list[Path]:
    """Write ``evaluation.md``, tables as CSV and, last, ``evaluation.json``, each as a whole or not at all.

    Raises:
        ResultsError: One cannot be written.
    """
    evaluation = run.evaluation
    contents = {
        "evaluation.csv": _csv(_figure_rows(evaluation)),
        "classes.csv": _csv(_class_rows(evaluation)),
        "frames.csv": _csv(row for each in evaluation.sequences for row in _frame_rows(each)),
        "evaluation.md": _markdown(run),
        EVALUATION_FILE: _json(run),
    }
    files = [directory / name for name, content in contents.items() if content]
    for file in files:
        write_text(file, contents[file.name])
    return files


def notes(evaluation: Evaluation) -> list[str]:
    """What a reader must know beside the tables, a sentence each."""
    sentences = []
    if evaluation.reads_sensor:
        sentences.append(
            f"Module '{evaluation.module}' reads the recorded depth and labels, which are the truth here: "
            "its figures are an upper bound and not those of a prediction."
        )
    reasons: dict[tuple[str, str], list[str]] = {}
    for each in evaluation.sequences:
        for what, reason in each.figures.absent.items():
            reasons.setdefault((what, reason), []).append(each.info.name)
    for (what, reason), names in reasons.items():
        where = "" if len(names) == len(evaluation.sequences) else f" ({', '.join(names)})"
        sentences.append(f"No figures of {what}{where}: {reason}.")
    merging = evaluation.together.absent.get("semantics")
    if merging is not None and any(each.figures.semantics for each in evaluation.sequences):
        sentences.append(f"No figures of semantics over all sequences: {merging}.")
    return sentences


def _json(run: EvaluationRun) -> str:
    evaluation = run.evaluation
    sequences = zip(run.entries, evaluation.sequences, strict=True)
    content = {
        "schema": _SCHEMA,
        "started_at": run.started_at,
        "module": {
            "name": evaluation.module,
            "choice": asdict(run.choice),
            "reads_sensor": evaluation.reads_sensor,
            "weights_digest": _weights_digest(evaluation.details),
            "details": evaluation.details,
        },
        "execution": evaluation.execution,
        "options": run.options.model_dump(mode="json"),
        "sequences": [_plain_sequence(entry, each) for entry, each in sequences],
        "together": asdict(evaluation.together),
        "scale_drift": asdict(evaluation.drift) if evaluation.drift else None,
        "environment": environment(),
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _weights_digest(details: Mapping[str, Any]) -> str | None:
    """The digest of a module's weights where it has one: of its tensors, or of its file."""
    weights = details.get("weights")
    digest = weights.get("digest") if isinstance(weights, Mapping) else details.get("sha256")
    return digest if isinstance(digest, str) else None


def _plain_sequence(entry: SequenceEntry, each: EvaluatedSequence) -> dict[str, Any]:
    info = each.info
    return {
        "name": info.name,
        "entry": entry.to_json(),
        "frames_in_sequence": len(info.timestamps_ns),
        "frames_evaluated": len(each.frames),
        "frame_period_s": info.frame_period_ns / NANOSECONDS_PER_SECOND,
        "intrinsics": asdict(info.intrinsics),
        "label_space": info.label_space,
        "notes": list(info.notes),
        "source": info.source,
        "outputs": list(each.outputs),
        "figures": asdict(each.figures),
        "scale_drift": asdict(each.drift) if each.drift else None,
    }


def _markdown(run: EvaluationRun) -> str:
    evaluation, options = run.evaluation, run.options
    counts = ", ".join(
        f"{each.info.name} ({len(each.frames)} of {len(each.info.timestamps_ns)} frames)"
        for each in evaluation.sequences
    )
    digest = _weights_digest(evaluation.details)
    share = "All frames" if options.every == 1 else f"One frame in {options.every}"
    most = "" if options.max_frames is None else f", at most {options.max_frames} of a sequence"
    parts = [
        f"# Evaluation of {evaluation.module}",
        f"Sequences: {counts}. {share}{most}; the recorded depth and labels are taken as the "
        f"truth. Digest of the weights: {digest or 'the module has none'}. Begun {run.started_at}. Versions, "
        f"options and hardware stand in `{EVALUATION_FILE}`, figures of single frames in `frames.csv`.",
        *notes(evaluation),
    ]
    for table in run.tables:
        heading = table.name.replace("_", " ")
        parts += [f"## {heading.capitalize()}", table.caption, _markdown_grid(table), *table.notes]
    return "\n\n".join(parts) + "\n"


def _markdown_grid(table: Table) -> str:
    right = len(table.columns) - table.text_columns
    lines = [list(table.columns), ["---"] * table.text_columns + ["---:"] * right]
    lines += [[cell.plain.replace("|", "\\|") for cell in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _csv(rows: Iterator[dict[str, Any]]) -> str:
    """Rows of plain values; nothing at all without rows."""
    listed = list(rows)
    return pd.DataFrame(listed).to_csv(index=False) if listed else ""


def _figure_rows(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    drifts = {each.info.name: each.drift for each in evaluation.sequences}
    for name, figures in named_figures(evaluation):
        drift = evaluation.drift if name == TOGETHER else drifts[name]
        row: dict[str, Any] = {"sequence": name, **_flat(asdict(figures), "")}
        for found in figures.consistency:
            gap = found.gap.replace(" ", "_")
            row |= _flat(asdict(found), f"consistency.{gap}.")
        yield row | (_flat(asdict(drift), "scale_drift.") if drift else {})


def _flat(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Nested figures as columns; what does not exist, words and lists are left out."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and name != "absent":
            flat |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            flat[prefix + name] = value
    return flat


def _class_rows(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    figures: Figures
    for name, figures in named_figures(evaluation):
        if figures.semantics is not None:
            for each in figures.semantics.classes:
                yield {"sequence": name, "label_space": figures.semantics.label_space, **asdict(each)}


def _frame_rows(each: EvaluatedSequence) -> Iterator[dict[str, Any]]:
    for frame in each.frames:
        yield {"sequence": each.info.name, **_flat(asdict(frame), "")}
