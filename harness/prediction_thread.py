"""A thread for perception modules, which may be anybody's: one that hangs keeps nobody waiting for ever."""

import queue
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar

from perception.errors import ModuleFailedError

Result = TypeVar("Result")

_Job = tuple[Future[Any], Callable[[], Any]]


class PredictionThread:
    """Runs calls one after the other in a thread of its own. A context manager.

    The end of the block drops the calls that have not begun and waits for none that has. Nor does the end of
    the process, as it would for the threads of a ``ThreadPoolExecutor``.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()

    def __enter__(self) -> "PredictionThread":
        Thread(target=_work, args=(self._jobs,), name="prediction", daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        while not self._jobs.empty():
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is not None:
                job[0].cancel()
        self._jobs.put(None)

    def submit(self, call: Callable[[], Result]) -> Future[Result]:
        """Have a call run when those before it have ended."""
        future: Future[Result] = Future()
        self._jobs.put((future, call))
        return future


def within_limit(predicted: Future[Result], limit_s: float, module_name: str) -> Result:
    """Wait for a prediction, but not for ever.

    Raises:
        ModuleFailedError: It took longer than ``limit_s``.
    """
    try:
        return predicted.result(limit_s)
    except TimeoutError as error:
        raise ModuleFailedError(
            f"{module_name}: no prediction came within {limit_s:g} s, which is the limit"
        ) from error


def _work(jobs: queue.SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        _run(*job)
        # A frame must not stay in memory until the next one comes.
        del job


def _run(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - whoever waits for the result is told
        future.set_exception(error)
    else:
        future.set_result(result)
