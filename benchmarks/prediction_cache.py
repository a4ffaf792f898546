"""What keeping a prediction costs and what it saves in size, for several ways to pack depth.

``python benchmarks/prediction_cache.py [--size 480x640] [--repeats 20]``

Depth is made as a network's is: smooth with a little noise, at half the image's size, enlarged bilinearly;
labels are blocks. Printed are size (part of the plain arrays) and time to pack and to unpack depth and labels
in each way, and the time to unpack as a part of what zlib takes at level 1; then the time of a whole frame
through the cache as the harness has it, with digests of image and content, and files: kept, and read again.
"""

import argparse
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import lz4.block
import numpy as np
from numpy.typing import NDArray

from perception.cache import PredictionCache
from perception.cache.keys import frame_key
from perception.module import Prediction
from sequences.model import Frame

Way = tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]


def shuffled(plain: bytes) -> bytes:
    """Bytes of equal significance beside each other."""
    return np.frombuffer(plain, np.uint8).reshape(-1, 4).T.tobytes()


def unshuffled(plain: bytes) -> bytes:
    """The opposite."""
    return np.frombuffer(plain, np.uint8).reshape(4, -1).T.tobytes()


WAYS: dict[str, Way] = {
    "plain": (bytes, bytes),
    "zlib 1": (lambda plain: zlib.compress(plain, 1), zlib.decompress),
    "zlib 1, shuffled": (
        lambda plain: zlib.compress(shuffled(plain), 1),
        lambda packed: unshuffled(zlib.decompress(packed)),
    ),
    "lz4": (lz4.block.compress, lz4.block.decompress),
    "lz4, shuffled": (
        lambda plain: lz4.block.compress(shuffled(plain)),
        lambda packed: unshuffled(lz4.block.decompress(packed)),
    ),
}


def made_up_prediction(height: int, width: int) -> Prediction:
    """Depth and labels as a network gives them, float32 and uint8 [height, width]."""
    random = np.random.default_rng(0)
    half = (height // 2, width // 2)
    smooth = cv2.GaussianBlur(random.standard_normal(half).astype(np.float32), (0, 0), 12)
    depth = 0.5 + 6 * (smooth - smooth.min()) / np.ptp(smooth)
    depth += 0.002 * random.standard_normal(half).astype(np.float32)
    labels = random.integers(0, 40, (height // 40, width // 40)).astype(np.uint8)
    return Prediction(
        depth=cv2.resize(depth, (width, height), interpolation=cv2.INTER_LINEAR),
        semantics=cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST),
        label_space="nyu40",
    )


def milliseconds(call: Callable[[], object], repeats: int) -> float:
    """Median time of a call."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1e3)
    return float(np.median(times))


def print_ways(prediction: Prediction, repeats: int) -> None:
    """Size and time of every way to pack."""
    assert prediction.depth is not None
    assert prediction.semantics is not None
    depth, labels = prediction.depth.tobytes(), prediction.semantics.tobytes()
    found = {}
    for name, (pack, unpack) in WAYS.items():
        # Labels are single bytes already.
        pack_labels, unpack_labels = WAYS[name.partition(",")[0]]
        packed, packed_labels = pack(depth), pack_labels(labels)
        assert unpack(packed) == depth
        found[name] = (
            (len(packed) + len(packed_labels)) / (len(depth) + len(labels)),
            milliseconds(lambda: (pack(depth), pack_labels(labels)), repeats),  # noqa: B023 - called at once
            milliseconds(lambda: (unpack(packed), unpack_labels(packed_labels)), repeats),  # noqa: B023
        )
    print(f"{'way':18} {'size':>5} {'pack [ms]':>10} {'unpack [ms]':>12} {'of zlib 1':>10}")
    for name, (size, packing, unpacking) in found.items():
        ratio = "-" if name == "plain" else f"{unpacking / found['zlib 1'][2]:.2f}"
        print(f"{name:18} {size:5.2f} {packing:10.2f} {unpacking:12.2f} {ratio:>10}")


def print_cache(prediction: Prediction, image: NDArray[np.uint8], frames: int) -> None:
    """Time of frames through the cache, each of them another one."""
    with TemporaryDirectory() as directory:
        cache = PredictionCache(Path(directory))
        indices = iter(range(frames))
        keeping = milliseconds(
            lambda: cache.keep(frame_key("benchmark", Frame(next(indices), 0, image)), prediction), frames
        )
        again = iter(range(frames))
        reading = milliseconds(
            lambda: cache.read(frame_key("benchmark", Frame(next(again), 0, image))), frames
        )
    print(f"a frame through the cache: kept in {keeping:.2f} ms, read in {reading:.2f} ms")


def main() -> None:
    """Parse options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", default="480x640", help="height x width of the image")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    prediction = made_up_prediction(height, width)
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    print_ways(prediction, options.repeats)
    print_cache(prediction, image, options.repeats)


if __name__ == "__main__":
    main()
