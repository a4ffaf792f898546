"""Time of scoring stored trajectories again: one process of ours against one call of evo's command line each.

Both sides read the same two files per trajectory. Ours computes everything that a record holds (both
alignments, rotation, relative errors, coverage); evo's command computes one absolute trajectory error.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from harness.evaluation import TimedPoses, evaluate, read_tum, write_tum
from harness.record import Evaluation
from sequences.model import NANOSECONDS_PER_SECOND

FRAME_RATE_HZ = 30
GROUND_TRUTH_RATE_HZ = 100
START_NS = 1_305_031_102_000_000_000
TARGET_RATIO = 20.0


@dataclass(frozen=True)
class StoredTrajectory:
    """Two files of one trial."""

    estimate: Path
    ground_truth: Path


def hand_held_path(seconds: float, rate_hz: float) -> TimedPoses:
    """A smooth loop of about 2 m with slow turns, as a hand-held camera makes."""
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    positions = np.column_stack([np.sin(0.6 * t), 0.5 * np.sin(1.1 * t + 1.0), 0.3 * np.cos(0.8 * t)])
    rotations = Rotation.from_rotvec(
        np.column_stack([0.2 * np.sin(t), 0.5 * np.sin(0.4 * t), 0.1 * np.cos(t)])
    )
    timestamps_ns = START_NS + np.round(t * NANOSECONDS_PER_SECOND).astype(np.int64)
    return TimedPoses(timestamps_ns, positions, rotations.as_quat())


def perturbed(poses: TimedPoses, generator: np.random.Generator) -> TimedPoses:
    """The path as an estimate: in another world, with a drift and noise of about a centimetre."""
    count = len(poses)
    world = Rotation.random(rng=generator)
    drift = np.cumsum(generator.normal(0.0, 0.0005, (count, 3)), axis=0)
    positions = world.apply(poses.positions + drift + generator.normal(0.0, 0.005, (count, 3)))
    noise = Rotation.from_rotvec(generator.normal(0.0, 0.005, (count, 3)))
    return TimedPoses(poses.timestamps_ns, positions + 1.0, (world * poses.rotations() * noise).as_quat())


def store(directory: Path, count: int, seconds: float) -> list[StoredTrajectory]:
    """Write estimates and ground truth as trials store them, each in its own directory."""
    generator = np.random.default_rng(0)
    ground_truth = hand_held_path(seconds, GROUND_TRUTH_RATE_HZ)
    frames = hand_held_path(seconds, FRAME_RATE_HZ)
    stored = []
    for index in range(count):
        trial = directory / f"run-{index}"
        files = StoredTrajectory(trial / "trajectory.tum", trial / "groundtruth.tum")
        write_tum(files.estimate, perturbed(frames, generator))
        write_tum(files.ground_truth, ground_truth)
        stored.append(files)
    return stored


def rescore(files: StoredTrajectory) -> Evaluation:
    """Score one stored trajectory with everything that a record holds."""
    estimate = read_tum(files.estimate)
    frames: NDArray[np.int64] = estimate.timestamps_ns
    return evaluate(
        estimate,
        live=None,
        frame_timestamps_ns=frames,
        ground_truth=read_tum(files.ground_truth),
        ground_truth_rows_dropped=0,
        frame_period_ns=int(np.median(np.diff(frames))),
        metric=True,
    )


def evo_command_line(files: StoredTrajectory) -> None:
    """Score one stored trajectory as a user of evo would."""
    command = [
        *[str(Path(sys.executable).with_name("evo_ape")), "tum"],
        *[str(files.ground_truth), str(files.estimate), "--align", "--no_warnings"],
        *["--t_max_diff", str(0.5 / FRAME_RATE_HZ)],
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    """Run both sides and print both times. Exit code 1 when the target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100, help="trajectories (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=27.0, help="length of each recording (default: %(default)s)"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        stored = store(Path(directory), arguments.count, arguments.seconds)
        started = time.perf_counter()
        for files in stored:
            rescore(files)
        ours = time.perf_counter() - started
        started = time.perf_counter()
        for files in stored:
            evo_command_line(files)
        evo = time.perf_counter() - started
    frames = int(arguments.seconds * FRAME_RATE_HZ)
    print(f"{arguments.count} trajectories of {frames} poses, ground truth at {GROUND_TRUTH_RATE_HZ} Hz")
    print(f"in one process:      {ours:8.2f} s, {1000 * ours / arguments.count:7.1f} ms each")
    print(f"evo's command line:  {evo:8.2f} s, {1000 * evo / arguments.count:7.1f} ms each")
    print(f"ratio:               {evo / ours:8.1f} (target: at least {TARGET_RATIO:g})")
    return 0 if evo / ours >= TARGET_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
