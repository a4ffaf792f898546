"""What running mono-hydra's stages as a pipeline is worth, against the same stages one after the other.

``python benchmarks/mono_hydra_pipeline.py [SEQUENCE] [--frames 400] [--set OPTION=VALUE]``

SEQUENCE is a folder or a name of the catalogue. The same frames, read into memory first, are fed to
mono-hydra as it runs for users, its back end in a process of its own; to mono-hydra with the back end called
by tracking itself; and to rgbd-odometry, which knows neither loops nor objects. Each runs in a fresh process,
one after the other.

First as fast as they are taken: frames per second until the last one is answered, and until everything is
solved and written. Then at the sensor's rate, where tracking is not to wait for mapping: milliseconds from a
frame to its answer. A frame that comes while the one before is still at work is answered late, and here not
lost; how late the last one was is printed.
"""

import argparse
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import yaml

from adapters.backend import Backend, CameraIntrinsics, Mode, RgbdFrame, StartRequest
from adapters.mono_hydra.back_end_messages import BackEndSetup, Finish, Finished, Located, NewKeyframe
from adapters.mono_hydra.back_end_process import BackEndProcess
from adapters.mono_hydra.model import RgbdLabels
from adapters.server import load_backend
from harness.backends import BACKENDS
from harness.environment import cache_directory, reader_context
from harness.labels import backend_label_space
from sequences.model import NANOSECONDS_PER_SECOND, Sequence
from sequences.sequence_sets import open_sequence, resolve

_MIB = 1024**2
_MEMORY_PERIOD_S = 0.05


class BackEndInThisProcess(BackEndProcess):
    """The back end, called by tracking itself. It is never idle and makes the map anew at the end alone."""

    def __init__(self, setup: BackEndSetup) -> None:
        from adapters.mono_hydra.back_end import BackEnd

        self._back_end = BackEnd(setup)
        self._latest = np.eye(4)
        self._ties = True

    @property
    def connected(self) -> bool:
        """Whether anything ties the newest keyframe to the first one."""
        return self._ties

    @property
    def waiting_keyframes(self) -> int:
        """None: every keyframe is worked through at once."""
        return 0

    @property
    def correction(self) -> np.ndarray:
        """float64 [4, 4], as of the last keyframe."""
        return self._latest

    def send_keyframe(self, message: NewKeyframe) -> None:
        """Works through a keyframe."""
        done = self._back_end.take_keyframe(message)
        self._ties = done.connected
        if done.correction is not None:
            self._latest = done.correction

    def wait_for_keyframes(self, most: int) -> float:
        """There is nothing to wait for."""
        return 0.0

    def locate(self, frame: RgbdLabels) -> Located:
        """Finds a frame among the keyframes."""
        return self._back_end.locate(frame)

    def finish(self, message: Finish) -> Finished:
        """Finishes and writes everything."""
        return self._back_end.finish(message)

    def close(self) -> None:
        """There is no process to end."""


def _one_process() -> Backend:
    from adapters.mono_hydra.backend import MonoHydraBackend

    return MonoHydraBackend(BackEndInThisProcess)


def _as_for_users(name: str) -> Backend:
    return load_backend(BACKENDS.load(name)().server)


#: What is compared: the name of its backend, and how the backend is made.
VARIANTS: dict[str, tuple[str, Callable[[], Backend]]] = {
    "pipeline": ("mono-hydra", lambda: _as_for_users("mono-hydra")),
    "one process": ("mono-hydra", _one_process),
    "rgbd-odometry": ("rgbd-odometry", lambda: _as_for_users("rgbd-odometry")),
}


@dataclass(frozen=True)
class Task:
    """One run, as the process that does it is told.

    Attributes:
        variant: Key of ``VARIANTS``.
        sequence: Folder or name.
        frames: Only the first so many.
        paced: Frames come at the sensor's rate instead of as fast as they are taken.
        options: Of mono-hydra.
    """

    variant: str
    sequence: str
    frames: int
    paced: bool
    options: dict[str, Any]


@dataclass
class Run:
    """What one run took.

    Attributes:
        answer_ms: float64 [N], from handing a frame over to its answer.
        tracked_s: From the first frame to the last answer.
        finished_s: From the first frame until everything is written.
        last_answer_s: From when the last frame was due to its answer: all were due at once if not paced.
        memory_mib: Peak of each process, by name; without the frames read beforehand.
        statistics: What the backend says of itself.
    """

    answer_ms: np.ndarray
    tracked_s: float
    finished_s: float
    last_answer_s: float
    memory_mib: dict[str, float]
    statistics: dict[str, Any]

    @property
    def rates(self) -> tuple[float, float]:
        """Frames per second until the last answer, and until everything was written."""
        return len(self.answer_ms) / self.tracked_s, len(self.answer_ms) / self.finished_s


def frames_in_memory(sequence: Sequence, count: int) -> list[RgbdFrame]:
    """The first frames with all that was recorded."""
    frames = []
    before_ns = None
    for index in range(min(count, len(sequence))):
        frame = sequence.frame(index)
        samples = None if before_ns is None else sequence.imu_between(before_ns, frame.timestamp_ns)
        rgbd = RgbdFrame(index, frame.timestamp_ns, frame.rgb, frame.depth, frame.labels)
        if samples is not None:
            motion = np.hstack([samples.gyroscope, samples.accelerometer])
            rgbd = replace(rgbd, imu=motion, imu_timestamps_ns=samples.timestamps_ns)
        frames.append(rgbd)
        before_ns = frame.timestamp_ns
    return frames


def start_request(sequence: Sequence, options: dict[str, Any], directory: Path) -> StartRequest:
    """What the backend is told before the first frame."""
    info = sequence.info
    imu = None
    if info.imu is not None:
        imu = asdict(info.imu) | {"imu_to_camera": info.imu.imu_to_camera.ravel().tolist()}
    return StartRequest(
        CameraIntrinsics(**asdict(info.intrinsics)),
        Mode.RGBD,
        0,
        NANOSECONDS_PER_SECOND / info.frame_period_ns,
        options,
        directory,
        imu=imu,
        label_space=None if info.label_space is None else backend_label_space(info.label_space),
    )


@contextmanager
def peak_memory(peaks: dict[str, float]) -> Iterator[None]:
    """Notes the most memory that this process, above what it has now, and its children have meanwhile."""
    own = psutil.Process()
    before = own.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_MEMORY_PERIOD_S):
            sizes = {"tracking": own.memory_info().rss - before}
            for child in own.children():
                try:
                    # The helper of multiprocessing that frees semaphores is no part of it.
                    name = "back end" if "resource_tracker" not in " ".join(child.cmdline()) else "helper"
                    sizes[name] = sizes.get(name, 0) + child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            for name, size in sizes.items():
                peaks[name] = max(peaks.get(name, 0.0), size / _MIB)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def run(task: Task) -> Run:
    """One run, in the process that calls this."""
    context = reader_context()
    sequence = open_sequence(resolve([task.sequence], context)[0], context)
    frames = frames_in_memory(sequence, task.frames)
    name, make = VARIANTS[task.variant]
    options = BACKENDS.load(name)().prepare(task.options if name == "mono-hydra" else {}, cache_directory())
    peaks: dict[str, float] = {}
    answer_ms, came_s = [], 0.0
    with TemporaryDirectory() as directory, peak_memory(peaks):
        backend = make()
        backend.start(start_request(sequence, options, Path(directory)))
        started = time.perf_counter()
        for frame in frames:
            if task.paced:
                came_s = (frame.timestamp_ns - frames[0].timestamp_ns) / NANOSECONDS_PER_SECOND
                time.sleep(max(0.0, started + came_s - time.perf_counter()))
            handed_over = time.perf_counter()
            backend.track(frame)
            answer_ms.append((time.perf_counter() - handed_over) * 1e3)
        tracked_s = time.perf_counter() - started
        statistics = backend.finish().statistics
        finished_s = time.perf_counter() - started
        backend.close()
    return Run(np.array(answer_ms), tracked_s, finished_s, tracked_s - came_s, peaks, statistics)


def in_a_fresh_process(task: Task) -> Run:
    """One run, whose imports and memory are its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run, task).result()


def print_throughput(runs: dict[str, Run]) -> None:
    """Frames per second, and how they compare."""
    print("as fast as frames are taken: frames/s until the last answer, and with everything written")
    for name, run in runs.items():
        answered, written = run.rates
        print(f"  {name:14s} {answered:7.1f} {written:7.1f}")
    pipeline = runs["pipeline"].rates
    for name, run in runs.items():
        if name != "pipeline":
            answered, written = (ours / theirs for ours, theirs in zip(pipeline, run.rates, strict=True))
            print(f"  pipeline / {name:14s} {answered:6.2f} {written:6.2f}")


def print_answers(title: str, runs: dict[str, Run]) -> None:
    """Milliseconds from frame to answer."""
    print(f"{title}: milliseconds from a frame to its answer; median, 95th percentile, worst, last")
    for name, run in runs.items():
        figures = [*np.percentile(run.answer_ms, [50, 95, 100]), run.last_answer_s * 1e3]
        print(f"  {name:14s} " + " ".join(f"{figure:8.1f}" for figure in figures))


def print_stages(runs: dict[str, Run]) -> None:
    """Median and 95th percentile of every stage, side by side."""
    print("stages: median, 95th percentile (ms), passes")
    tables = {name: run.statistics["stage_ms"] for name, run in runs.items()}
    for stage in dict.fromkeys(stage for table in tables.values() for stage in table):
        cells = []
        for name, table in tables.items():
            entry = table.get(stage)
            figures = "none" if entry is None else "{median:8.1f} {p95:8.1f} {count:5d}".format(**entry)
            cells.append(f"{name}: {figures:>24s}")
        print(f"  {stage:18s} {'   '.join(cells)}")


def print_memory(runs: dict[str, Run]) -> None:
    """Peaks of the processes."""
    print("peak memory, MiB, of tracking without the frames read beforehand")
    for name, run in runs.items():
        sizes = ", ".join(f"{process} {size:.0f}" for process, size in run.memory_mib.items())
        print(f"  {name:14s} {sizes}")


def main() -> None:
    """Run everything in turn and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sequence", nargs="?", default="hydra_semantic")
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="OPTION=VALUE")
    arguments = parser.parse_args()
    chosen = dict(setting.split("=", 1) for setting in arguments.settings)
    options = {name: yaml.safe_load(value) for name, value in chosen.items()}

    # As the harness sets them for backends.
    os.environ["OMP_NUM_THREADS"] = str(BACKENDS.load("mono-hydra")().needs.cores)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    print(f"{arguments.sequence}; load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    fast, paced = (
        {
            name: in_a_fresh_process(Task(name, arguments.sequence, arguments.frames, at_rate, options))
            for name in names
        }
        for at_rate, names in ((False, VARIANTS), (True, ("pipeline", "one process")))
    )
    systems = {name: fast[name] for name in ("pipeline", "one process")}
    print(f"{len(fast['pipeline'].answer_ms)} frames, {fast['pipeline'].statistics['keyframes']} keyframes")
    print_throughput(fast)
    print_answers("as fast as frames are taken", fast)
    print_answers("at the sensor's rate", paced)
    print_stages(systems)
    print_memory(systems)
    print(f"load average after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
