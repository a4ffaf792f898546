"""Sequence sets: what the catalogue lists, and what a name on the command line stands for."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sequences.datasets import dataset_names, how_to_get
from sequences.discovery import RecordingsBelow, name_from_path, recognise
from sequences.errors import DataFileError, MissingRecordingError, SequenceError, UnknownNameError
from sequences.model import Sequence
from sequences.reader import DATA_DIRECTORY_VARIABLE, READERS, ReaderContext
from sequences.registry import unknown_name_message
from sequences.yaml_file import read_yaml

_OWN_CATALOG = Path(__file__).with_name("catalog")
#: Below the data directory: where users keep sets of their own.
USERS_CATALOG = "catalog"

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
#: What a sequence is told that does not change what it is.
_REMARKS = ("published_frames",)


@dataclass(frozen=True)
class SequenceEntry:
    """All that is needed to open a sequence, here or in another process; plain data throughout.

    Attributes:
        name: What the sequence is called in results.
        reader: Name of its reader.
        parameters: What the reader is told; JSON-compatible.
        set_name: The set it was taken from, None for a folder given by its path.
        set_version: That set's version.
        dataset: The data set it is part of, which says how to come by it; None when it needs none.
    """

    name: str
    reader: str
    parameters: dict[str, Any] = field(default_factory=dict)
    set_name: str | None = None
    set_version: int | None = None
    dataset: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON-compatible values; ``SequenceEntry(**values)`` brings it back."""
        return dataclasses.asdict(self)

    @property
    def is_missing(self) -> bool:
        """Whether its recording was looked for by name and is not on this machine."""
        return "find" in self.parameters

    def is_same_sequence(self, other: "SequenceEntry") -> bool:
        """Whether both stand for the same images, whatever is remarked about them."""
        return self._identity() == other._identity()

    def _identity(self) -> tuple[str, str, dict[str, Any]]:
        told = {key: value for key, value in self.parameters.items() if key not in _REMARKS}
        return self.name, self.reader, told


@dataclass(frozen=True)
class SequenceSet:
    """A named list of sequences.

    Attributes:
        name: What the set is called.
        description: One sentence.
        version: Grows when the sequences of the set change.
        entries: The sequences; some may be missing on this machine.
        dataset: The data set they are part of, None when they need none.
        missing: Why the set has no sequences on this machine and what to do; None when it has.
    """

    name: str
    description: str
    version: int
    entries: tuple[SequenceEntry, ...]
    dataset: str | None = None
    missing: str | None = None


class _SequenceYaml(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: _Name
    reader: str
    parameters: dict[str, Any] = {}


class _DiscoverYaml(BaseModel):
    model_config = ConfigDict(extra="forbid")

    readers: Annotated[list[str], Field(min_length=1)]


class _SetYaml(BaseModel):
    """Contents of one catalogue file."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    description: Annotated[str, Field(min_length=1)]
    version: Annotated[int, Field(ge=1)]
    dataset: _Name | None = None
    sequences: Annotated[list[_SequenceYaml], Field(min_length=1)] | None = None
    discover: _DiscoverYaml | None = None

    @model_validator(mode="after")
    def _one_source_of_unique_names(self) -> Self:
        if (self.sequences is None) == (self.discover is None):
            raise ValueError("must have either 'sequences' or 'discover'")
        names = [sequence.name for sequence in self.sequences or ()]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"names sequence '{repeated[0]}' twice")
        return self


def list_sets(
    context: ReaderContext | None = None, catalog_directories: Iterable[Path] | None = None
) -> list[SequenceSet]:
    """All sets of the catalogue, sorted by name.

    A set of recordings on disk is listed without entries where there are none; ``missing`` says why.

    Args:
        context: Where recordings on disk lie; without it they are not looked for.
        catalog_directories: Folders of catalogue files; by default the one that comes with the package and
            the folder ``catalog`` in ``HARNESS_DATA``.

    Raises:
        SequenceError: A catalogue file is wrong, or two define sets of one name.
    """
    return _Catalog(context, catalog_directories).sets


def resolve(
    names: Iterable[str],
    context: ReaderContext,
    catalog_directories: Iterable[Path] | None = None,
) -> list[SequenceEntry]:
    """Say which sequences are meant.

    Args:
        names: Each a set, a sequence of any set, or the path of a folder or file. Order is kept; what is
            named twice is taken once. The recordings of a set may be missing on this machine, in part.
        context: Where recordings on disk lie.
        catalog_directories: Folders of catalogue files; by default the one that comes with the package and
            the folder ``catalog`` in ``HARNESS_DATA``.

    Raises:
        UnknownNameError: A name is nothing of these; the message lists what there is.
        MissingRecordingError: No recording of a set, or the recording of a sequence named by itself, is on
            this machine; the message says how to get it.
        SequenceError: A folder is no recording, or two different sequences have one name.
    """
    catalog = _Catalog(context, catalog_directories)
    resolved: dict[str, SequenceEntry] = {}
    for name in names:
        for entry in catalog.entries_of(name, context):
            known = resolved.setdefault(entry.name, entry)
            if not known.is_same_sequence(entry):
                raise SequenceError(
                    f"two different sequences are called '{entry.name}': {known.parameters} and "
                    f"{entry.parameters}; rename one or run them in separate experiments"
                )
    return list(resolved.values())


def open_sequence(entry: SequenceEntry, context: ReaderContext) -> Sequence:
    """Open what :func:`resolve` found.

    Raises:
        MissingRecordingError: The recording is not on this machine; the message says how to get it.
        SequenceError: The reader is not installed, or a file of the sequence is wrong.
    """
    try:
        return READERS.load(entry.reader).open(entry.name, entry.parameters, context)
    except MissingRecordingError as error:
        if entry.dataset is None:
            raise
        raise MissingRecordingError(f"{error}; {how_to_get(entry.dataset, entry.name)}") from error


class _Catalog:
    """The sets of the catalogue. What is on disk is looked for when a name depends on it, and once.

    Raises:
        SequenceError: A catalogue file is wrong, or two define sets of one name.
    """

    def __init__(self, context: ReaderContext | None, directories: Iterable[Path] | None):
        self._context = context
        self._described = _read_catalog(_catalog_directories(context) if directories is None else directories)

    @cached_property
    def sets(self) -> list[SequenceSet]:
        return [self._sequence_set(described) for described in self._described.values()]

    def entries_of(self, name: str, context: ReaderContext) -> tuple[SequenceEntry, ...]:
        """What a name on the command line stands for; raises as :func:`resolve`."""
        if name in self._described:
            sequence_set = self._sequence_set(self._described[name])
            if sequence_set.missing is not None:
                raise MissingRecordingError(f"sequence set '{name}' is empty: {sequence_set.missing}")
            return sequence_set.entries
        named = self._listed(name)
        if named and all(entry.is_missing for entry in named):
            open_sequence(named[0], context)  # says what is missing and how to get it
        named = named or [entry for found in self.sets for entry in found.entries if entry.name == name]
        if named:
            return tuple(named)
        try:
            path = Path(name).expanduser()
            exists = path.exists()
        except (OSError, RuntimeError) as error:  # no permission, too long a name, no such user
            raise SequenceError(f"'{name[:100]}' cannot be looked at as a folder: {error}") from error
        if exists:
            return (self._entry_of_path(path.resolve(), context),)
        raise UnknownNameError(_unknown(name, self.sets))

    def _listed(self, name: str) -> list[SequenceEntry]:
        """What the catalogue itself lists under a name, without looking for anything else on disk."""
        return [
            self._entry(described, sequence)
            for described in self._described.values()
            for sequence in described.sequences or ()
            if sequence.name == name
        ]

    def _entry_of_path(self, path: Path, context: ReaderContext) -> SequenceEntry:
        """The set's own entry where the folder, or file, belongs to a set of recordings on disk."""
        root = context.data_directory
        for entry in (entry for found in self.sets for entry in found.entries):
            relative = entry.parameters.get("directory")
            if root is not None and isinstance(relative, str) and (root / relative).resolve() == path:
                return entry
        reader = recognise(path)
        own_name = name_from_path(Path(READERS.load(reader).own_name(path)))
        return SequenceEntry(own_name, reader, {"directory": str(path)})

    def _sequence_set(self, described: _SetYaml) -> SequenceSet:
        missing = None
        if described.discover is not None:
            entries, missing = self._discovered(described, described.discover.readers)
        else:
            entries = tuple(self._entry(described, sequence) for sequence in described.sequences or ())
            if all(entry.is_missing for entry in entries):
                missing = self._why_missing(described, entries)
        return SequenceSet(
            described.name, described.description, described.version, entries, described.dataset, missing
        )

    def _entry(self, described: _SetYaml, sequence: _SequenceYaml) -> SequenceEntry:
        parameters = dict(sequence.parameters)
        recordings = self._recordings
        if "find" in parameters and recordings is not None:
            path = recordings.called(parameters["find"], sequence.reader)
            if path is not None:
                del parameters["find"]
                parameters = {"directory": recordings.relative(path), **parameters}
        return SequenceEntry(
            sequence.name, sequence.reader, parameters, described.name, described.version, described.dataset
        )

    def _why_missing(self, described: _SetYaml, entries: tuple[SequenceEntry, ...]) -> str:
        if self._recordings is None:
            return self._why_not_looked_for()
        how = f"; {how_to_get(described.dataset, described.name)}" if described.dataset else ""
        place = f"{DATA_DIRECTORY_VARIABLE} ('{self._recordings.root}')"
        return f"none of its {len(entries)} recordings is below {place}{how}"

    def _why_not_looked_for(self) -> str:
        """Why there is no place to look for recordings, and what to do."""
        if self._context is not None:
            try:
                self._context.require_data_directory()
            except SequenceError as error:
                return str(error)
        return "recordings on disk were not looked for"

    def _discovered(
        self, described: _SetYaml, readers: list[str]
    ) -> tuple[tuple[SequenceEntry, ...], str | None]:
        """What is found on disk; where nothing is, why."""
        recordings = self._recordings
        if recordings is None:
            return (), self._why_not_looked_for()
        entries = tuple(
            SequenceEntry(
                name,
                reader,
                {"directory": recordings.relative(path)},
                described.name,
                described.version,
                described.dataset,
            )
            for reader in readers
            for name, path in recordings.of_reader(reader).items()
        )
        if not entries:
            return (), (
                f"{DATA_DIRECTORY_VARIABLE} is set to '{recordings.root}', and nothing "
                f"below it is a recording for the reader {' or '.join(readers)}"
            )
        return entries, None

    @cached_property
    def _recordings(self) -> RecordingsBelow | None:
        """None without a data directory."""
        root = self._context.data_directory if self._context else None
        return RecordingsBelow(root) if root is not None and root.is_dir() else None


def _catalog_directories(context: ReaderContext | None) -> Iterator[Path]:
    yield _OWN_CATALOG
    if context is not None and context.data_directory is not None:
        yield context.data_directory / USERS_CATALOG


def _read_catalog(directories: Iterable[Path]) -> dict[str, _SetYaml]:
    """The contents of all catalogue files by the names of their sets, sorted."""
    files: dict[str, Path] = {}
    described: dict[str, _SetYaml] = {}
    for directory in directories:
        for path in sorted(directory.glob("*.yaml")):
            content = read_yaml(path, _SetYaml)
            if content.name in files:
                raise DataFileError(
                    path, f"defines the set '{content.name}', as {files[content.name]} does; rename one"
                )
            if content.dataset is not None and content.dataset not in dataset_names():
                raise DataFileError(path, unknown_name_message("data set", content.dataset, dataset_names()))
            files[content.name], described[content.name] = path, content
    return dict(sorted(described.items()))


def _unknown(name: str, sets: list[SequenceSet]) -> str:
    known = [found.name for found in sets] + [
        entry.name for found in sets for entry in found.entries if not entry.is_missing
    ]
    message = unknown_name_message("sequence, sequence set or folder", name, known)
    empty_for: dict[str, list[str]] = {}
    for found in sets:
        if found.missing is not None and not found.entries:
            empty_for.setdefault(found.missing, []).append(found.name)
    reasons = [f"Empty: {', '.join(names)}, because {reason}." for reason, names in empty_for.items()]
    return " ".join([message, *reasons])
