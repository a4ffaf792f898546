"""Seconds of a training step on the CPU, with memory that was freed kept and with it given back.

``python benchmarks/training_step.py [--config CONFIG] [--steps 6] [--threads 2]``

Network, losses and batch size are those of a configuration of ``harness perception train`` (m2hmx-nano's,
where none is given); images and ground truth are random, and every batch is the same. Each way has a process
of its own: ``kept`` calls `perception.training.memory.keep_freed_memory` first, as a training does,
``given back`` leaves the C library as it is. The first step, in which optimiser and libraries set themselves
up, does not count. Printed are the shortest step of either way; medians of the time that all threads together
spent in the program and in the kernel during a step, and of the pages that the kernel had to bring; and the
ratio of the shortest steps. Threads wait busily for each other, so that whatever else runs on the machine
shows in the times, least in the kernel's.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from perception.inference.device import choose_placement
from perception.inference.options import InferenceOptions
from perception.training.batches import Batch
from perception.training.configuration import TrainingConfig, read_training_config
from perception.training.learner import Learner
from perception.training.memory import keep_freed_memory
from perception.training.processes import Processes
from perception.training.targets import Targets

KEPT, GIVEN_BACK = "kept", "given back"
_NANO = Path(str(resources.files("perception.m2hmx"))) / "training" / "m2hmx-nano.yaml"


def random_batch(config: TrainingConfig) -> Batch:
    """Images and ground truth for depth and labels, of the network's size."""
    assert config.network.image_size is not None
    height, width = config.network.image_size
    count = config.batch_size
    random = torch.Generator().manual_seed(0)
    span = config.network.max_depth - config.network.min_depth
    depth = config.network.min_depth + span * torch.rand(count, 1, height, width, generator=random)
    labels = torch.randint(config.network.num_classes, (count, height, width), generator=random)
    camera = torch.tensor([0.8 * width, 0.8 * width, (width - 1) / 2, (height - 1) / 2])
    return Batch(
        images=torch.randn(count, 3, height, width, generator=random),
        targets=Targets(depth=depth, labels=labels),
        intrinsics=camera.repeat(count, 1),
        names=tuple(f"random/{number}" for number in range(count)),
    )


def measure(config: TrainingConfig, steps: int, threads: int) -> dict[str, float]:
    """The shortest step, and medians of what the steps took of processor and memory."""
    torch.set_num_threads(threads)
    placement = choose_placement(InferenceOptions(device="cpu", precision=config.precision))
    batch = random_batch(config)
    taken = []
    with TemporaryDirectory() as directory:
        learner = Learner(config, placement, Processes(), Path(directory))
        for step in range(1, steps + 2):
            before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
            learner.step(step, [batch] * config.accumulation)
            seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
            program, kernel = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
            taken.append((seconds, program, kernel, after.ru_minflt - before.ru_minflt))
    counted = np.array(taken[1:])
    program, kernel, pages = map(float, np.median(counted[:, 1:], axis=0))
    return {"seconds": float(counted[:, 0].min()), "program": program, "kernel": kernel, "pages": pages}


def in_its_own_process(arguments: argparse.Namespace, way: str) -> dict[str, float]:
    """The figures of a way."""
    command = [sys.executable, __file__, "--config", str(arguments.config), "--steps", str(arguments.steps)]
    command += ["--threads", str(arguments.threads), "--child", way]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Measure both ways in turn and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=_NANO)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", choices=(KEPT, GIVEN_BACK), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    config = read_training_config(arguments.config)
    if arguments.child:
        if arguments.child == KEPT:
            keep_freed_memory()
        print(json.dumps(measure(config, arguments.steps, arguments.threads)))
        return

    height, width = config.network.image_size or (0, 0)
    print(
        f"{arguments.config.stem}: {config.batch_size * config.accumulation} images of {height}x{width} "
        f"a step, {arguments.threads} threads, torch {torch.__version__}"
    )
    found = {way: in_its_own_process(arguments, way) for way in (GIVEN_BACK, KEPT)}
    for way, figures in found.items():
        print(
            f"  memory {way:10s} {figures['seconds']:7.3f} s a step; all threads {figures['program']:7.3f} s "
            f"in the program, {figures['kernel']:6.3f} s in the kernel; {figures['pages']:8.0f} pages brought"
        )
    print(f"  ratio             {found[KEPT]['seconds'] / found[GIVEN_BACK]['seconds']:7.3f}")


if __name__ == "__main__":
    main()
