"""A backend that misbehaves inside a container in every way there is, or tells what it could do there."""

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from slam_test_backends import CurveBackend, capabilities

from adapters.backend import BackendResult, Capabilities, RgbdFrame, StartRequest, TrackingResult

_BLOCK = bytes(4 * 1024**2)
_TEN_GIGABYTES = 10**10


class FaultBackend(CurveBackend):
    """Works until it is the turn of ``fault``: in ``start``, on frame ``at_frame``, or in ``finish``."""

    def capabilities(self) -> Capabilities:
        return capabilities("faults")

    def start(self, request: StartRequest) -> None:
        super().start(request)
        self.fault = request.options["fault"]
        self.statistics: dict[str, Any] = {}
        if self.fault == "hang in start":
            time.sleep(3600)

    def track(self, frame: RgbdFrame) -> TrackingResult:
        result = super().track(frame)
        if frame.index == self.options["at_frame"] and self.fault in _ON_A_FRAME:
            _ON_A_FRAME[self.fault](self)
        return result

    def finish(self) -> BackendResult:
        result = super().finish()
        match self.fault:
            case "hang in finish":
                time.sleep(3600)
            case "nan trajectory":
                result.trajectory.poses[1, 0] = np.nan
            case "name a pipe":
                os.mkfifo("pipe")
                return replace(result, files=("pipe",))
            case "name a link to a file of the host":
                os.symlink("/etc/passwd", "link")
                return replace(result, files=("link",))
            case "name a link to another trial":
                os.symlink("../../run-1/record.json", "link")
                return replace(result, files=("link",))
            case "name a file elsewhere":
                return replace(result, files=("../../run-1/record.json",))
            case "tell what can be done":
                from slam_test_sandbox import what_can_be_done  # the image alone has it

                self.statistics = what_can_be_done(self.options["addresses"], self.options["paths"])
        return replace(result, statistics=self.statistics)


def _hang(_: FaultBackend) -> None:
    time.sleep(3600)


def _hang_on_a_stopped_child(_: FaultBackend) -> None:
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.waitpid(child, 0)


def _fill_memory(_: FaultBackend) -> None:
    hoard = []
    while True:
        hoard.append(np.ones(1_000_000))


def _fill_memory_in_a_child(backend: FaultBackend) -> None:
    child = os.fork()
    if child == 0:
        _fill_memory(backend)
    _, status = os.waitpid(child, 0)
    raise RuntimeError(f"the helper ended with {os.waitstatus_to_exitcode(status)}")


def _write(path: str | Path) -> None:
    with open(path, "wb", buffering=0) as file:
        for _ in range(_TEN_GIGABYTES // len(_BLOCK)):
            file.write(_BLOCK)


def _write_many_files(_: FaultBackend) -> None:
    for number in range(_TEN_GIGABYTES // len(_BLOCK)):
        Path(f"{number}.bin").write_bytes(_BLOCK)


def _write_one_huge_file(_: FaultBackend) -> None:
    _write("huge.bin")


def _write_empty_files(_: FaultBackend) -> None:
    for number in itertools.count():
        Path(str(number)).touch()


def _write_below_many_directories(backend: FaultBackend) -> None:
    for _ in range(5000):
        os.mkdir("deeper")
        os.chdir("deeper")
    _write_many_files(backend)


def _flood_the_log(_: FaultBackend) -> None:
    line = b"x" * 999 + b"\n"
    for _ in range(_TEN_GIGABYTES // len(line)):
        os.write(1, line)


def _fill_temporary_files(_: FaultBackend) -> None:
    _write("/tmp/huge.bin")


def _fill_shared_memory(_: FaultBackend) -> None:
    _write("/dev/shm/huge.bin")


def _answer_garbage(_: FaultBackend) -> None:
    sys.modules["__main__"].encode = lambda message: [b"\xc1garbage", os.urandom(1000)]


def _answer_another_question(_: FaultBackend) -> None:
    server = sys.modules["__main__"]
    encode = server.encode
    server.encode = lambda message: encode(replace(message, fields=message.fields | {"index": 10**6}))


def _start_processes_without_end(backend: FaultBackend) -> None:
    children = []
    try:
        while True:
            child = os.fork()
            if child == 0:
                time.sleep(3600)
                os._exit(0)
            children.append(child)
    except BlockingIOError:
        backend.statistics = {"processes": len(children)}
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


_ON_A_FRAME: dict[str, Callable[[FaultBackend], None]] = {
    "hang": _hang,
    "hang on a stopped child": _hang_on_a_stopped_child,
    "fill memory": _fill_memory,
    "fill memory in a child": _fill_memory_in_a_child,
    "write many files": _write_many_files,
    "write one huge file": _write_one_huge_file,
    "write empty files": _write_empty_files,
    "write below many directories": _write_below_many_directories,
    "flood the log": _flood_the_log,
    "fill /tmp": _fill_temporary_files,
    "fill /dev/shm": _fill_shared_memory,
    "answer garbage": _answer_garbage,
    "answer another question": _answer_another_question,
    "start processes without end": _start_processes_without_end,
}
