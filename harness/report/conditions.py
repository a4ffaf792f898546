"""How the results came about: states with reasons, speed, configuration, versions, hardware, notes."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd
import yaml

from harness.record import Status
from harness.report.comparison import Comparison, Group, Trial
from harness.report.scores import median_figure
from harness.report.table import MISSING, Cell, Table, text_cells

BYTES_PER_MEGABYTE = 1_000_000


def states_table(comparison: Comparison) -> Table:
    """How many trials of every contender ended in which state."""
    rows = []
    for contender in comparison.contenders:
        groups = comparison.of_contender(contender)
        counts = [sum(len(group.with_status(status)) for group in groups) for status in Status]
        rows.append(text_cells(contender.label, *counts, sum(counts)))
    return Table(
        name="states",
        caption="Trials by the state they ended in.",
        columns=("backend", *(status.value for status in Status), "all"),
        rows=tuple(rows),
        text_columns=1,
    )


def exceptions_table(comparison: Comparison) -> Table:
    """Every trial that is not ok with its reason; repetitions that ended alike share a row."""
    runs: dict[tuple[str, str, str, str, str], list[int]] = {}
    for group in comparison.groups:
        for trial in group.trials:
            record = trial.record
            if record.status is not Status.OK:
                key = (
                    group.sequence,
                    group.perception,
                    group.contender.label,
                    record.status.value,
                    record.reason or "no reason was recorded",
                )
                runs.setdefault(key, []).append(record.key.run)
    return Table(
        name="exceptions",
        caption="Trials that are not ok, and why.",
        columns=("sequence", "perception", "backend", "run", "state", "reason"),
        rows=tuple(
            text_cells(*key[:3], ", ".join(map(str, sorted(numbers))), *key[3:])
            for key, numbers in runs.items()
        ),
        text_columns=6,
    )


@dataclass(frozen=True)
class _Speed:
    heading: str
    column: str
    decimals: int
    value: Callable[[Trial], float | None]


_SPEEDS = (
    _Speed("frames a second", "fps", 1, lambda trial: trial.record.timings.frames_per_second),
    _Speed("perception [ms]", "perception_ms", 1, lambda trial: trial.record.timings.perception_ms_median),
    _Speed("backend median [ms]", "backend_ms", 1, lambda trial: trial.record.timings.backend_ms_median),
    _Speed("p95 [ms]", "backend_ms_p95", 1, lambda trial: trial.record.timings.backend_ms_p95),
    _Speed("p99 [ms]", "backend_ms_p99", 1, lambda trial: trial.record.timings.backend_ms_p99),
    _Speed("waited [s]", "waited_s", 1, lambda trial: trial.record.timings.waited_s),
    _Speed("start [s]", "start_s", 1, lambda trial: trial.record.timings.start_s),
    _Speed("finish [s]", "finish_s", 1, lambda trial: trial.record.timings.finish_s),
    _Speed("whole trial [s]", "total_s", 1, lambda trial: trial.record.timings.total_s),
    _Speed("frames dropped", "frames_dropped", 0, lambda trial: _dropped(trial)),
    _Speed("peak memory [MB]", "peak_memory_mb", 0, lambda trial: _megabytes(trial)),
)


def _dropped(trial: Trial) -> float | None:
    return trial.record.frames.dropped if trial.record.frames else None


def _megabytes(trial: Trial) -> float | None:
    peak = trial.record.peak_memory_bytes
    return None if peak is None else peak / BYTES_PER_MEGABYTE


def timing_table(comparison: Comparison) -> Table:
    """Where the time and memory went, medians over the ok runs."""
    return Table(
        name="timing",
        caption=(
            "Speed and memory, medians over the ok runs. Backend: time per frame inside the backend. Waited: "
            "what it waited on purpose, between frames fed as fast as it takes them, for threads of its own; "
            "in no other figure but that of the whole trial."
        ),
        columns=("sequence", "perception", "backend", *(speed.heading for speed in _SPEEDS)),
        rows=tuple(
            (
                *text_cells(group.sequence, group.perception, group.contender.label),
                *(_speed_cell(group, speed) for speed in _SPEEDS),
            )
            for group in comparison.groups
        ),
        text_columns=3,
        notes=_kept_predictions(comparison),
    )


def _kept_predictions(comparison: Comparison) -> tuple[str, ...]:
    """What must be known of trials that shared their cores with no network."""
    fed = [trial for trial in comparison.trials if trial.record.perception.get("cached_frames")]
    if not fed:
        return ()
    names = sorted({trial.record.key.perception for trial in fed})
    return (
        f"{len(fed)} trials were fed predictions that had been made and kept before ({', '.join(names)}): "
        "their backends had the processor to themselves, and they count in no frame rate. Times that are to "
        "be compared are those of --no-prediction-cache.",
    )


def _speed_cell(group: Group, speed: _Speed) -> Cell:
    median = median_figure(group, speed.value)
    return Cell(MISSING, muted=True) if median is None else Cell(f"{median:.{speed.decimals}f}")


def timing_frame(comparison: Comparison) -> pd.DataFrame:
    """The same as numbers, one row per group."""
    return pd.DataFrame(
        [
            {
                "experiment": " ".join(sorted({trial.experiment for trial in group.trials})),
                "sequence": group.sequence,
                "perception": group.perception,
                "backend": group.contender.backend,
                **{speed.column: median_figure(group, speed.value) for speed in _SPEEDS},
            }
            for group in comparison.groups
        ]
    )


def configurations(comparison: Comparison) -> list[tuple[str, str]]:
    """Label and configuration (YAML) of every experiment.

    Raises:
        ResultsError: A configuration is damaged or of another version.
    """
    return [
        (label, yaml.safe_dump(experiment.configuration().model_dump(mode="json"), sort_keys=False).strip())
        for label, experiment in comparison.experiments
    ]


def conditions_table(comparison: Comparison) -> Table:
    """Seeds, versions, hardware, git commit and what perception modules and backends said of themselves.

    A value that all trials share stands once; values that differ stand side by side.
    """
    rows: dict[str, list[str]] = {}
    for trial in comparison.trials:
        record = trial.record
        values = {"seed": str(record.seed), "feed": record.feed, "started": record.started_at[:10]}
        values |= dict(_flattened("", record.environment))
        values |= dict(_flattened(f"perception {record.key.perception}", record.perception))
        # What a backend counted differs from trial to trial by nature; it stays in the records.
        backend = {name: value for name, value in record.backend.items() if name != "statistics"}
        values |= dict(_flattened(f"backend {record.key.backend}", backend))
        for name, value in values.items():
            known = rows.setdefault(name, [])
            if value not in known:
                known.append(value)
    return Table(
        name="conditions",
        caption="What the trials ran with; several values where trials differ.",
        columns=("what", "value"),
        rows=tuple(text_cells(name, "; ".join(values)) for name, values in rows.items()),
    )


def _flattened(prefix: str, values: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    """Names with dots and texts for nested mappings; entries without a value are left out."""
    for name, value in values.items():
        path = f"{prefix} {name}".strip()
        if isinstance(value, Mapping):
            yield from _flattened(path, value)
        elif isinstance(value, list | tuple):
            if value:
                yield path, ", ".join(map(_plain, value))
        elif value is not None and value != "":
            yield path, _plain(value)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def reader_notes(comparison: Comparison) -> list[tuple[str, str]]:
    """Sequence and note, for everything that a reader of results should know of the data."""
    notes: dict[tuple[str, str], None] = {}
    for trial in comparison.trials:
        record = trial.record
        for note in record.sequence.get("notes") or ():
            notes[record.key.sequence, str(note)] = None
        dropped = record.evaluation.ground_truth_rows_dropped if record.evaluation else 0
        if dropped:
            notes[
                record.key.sequence,
                f"{dropped} ground-truth rows with NaN or infinite entries were left out.",
            ] = None
    return sorted(notes)
