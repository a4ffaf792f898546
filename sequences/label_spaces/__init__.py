"""Label spaces as data: names, ids, colours and roles of classes, and how NYU-40 maps to others."""

from enum import StrEnum
from functools import cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sequences.errors import SequenceError
from sequences.model import LABEL_UNKNOWN
from sequences.packaged_yaml import read_packaged_yaml

#: The label space that others are made of.
SOURCE_SPACE = "nyu40"

_NAMES = ("cityscapes19", SOURCE_SPACE, "nyud20", "scannet20")
_Byte = Annotated[int, Field(ge=0, le=255)]


class LabelRole(StrEnum):
    """What kind of thing a class is to who maps a place."""

    STRUCTURE = "structure"
    """Part of the building, or flat on it: walls, floors, doors, windows, pictures."""
    OBJECT = "object"
    """A thing that stands somewhere and could be moved."""
    DYNAMIC = "dynamic"
    """What moves by itself while it is looked at: people, animals, vehicles."""


class LabelClass(BaseModel):
    """One class of a label space.

    Attributes:
        id: Its value in label images; never 255, which is "unknown".
        name: In lower case, words joined by ``_``.
        colour: Red, green, blue to draw it with.
        role: What kind of thing it is.
        from_nyu40: Ids of the NYU-40 classes that it is made of; empty in NYU-40 itself, and in spaces that
            have nothing to do with it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[int, Field(ge=0, lt=LABEL_UNKNOWN)]
    name: str
    colour: tuple[_Byte, _Byte, _Byte]
    role: LabelRole
    from_nyu40: tuple[_Byte, ...] = ()


class LabelSpace(BaseModel):
    """A set of classes.

    Attributes:
        name: As in ``SequenceInfo.label_space``.
        classes: In order of their ids.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    classes: tuple[LabelClass, ...]

    @model_validator(mode="after")
    def _ids_and_names_are_unique(self) -> "LabelSpace":
        for attribute in ("id", "name"):
            values = [getattr(entry, attribute) for entry in self.classes]
            if len(set(values)) != len(values):
                raise ValueError(f"two classes have the same {attribute}")
        return self

    def colours(self) -> NDArray[np.uint8]:
        """A table from label to colour, uint8 [256, 3]; black where no class is."""
        table = np.zeros((256, 3), np.uint8)
        for entry in self.classes:
            table[entry.id] = entry.colour
        return table

    def from_nyu40(self) -> NDArray[np.uint8]:
        """A table from NYU-40 ids to ids of this space, uint8 [256]; 255 where it has no such class.

        Labels are mapped by indexing: ``space.from_nyu40()[labels]``.

        Raises:
            SequenceError: The space is not made of NYU-40 classes.
        """
        table = np.full(256, LABEL_UNKNOWN, np.uint8)
        for entry in self.classes:
            sources = (entry.id,) if self.name == SOURCE_SPACE else entry.from_nyu40
            if not sources:
                raise SequenceError(
                    f"label space '{self.name}': class '{entry.name}' does not say from_nyu40"
                )
            table[list(sources)] = entry.id
        return table


@cache
def load_label_space(name: str) -> LabelSpace:
    """Load one of the label spaces that come with the package.

    Raises:
        UnknownNameError: There is none of that name; the message lists what there is.
    """
    return read_packaged_yaml(__name__, "label space", name, _NAMES, LabelSpace)


def label_table(source: LabelSpace, target: LabelSpace) -> NDArray[np.uint8]:
    """A table from ids of one space to ids of another, uint8 [256]; 255 where the other has no such class.

    Raises:
        SequenceError: They are different spaces, and the first is not NYU-40 or the other is not made of it.
    """
    if source.name == target.name:
        table = np.full(256, LABEL_UNKNOWN, np.uint8)
        ids = [entry.id for entry in source.classes]
        table[ids] = ids
        return table
    if source.name != SOURCE_SPACE:
        raise SequenceError(
            f"only {SOURCE_SPACE} is mapped to other label spaces, and not '{source.name}' to '{target.name}'"
        )
    return target.from_nyu40()
