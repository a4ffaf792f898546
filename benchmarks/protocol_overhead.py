"""What protocol and runtime add to a frame, against calling the same backend in this process.

``python benchmarks/protocol_overhead.py [--backend orbslam3] [--sequence demo_flat] [--frames 120]
[--set OPTION=VALUE]``

Both ways are fed the same frames, decoded beforehand, one run after the other, several times in turn, with
the next frame always under way as in the harness. What a backend waits on purpose for its own mapping threads
is in no figure; to be free of it altogether: ``--set rgbd_wait_periods=0``. Printed are the time per frame
either way, and the time from answer to answer less what the backend itself measured, also as a share of that.
A system with threads of its own takes a different time for the same frames in every run: repeat until the
ratio stands still before anything is concluded from it.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import yaml

from adapters.adapter import Adapter
from adapters.backend import CameraIntrinsics, Mode, RgbdFrame, StartRequest
from adapters.client import BackendClient, PhaseLimits
from adapters.connection import Connection
from adapters.runtimes.process import ProcessRuntime
from adapters.runtimes.runtime import LaunchRequest, Runtime, socket_directory
from adapters.server import load_backend
from harness.backends import BACKENDS
from harness.environment import cache_directory, reader_context
from sequences.model import NANOSECONDS_PER_SECOND, Sequence
from sequences.sequence_sets import open_sequence, resolve


def decoded(sequence: Sequence, count: int) -> list[RgbdFrame]:
    """The first frames of a sequence, in memory."""
    frames = (sequence.frame(index) for index in range(min(count, len(sequence))))
    return [RgbdFrame(frame.index, frame.timestamp_ns, frame.rgb, frame.depth) for frame in frames]


def in_this_process(adapter: Adapter, request: StartRequest, frames: list[RgbdFrame]) -> np.ndarray:
    """Milliseconds per frame when the backend is called directly, without what it waited on purpose."""
    backend = load_backend(adapter.server)
    backend.start(request)
    times = []
    for frame in frames:
        started = time.perf_counter()
        result = backend.track(frame)
        times.append((time.perf_counter() - started - result.waited_seconds) * 1e3)
    backend.finish()
    backend.close()
    return np.array(times)


def through_the_protocol(
    adapter: Adapter, runtime: Runtime, request: StartRequest, frames: list[RgbdFrame], directory: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds from answer to answer without waiting, and as the backend measured itself."""
    periods, own = [], []
    with socket_directory() as sockets:
        launch = LaunchRequest(
            adapter,
            sockets / "s",
            directory,
            directory.with_suffix(".log"),
            adapter.needs.memory_bytes,
            options=request.options,
        )
        with Connection(launch.socket_path) as connection, runtime.start(launch) as running:
            connection.watch(running)
            client = BackendClient(connection, PhaseLimits())
            client.hello()
            client.start(runtime.as_seen_inside(request, adapter))
            before = time.perf_counter()
            for frame, upcoming in zip(frames, [*frames[1:], None], strict=True):
                answer = client.track(frame, upcoming)
                now = time.perf_counter()
                periods.append((now - before - answer.result.waited_seconds) * 1e3)
                own.append(answer.milliseconds)
                before = now
            client.finish()
    return np.array(periods), np.array(own)


def _median_and_mean(milliseconds: np.ndarray) -> str:
    return f"{np.median(milliseconds):8.2f} median {np.mean(milliseconds):8.2f} mean, ms a frame"


def main() -> None:
    """Run both ways in turn and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", default="orbslam3")
    parser.add_argument("--sequence", default="demo_flat")
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="OPTION=VALUE")
    arguments = parser.parse_args()

    context = reader_context()
    (entry,) = resolve([arguments.sequence], context)
    sequence = open_sequence(entry, context)
    frames = decoded(sequence, arguments.frames)
    adapter = BACKENDS.load(arguments.backend)()
    chosen = dict(setting.split("=", 1) for setting in arguments.settings)
    options = adapter.prepare(
        {name: yaml.safe_load(value) for name, value in chosen.items()}, cache_directory()
    )
    camera = CameraIntrinsics(**vars(sequence.info.intrinsics))
    rate = NANOSECONDS_PER_SECOND / sequence.info.frame_period_ns

    direct, periods, own = [], [], []
    with TemporaryDirectory() as name:
        output = Path(name) / "output"
        output.mkdir()
        request = StartRequest(camera, Mode.RGBD, 0, rate, options, output)
        for _ in range(arguments.repeats):
            direct.append(in_this_process(adapter, request, frames))
            seen, measured = through_the_protocol(adapter, ProcessRuntime(), request, frames, output)
            periods.append(seen)
            own.append(measured)
    direct_ms, period_ms, own_ms = map(np.concatenate, (direct, periods, own))
    added_ms = np.median(period_ms - own_ms)
    size = f"{camera.width}×{camera.height}"
    print(f"{arguments.backend}, {len(frames)} frames of {size} RGB-D, {arguments.repeats} runs either way")
    ratios = [statistic(period_ms) / statistic(direct_ms) for statistic in (np.median, np.mean)]
    print(f"  called in this process       {_median_and_mean(direct_ms)}")
    print(f"  through protocol and process {_median_and_mean(period_ms)}")
    print(f"  ratio                        {ratios[0]:8.3f}      {ratios[1]:8.3f}")
    print(f"  measured by the backend      {_median_and_mean(own_ms)}")
    print(f"  between harness and backend  {_median_and_mean(period_ms - own_ms)}")
    print(f"  share of the backend's own   {added_ms / np.median(own_ms):8.2%} of the median")


if __name__ == "__main__":
    main()
