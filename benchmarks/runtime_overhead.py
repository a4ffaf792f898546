"""What a container adds to a frame, against the same backend as a process.

``python benchmarks/runtime_overhead.py [--frames 400] [--repeats 5] [--backend orbslam3]``

First a backend that does nothing with its frames, so that the figure is the way to it and back: how many
frames of 640×480 RGB and depth pass in a second. Then a real one on a sequence of the demo. Both runtimes are
fed the same frames, in turn, with the next frame always under way as in the harness. Needs a container engine
and the image of backend orbslam3, on which the echo's image is built (``harness backends build orbslam3``).
"""

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from echo_backend import EchoAdapter
from protocol_overhead import decoded, through_the_protocol

from adapters.adapter import Adapter
from adapters.backend import CameraIntrinsics, Mode, RgbdFrame, StartRequest
from adapters.images.build import BuildSettings, build_image
from adapters.images.image import find_image
from adapters.runtimes.container import ContainerRuntime
from adapters.runtimes.process import ProcessRuntime
from harness.backends import BACKENDS
from harness.environment import cache_directory, reader_context
from sequences.model import NANOSECONDS_PER_SECOND
from sequences.sequence_sets import open_sequence, resolve

_WIDTH, _HEIGHT = 640, 480
_CAMERA = CameraIntrinsics(525.0, 525.0, (_WIDTH - 1) / 2, (_HEIGHT - 1) / 2, _WIDTH, _HEIGHT)


def noise_frames(count: int) -> list[RgbdFrame]:
    """Frames of 640×480 RGB and depth, 2.2 MB each, no two the same memory in a row."""
    random = np.random.default_rng(0)
    images = [random.integers(0, 255, (_HEIGHT, _WIDTH, 3), dtype=np.uint8) for _ in range(8)]
    depths = [random.uniform(1, 5, (_HEIGHT, _WIDTH)).astype(np.float32) for _ in range(8)]
    return [RgbdFrame(i, 1 + i * 10**7, images[i % 8], depths[i % 8]) for i in range(count)]


def compare(
    adapter: Adapter, image: str | None, request: StartRequest, frames: list[RgbdFrame], repeats: int
) -> None:
    """Run both runtimes in turn and print their figures and ratios."""
    runtimes = {"process": ProcessRuntime(), "docker": ContainerRuntime(image)}
    periods: dict[str, list[np.ndarray]] = {name: [] for name in runtimes}
    added: dict[str, list[np.ndarray]] = {name: [] for name in runtimes}
    for _ in range(repeats):
        for name, runtime in runtimes.items():
            seen, own = through_the_protocol(adapter, runtime, request, frames, request.output_directory)
            periods[name].append(seen)
            added[name].append(seen - own)
    for name in runtimes:
        period_ms, added_ms = np.concatenate(periods[name]), np.concatenate(added[name])
        print(
            f"  {name:8s} {1e3 / np.mean(period_ms):8.1f} frames/s   {np.median(period_ms):7.3f} ms a frame, "
            f"{np.median(added_ms):.3f} ms of it between harness and backend (95 %: "
            f"{np.percentile(added_ms, 95):.3f})"
        )
    means = {name: np.mean(np.concatenate(periods[name])) for name in runtimes}
    print(f"  ratio    {means['process'] / means['docker']:8.3f} frames/s of docker against process")


def main() -> None:
    """Compare with the echo, then with a real backend."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--backend", default="orbslam3")
    parser.add_argument("--sequence", default="demo_flat")
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)

    real, echo = BACKENDS.load(arguments.backend)(), EchoAdapter()
    base = find_image(BACKENDS.load("orbslam3")())
    with TemporaryDirectory() as name:
        settings = BuildSettings(base_image=base.digest)
        image = build_image(echo, settings, Path(name) / "build.log", lambda *_: None)
        output = Path(name) / "output"
        output.mkdir()
        request = StartRequest(_CAMERA, Mode.RGBD, 0, 100.0, {}, output)
        print(f"echo, {arguments.frames} frames of {_WIDTH}×{_HEIGHT} RGB-D, {arguments.repeats} runs each")
        compare(echo, image.digest, request, noise_frames(arguments.frames), arguments.repeats)

        context = reader_context()
        (entry,) = resolve([arguments.sequence], context)
        sequence = open_sequence(entry, context)
        frames = decoded(sequence, arguments.frames)
        camera = CameraIntrinsics(**vars(sequence.info.intrinsics))
        rate = NANOSECONDS_PER_SECOND / sequence.info.frame_period_ns
        options = real.prepare({}, cache_directory())
        request = StartRequest(camera, Mode.RGBD, 0, rate, options, output)
        print(
            f"{arguments.backend}, {len(frames)} frames of {camera.width}×{camera.height} RGB-D, "
            f"{arguments.repeats} runs each"
        )
        compare(real, None, request, frames, arguments.repeats)


if __name__ == "__main__":
    main()
