"""Reading frames ahead: threads read them, few at a time, while the caller works on those before."""

import atexit
import threading
import time
import weakref
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Self

from sequences.model import Frame, Sequence

#: How long the end of the process waits for frames that are being read, seconds.
_PATIENCE_AT_EXIT_S = 2.0


@dataclass(frozen=True)
class ReadFrame:
    """A frame, and how long it took.

    Attributes:
        frame: The frame.
        seconds: From the beginning to the end of reading it, in its own thread.
    """

    frame: Frame
    seconds: float


def read_frame(sequence: Sequence, index: int) -> ReadFrame:
    """Read a frame here and now.

    Raises:
        SequenceError: It cannot be read.
    """
    started = time.perf_counter()
    frame = sequence.frame(index)
    return ReadFrame(frame, time.perf_counter() - started)


class ReadAhead:
    """Frames of a sequence in order, read by threads before they are asked for.

    A context manager and an iterator of :class:`ReadFrame`. The first error comes out where its frame is
    asked for, and ends the iteration. The end of the block wakes whoever waits for a frame (the iteration is
    over for them) and waits for nobody: a thread that reads ends when its frame is read. A reader that hangs
    does not keep the caller, and keeps the end of the process for two seconds: the threads are daemons.

    At most ``ahead + workers + 1`` frames are alive: read and waiting, being read, and in the caller's hands.

    Args:
        sequence: Where frames come from; used from several threads at once.
        indices: Which frames, in this order; by default all.
        workers: How many threads read, at least 1.
        ahead: How many frames may wait.
    """

    def __init__(
        self, sequence: Sequence, indices: Iterable[int] | None = None, workers: int = 2, ahead: int = 4
    ):
        if workers < 1 or ahead < 0:
            raise ValueError(f"at least one thread must read, and {ahead} frames cannot wait")
        self._sequence = sequence
        self._indices = range(len(sequence)) if indices is None else tuple(indices)
        self._workers = min(workers, len(self._indices))
        # What may be begun beyond the frame that was asked for last: its predecessor is still alive then.
        self._beyond = ahead + workers - 1
        self._changed = threading.Condition()
        # Guarded by the condition; positions in _indices rather than indices, which may repeat.
        self._outcomes: dict[int, ReadFrame | BaseException] = {}
        self._begun = 0
        self._asked = 0
        self._end = len(self._indices)

    def __enter__(self) -> Self:
        _open.add(self)
        for _ in range(self._workers):
            thread = threading.Thread(target=self._work, name="reading", daemon=True)
            _threads.add(thread)
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._changed:
            self._end = 0
            self._outcomes.clear()
            self._changed.notify_all()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ReadFrame:
        """The next frame, as soon as it is read.

        Raises:
            SequenceError: It cannot be read; there are no frames behind it.
        """
        with self._changed:
            position = self._asked
            self._asked += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: position in self._outcomes or position >= self._end)
            outcome = self._outcomes.pop(position, None)
        if outcome is None:
            raise StopIteration
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _work(self) -> None:
        while (position := self._next_position()) is not None:
            self._deliver(position, self._read(self._indices[position]))

    def _next_position(self) -> int | None:
        """What to read next, as soon as there is room for it; None at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._begun >= self._end or self._begun < self._asked + self._beyond
            )
            if self._begun >= self._end:
                return None
            self._begun += 1
            return self._begun - 1

    def _read(self, index: int) -> ReadFrame | BaseException:
        try:
            return read_frame(self._sequence, index)
        except BaseException as error:  # noqa: BLE001 - whoever asks for the frame is told
            return error

    def _deliver(self, position: int, outcome: ReadFrame | BaseException) -> None:
        with self._changed:
            if position >= self._end:
                return
            self._outcomes[position] = outcome
            if isinstance(outcome, BaseException):
                self._end = position + 1
            self._changed.notify_all()


def frames_ahead(
    sequence: Sequence, indices: Iterable[int] | None = None, workers: int = 2, ahead: int = 4
) -> Generator[Frame]:
    """Go through the frames of a sequence while threads read those that come next.

    Closing the generator, or dropping it, ends the reading. What is read, in which order, and how many frames
    are alive is said at :class:`ReadAhead`.

    Raises:
        SequenceError: A frame cannot be read; raised in its turn, after all frames before it.
    """
    with ReadAhead(sequence, indices, workers, ahead) as read_ahead:
        # Nothing is bound here: a frame must be the caller's alone, to be released when he is done with it.
        yield from map(attrgetter("frame"), read_ahead)


_open: weakref.WeakSet[ReadAhead] = weakref.WeakSet()
_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


@atexit.register
def _stop_reading() -> None:
    """Let threads come out of their libraries before the interpreter is taken from under them.

    A daemon thread that returns from C++ into an interpreter that is being taken down is unwound by force,
    and the destructors that take back the interpreter's lock may not throw: the process would abort.
    """
    for read_ahead in list(_open):
        read_ahead.__exit__()
    until = time.monotonic() + _PATIENCE_AT_EXIT_S
    for thread in list(_threads):
        thread.join(max(0.0, until - time.monotonic()))
