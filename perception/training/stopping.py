"""Stopping between two steps when the user or the machine says so."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether SIGINT or SIGTERM has come.

    Attributes:
        signal: Its number; None as long as there was none.
    """

    signal: int | None = None


@contextmanager
def stop_requests() -> Generator[StopRequest]:
    """Take note of SIGINT and SIGTERM instead of dying of them; a second one has its ordinary effect.

    Outside of the main thread, where signals cannot be caught, nothing is changed.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _frame: FrameType | None) -> None:
        request.signal = number
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
