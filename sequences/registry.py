"""Plug-ins found through entry points: one typed registry for readers, perception modules and backends."""

import difflib
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from sequences.errors import SequenceError, UnknownNameError

Plugin = TypeVar("Plugin")


def unknown_name_message(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that ``name`` does not exist, what does, and which one was probably meant."""
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1)
    suggestion = f" Did you mean '{nearest[0]}'?" if nearest else ""
    return f"unknown {kind} '{name}'.{suggestion} There are: {', '.join(names) or 'none'}."


class Registry(Generic[Plugin]):
    """The plug-ins of one kind, loaded when first asked for.

    Args:
        group: Entry-point group, for example ``slam_harness.readers``.
        kind: What one plug-in is called in messages.
        base: Class that every plug-in derives from; anything else is refused.
    """

    def __init__(self, group: str, kind: str, base: type[Plugin]):
        self.group = group
        self.kind = kind
        self._base = base

    def _entry_points(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}

    def names(self) -> list[str]:
        """Names of everything that is installed, sorted."""
        return sorted(self._entry_points())

    def load(self, name: str) -> type[Plugin]:
        """Return the class behind ``name``.

        Raises:
            UnknownNameError: Nothing of that name is installed; the message lists what is.
            SequenceError: The plug-in cannot be imported or is of another kind.
        """
        points = self._entry_points()
        if name not in points:
            raise UnknownNameError(unknown_name_message(self.kind, name, points))
        point = points[name]
        try:
            plugin: Any = point.load()
        except Exception as error:
            # A plug-in may raise anything while it is imported, OSError of a missing library for one.
            reason = f"{type(error).__name__}: {error}"
            raise SequenceError(f"{self.kind} '{name}' ({point.value}) cannot be loaded: {reason}") from error
        if not (isinstance(plugin, type) and issubclass(plugin, self._base)):
            raise SequenceError(f"{self.kind} '{name}' ({point.value}) is not a {self._base.__name__}")
        return plugin
