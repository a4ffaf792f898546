"""Checkpoints: everything that the next step depends on, so that a run goes on as if it had never stopped.

They are written between two steps, on the critical path: what is written is what the step left, without
copies or locks. Each is there as a whole or not at all, and the last two are kept.
"""

import os
import pickle
import re
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch

from perception.errors import PerceptionError

_FORMAT = "slam-harness training, version 1"
_NAME = re.compile(r"step-(\d{8,})\.pt")
_KEPT = 2


class CheckpointError(PerceptionError):
    """A checkpoint of a training cannot be written, or there is none that can be read."""


def checkpoint_files(directory: Path) -> list[Path]:
    """The checkpoints of a directory, the newest first; none where there is no such directory."""
    files = directory.iterdir() if directory.is_dir() else ()
    steps = {int(match[1]): file for file in files if (match := _NAME.fullmatch(file.name))}
    return [steps[step] for step in sorted(steps, reverse=True)]


def write_checkpoint(directory: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Write a checkpoint and remove those before the last two.

    Args:
        directory: Made where it is not there.
        step: How many steps were taken.
        state: Tensors and plain values, in dictionaries and lists.

    Raises:
        CheckpointError: It cannot be written; the earlier ones are as they were.
    """
    path = directory / f"step-{step:08d}.pt"
    save_whole(path, {"format": _FORMAT, "step": step, **state})
    for old in checkpoint_files(directory)[_KEPT:]:
        # Whoever removed it has done what was to be done.
        with suppress(OSError):
            old.unlink()
    return path


def read_newest_checkpoint(directory: Path) -> tuple[dict[str, Any], list[str]]:
    """The state of the newest checkpoint that can be read.

    Returns:
        The state, with ``step``; and a sentence for each newer checkpoint that is damaged.

    Raises:
        CheckpointError: There is none.
    """
    damaged: list[str] = []
    for path in checkpoint_files(directory):
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, EOFError, RuntimeError, ValueError, BadZipFile, pickle.UnpicklingError) as error:
            damaged.append(f"cannot read the checkpoint {path}: {str(error).partition(chr(10))[0]}")
            continue
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            damaged.append(f"{path} is no checkpoint of a training that this version can continue")
            continue
        return state, damaged
    raise CheckpointError("; ".join(damaged) or f"there is no checkpoint in {directory}")


def save_whole(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of torch that is there as a whole or not at all, after a power failure as well.

    Raises:
        CheckpointError: It cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    # Torch hides why it cannot write to a file.
    whole = BytesIO()
    torch.save(dict(content), whole)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(whole.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync(path.parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise CheckpointError(f"cannot write {path}: {error.strerror}") from error


def _sync(directory: Path) -> None:
    """Have the name of a new file on the disk, too."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
