"""The log of a training: ``log.jsonl``, a row for what happened at a step, and the same for TensorBoard."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from perception.training.failures import MissingTrainingPackageError, TrainingError

LOG_FILE, TENSORBOARD_DIRECTORY = "log.jsonl", "tensorboard"


class TrainingLog:
    """Rows are added at the end and written at once. A context manager.

    A run that goes on from a step cuts off what was logged after it, so that no step stands there twice.
    Every row has ``step`` and ``kind`` (``training`` or ``evaluation``).
    """

    def __init__(self, directory: Path, after_step: int, tensorboard: bool):
        """Open the log of a run.

        Args:
            directory: Of the run.
            after_step: Rows of later steps are removed, and a last line that is not whole.
            tensorboard: Whether to write for TensorBoard.

        Raises:
            TrainingError: It cannot be written or read.
            MissingTrainingPackageError: TensorBoard is not installed.
        """
        self._path = directory / LOG_FILE
        writer = _tensorboard_writer() if tensorboard else None
        try:
            if self._path.exists():
                _cut(self._path, after_step)
            self._file = self._path.open("a", encoding="utf-8")
            self._writer = writer and writer(
                str(directory / TENSORBOARD_DIRECTORY), purge_step=after_step + 1
            )
        except OSError as error:
            raise _cannot_write(directory, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        # What is not written yet was told of when it was added.
        with suppress(OSError):
            self._file.close()
        if self._writer is not None:
            with suppress(OSError):
                self._writer.close()

    def add(self, kind: str, step: int, values: Mapping[str, float | None]) -> None:
        """Add a row.

        Raises:
            TrainingError: The disk is full.
        """
        try:
            self._file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
            self._file.flush()
            if self._writer is not None:
                for name, value in values.items():
                    if value is not None:
                        self._writer.add_scalar(f"{kind}/{name}", value, step)
        except OSError as error:
            raise _cannot_write(self._path.parent, error) from error


def read_log(directory: Path) -> list[dict[str, Any]]:
    """The rows of a run's log.

    Raises:
        TrainingError: It cannot be read.
    """
    try:
        return _rows((directory / LOG_FILE).read_bytes())
    except OSError as error:
        raise TrainingError(f"cannot read {directory / LOG_FILE}: {error.strerror}") from error


def _cut(path: Path, after_step: int) -> None:
    kept = [row for row in _rows(path.read_bytes()) if row["step"] <= after_step]
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    os.replace(partial, path)


def _rows(content: bytes) -> list[dict[str, Any]]:
    """All whole lines: of a process that was killed while it wrote the last one may not be."""
    rows = []
    for line in content.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows


def _cannot_write(directory: Path, error: OSError) -> TrainingError:
    return TrainingError(f"cannot write the log in {directory}: {error.strerror or error}")


def _tensorboard_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        raise MissingTrainingPackageError(str(error.name)) from error
    return SummaryWriter
