"""What the ids of ScanNet's label images mean: ScanNet's own table, composed with a label space of ours."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequences.errors import DataFileError
from sequences.label_spaces import load_label_space
from sequences.model import LABEL_UNKNOWN
from sequences.text_table import read_text

TABLE_FILE = "scannetv2-labels.combined.tsv"
_ID_COLUMN, _NYU40_COLUMN = "id", "nyu40id"
#: Label images have ids of up to 16 bits. Id 0 is what nobody annotated.
_IDS = 2**16
#: How far up the table is looked for where the scene does not lie below HARNESS_DATA: as ScanNet's own script
#: lays it out, it is two folders above the files of a scene.
_STEPS_UP = 2


@dataclass(frozen=True)
class LabelTable:
    """What the ids of label images mean.

    Attributes:
        origin: Where it comes from, for messages.
        labels: uint8 [65536], from an id to a label of our space; 255 where that has no such class.
        is_known: bool [65536], whether the table has an id.
    """

    origin: str
    labels: NDArray[np.uint8]
    is_known: NDArray[np.bool_]


def nyu40_table(label_space: str) -> LabelTable:
    """The table of label images that hold NYU-40 ids already.

    Args:
        label_space: ``nyu40`` or ``scannet20``.
    """
    return _table("NYU-40", {entry.id: entry.id for entry in load_label_space("nyu40").classes}, label_space)


def read_label_table(path: Path, label_space: str) -> LabelTable:
    """Read ``scannetv2-labels.combined.tsv``: columns separated by tabs, named in the first line.

    Args:
        path: The table.
        label_space: ``nyu40`` or ``scannet20``.

    Raises:
        DataFileError: The file cannot be read, lacks a column, or has something in it that is no id.
    """
    lines = read_text(path).split("\n")
    columns = lines[0].rstrip("\r").split("\t")
    if _ID_COLUMN not in columns or _NYU40_COLUMN not in columns:
        raise DataFileError(
            path,
            f"has no columns '{_ID_COLUMN}' and '{_NYU40_COLUMN}'; use {TABLE_FILE} of the ScanNet release",
            1,
        )
    positions = columns.index(_ID_COLUMN), columns.index(_NYU40_COLUMN)
    nyu40: dict[int, int | None] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) <= max(positions):
            raise DataFileError(path, f"has {len(cells)} columns, expected {len(columns)}", number)
        own, target = (cells[position] for position in positions)
        if not (own.isdecimal() and int(own) < _IDS) or not (target.isdecimal() or not target):
            raise DataFileError(path, f"'{own}' and '{target}' are no id and NYU-40 id", number)
        nyu40[int(own)] = int(target) if target else None
    if not nyu40:
        raise DataFileError(path, "has no row; download it again")
    return _table(path.name, nyu40, label_space)


def find_label_table(folder: Path, data_directory: Path | None) -> Path | None:
    """The table in a scene's folder or above it, up to ``HARNESS_DATA``; None without."""
    return next((path for path in _places(folder, data_directory) if path.is_file()), None)


def _places(folder: Path, data_directory: Path | None) -> Iterator[Path]:
    folder = folder.absolute()
    above = list(folder.parents)
    root = data_directory.absolute() if data_directory is not None else None
    steps = above.index(root) + 1 if root in above else (0 if folder == root else _STEPS_UP)
    return (place / TABLE_FILE for place in (folder, *above[:steps]))


def _table(origin: str, nyu40: dict[int, int | None], label_space: str) -> LabelTable:
    to_space = load_label_space(label_space).from_nyu40()
    labels = np.full(_IDS, LABEL_UNKNOWN, np.uint8)
    is_known = np.zeros(_IDS, dtype=bool)
    is_known[[0, *nyu40]] = True
    for own, target in nyu40.items():
        if target is not None and target < LABEL_UNKNOWN:
            labels[own] = to_space[target]
    return LabelTable(origin, labels, is_known)
