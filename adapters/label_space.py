"""The classes behind the labels of frames: what a backend needs to know to use them."""

from dataclasses import dataclass
from enum import Enum


class LabelRole(str, Enum):
    """What kind of thing a class is to a mapping system."""

    STRUCTURE = "structure"
    """Part of the building: walls, floors, ceilings, doors, windows."""
    OBJECT = "object"
    """A thing that stands somewhere and could be moved."""
    DYNAMIC = "dynamic"
    """What moves by itself while it is looked at: people, animals, vehicles."""


@dataclass(frozen=True)
class LabelClass:
    """One class of a label space.

    Attributes:
        id: Its value in label images, 0 to 254.
        name: In lower case, words joined by ``_``.
        colour: Red, green, blue to draw it with.
        role: What kind of thing it is.
    """

    id: int
    name: str
    colour: tuple[int, int, int]
    role: LabelRole


@dataclass(frozen=True)
class LabelSpace:
    """The classes that the labels of a sequence or of a network are made of.

    Attributes:
        name: For people and records.
        classes: Each id once.
    """

    name: str
    classes: tuple[LabelClass, ...]

    def ids(self, *roles: LabelRole) -> tuple[int, ...]:
        """The ids of the classes of some roles, in order."""
        return tuple(entry.id for entry in self.classes if entry.role in roles)
