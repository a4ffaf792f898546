"""``harness perception train``: a network trained as a file says, stopped and continued at will."""

import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape

from harness.cli.console import ERRORS, OUTPUT, say
from harness.cli.progress import StepProgress, progress_bars
from harness.environment import environment
from perception.training.seams import TrainingListener

if TYPE_CHECKING:
    from perception.training.configuration import TrainingConfig
    from perception.training.learner import StepReport
    from perception.training.loop import TrainingOutcome

#: Below it every training gets a directory of its own.
TRAININGS_DIRECTORY = Path("results/training")

_DIRECTORY = click.Path(file_okay=False, path_type=Path)
#: Packages without which nothing can be trained; others that are missing are a defect of ours.
_NEEDED = frozenset({"torch", "torchvision", "timm", "peft", "safetensors", "tensorboard"})
#: What figures of an evaluation are called, and how they are shown.
_FIGURES = {"abs_rel": "AbsRel {:.3f}", "rmse": "RMSE {:.3f} m", "delta1": "δ1 {:.3f}", "miou": "mIoU {:.3f}"}


@click.command()
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--output", type=_DIRECTORY, metavar="DIR", help="Directory of the run (default: a new one).")
@click.option(
    "--resume", type=_DIRECTORY, metavar="DIR", help="Go on with a run that was stopped or cut off."
)
@click.option(
    "--steps", type=click.IntRange(min=1), metavar="N", help="Stop after step N, with a checkpoint."
)
def train(config: Path, output: Path | None, resume: Path | None, steps: int | None) -> None:
    """Train a network as the file CONFIG says; Ctrl-C stops it with a checkpoint.

    \b
    With several GPUs, one process for each:
      torchrun --nproc-per-node=N "$(command -v harness)" perception train CONFIG --output DIR

    Exit codes: 0 the steps were taken, 1 it was stopped before, 2 wrong usage, data or a loss that is not
    finite.
    """  # noqa: D301 - click reads the control character
    if output is not None and resume is not None:
        raise click.UsageError("--output begins a run and --resume continues one: give one of them")
    try:
        settings, outcome = _train(
            config, output or resume or _new_directory(config), resume is not None, steps
        )
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _NEEDED:
            raise
        from perception.training.failures import MissingTrainingPackageError

        raise MissingTrainingPackageError(package) from error
    raise SystemExit(1 if outcome.signal is not None and outcome.step < settings.steps else 0)


def _train(
    config: Path, directory: Path, resume: bool, steps: int | None
) -> "tuple[TrainingConfig, TrainingOutcome]":
    from perception.training.configuration import read_training_config

    # Before torch is imported, which takes seconds.
    settings = read_training_config(config)
    from perception.training.data_choice import training_data
    from perception.training.loop import train as run

    origin: dict[str, Any] = {"file": config.name, "git": environment()["git"]}
    data = training_data(settings)
    with _Progress(ERRORS, settings.log_every) as progress:
        outcome = run(
            settings,
            data,
            directory,
            resume=resume,
            stop_after=steps,
            origin=origin,
            listener=progress,
        )
    if outcome.step < settings.steps:
        again = f"harness perception train {shlex.quote(str(config))} --resume {shlex.quote(str(directory))}"
        say(ERRORS, f"stopped after step {outcome.step} of {settings.steps}; continue with: {again}")
    if outcome.weights is not None:
        say(OUTPUT, str(outcome.weights))
    return settings, outcome


def _new_directory(config: Path) -> Path:
    return TRAININGS_DIRECTORY / f"{datetime.now():%Y%m%d-%H%M%S}-{config.stem}"


class _Progress(TrainingListener):
    """A bar for the steps with the loss beside it, and a line for every evaluation. A context manager."""

    def __init__(self, console: Console, every: int):
        self._console, self._every = console, every
        self._bars = progress_bars(console)
        self._preparing = StepProgress(console, self._bars)
        self._training = self._bars.add_task("training", total=None)
        self._evaluating = self._bars.add_task("evaluating", total=None, visible=False)

    def __enter__(self) -> "_Progress":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def preparing(self, description: str, done: int, total: int) -> None:
        """Show a bar, and a line on what is no terminal."""
        self._preparing(description, done, total)

    def trained(self, step: int, steps: int, report: "StepReport") -> None:
        """Move the bar; what is no terminal gets a line as often as the log."""
        words = f"training, loss {report.loss:.4g}"
        self._bars.update(self._training, description=words, completed=step, total=steps)
        if not self._console.is_terminal and step % self._every == 0:
            say(self._console, f"step {step} of {steps}: loss {report.loss:.4g}")

    def evaluating(self, description: str, done: int, total: int) -> None:
        """Show a bar as long as views are looked at."""
        self._bars.update(
            self._evaluating,
            description=escape(description),
            completed=done,
            total=total,
            visible=done < total,
        )

    def evaluated(self, step: int, figures: Mapping[str, float | None]) -> None:
        """Print a line."""
        words = [
            text.format(value) for name, text in _FIGURES.items() if (value := figures[name]) is not None
        ]
        say(self._console, f"step {step}: {', '.join(words) or 'nothing to compare'}")

    def noticed(self, sentence: str) -> None:
        """Print a line."""
        say(self._console, sentence)
