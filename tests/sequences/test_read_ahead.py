"""Frames that are read ahead: in order, few at a time, with errors in their turn and nothing left running."""

import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequences.errors import SequenceError
from sequences.model import Frame, Intrinsics, Sequence, SequenceInfo
from sequences.read_ahead import ReadAhead, frames_ahead


class WatchedSequence(Sequence):
    """Makes its frames up, knows how many are alive, and lets a test decide when reading goes on."""

    def __init__(self, frames, broken=(), closed=()):
        self._info = SequenceInfo(
            "watched", Intrinsics(1, 1, 0, 0, 1, 1), np.arange(frames, dtype=np.int64), has_depth=False
        )
        self._broken = broken
        self._lock = threading.RLock()
        self.gates = {index: threading.Event() for index in closed}
        self.begun = []
        self.alive = self.most_alive = 0

    @property
    def info(self):
        return self._info

    def ground_truth(self):
        return None

    def frame(self, index):
        with self._lock:
            self.begun.append(index)
        if index in self.gates:
            self.gates[index].wait(20)
        if index in self._broken:
            raise SequenceError(f"frame {index}: no image")
        frame = Frame(index, index, np.zeros((1, 1, 3), np.uint8))
        with self._lock:
            self.alive += 1
            self.most_alive = max(self.most_alive, self.alive)
        weakref.finalize(frame, self._gone)
        return frame

    def _gone(self):
        with self._lock:
            self.alive -= 1


def eventually(condition):
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


def reading_threads():
    return {thread for thread in threading.enumerate() if thread.name == "reading"}


def indices_of(frames):
    return [frame.index for frame in frames]


@given(
    frames=st.integers(0, 40),
    workers=st.integers(1, 5),
    ahead=st.integers(0, 6),
    broken=st.none() | st.integers(0, 39),
)
@settings(max_examples=60, deadline=None)
def test_frames_come_in_order_up_to_the_first_that_cannot_be_read(frames, workers, ahead, broken):
    seen = []
    ahead_of_us = frames_ahead(WatchedSequence(frames, {broken}), workers=workers, ahead=ahead)
    if broken is not None and broken < frames:
        with pytest.raises(SequenceError, match=f"frame {broken}: no image"):
            seen.extend(ahead_of_us)
    else:
        seen.extend(ahead_of_us)
    assert indices_of(seen) == list(range(frames if broken is None else min(frames, broken)))


def test_all_frames_before_the_broken_one_come_although_it_was_read_first():
    sequence = WatchedSequence(6, broken={2, 3}, closed=[0, 1])
    frames, seen = frames_ahead(sequence, workers=4), []
    threading.Timer(0.05, lambda: [gate.set() for gate in sequence.gates.values()]).start()
    with pytest.raises(SequenceError, match="frame 2"):
        for frame in frames:
            seen.append(frame.index)
    assert seen == [0, 1]
    assert list(frames) == []


def test_a_frame_that_takes_long_does_not_let_those_behind_it_pass():
    sequence = WatchedSequence(5, closed=[0])
    threading.Timer(0.05, sequence.gates[0].set).start()
    assert indices_of(frames_ahead(sequence, workers=3)) == [0, 1, 2, 3, 4]


def test_chosen_frames_come_in_the_order_they_were_chosen_and_as_often():
    assert indices_of(frames_ahead(WatchedSequence(9), iter([7, 2, 2, 8, 0]))) == [7, 2, 2, 8, 0]


@pytest.mark.parametrize(("workers", "ahead"), [(1, 0), (2, 4), (4, 0), (3, 1)])
def test_few_frames_are_alive_however_slow_the_caller_is(workers, ahead):
    sequence = WatchedSequence(200)
    for frame in frames_ahead(sequence, workers=workers, ahead=ahead):
        if frame.index % 20 == 0:
            time.sleep(0.005)
        assert sequence.alive <= ahead + workers + 1
    assert sequence.most_alive <= ahead + workers + 1


def test_a_frame_is_released_when_the_caller_lets_go_of_it():
    sequence = WatchedSequence(1)
    frames = frames_ahead(sequence)
    frame = next(frames)
    assert sequence.alive == 1
    del frame
    assert sequence.alive == 0
    frames.close()


def test_as_many_frames_as_there_are_threads_are_read_at_once():
    sequence = WatchedSequence(8, closed=range(8))
    with ReadAhead(sequence, workers=3, ahead=4):
        eventually(lambda: len(sequence.begun) == 3)
        for gate in sequence.gates.values():
            gate.set()


def test_no_frame_is_begun_after_the_caller_stopped_and_all_threads_end():
    sequence = WatchedSequence(100, closed=[3, 4])
    before = reading_threads()
    frames = frames_ahead(sequence, workers=2, ahead=4)
    assert next(frames).index == 0
    eventually(lambda: {3, 4} <= set(sequence.begun))
    frames.close()
    for gate in sequence.gates.values():
        gate.set()
    eventually(lambda: reading_threads() <= before)
    assert max(sequence.begun) == 4
    assert sequence.alive == 0


def test_threads_end_when_an_iteration_is_dropped_half_way():
    before = reading_threads()
    for frame in frames_ahead(WatchedSequence(50)):
        if frame.index == 3:
            break
    eventually(lambda: reading_threads() <= before)


def test_whoever_waits_for_a_frame_of_a_reader_that_hangs_is_woken_when_the_reading_ends():
    sequence, woken = WatchedSequence(3, closed=[0]), []
    read_ahead = ReadAhead(sequence)
    with read_ahead:
        waiting = threading.Thread(target=lambda: woken.extend(read_ahead), daemon=True)
        waiting.start()
        eventually(lambda: sequence.begun)
    waiting.join(20)
    assert not waiting.is_alive()
    assert woken == []
    sequence.gates[0].set()


def test_the_time_that_reading_a_frame_took_comes_with_it():
    class SlowSequence(WatchedSequence):
        def frame(self, index):
            time.sleep(0.03)
            return super().frame(index)

    with ReadAhead(SlowSequence(4)) as read_ahead:
        assert min(read.seconds for read in read_ahead) >= 0.03


@pytest.mark.parametrize(("workers", "ahead"), [(0, 4), (1, -1)])
def test_reading_without_threads_or_with_less_than_no_frames_ahead_is_refused(workers, ahead):
    with pytest.raises(ValueError, match="at least one thread"):
        ReadAhead(WatchedSequence(1), workers=workers, ahead=ahead)


# A thread that is inside of a C++ library when the interpreter goes would make the process abort.
AT_EXIT = """
import threading, time, cv2, numpy as np
from sequences.model import Frame, Intrinsics, Sequence, SequenceInfo
from sequences.read_ahead import frames_ahead

class EndlessSequence(Sequence):
    info = SequenceInfo("s", Intrinsics(1, 1, 0, 0, 1, 1), np.arange(10**6), has_depth=False)
    def ground_truth(self): ...
    def frame(self, index):
        {reading}
        return Frame(index, index, np.zeros((1, 1, 3), np.uint8))

noise = np.random.default_rng(0).integers(0, 255, (1000, 1000, 3), dtype=np.uint8)
frames = frames_ahead(EndlessSequence())
next(frames)
"""


@pytest.mark.parametrize(
    "reading",
    ["cv2.GaussianBlur(noise, (31, 31), 5)", "index and threading.Event().wait()"],
    ids=["reading", "hanging"],
)
def test_a_process_ends_well_while_frames_are_read_ahead(reading):
    code = AT_EXIT.format(reading=reading)
    ended = subprocess.run(
        [sys.executable, "-c", code], timeout=60, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
