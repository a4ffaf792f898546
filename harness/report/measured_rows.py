"""Our contenders as rows beside published ones: what they came to on the sequences of a published table."""

from collections.abc import Iterable
from dataclasses import dataclass

from harness.published import Input, PublishedTable
from harness.record import Alignment
from harness.report.comparison import Comparison, Contender, Group, Trial, primary_ate
from harness.report.scores import ate_after, median_figure


@dataclass(frozen=True)
class Measured:
    """What one contender with one perception module came to on the sequences of a published table.

    Attributes:
        groups: By sequence, those that there are, in the order of the published table.
        alignment: The one that its figures are shown by; None when no trial came far enough to have any.
    """

    contender: Contender
    perception: str
    groups: dict[str, Group]
    alignment: Alignment | None

    @property
    def label(self) -> str:
        """How the table calls it."""
        return f"{self.contender.label}, perception {self.perception}"

    @property
    def ground_truth_is_input(self) -> bool:
        """Ground truth reached it in some form on one of the sequences."""
        return any(group.ground_truth_is_input for group in self.groups.values())

    @property
    def input(self) -> Input | None:
        """What the camera gave: predicted depth is no depth of a sensor. None when no trial got that far."""
        return _input(self.groups.values())

    def ate(self, trial: Trial) -> float | None:
        """RMSE of a trial by ``alignment``, metres."""
        return ate_after(trial, self.alignment) if self.alignment else primary_ate(trial)

    def mean(self, sequences: tuple[str, ...]) -> float | None:
        """Mean of the medians, metres; None unless every run of every sequence is ok."""
        complete = [
            self.groups[name] for name in sequences if name in self.groups and self.groups[name].complete
        ]
        medians = [median for group in complete if (median := median_figure(group, self.ate)) is not None]
        return sum(medians) / len(medians) if len(medians) == len(sequences) else None

    def unlike(self, published: PublishedTable) -> dict[str, int]:
        """Number of frames by sequence, where it is another one than the published."""
        found = {}
        for name, group in self.groups.items():
            frames = group.figures().frames
            if frames is not None and published.frames.get(name, frames) != frames:
                found[name] = frames
        return found


def measured_beside(comparison: Comparison, published: PublishedTable) -> list[Measured]:
    """Every contender that has trials on the sequences of a published table, once for each alignment.

    Those are the alignment that our own tables print, and all that published figures of the same input state.
    """
    members: dict[tuple[Contender, str], dict[str, Group]] = {}
    for group in comparison.groups:
        if group.sequence in published.sequences:
            members.setdefault((group.contender, group.perception), {})[group.sequence] = group
    found = []
    for (contender, perception), unordered in sorted(members.items(), key=lambda item: item[0]):
        groups = {name: unordered[name] for name in published.sequences if name in unordered}
        alignments: list[Alignment | None] = []
        if own := {group.alignment for group in groups.values()} - {None}:
            beside = {each.alignment for each in published.methods if each.input == _input(groups.values())}
            alignments += [each for each in Alignment if each in own | beside]
        found += [Measured(contender, perception, groups, each) for each in alignments or [None]]
    return found


def _input(groups: Iterable[Group]) -> Input | None:
    records = [trial.record for group in groups for trial in group.trials]
    reads_sensor = {record.perception.get("reads_sensor") for record in records} - {None}
    if not reads_sensor:
        return None
    return "rgbd" if True in reads_sensor and any(record.mode == "rgbd" for record in records) else "mono"
