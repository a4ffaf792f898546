"""Showing how an experiment goes: bars on a terminal, one line per trial everywhere."""

from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from harness.cli.console import say
from harness.executor import Listener
from harness.record import RunRecord, Status, TrialKey
from harness.worker import ProgressLine

_COLOURS = {Status.OK: "green", Status.PARTIAL: "yellow", Status.FAILED: "red", Status.SKIPPED: "dim"}


def progress_bars(console: Console) -> Progress:
    """Bars as all commands show them."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        # What is no terminal gets lines alone.
        disable=not console.is_terminal,
    )


class StepProgress:
    """Shows steps such as a sequence being made or a report being drawn. A context manager.

    Args:
        console: Where to.
        bars: How; by default as all commands show them.
    """

    def __init__(self, console: Console, bars: Progress | None = None):
        self._console = console
        self._bars = bars or progress_bars(console)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def __call__(self, description: str, done: int, total: int) -> None:
        """Show how far something has come."""
        self._show(description, done, total, f"{description} ...")

    def _show(self, description: str, done: int, total: int | None, line: str) -> None:
        """Move the bar of something; at its first time, where there is no terminal, write ``line``."""
        if description not in self._tasks:
            self._tasks[description] = self._bars.add_task(escape(description), total=total)
            if not self._console.is_terminal:
                say(self._console, line)
        self._bars.update(self._tasks[description], completed=done, total=total)


class TrialProgress(Listener):
    """One bar for all trials, one for each that runs, and a line for each that has ended."""

    def __init__(self, trials: int, console: Console):
        self._console = console
        self._bars = progress_bars(console)
        self._all = self._bars.add_task("trials", total=trials)
        self._ended = 0
        self._trials = trials
        self._running: dict[TrialKey, TaskID] = {}
        self._told: set[str] = set()

    def __enter__(self) -> "TrialProgress":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def resumed(self, records: Sequence[RunRecord]) -> None:
        """Say how many trials need not run again."""
        if records:
            self._ended = len(records)
            self._bars.update(self._all, completed=self._ended)
            self._console.print(f"{len(records)} trials are finished already", highlight=False)

    def started(self, key: TrialKey) -> None:
        """Add a bar."""
        self._running[key] = self._bars.add_task(escape(f"{key}: starting"), total=None)

    def progressed(self, key: TrialKey, progress: ProgressLine) -> None:
        """Move its bar."""
        self._bars.update(
            self._running[key],
            description=escape(f"{key}: {progress.phase}"),
            completed=progress.done,
            total=progress.total,
        )

    def ended(self, record: RunRecord) -> None:
        """Replace its bar by a line."""
        if record.key in self._running:
            self._bars.remove_task(self._running.pop(record.key))
        self._ended += 1
        self._bars.update(self._all, completed=self._ended)
        reason = record.reason
        if record.status is Status.SKIPPED and reason is not None:
            # One reason skips many trials: every run of every backend with every module.
            reason = "as above" if reason in self._told else reason
            self._told.add(record.reason or "")
        colour = _COLOURS[record.status]
        self._console.print(
            f"[{self._ended}/{self._trials}] {escape(str(record.key))}: "
            f"[{colour}]{record.status.value}[/]{escape(_outcome(record, reason))}",
            highlight=False,
            soft_wrap=True,
        )


def _outcome(record: RunRecord, reason: str | None) -> str:
    """The figures of a trial in half a line, then why it is not ok."""
    words = ""
    evaluation = record.evaluation
    if evaluation is not None:
        ate = evaluation.primary_ate()
        if ate is not None:
            words += f", ATE {evaluation.primary_alignment.label} {ate * 100:.2f} cm"
        words += f", coverage {evaluation.coverage:.1%}"
    if record.timings.frames_per_second:
        words += f", {record.timings.frames_per_second:.1f} frames/s"
    return words + (f": {reason}" if reason else "")
