"""Whether the labels of a perception module go to a backend, and what the backend is told of them."""

from dataclasses import dataclass
from typing import Any

from adapters.backend import Capabilities
from adapters.label_space import LabelClass, LabelRole, LabelSpace
from perception.guarded import GuardedModule
from sequences.errors import UnknownNameError
from sequences.label_spaces import load_label_space
from sequences.model import SequenceInfo


@dataclass(frozen=True)
class Labels:
    """What becomes of the labels of a trial.

    Attributes:
        space: What they mean, for the backend; None when none are sent.
        why_not: Why labels that are predicted and that the backend would use are not sent, a sentence.
    """

    space: LabelSpace | None = None
    why_not: str | None = None

    def as_recorded(self) -> dict[str, Any]:
        """What a record holds of it; nothing where no labels were to be sent."""
        if self.space is not None:
            return {"labels_sent_as": self.space.name}
        return {} if self.why_not is None else {"notes": [self.why_not]}


def labels_for(
    capabilities: Capabilities, module: GuardedModule, outputs: frozenset[str], sequence: SequenceInfo
) -> Labels:
    """Decide on the labels of a trial.

    Args:
        capabilities: Of the backend.
        module: Gives the labels.
        outputs: What it gives on this sequence.
        sequence: The sequence.

    Raises:
        PerceptionError: The module fails at saying what its labels are.
    """
    name = module.label_space(sequence)
    if not capabilities.takes_semantics or "semantics" not in outputs:
        return Labels()
    if name is None:
        return Labels(
            why_not=(
                f"labels are not sent to the backend: perception '{module.name}' does not say of which "
                "label space they are (PerceptionModule.label_space)"
            )
        )
    try:
        return Labels(backend_label_space(name))
    except UnknownNameError as error:
        return Labels(why_not=f"labels are not sent to the backend: {error}")


def backend_label_space(name: str) -> LabelSpace:
    """A label space that comes with the package, as backends are told it.

    Raises:
        UnknownNameError: There is none of that name.
    """
    space = load_label_space(name)
    classes = (
        LabelClass(entry.id, entry.name, entry.colour, LabelRole(entry.role.value)) for entry in space.classes
    )
    return LabelSpace(space.name, tuple(classes))
