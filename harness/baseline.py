"""The figures of an experiment that later ones are checked against, stored as one small JSON file."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, FiniteFloat, ValidationError

from harness.configuration import validation_message
from harness.errors import ConfigurationError, ResultsError
from harness.files import write_text
from harness.record import Alignment, FrozenModel, RunRecord, Status
from sequences.registry import unknown_name_message

BASELINE_SCHEMA_VERSION: Literal[1] = 1

Group = tuple[str, str, str]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class GroupFigures(FrozenModel):
    """What the runs of one sequence, perception module and backend came to.

    Attributes:
        statuses: How many runs ended in each state.
        reasons: Why runs did not end ``ok``, each reason once.
        mode: What the backend was fed with; None when no run got that far.
        feed: How frames were handed over.
        coverage_floor: Coverage below which a run is ``partial``.
        alignment: The one that ``ate_rmse_m`` was measured after; None when nothing was scored.
        ground_truth_is_input: Whether the backend was handed ground truth in some form.
        frames: Frames in the sequence; None when no run got that far.
        ate_rmse_m: One figure per ``ok`` run, metres. Runs of other states have none: their errors are not
            those of complete trajectories.
        coverage: One figure per ``ok`` or ``partial`` run, 0 to 1.
        deterministic: The backend says that the same input gives the same trajectory, bit for bit, and was
            fed in lockstep, so that the input was the same.
        sequence_source: What identifies the sequence's data, as in the records, without the directory, which
            is another one on every machine.
    """

    sequence: str
    perception: str
    backend: str
    statuses: dict[Status, int]
    reasons: tuple[str, ...]
    mode: Literal["mono", "rgbd"] | None
    feed: Literal["lockstep", "realtime"]
    coverage_floor: FiniteFloat
    alignment: Alignment | None
    ground_truth_is_input: bool
    frames: int | None
    ate_rmse_m: tuple[FiniteFloat, ...]
    coverage: tuple[FiniteFloat, ...]
    deterministic: bool
    sequence_source: dict[str, Any]

    @property
    def group(self) -> Group:
        """What makes the figures comparable with others."""
        return self.sequence, self.perception, self.backend

    def count(self, status: Status) -> int:
        """Runs that ended in ``status``."""
        return self.statuses.get(status, 0)

    @property
    def attempted(self) -> int:
        """Runs that were not skipped."""
        return sum(self.statuses.values()) - self.count(Status.SKIPPED)

    @property
    def mostly_complete(self) -> bool:
        """Whether more of the scored runs are ``ok`` than ``partial``."""
        return self.count(Status.OK) > self.count(Status.PARTIAL)

    @property
    def says_something(self) -> bool:
        """Whether any run was scored or failed."""
        return bool(self.coverage) or self.count(Status.FAILED) > 0

    def share(self, status: Status) -> float:
        """Share of the attempted runs that ended in ``status``, 0 to 1."""
        return self.count(status) / self.attempted if self.attempted else 0.0


class Baseline(FrozenModel):
    """Figures to check later experiments against."""

    schema_version: Literal[1] = BASELINE_SCHEMA_VERSION
    name: str
    saved_at: str = Field(description="ISO 8601, UTC.")
    environment: dict[str, Any] = Field(description="Versions, git commit, hardware, of the first record.")
    groups: tuple[GroupFigures, ...]


def group_figures(records: Iterable[RunRecord]) -> list[GroupFigures]:
    """Gather the runs of each sequence, perception module and backend, in the order of their names."""
    ordered = sorted(records, key=lambda record: (record.key.group(), record.key.run))
    return [_figures(list(runs)) for _, runs in groupby(ordered, key=lambda record: record.key.group())]


def _figures(runs: list[RunRecord]) -> GroupFigures:
    scored = [run for run in runs if run.evaluation is not None]
    first = next(iter(scored or [run for run in runs if run.frames is not None] or runs))
    sequence, perception, backend = first.key.group()
    return GroupFigures(
        sequence=sequence,
        perception=perception,
        backend=backend,
        statuses=dict(sorted(Counter(run.status for run in runs).items())),
        reasons=tuple(sorted({run.reason for run in runs if run.reason})),
        mode=first.mode,
        feed=first.feed,
        coverage_floor=first.configuration["coverage_floor"],
        alignment=first.evaluation.primary_alignment if first.evaluation else None,
        ground_truth_is_input=any(run.ground_truth_is_input for run in runs),
        frames=first.frames.in_sequence if first.frames else None,
        ate_rmse_m=tuple(
            ate
            for run in runs
            if run.ranked() and run.evaluation and (ate := run.evaluation.primary_ate()) is not None
        ),
        coverage=tuple(
            run.evaluation.coverage
            for run in runs
            if run.evaluation and run.status in (Status.OK, Status.PARTIAL)
        ),
        deterministic=first.feed == "lockstep"
        and bool(first.backend.get("capabilities", {}).get("deterministic", False)),
        sequence_source={
            name: value for name, value in first.sequence.get("source", {}).items() if name != "directory"
        },
    )


def save_baseline(records: Iterable[RunRecord], name: str, directory: Path) -> Path:
    """Store the figures of an experiment.

    Groups without a scored or failed run (all skipped, or no ground truth) are left out: they say nothing.

    Args:
        records: All records of the experiment.
        name: What the baseline is asked for by; becomes the name of the file.
        directory: Where baselines are kept; an older one of the same name is replaced.

    Raises:
        ConfigurationError: The name cannot be that of a file.
        ResultsError: No trial ended ``ok``, or the file cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"'{name}' cannot name a baseline; use letters, digits and . _ + - alone, a letter or digit first"
        )
    records = list(records)
    groups = tuple(figures for figures in group_figures(records) if figures.says_something)
    if not any(figures.count(Status.OK) for figures in groups):
        raise ResultsError(
            f"baseline '{name}' was not saved: none of the {len(records)} trials ended ok, so that there is "
            "nothing to compare with later"
        )
    baseline = Baseline(
        name=name,
        saved_at=datetime.now(UTC).isoformat(timespec="seconds"),
        environment=records[0].environment,
        groups=groups,
    )
    path = directory / f"{name}.json"
    write_text(path, baseline.model_dump_json(indent=2) + "\n")
    return path


def load_baseline(name_or_path: str, directory: Path) -> Baseline:
    """Read a baseline by its name, or any baseline file by its path.

    Raises:
        ConfigurationError: There is none of that name; lists those there are.
        ResultsError: The file is unreadable, damaged or of another schema version.
    """
    path = directory / f"{name_or_path}.json"
    if not path.is_file():
        path = Path(name_or_path)
    if not path.is_file():
        known = [file.stem for file in directory.glob("*.json")]
        raise ConfigurationError(unknown_name_message("baseline", name_or_path, known))
    try:
        return Baseline.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ResultsError(validation_message(str(path), error)) from error
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror}") from error
