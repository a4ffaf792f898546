"""What a plan is made of: the trials of an experiment before any of them runs."""

from typing import Any

from pydantic import Field

from adapters.adapter import ResourceNeeds
from adapters.backend import Mode
from harness.configuration import RuntimeChoice
from harness.record import FrozenModel, Status, TrialKey
from perception.choice import ModuleChoice
from sequences.sequence_sets import SequenceEntry


class PlannedTrial(FrozenModel):
    """One trial before it runs.

    Attributes:
        key: Which trial it is.
        perception: Its perception module, of which the key has the label.
        entry: How its sequence is opened.
        mode: What the backend is fed with; None when the trial will not run.
        seed: For every random number in it.
        backend_options: The backend's options, complete.
        needs: What it takes from the machine.
        runtime: How the backend is started; None when the trial will not run.
        image: Digest of the image it is started from, the same for every trial; None without containers.
        ground_truth_is_input: Whether the backend says that ground truth reaches it.
        verdict: ``skipped`` or ``failed`` when that is known before anything starts.
        reason: Why.
        cannot_run_here: Whether it is skipped because of this machine, not because its parts do not fit.
    """

    key: TrialKey
    perception: ModuleChoice
    entry: SequenceEntry
    mode: Mode | None = None
    seed: int
    backend_options: dict[str, Any] = Field(default_factory=dict)
    needs: ResourceNeeds = ResourceNeeds()
    runtime: RuntimeChoice | None = None
    image: str | None = None
    ground_truth_is_input: bool = False
    verdict: Status | None = None
    reason: str | None = None
    cannot_run_here: bool = False


class ExperimentPlan(FrozenModel):
    """All trials of an experiment, with everything that names and defaults were resolved to."""

    trials: tuple[PlannedTrial, ...]
