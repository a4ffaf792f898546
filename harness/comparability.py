"""Whether the figures of groups may be compared at all: what must be the same for that."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.baseline import GroupFigures


@dataclass(frozen=True)
class Difference:
    """Something that keeps groups from being compared.

    Attributes:
        what: In words.
        values: One per group, in their order; None where the words say all there is to say.
    """

    what: str
    values: tuple[object, ...] | None


def differences(groups: Sequence[GroupFigures]) -> list[Difference]:
    """What keeps groups from being compared; empty when they can be.

    Sequence, perception module and backend are not looked at: those are what is compared.
    """
    properties: dict[str, tuple[object, ...]] = {
        "mode": tuple(group.mode for group in groups),
        "feed": tuple(group.feed for group in groups),
        "coverage floor": tuple(group.coverage_floor for group in groups),
        "alignment": tuple(group.alignment for group in groups),
        "number of frames": tuple(group.frames for group in groups),
        "ground truth as input": tuple(group.ground_truth_is_input for group in groups),
    }
    found = [Difference(what, values) for what, values in properties.items() if len({*values}) > 1]
    sources = [group.sequence_source for group in groups]
    if all(sources):
        fields = sorted({name for source in sources for name in source})
        unequal = [name for name in fields if any(each.get(name) != sources[0].get(name) for each in sources)]
        if unequal:
            found.append(Difference(f"the sequence is another one ({', '.join(unequal)})", None))
    return found
