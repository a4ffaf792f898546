"""``harness sequences download``: data sets with public links onto the disk, instructions for the others."""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from harness.cli.console import ERRORS, OUTPUT, say
from harness.cli.experiment_options import DIRECTORY
from harness.cli.progress import StepProgress
from harness.environment import reader_context
from harness.errors import ConfigurationError
from sequences.datasets import Dataset, Wanted, dataset_names, resolve_names
from sequences.download import DownloadOptions, DownloadReport
from sequences.download import download as download_sequences
from sequences.reader import DATA_DIRECTORY_VARIABLE
from sequences.sequence_sets import list_sets

#: Nothing, or not everything, that was asked for is there.
_NOT_ALL = 1


class _ByteProgress(StepProgress):
    """A bar of bytes for what is being done; a line for it where there is no terminal. A context manager."""

    def __init__(self, console: Console):
        bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        super().__init__(console, bars)

    def __call__(self, description: str, done: int, total: int) -> None:
        """Show how far something has come; a total of 0 is not known."""
        size = f" ({decimal(total)})" if total else ""
        self._show(description, done, total or None, f"{description}{size} ...")

    def tell(self, words: str) -> None:
        """Write a sentence above the bars."""
        say(self._console, words)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--to", "folder", type=DIRECTORY, help=f"Instead of the folder in {DATA_DIRECTORY_VARIABLE}.")
@click.option("--keep-archives", is_flag=True, help="Leave archives in FOLDER/DATASET/.downloads.")
@click.option("--sha256", metavar="HEX", help="What the one archive must be, in place of what is published.")
@click.option("--mirror", metavar="URL", help="Takes the place of scheme and host of every link.")
def download(
    names: tuple[str, ...], folder: Path | None, keep_archives: bool, sha256: str | None, mirror: str | None
) -> None:
    """Download NAMEs: data sets (tum, replica, icl_nuim, euroc), sets of their sequences, or sequences.

    What is there already is left as it is. A download that was cut off goes on where it ended. Data that
    comes with terms to accept is not downloaded: its instructions are printed.

    Exit codes: 0 all is there, 1 something is not, 2 wrong usage.
    """
    wanted = resolve_names(_expanded(names))
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ConfigurationError(f"--sha256 {sha256}: expected 64 hexadecimal digits")
    to_fetch = [item for item in wanted if item.dataset.downloads]
    if sha256 is not None and len(to_fetch) > 1:
        raise ConfigurationError("--sha256 belongs to one archive; name sequences of one data set")
    reports = []
    if to_fetch:
        target = folder or reader_context().require_data_directory()
        with _ByteProgress(ERRORS) as progress:
            options = DownloadOptions(
                keep_archives, sha256.lower() if sha256 else None, mirror, tell=progress.tell
            )
            # A mirror that is none is wrong usage, not a failed download.
            options.link(to_fetch[0].dataset.downloads[0].url)
            for item in to_fetch:
                reports.append(_download_one(item, target, progress, options))
        _tell_outcome(to_fetch, reports, target, is_elsewhere=folder is not None)
    for item in wanted:
        if item.dataset.instructions is not None:
            _introduce(item.dataset)
            say(OUTPUT, item.dataset.instructions.rstrip())
    if len(to_fetch) < len(wanted) or any(report.failures for report in reports):
        raise SystemExit(_NOT_ALL)


def _expanded(names: Iterable[str]) -> Iterator[str]:
    """Names with those of sets in the catalogue replaced by their sequences."""
    sets = {found.name: found for found in list_sets() if found.dataset is not None}
    for name in names:
        if name in sets and name not in dataset_names():
            yield from (entry.name for entry in sets[name].entries)
        else:
            yield name


def _introduce(dataset: Dataset) -> None:
    say(ERRORS, f"{dataset.title}, {dataset.homepage}")
    say(ERRORS, f"  licence: {dataset.licence}")
    say(ERRORS, f"  cite: {dataset.citation}")


def _download_one(
    item: Wanted, target: Path, progress: _ByteProgress, options: DownloadOptions
) -> DownloadReport:
    _introduce(item.dataset)
    return download_sequences(item.dataset, item.sequences, target, progress, options)


def _tell_outcome(
    wanted: list[Wanted], reports: list[DownloadReport], target: Path, is_elsewhere: bool
) -> None:
    """Folders of what is there to standard output; what can be done with it, and what failed, beside it."""
    usable: list[str] = []
    catalogued = {(entry.dataset, entry.name) for found in list_sets() for entry in found.entries}
    for item, report in zip(wanted, reports, strict=True):
        if report.there:
            say(ERRORS, f"there already: {', '.join(_with_unusual_place(item, report, target))}")
        for name, path in [*report.there.items(), *report.new.items()]:
            say(OUTPUT, str(path))
            usable.append(name if (item.dataset.name, name) in catalogued else str(path.absolute()))
    for report in reports:
        for failure in report.failures:
            say(ERRORS, f"error: {failure}")
    if usable:
        if is_elsewhere:
            say(ERRORS, f"first: export {DATA_DIRECTORY_VARIABLE}={shlex.quote(str(target.absolute()))}")
        say(ERRORS, f"run with: harness run {_seqs_options(usable)} --perception NAME --backends NAME")


def _with_unusual_place(item: Wanted, report: DownloadReport, target: Path) -> Iterator[str]:
    """Names of what was there before, each with its place where it is not the one it would come to."""
    for name, path in report.there.items():
        is_usual = path == target / item.dataset.sequence_directory(name)
        yield name if is_usual else f"{name} (in {path})"


def _seqs_options(usable: Sequence[str]) -> str:
    """Options of ``harness run`` for names and paths; a comma in a path separates nothing if it is alone."""
    alone = [name for name in usable if "," in name]
    together = ",".join(name for name in usable if name not in alone)
    return " ".join(f"--seqs {shlex.quote(value)}" for value in [together, *alone] if value)
