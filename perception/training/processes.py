"""Training with several processes, one for each GPU, started by ``torchrun``.

torchrun comes with torch and is kept with it. Hugging Face's accelerate does more, but takes precision,
number of processes and devices from a file in the user's home directory and from variables of its own, which
could make two runs of one configuration two trainings. All that it would save here is in this file.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
from torch import distributed

#: While the first process evaluates the others wait.
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is.

    Attributes:
        rank: From 0; the first one writes.
        count: How many there are.
        local_rank: From 0, on this machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.rank == 0

    def device(self, wanted: str) -> str:
        """The device of this process, where several share a machine."""
        if self.count == 1 or wanted == "cpu" or not torch.cuda.is_available():
            return wanted
        return f"cuda:{self.local_rank}"

    def any_of(self, here: bool, device: torch.device) -> bool:
        """Whether something is so in any process; all must ask."""
        if self.count == 1:
            return here
        told = torch.tensor(int(here), device=device)
        distributed.all_reduce(told, distributed.ReduceOp.MAX)
        return bool(told)

    def seed(self, seed: int) -> int:
        """A seed of its own for every process; that of the first is the one given."""
        return seed if self.is_first else _mixed(seed, self.rank) >> 33

    def seed_of_chance(self, seed: int, number: int) -> int:
        """What chance is drawn from in a batch of this process."""
        return _mixed(seed, self.rank, number)


@contextmanager
def joined_processes(wanted_device: str) -> Generator[Processes]:
    """Join the other processes of torchrun, if it started this one."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    processes = Processes(int(os.environ["RANK"]), count, int(os.environ["LOCAL_RANK"]))
    on_gpus = processes.device(wanted_device).startswith("cuda")
    if on_gpus:
        torch.cuda.set_device(processes.local_rank)
    distributed.init_process_group("nccl" if on_gpus else "gloo", timeout=_PATIENCE)
    try:
        yield processes
    finally:
        distributed.destroy_process_group()


def _mixed(*numbers: int) -> int:
    """One 64-bit number of several, as different for neighbours as for any others."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
