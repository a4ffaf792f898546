"""Data sets as data: where each comes from, under which licence, and how its recordings get onto a disk."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sequences.errors import UnknownNameError
from sequences.packaged_yaml import read_packaged_yaml
from sequences.reader import DATA_DIRECTORY_VARIABLE
from sequences.registry import unknown_name_message

_NAMES = ("euroc", "icl_nuim", "replica", "scannet", "seven_scenes", "tartanair", "tum")
#: Archives that can be unpacked.
ARCHIVE_ENDINGS = (".tar.gz", ".tgz", ".zip")

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$")]
_Words = Annotated[str, Field(min_length=1)]
_Url = Annotated[str, Field(pattern=r"^https?://[^/\s]+/\S*$")]


class Archive(BaseModel):
    """One file to download.

    Attributes:
        url: Where it is.
        sequences: The sequences it holds, as the catalogue calls them.
        file_name: What it is called on disk; needed when the URL does not end in a name.
        folder: Where it is unpacked to when it has no top folder of its own, below the data set's folder.
        top_folder: Its top folder, when what is in there belongs right into the data set's folder.
        inner: Name of the archive of one sequence inside this one, with ``{sequence}``; None when the files
            of the sequences are in this one themselves.
        sha256: Its SHA-256, None when nobody publishes one.
        md5: Its MD5, None when nobody publishes one.
        bytes: Its size, None when nobody publishes it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: _Url
    sequences: Annotated[tuple[_Name, ...], Field(min_length=1)]
    file_name: _Name | None = None
    folder: _Name | None = None
    top_folder: _Name | None = None
    inner: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    bytes: Annotated[int, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _has_a_name_and_one_layout(self) -> Self:
        if not self.name.endswith(ARCHIVE_ENDINGS):
            raise ValueError(f"'{self.name}' ends in none of {', '.join(ARCHIVE_ENDINGS)}; set 'file_name'")
        if sum(layout is not None for layout in (self.folder, self.top_folder, self.inner)) > 1:
            raise ValueError("only one of 'folder', 'top_folder' and 'inner' can be set")
        if self.folder is not None and len(self.sequences) > 1:
            raise ValueError("an archive with a 'folder' holds one sequence")
        return self

    @property
    def name(self) -> str:
        """What the file is called on disk."""
        return self.file_name or unquote(PurePosixPath(urlsplit(self.url).path).name)


class Dataset(BaseModel):
    """A data set, with links to its archives or with instructions how to come by it.

    Attributes:
        name: As in ``harness sequences download NAME``.
        title: Its full name.
        homepage: Its own page.
        licence: Under which terms it may be used.
        citation: What to cite, one line.
        folder: Where it lies below ``HARNESS_DATA``.
        directory: The folder of a sequence below ``folder``, with ``{sequence}``.
        downloads: Its archives; empty for data with terms to accept first.
        instructions: What to do for data with terms to accept first.
        sequence_pattern: Regular expression of its sequences' names, when there are instructions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: _Name
    title: _Words
    homepage: _Url
    licence: _Words
    citation: Annotated[str, Field(pattern=r"^[^\n]+$")]
    folder: _Name
    directory: str = "{sequence}"
    downloads: tuple[Archive, ...] = ()
    instructions: _Words | None = None
    sequence_pattern: str | None = None

    @model_validator(mode="after")
    def _one_way_to_get_it(self) -> Self:
        if bool(self.downloads) == (self.instructions is not None):
            raise ValueError("must have either 'downloads' or 'instructions'")
        if (self.instructions is None) != (self.sequence_pattern is None):
            raise ValueError("'instructions' and 'sequence_pattern' go together")
        for kind, names in (
            ("sequence", [sequence for archive in self.downloads for sequence in archive.sequences]),
            ("archive", [archive.name for archive in self.downloads]),
        ):
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise ValueError(f"{kind} '{repeated[0]}' is listed twice")
        for archive in self.downloads:
            if archive.folder not in (None, self.directory.format(sequence=archive.sequences[0])):
                raise ValueError(f"'folder' of {archive.name} is not where its sequence is looked for")
        return self

    @property
    def sequences(self) -> tuple[str, ...]:
        """All sequences that can be downloaded; none for data with terms to accept first."""
        return tuple(sequence for archive in self.downloads for sequence in archive.sequences)

    def has(self, sequence: str) -> bool:
        """Whether a sequence belongs to this data set."""
        if self.sequence_pattern is not None:
            return re.fullmatch(self.sequence_pattern, sequence) is not None
        return sequence in self.sequences

    def sequence_directory(self, sequence: str) -> Path:
        """Where a sequence lies, relative to ``HARNESS_DATA``."""
        return Path(self.folder) / self.directory.format(sequence=sequence)


@dataclass(frozen=True)
class Wanted:
    """What somebody asks for of one data set.

    Attributes:
        dataset: The data set.
        sequences: Its sequences that are asked for; empty for data with terms to accept first.
    """

    dataset: Dataset
    sequences: tuple[str, ...]


def dataset_names() -> tuple[str, ...]:
    """Names of all data sets, sorted."""
    return _NAMES


@cache
def load_dataset(name: str) -> Dataset:
    """Load the description of a data set.

    Raises:
        UnknownNameError: There is none of that name; the message lists what there is.
    """
    return read_packaged_yaml(__name__, "data set", name, _NAMES, Dataset)


def resolve_names(names: Iterable[str]) -> list[Wanted]:
    """Say what is asked for, one entry for every data set that is.

    Args:
        names: Each a data set or a sequence of one.

    Raises:
        UnknownNameError: A name is neither; the message lists what there is.
    """
    wanted: dict[str, list[str]] = {}
    for name in names:
        if name in _NAMES:
            dataset = load_dataset(name)
            sequences: tuple[str, ...] = dataset.sequences
        else:
            dataset = _dataset_of(name)
            sequences = (name,) if dataset.downloads else ()
        collected = wanted.setdefault(dataset.name, [])
        collected.extend(sequence for sequence in sequences if sequence not in collected)
    return [Wanted(load_dataset(name), tuple(sequences)) for name, sequences in wanted.items()]


def how_to_get(dataset: str, name: str) -> str:
    """What to do about a missing recording, or about a whole set of them; the end of a sentence.

    Args:
        dataset: Name of the data set.
        name: Of the sequence, or of the set of sequences.

    Raises:
        UnknownNameError: There is no such data set.
    """
    described = load_dataset(dataset)
    if described.downloads:
        return f"download with: harness sequences download {name}"
    return (
        f"get {described.title} from {described.homepage} and lay it below "
        f"{DATA_DIRECTORY_VARIABLE}/{described.folder} "
        f"('harness sequences download {dataset}' prints the full instructions)"
    )


def _dataset_of(sequence: str) -> Dataset:
    datasets = [load_dataset(name) for name in _NAMES]
    for dataset in datasets:
        if dataset.has(sequence):
            return dataset
    # There are too many sequences to list them all.
    near = difflib.get_close_matches(sequence, [name for dataset in datasets for name in dataset.sequences])
    raise UnknownNameError(unknown_name_message("data set, or sequence of one,", sequence, [*_NAMES, *near]))
