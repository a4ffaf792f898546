"""Which perception modules worked on which sequences in the trials of a report, each pair once."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from harness.record import RunRecord, Status
from harness.report.comparison import Comparison, Group, Trial

#: The module that hands on what was recorded: what all others are compared with.
_RECORDING = "sensor"


@dataclass(frozen=True)
class ModuleSource:
    """One perception module on one sequence, whatever the number of backends and runs.

    Attributes:
        label: What it is called, unique on its sequence.
        record: Of a trial that says what the module is.
        groups: All trials that it predicted for.
    """

    label: str
    record: RunRecord
    groups: tuple[Group, ...]

    @property
    def is_recording(self) -> bool:
        """What it gives is what was recorded."""
        return bool(self.record.perception["choice"]["module"] == _RECORDING)


@dataclass(frozen=True)
class SequenceSource:
    """One sequence, so many frames of it, and the modules that worked on those.

    Attributes:
        label: What it is called, unique within the report.
        modules: Sorted by their labels; at least one.
    """

    label: str
    modules: tuple[ModuleSource, ...]

    @property
    def record(self) -> RunRecord:
        """Of a trial that says how the sequence is opened."""
        return self.modules[0].record


@dataclass(frozen=True)
class _Member:
    """What the trials of one experiment have with one module on one sequence."""

    experiment: str
    record: RunRecord
    groups: tuple[Group, ...]

    @property
    def sequence_key(self) -> str:
        record = self.record
        return _key(record.key.sequence, record.sequence.get("entry"), record.sequence.get("frames"))

    @property
    def module_key(self) -> str:
        return _key(self.record.key.perception, self.record.perception["choice"])


def find_sources(comparison: Comparison) -> tuple[list[SequenceSource], list[str]]:
    """Gather sequences and modules; those that predict nothing are left out.

    Returns:
        The sequences by name, and a sentence for every module of which no trial says what it is.
    """
    by_name: dict[tuple[str, str, str], list[Group]] = {}
    for group in comparison.groups:
        by_name.setdefault((group.sequence, group.perception, group.trials[0].experiment), []).append(group)
    sequences: dict[str, dict[str, list[_Member]]] = {}
    problems = []
    for (sequence, perception, experiment), groups in by_name.items():
        trials = [trial for group in groups for trial in group.trials]
        record = _telling_record(trials)
        if record is not None:
            member = _Member(experiment, record, tuple(groups))
            if record.perception.get("outputs", True):
                modules = sequences.setdefault(member.sequence_key, {})
                modules.setdefault(member.module_key, []).append(member)
        elif any(trial.record.status is not Status.SKIPPED for trial in trials):
            problems.append(
                f"Predictions of {perception} on {sequence} are not shown: no trial came far enough to say "
                "what the module is."
            )
    return _labelled(sequences.values()), problems


def _telling_record(trials: Iterable[Trial]) -> RunRecord | None:
    return next((trial.record for trial in trials if "choice" in trial.record.perception), None)


def _labelled(sequences: Iterable[dict[str, list[_Member]]]) -> list[SequenceSource]:
    listed = [list(modules.values()) for modules in sequences]
    names = Counter(modules[0][0].record.key.sequence for modules in listed)
    found = []
    for modules in listed:
        first = modules[0][0]
        name = first.record.key.sequence
        perceptions = Counter(members[0].record.key.perception for members in modules)
        found.append(
            SequenceSource(
                f"{name} ({first.experiment})" if names[name] > 1 else name,
                tuple(
                    sorted(
                        (_module(members, perceptions) for members in modules), key=lambda each: each.label
                    )
                ),
            )
        )
    return sorted(found, key=lambda each: each.label)


def _module(members: list[_Member], perceptions: Counter[str]) -> ModuleSource:
    first = members[0]
    name = first.record.key.perception
    return ModuleSource(
        f"{name} ({first.experiment})" if perceptions[name] > 1 else name,
        first.record,
        tuple(group for member in members for group in member.groups),
    )


def _key(*values: object) -> str:
    return json.dumps(values, sort_keys=True)
