"""The training loop: steps, log, evaluations, checkpoints; stops at will and goes on at the same next step.

In the directory of a run:

- ``checkpoints/``: the last two, see `perception.training.checkpoint`;
- ``weights.safetensors``: the moving average of the weights at the last evaluation, a file for module m2hmx;
- ``log.jsonl`` and ``tensorboard/``;
- ``failed-step-N.pt``: batch and weights of a step whose loss was not finite.

On a CPU a run that was cut off and continued has the same weights as one that was not, bit for bit, with the
same number of threads on the same machine.
"""

import json
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch

from perception.inference.device import Placement, choose_placement
from perception.inference.options import InferenceOptions
from perception.m2hmx.module import image_contract
from perception.m2hmx.weights import write_network
from perception.training.checkpoint import checkpoint_files, read_newest_checkpoint, write_checkpoint
from perception.training.configuration import (
    TrainingConfig,
    TrainingConfigurationError,
    differences,
    plain_config,
)
from perception.training.failures import TrainingError
from perception.training.learner import Learner, StepReport
from perception.training.log import LOG_FILE, TENSORBOARD_DIRECTORY, TrainingLog
from perception.training.memory import keep_freed_memory
from perception.training.processes import Processes, joined_processes
from perception.training.seams import Batches, TrainingBatch, TrainingListener
from perception.training.stopping import StopRequest, stop_requests
from perception.training.validation import validate
from perception.training.views import ViewSource
from sequences.file_lock import locked

WEIGHTS_FILE, CHECKPOINTS = "weights.safetensors", "checkpoints"
_LOCK_FILE = ".lock"

Progress = Callable[[str, int, int], None]


def _nothing_to_prepare(_progress: Progress) -> None:
    """Most data is there."""


@dataclass(frozen=True)
class TrainingData:
    """What is trained and evaluated on.

    Attributes:
        batches: Makes the batches from a seed, which is another one for every process.
        identity: What decides which batches there are, JSON-compatible.
        held_out: Views for the evaluation; None without.
        image_sizes: Height and width of the images in all batches there will be, pixels.
        prepare: Called before the first batch is read, to do what would otherwise be done in between.
    """

    batches: Callable[[int], Batches]
    identity: Mapping[str, Any]
    held_out: ViewSource | None = None
    image_sizes: tuple[tuple[int, int], ...] = ()
    prepare: Callable[[Progress], None] = _nothing_to_prepare


@dataclass(frozen=True)
class TrainingOutcome:
    """What came of a training.

    Attributes:
        step: The last step that was taken; the run goes on from here.
        signal: Number of the signal that stopped it; None when none did.
        weights: File of weights; None before the first evaluation.
    """

    step: int
    signal: int | None
    weights: Path | None


def train(
    config: TrainingConfig,
    data: TrainingData,
    directory: Path,
    *,
    resume: bool = False,
    stop_after: int | None = None,
    origin: Mapping[str, Any] | None = None,
    listener: TrainingListener | None = None,
) -> TrainingOutcome:
    """Train a network, or go on with a run that was cut off.

    SIGINT and SIGTERM stop it after the step that is being taken, with a checkpoint.

    Args:
        config: Everything that describes the training.
        data: Views to train and to evaluate on.
        directory: Of the run.
        resume: Whether it holds one to go on with.
        stop_after: Stop with a checkpoint once this step was taken; the schedule is that of ``config.steps``.
        origin: Noted in the file of weights, such as the git commit.
        listener: Is told how it goes.

    Raises:
        NotFiniteError: Loss or gradient is NaN or infinite.
        TrainingError: There is a run already, or none to resume, or it is another one.
        PerceptionError: The network cannot be built, or a file cannot be written.
        SequenceError: A view cannot be read; names it.
    """
    image_contract(config.network)  # Weights whose network lacks these would be of no use.
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    with ExitStack() as held:
        processes = held.enter_context(joined_processes(config.device))
        request = held.enter_context(stop_requests())
        options = InferenceOptions(device=processes.device(config.device), precision=config.precision)
        placement = choose_placement(options)
        if placement.device.type == "cpu":
            keep_freed_memory()
        run = _Run(config, data, directory, placement, processes, dict(origin or {}), listener)
        if processes.is_first:
            held.enter_context(_only_training_in(directory))
        first = run.resumed() if resume else run.begun()
        run.prepare()
        last = config.steps if stop_after is None else min(config.steps, stop_after)
        return run.steps(first, last, request)


@contextmanager
def _only_training_in(directory: Path) -> Generator[None]:
    """Hold a directory for this process, and do not wait for another one that does."""

    def refuse() -> None:
        raise TrainingError(f"another training is at work in {directory}; wait for it")

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"cannot write to {directory}: {error.strerror}") from error
    with locked(directory / _LOCK_FILE, refuse):
        yield


class _Run:
    """One process of a run."""

    def __init__(
        self,
        config: TrainingConfig,
        data: TrainingData,
        directory: Path,
        placement: Placement,
        processes: Processes,
        origin: dict[str, Any],
        listener: TrainingListener | None,
    ):
        self._config, self._data, self._directory = config, data, directory
        self._placement, self._processes, self._origin = placement, processes, origin
        self._checkpoints = directory / CHECKPOINTS
        self._listener: TrainingListener = (
            listener if listener is not None and processes.is_first else TrainingListener()
        )
        self._learner = Learner(config, placement, processes, directory)
        self._identity: dict[str, Any] = {
            "configuration": plain_config(config),
            "data": json.loads(json.dumps(data.identity)),
            "processes": processes.count,
        }

    def begun(self) -> int:
        """The step before the first one, in a directory that no run has used."""
        if checkpoint_files(self._checkpoints):
            raise TrainingError(f"{self._directory} holds a run already; continue it with --resume")
        if not self._processes.is_first:
            return 0
        for name in (LOG_FILE, WEIGHTS_FILE, TENSORBOARD_DIRECTORY):
            if (self._directory / name).exists():
                raise TrainingError(
                    f"{self._directory / name} is there already; choose another directory, or remove it"
                )
        return 0

    def resumed(self) -> int:
        """The step of the newest checkpoint, with all as it was then."""
        state, damaged = read_newest_checkpoint(self._checkpoints)
        for sentence in damaged:
            self._listener.noticed(sentence)
        self._require_same(json.loads(state["identity"]))
        self._learner.load_state(state)
        return int(state["step"])

    def prepare(self) -> None:
        """Have the data ready, once all that could be wrong beside it is known to be right."""
        self._require_whole_patches()
        self._data.prepare(self._listener.preparing)

    def steps(self, first: int, last: int, request: StopRequest) -> TrainingOutcome:
        """Take the steps after ``first`` up to ``last``."""
        config, step = self._config, first
        weights = self._directory / WEIGHTS_FILE
        if not self._processes.is_first:
            for step, _report in self._taken(first, last, request):  # noqa: B007 - the last one is told
                pass
            return TrainingOutcome(step, request.signal, None)
        saved = first if checkpoint_files(self._checkpoints) else -1
        with TrainingLog(self._directory, first, config.tensorboard) as log:
            for step, report in self._taken(first, last, request):
                self._listener.trained(step, config.steps, report)
                if step % config.log_every == 0 or step == config.steps:
                    log.add("training", step, _row(report))
                # First, or an evaluation that fails would take the steps since the last one with it.
                if step % config.save_every == 0 or step == config.steps:
                    self._save(step)
                    saved = step
                if step % config.evaluate_every == 0 or step == config.steps:
                    self._evaluate(step, log)
            if saved < step:
                self._save(step)
        return TrainingOutcome(step, request.signal, weights if weights.exists() else None)

    def _taken(self, first: int, last: int, request: StopRequest) -> Generator[tuple[int, StepReport]]:
        """Take steps, and tell of each; ends early when a process was asked to stop."""
        count = self._config.accumulation
        stream = self._data.batches(self._processes.seed(self._config.seed))
        batches = _read(stream, first * count, last * count, self._config.workers)
        with closing(batches):
            for step in range(first + 1, last + 1):
                if self._processes.any_of(request.signal is not None, self._placement.device):
                    return
                yield step, self._learner.step(step, list(islice(batches, count)))

    def _evaluate(self, step: int, log: TrainingLog) -> None:
        """Write the weights as they are on average, and look at them."""
        averaged = self._learner.averaged
        write_network(averaged, self._directory / WEIGHTS_FILE, self._source(step))
        if self._data.held_out is None or self._config.evaluation is None:
            return
        started = time.perf_counter()
        figures = validate(
            averaged,
            self._data.held_out,
            self._config.evaluation.views,
            self._placement,
            self._listener.evaluating,
        )
        log.add("evaluation", step, {**figures, "seconds": time.perf_counter() - started})
        self._listener.evaluated(step, figures)

    def _source(self, step: int) -> dict[str, Any]:
        """Where weights come from, for their file."""
        held_out = self._data.held_out
        return {
            "training": self._identity["configuration"],
            "data": self._identity["data"],
            "processes": self._processes.count,
            "evaluation_data": None if held_out is None else held_out.identity(),
            "steps": step,
            "weights": "exponential moving average",
            "torch": torch.__version__,
            **self._origin,
        }

    def _save(self, step: int) -> None:
        identity = json.dumps(self._identity)
        write_checkpoint(self._checkpoints, step, {"identity": identity, **self._learner.state()})

    def _require_whole_patches(self) -> None:
        """Refuse images of which the network does not see a border."""
        for size in self._data.image_sizes:
            seen = self._learner.network.seen_size(*size)
            if seen != size:
                raise TrainingConfigurationError(
                    f"of images of {size[0]}x{size[1]} pixels the network sees whole patches alone, "
                    f"{seen[0]}x{seen[1]}; correct image_size or batches.sizes_first"
                )

    def _require_same(self, earlier: Mapping[str, Any]) -> None:
        """Refuse to go on with another training than the one that began."""
        changed = differences(earlier["configuration"], self._identity["configuration"])
        if changed:
            raise TrainingConfigurationError(
                f"the run in {self._directory} was begun with another configuration: {'; '.join(changed)}"
            )
        if earlier["data"] != self._identity["data"]:
            raise TrainingError(f"the run in {self._directory} was begun with other data")
        if earlier["processes"] != self._processes.count:
            raise TrainingError(
                f"the run in {self._directory} was begun with {earlier['processes']} processes, "
                f"and this is one of {self._processes.count}"
            )


def _read(stream: Batches, first: int, end: int, workers: int) -> Generator[TrainingBatch]:
    """The batches of these numbers."""
    if workers == 0:
        yield from (stream.batch(number) for number in range(first, end))
        return
    batches: Iterator[TrainingBatch] = stream.prefetched(first, workers)
    try:
        yield from islice(batches, end - first)
    finally:
        # Workers end with the generator that started them.
        if hasattr(batches, "close"):
            cast(Any, batches).close()


def _row(report: StepReport) -> dict[str, float | None]:
    norm = report.gradient_norm if report.gradient_norm < float("inf") else None
    return {
        "loss": report.loss,
        "learning_rate": report.learning_rate,
        "gradient_norm": norm,
        **report.terms,
    }
