"""A thread for predictions: in turn, with their errors, and left alone when they do not come to an end."""

import subprocess
import sys
import threading

import pytest

from harness.prediction_thread import PredictionThread, within_limit
from perception.errors import ModuleFailedError


def test_calls_run_one_after_the_other_in_one_other_thread():
    done = []
    with PredictionThread() as thread:
        futures = [
            thread.submit(lambda number=number: done.append(number) or threading.get_ident())
            for number in range(20)
        ]
        threads = {within_limit(future, 10.0, "module") for future in futures}
    assert done == list(range(20))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_an_error_comes_out_where_the_result_is_asked_for_and_the_next_call_runs():
    with PredictionThread() as thread:
        failed, fine = thread.submit(lambda: 1 / 0), thread.submit(lambda: 1)
        with pytest.raises(ZeroDivisionError):
            within_limit(failed, 10.0, "module")
        assert within_limit(fine, 10.0, "module") == 1


def test_a_call_that_takes_too_long_is_not_waited_for_and_those_behind_it_never_begin():
    goes_on, begun = threading.Event(), []
    with PredictionThread() as thread:
        hanging, behind = thread.submit(goes_on.wait), thread.submit(lambda: begun.append(1))
        with pytest.raises(ModuleFailedError, match=r"module: no prediction came within 0\.05 s"):
            within_limit(hanging, 0.05, "module")
    goes_on.set()
    assert hanging.result(10.0)
    assert behind.cancelled()
    assert not begun


def test_the_process_ends_though_a_call_hangs():
    code = (
        "import threading; from harness.prediction_thread import PredictionThread\n"
        "begun = threading.Event()\n"
        "with PredictionThread() as thread:\n"
        "    thread.submit(lambda: begun.set() or threading.Event().wait())\n"
        "    begun.wait()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
