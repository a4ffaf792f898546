"""A tiny training for tests: a source of boxes before a wall, batches of it, and a small network.

Run as a script it trains in the directory it is given, and can be killed or made to stop; several processes
write down what each of them sees and has.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perception.inference.images import network_input
from perception.m2hmx.module import image_contract
from perception.training import loop
from perception.training.configuration import TrainingConfig, make_training_config
from perception.training.learner import Learner
from perception.training.loop import TrainingData, train
from perception.training.seams import TrainingListener
from perception.training.targets import Targets
from perception.training.views import View, ViewSource
from perception.weights import tensors_digest
from sequences.model import Intrinsics

HEIGHT, WIDTH = 32, 64

NETWORK: dict[str, Any] = {
    "backbone": {"embed_dim": 32, "depth": 2, "num_heads": 1, "mlp_dim": 64, "registers": 1, "patch": 16},
    "taps": [0, 1],
    "decoder_dim": 32,
    "mamba_state": 4,
    "drop_path": 0.2,
    "depth_bins": 8,
    "num_classes": 40,
    "tasks": ["semseg", "depth"],
    "fusion": "topdown",
    "head_msca": True,
    "image_size": [HEIGHT, WIDTH],
    "label_space": "nyu40",
}


class BoxViews(ViewSource):
    """One box of class 3 before a wall of class 1; size, place, distance and colours are random."""

    name = "boxes"
    label_space = "nyu40"

    def __init__(self, count: int = 16, seed: int = 0):
        self.count, self.seed = count, seed

    def __len__(self) -> int:
        return self.count

    def view(self, index: int) -> View:
        random = np.random.default_rng([self.seed, index])
        rgb = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        rgb[:] = random.integers(100, 256, 3)
        depth = np.full((HEIGHT, WIDTH), random.uniform(3, 5), np.float32)
        labels = np.full((HEIGHT, WIDTH), 1, np.uint8)
        top, left = int(random.integers(0, HEIGHT // 2)), int(random.integers(0, WIDTH // 2))
        box = (slice(top, top + HEIGHT // 2), slice(left, left + WIDTH // 2))
        rgb[box] = random.integers(0, 100, 3)
        depth[box] = random.uniform(1, 2)
        labels[box] = 3
        return View(rgb, Intrinsics(40.0, 40.0, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT), depth, labels)

    def identity(self) -> dict[str, object]:
        return {"boxes": self.count, "seed": self.seed}


@dataclass(frozen=True)
class BoxBatch:
    images: Tensor
    targets: Targets
    intrinsics: Tensor
    names: tuple[str, ...]


class BoxBatches:
    """Batches of a source as a function of seed and number; number ``spoilt`` has an infinite pixel."""

    def __init__(self, source: ViewSource, config: TrainingConfig, seed: int, spoilt: int | None = None):
        self._source, self._config, self._seed, self._spoilt = source, config, seed, spoilt

    def batch(self, step: int) -> BoxBatch:
        random = np.random.default_rng([self._seed, step])
        indices = random.integers(0, len(self._source), self._config.batch_size)
        views = [self._source.view(int(index)) for index in indices]
        contract = image_contract(self._config.network)
        images = torch.from_numpy(np.concatenate([network_input(view.rgb, contract) for view in views]))
        if step == self._spoilt:
            images[0, 0, 0, 0] = torch.inf
        return BoxBatch(
            images=images,
            targets=Targets(
                depth=torch.stack([torch.from_numpy(view.depth)[None] for view in views]),
                labels=torch.stack([torch.from_numpy(view.labels).long() for view in views]),
            ),
            intrinsics=torch.tensor([[40.0, 40.0, WIDTH / 2, HEIGHT / 2]]).repeat(len(views), 1),
            names=tuple(f"{self._source.name}/{index}" for index in indices),
        )

    def prefetched(self, start_step: int, workers: int) -> Iterator[BoxBatch]:
        step = start_step
        while True:
            yield self.batch(step)
            step += 1


def values(**changes: Any) -> dict[str, Any]:
    """A configuration as it stands in YAML, valid unless it is changed so that it is not."""
    return {
        "network": NETWORK,
        "data": {"kind": "boxes"},
        "steps": 6,
        "batch_size": 2,
        "optimiser": {"lr": 2e-3},
        "schedule": {"warmup_steps": 2},
        "save_every": 100,
        "evaluate_every": 100,
        "log_every": 1,
        "tensorboard": False,
        "threads": 1,
        "device": "cpu",
        "workers": 0,
        **changes,
    }


def config_of(**changes: Any) -> TrainingConfig:
    return make_training_config(values(**changes))


def data_of(config: TrainingConfig, spoilt: int | None = None) -> TrainingData:
    source = BoxViews()
    return TrainingData(
        batches=lambda seed: BoxBatches(source, config, seed, spoilt),
        identity=source.identity(),
        held_out=BoxViews(4, seed=1) if config.evaluation is not None else None,
    )


class _Telling(TrainingListener):
    """Prints every step, so that whoever waits for one can do something then."""

    def trained(self, step, steps, report):
        print(step, flush=True)  # noqa: T201


def seen_by(directory: Path, rank: int) -> list[dict[str, Any]]:
    """What a process of several wrote down of every step."""
    return [json.loads(line) for line in _notes(directory, rank).read_text().splitlines()]


def _notes(directory: Path, rank: int) -> Path:
    return directory / f"seen-by-{rank}.jsonl"


class _NotingLearner(Learner):
    """Writes down the images of every step, what chance was drawn from last, and the weights after it."""

    def step(self, step, batches):
        report = super().step(step, batches)
        row = {
            "names": [name for batch in batches for name in batch.names],
            "chance": torch.initial_seed(),
            "weights": tensors_digest(self.network.state_dict()),
        }
        with _notes(Path(sys.argv[1]), int(os.environ["RANK"])).open("a") as file:
            file.write(json.dumps(row) + "\n")
        return report


if __name__ == "__main__":
    if "RANK" in os.environ:
        loop.Learner = _NotingLearner
    # DIRECTORY begin|resume STEPS [SAVE_EVERY]
    config = config_of(steps=int(sys.argv[3]), save_every=int(sys.argv[4]), accumulation=2)
    outcome = train(
        config, data_of(config), Path(sys.argv[1]), resume=sys.argv[2] == "resume", listener=_Telling()
    )
    print("ended at", outcome.step, flush=True)  # noqa: T201
