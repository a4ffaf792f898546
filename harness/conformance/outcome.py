"""How a check of the suite ends, and what it raises to end so."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from adapters.errors import AdapterError


class CheckFailedError(Exception):
    """The backend, or what the harness makes of it, is not as it must be."""


class NotApplicableError(Exception):
    """The check makes no sense for this backend."""


class CheckState(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class CheckOutcome:
    """The outcome of one check.

    Attributes:
        name: The check.
        state: How it ended.
        detail: Why, when it did not pass.
        seconds: How long it took.
    """

    name: str
    state: CheckState
    detail: str
    seconds: float


@contextmanager
def must_raise(*errors: type[AdapterError], because: str) -> Iterator[None]:
    """Fail the check unless the block ends with one of these errors."""
    try:
        yield
    except errors:
        return
    except AdapterError as error:
        raise CheckFailedError(f"{because}: ended with {type(error).__name__}: {error}") from error
    raise CheckFailedError(f"{because}: went through")
