"""Waits until the threads that a SLAM system started have worked off what the last frame gave them.

ORB-SLAM3 takes no new keyframe in mode ``mono`` while its mapping thread is busy. Fed faster than the sensor
records, it goes on with the two keyframes that it began with and is soon lost; its own example programs sleep
between frames for that reason. Waiting for the threads costs less than sleeping for the sensor's period.
"""

import time
from pathlib import Path

_TASKS = Path("/proc/self/task")
# Longer than the 3 ms that the mapping thread sleeps between two looks at its queue.
_POLL_SECONDS = 0.004
_QUIET_POLLS = 2
# An idle thread still wakes up to look at its queue.
_IDLE_NS_PER_POLL = 1_000_000


def current_threads() -> frozenset[str]:
    """Ids of the threads of this process."""
    return frozenset(entry.name for entry in _TASKS.iterdir()) if _TASKS.is_dir() else frozenset()


def wait_until_idle(threads: frozenset[str], longest_seconds: float) -> float:
    """Returns when the threads have been idle for two polls in a row, or after the longest time.

    Returns:
        Seconds waited. On a system without ``/proc`` it is 0 and nothing is waited for.
    """
    started = time.monotonic()
    quiet, before = 0, _busy_ns(threads)
    while before is not None and quiet < _QUIET_POLLS and time.monotonic() - started < longest_seconds:
        time.sleep(_POLL_SECONDS)
        now = _busy_ns(threads)
        if now is None:
            break
        quiet = quiet + 1 if now - before < _IDLE_NS_PER_POLL else 0
        before = now
    return time.monotonic() - started


def _busy_ns(threads: frozenset[str]) -> int | None:
    """Nanoseconds that the threads have run or stood ready to run; None where the system does not tell."""
    total = 0
    for thread in threads:
        try:
            running, ready, _ = (_TASKS / thread / "schedstat").read_text().split()
        except FileNotFoundError:
            continue
        total += int(running) + int(ready)
    return total if total > 0 else None
