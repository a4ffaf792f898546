"""Turns the options a user set for a backend into a frozen dataclass, or says which one is wrong."""

from dataclasses import MISSING, Field, asdict, fields
from typing import Any, TypeVar

from adapters.backend import BackendInputError

Options = TypeVar("Options")


def default_options(options_class: type[Options]) -> dict[str, Any]:
    """The options of a backend with their defaults, as a user may write them."""
    return asdict(options_class())  # type: ignore[call-overload]


def parse_options(options_class: type[Options], options: dict[str, Any]) -> Options:
    """Builds a dataclass of options from what a user set, or from what arrived in the ``start`` message.

    Args:
        options_class: A frozen dataclass of which every field has a default; the default's type is the
            option's type. Its ``__post_init__`` checks ranges and raises ``ValueError``.
        options: Names and values as the user wrote them.

    Raises:
        BackendInputError: An option is unknown, of the wrong type or out of its range.
    """
    known: dict[str, Field[Any]] = {field.name: field for field in fields(options_class)}  # type: ignore[arg-type]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise BackendInputError(
            f"unknown option {', '.join(unknown)}; the options are {', '.join(sorted(known))}"
        )
    try:
        return options_class(**{name: _value(known[name], value) for name, value in options.items()})
    except ValueError as error:
        raise BackendInputError(f"option {error}") from error


def _value(field: "Field[Any]", value: Any) -> Any:
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)) or any(type(item) is not int for item in value):
            raise ValueError(f"{field.name} must be a list of whole numbers, got {value!r}")
        return tuple(value)
    if type(default) is float and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise ValueError(f"{field.name} must be of type {type(default).__name__}, got {value!r}")
    return value
