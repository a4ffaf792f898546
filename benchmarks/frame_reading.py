"""How many frames a second are read: in a plain loop, and by threads that read ahead of whoever needs them.

``python benchmarks/frame_reading.py [--recording FOLDER] [--frames 60] [--repeats 5] [--workers 2]
[--work MILLISECONDS]``

Without a folder, a synthetic room of 640×480 pixels with the noise of a structured-light sensor is read in
three forms: the PNG files of the TUM layout as they are; the same with lens distortion to be removed
(freiburg1's); and as a .sens file of ScanNet's sizes, 1296×968 JPEG and 640×480 zlib. Rendering needs the
extra ``synthetic`` and is done once. With a folder, that recording is read, whatever its layout.

Both ways take turns, several times; the files are in the system's cache after the first. Printed are the
best and the median run of either, the ratio of the medians, and whether 100 frames a second are kept up.
``--work`` keeps the caller busy for so long with every frame, on one core, as a perception module or a
backend would; then less than 100 a second may be all there is to be had, and the most that the caller could
take is printed too.
"""

import argparse
import os
import shutil
import struct
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from harness.environment import reader_context
from sequences.discovery import recognise
from sequences.model import Frame, Intrinsics, Sequence
from sequences.read_ahead import frames_ahead
from sequences.reader import READERS
from sequences.scannet import ScanNetSequence
from sequences.synthetic import SyntheticSequence
from sequences.tum import TumSequence

TARGET_PER_SECOND = 100.0
COLOUR_SIZE, DEPTH_SIZE = (1296, 968), (640, 480)
ROOM = {
    "seed": 3,
    "frames": 120,
    "rate_hz": 15,
    "rooms": 1,
    "path": "sweep",
    "width": DEPTH_SIZE[0],
    "height": DEPTH_SIZE[1],
    "effects": {"image_noise": 1.5, "depth_noise_px": 0.06, "depth_step_px": 0.125, "depth_holes": True},
}


def with_distortion(room: Path, copy: Path) -> Path:
    """The same files with a camera whose lens distorts as freiburg1's does."""
    shutil.copytree(room, copy)
    calibration = copy / "calibration.txt"
    calibration.write_text(
        f"{calibration.read_text().rstrip()}\n# d0..d4 = 0.2624 -0.9531 -0.0054 0.0026 1.1633\n"
    )
    return copy


def write_sens(frames: list[Frame], intrinsics: Intrinsics, path: Path) -> Path:
    """Frames as a .sens file of version 4, colour enlarged to ScanNet's size."""
    still, depth_camera = np.eye(4, dtype="<f4"), np.eye(4, dtype="<f4")
    depth_camera[:3, :3] = intrinsics.matrix()
    enlargement = [colour / depth for colour, depth in zip(COLOUR_SIZE, DEPTH_SIZE, strict=True)]
    colour_camera = (np.diag([*enlargement, 1, 1]) @ depth_camera).astype("<f4")
    name = b"StructureSensor"
    with path.open("wb") as file:
        file.write(struct.pack("<IQ", 4, len(name)) + name)
        file.write(b"".join(matrix.tobytes() for matrix in (colour_camera, still, depth_camera, still)))
        file.write(struct.pack("<2i4If", 2, 1, *COLOUR_SIZE, *DEPTH_SIZE, 1000.0))
        file.write(struct.pack("<Q", len(frames)))
        for frame in frames:
            picture = cv2.resize(frame.rgb[..., ::-1], COLOUR_SIZE, interpolation=cv2.INTER_CUBIC)
            colour = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
            depth = zlib.compress(np.rint(frame.depth * 1000).astype("<u2").tobytes())
            file.write(still.tobytes())
            file.write(struct.pack("<4Q", 0, 0, len(colour), len(depth)) + colour + depth)
        file.write(struct.pack("<Q", 0))
    return path


def frames_per_second(frames: Iterable[Frame], work: Callable[[Frame], None]) -> float:
    """How many frames come out of an iteration a second."""
    count, started = 0, time.perf_counter()
    for frame in frames:
        work(frame)
        count += 1
    return count / (time.perf_counter() - started)


def busy_for(milliseconds: float) -> Callable[[Frame], None]:
    """What the caller does with a frame: blurs it over and over, on one core and without Python's lock."""

    def work(frame: Frame) -> None:
        until = time.perf_counter() + milliseconds / 1e3
        strip = frame.rgb[:40]
        while time.perf_counter() < until:
            cv2.GaussianBlur(strip, (5, 5), 0)

    return work


def compare(title: str, sequence: Sequence, arguments: argparse.Namespace) -> None:
    """Read a sequence both ways in turn and print the figures."""
    indices = range(min(arguments.frames, len(sequence)))
    work = busy_for(arguments.work)
    plain, ahead = [], []
    for _ in range(arguments.repeats):
        plain.append(frames_per_second(map(sequence.frame, indices), work))
        ahead.append(frames_per_second(frames_ahead(sequence, indices, arguments.workers), work))
    kept = "yes" if median(ahead) >= TARGET_PER_SECOND else "no"
    if kept == "no" and max(ahead) >= TARGET_PER_SECOND:
        kept = "in the best run alone"
    print(title)
    print(f"  plain loop                {max(plain):7.1f} best {median(plain):7.1f} median, frames a second")
    print(f"  {arguments.workers} threads reading ahead   {max(ahead):7.1f} best {median(ahead):7.1f} median")
    print(f"  ratio of the medians      {median(ahead) / median(plain):7.2f}")
    print(f"  {TARGET_PER_SECOND:g} frames a second      {kept}")
    if arguments.work:
        print(f"  the caller can take at most {1e3 / arguments.work:.1f} frames a second")


def main() -> None:
    """Make the recordings, read them and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recording", type=Path)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", type=float, default=0.0, metavar="MILLISECONDS")
    arguments = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} cores, {arguments.repeats} runs either way")
    if arguments.recording:
        path = arguments.recording.resolve()
        sequence = READERS.load(recognise(path)).open(path.stem, {"directory": str(path)}, reader_context())
        camera = sequence.info.intrinsics
        compare(f"{arguments.recording.name}, {camera.width}×{camera.height}", sequence, arguments)
        return
    room = SyntheticSequence.open("room", ROOM, reader_context())
    frames = [room.frame(index) for index in range(min(arguments.frames, len(room)))]
    with TemporaryDirectory() as name:
        files, directory = Path(str(room.info.source["directory"])), Path(name)
        compare("TUM layout, 640×480 PNG", room, arguments)
        distorted = TumSequence("distorted", with_distortion(files, directory / "distorted"))
        compare("TUM layout, 640×480 PNG, lens distortion removed", distorted, arguments)
        sens = write_sens(frames, room.info.intrinsics, directory / "room.sens")
        title = "ScanNet, 1296×968 JPEG and 640×480 zlib in a .sens file"
        compare(title, ScanNetSequence("room", sens), arguments)


if __name__ == "__main__":
    main()
