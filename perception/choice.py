"""Which perception module a user means: a registered name, perhaps with an argument, and options."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ModuleChoice:
    """A perception module as it was asked for; everything needed to create it again.

    Attributes:
        module: Its registered name.
        argument: What stood behind the colon, for example a file of weights; None without.
        options: Its options, those that differ from the defaults.
    """

    module: str
    argument: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What it is called in tables; of a path only the last name is told, without its ending."""
        if self.argument is None:
            return self.module
        return f"{self.module}:{Path(self.argument).stem if '/' in self.argument else self.argument}"


def parse_choice(text: str, options: Mapping[str, Any] | None = None) -> ModuleChoice:
    """Read ``NAME`` or ``NAME:ARGUMENT``, as in ``m2hmx:weights.safetensors``.

    An argument that names something on disk is made absolute, so that the choice means the same elsewhere.
    """
    module, colon, argument = text.partition(":")
    path = Path(os.path.expanduser(argument))
    if argument and path.exists():
        argument = str(path.resolve())
    return ModuleChoice(module, argument if colon else None, dict(options or {}))
