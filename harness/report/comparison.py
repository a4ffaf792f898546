"""What a report compares: trials of all experiments, grouped so that repetitions stand together."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from harness.baseline import GroupFigures, group_figures
from harness.errors import ResultsError
from harness.record import Alignment, RunRecord, Status
from harness.store import ExperimentDirectory


@dataclass(frozen=True)
class Trial:
    """One trial with the experiment it belongs to.

    Attributes:
        experiment: Label of the experiment, unique within the report.
        directory: Where the files of the trial are.
        record: What was recorded of it.
    """

    experiment: str
    directory: Path
    record: RunRecord


@dataclass(frozen=True, order=True)
class Contender:
    """A column of the tables: a backend, and its experiment where the backend alone would be ambiguous."""

    backend: str
    experiment: str | None = None

    @property
    def label(self) -> str:
        """How tables and plots call it."""
        return f"{self.backend} ({self.experiment})" if self.experiment else self.backend


@dataclass(frozen=True)
class Group:
    """The repetitions of one sequence, perception module and contender."""

    sequence: str
    perception: str
    contender: Contender
    trials: tuple[Trial, ...]

    def with_status(self, status: Status) -> tuple[Trial, ...]:
        """The trials that ended in ``status``."""
        return tuple(trial for trial in self.trials if trial.record.status is status)

    @property
    def ranked(self) -> tuple[Trial, ...]:
        """The trials whose error may be averaged and compared."""
        return tuple(trial for trial in self.trials if trial.record.ranked())

    @property
    def complete(self) -> bool:
        """Every repetition is ok. Only such groups are ranked and averaged: else failures would flatter."""
        return len(self.ranked) == len(self.trials)

    @property
    def ground_truth_is_input(self) -> bool:
        """Ground truth reached the backend in some form."""
        return any(trial.record.ground_truth_is_input for trial in self.trials)

    @property
    def alignment(self) -> Alignment | None:
        """The alignment its tables print; None when no trial came far enough to tell."""
        for trial in self.trials:
            if trial.record.evaluation is not None:
                return trial.record.evaluation.primary_alignment
        modes = {trial.record.mode for trial in self.trials} - {None}
        if not modes:
            return None
        return Alignment.SIM3 if "mono" in modes else Alignment.SE3

    def figures(self) -> GroupFigures:
        """What its trials came to, as the check gathers it."""
        (figures,) = group_figures(trial.record for trial in self.trials)
        return figures

    def median_trial(self) -> Trial | None:
        """The trial that pictures show: of median error among the ok ones, else among the partial ones.

        With an even number of them the better of the two in the middle.
        """
        for trials in (self.ranked, self.with_status(Status.PARTIAL)):
            scored = sorted(
                (ate, trial.record.key.run, trial)
                for trial in trials
                if (ate := primary_ate(trial)) is not None
            )
            if scored:
                return scored[(len(scored) - 1) // 2][2]
        return None


def primary_ate(trial: Trial) -> float | None:
    """RMSE that tables print for this trial, metres."""
    return trial.record.evaluation.primary_ate() if trial.record.evaluation else None


@dataclass(frozen=True)
class Comparison:
    """All trials of a report.

    Attributes:
        experiments: Label and directory of every experiment, in the order they were given.
        trials: Every trial that has ended.
        groups: The same trials, repetitions together; by sequence, perception and contender.
    """

    experiments: tuple[tuple[str, ExperimentDirectory], ...]
    trials: tuple[Trial, ...]
    groups: tuple[Group, ...]

    @property
    def contenders(self) -> list[Contender]:
        """Every contender, sorted."""
        return sorted({group.contender for group in self.groups})

    @property
    def sequences(self) -> list[str]:
        """Names of the sequences, sorted."""
        return sorted({group.sequence for group in self.groups})

    @property
    def perceptions(self) -> list[str]:
        """Names of the perception modules, sorted."""
        return sorted({group.perception for group in self.groups})

    def of_contender(self, contender: Contender) -> list[Group]:
        """The groups of one contender."""
        return [group for group in self.groups if group.contender == contender]


def load_comparison(experiments: list[ExperimentDirectory]) -> Comparison:
    """Read the records of all experiments.

    Raises:
        ResultsError: There is no experiment, none has a trial that ended, or a record is damaged or was
            written by another version.
    """
    if not experiments:
        raise ResultsError("a report needs at least one experiment directory")
    labelled = tuple(zip(_labels(experiments), experiments, strict=True))
    trials = tuple(
        Trial(label, experiment.trial_directory(record.key), record)
        for label, experiment in labelled
        for record in experiment.records()
    )
    if not trials:
        places = ", ".join(str(experiment.path) for experiment in experiments)
        raise ResultsError(f"no trial in {places} has ended yet; continue with 'harness run --resume DIR'")
    return Comparison(labelled, trials, _grouped(trials))


def _labels(experiments: list[ExperimentDirectory]) -> list[str]:
    """Directory names; with the parent's name or a number where several are called the same."""
    paths = [experiment.path.resolve() for experiment in experiments]
    if len(set(paths)) < len(paths):
        raise ResultsError("the same experiment directory was given twice; a report compares different ones")
    labels = [path.name for path in paths]
    if len(set(labels)) < len(labels):
        labels = [f"{path.parent.name}/{path.name}" for path in paths]
    repeated = Counter(labels)
    return [
        f"{label} #{number}" if repeated[label] > 1 else label for number, label in enumerate(labels, start=1)
    ]


def _grouped(trials: tuple[Trial, ...]) -> tuple[Group, ...]:
    experiments_of_key: dict[tuple[str, str, str], set[str]] = {}
    for trial in trials:
        experiments_of_key.setdefault(trial.record.key.group(), set()).add(trial.experiment)
    ambiguous = any(len(experiments) > 1 for experiments in experiments_of_key.values())

    members: dict[tuple[str, str, Contender], list[Trial]] = {}
    for trial in trials:
        key = trial.record.key
        contender = Contender(key.backend, trial.experiment if ambiguous else None)
        members.setdefault((key.sequence, key.perception, contender), []).append(trial)
    return tuple(
        Group(sequence, perception, contender, tuple(members[sequence, perception, contender]))
        for sequence, perception, contender in sorted(members, key=_group_order)
    )


def _group_order(key: tuple[str, str, Contender]) -> tuple[str, str, str, str]:
    sequence, perception, contender = key
    return sequence, perception, contender.backend, contender.experiment or ""
