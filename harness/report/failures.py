"""What went wrong with a part of a report, in words: a report has more to say than its maps."""

import logging

import click

from harness.errors import HarnessError
from perception.errors import PerceptionError
from sequences.errors import SequenceError

logger = logging.getLogger(__name__)


def in_words(error: Exception) -> str:
    """An error in words for the report; where it came from goes to the log alone."""
    logger.info("a part of the report cannot be made", exc_info=error)
    if isinstance(error, HarnessError | SequenceError | PerceptionError):
        return str(error)
    # Open3D colours its messages for a terminal.
    return f"{type(error).__name__}: {click.unstyle(str(error)).strip()}"
