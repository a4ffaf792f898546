"""Sequence sets: what the catalogue lists, and what a name on the command line stands for."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sequences.discovery import find_recordings, name_from_path, recognise
from sequences.errors import DataFileError, SequenceError, UnknownNameError
from sequences.model import Sequence
from sequences.reader import DATA_DIRECTORY_VARIABLE, READERS, ReaderContext
from sequences.registry import unknown_name_message
from sequences.yaml_file import read_yaml

CATALOG_DIRECTORY = Path(__file__).with_name("catalog")

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]


@dataclass(frozen=True)
class SequenceEntry:
    """All that is needed to open a sequence, here or in another process; plain data throughout.

    Attributes:
        name: What the sequence is called in results.
        reader: Name of its reader.
        parameters: What the reader is told; JSON-compatible.
        set_name: The set it was taken from, None for a folder given by its path.
        set_version: That set's version.
    """

    name: str
    reader: str
    parameters: dict[str, Any] = field(default_factory=dict)
    set_name: str | None = None
    set_version: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON-compatible values; ``SequenceEntry(**values)`` brings it back."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class SequenceSet:
    """A named list of sequences.

    Attributes:
        name: What the set is called.
        description: One sentence.
        version: Grows when the sequences of the set change.
        entries: The sequences.
        missing: Why the set has no sequences on this machine and what to do; None when it has.
    """

    name: str
    description: str
    version: int
    entries: tuple[SequenceEntry, ...]
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
    context: ReaderContext | None = None, catalog_directories: Iterable[Path] = (CATALOG_DIRECTORY,)
) -> list[SequenceSet]:
    """All sets of the catalogue, sorted by name.

    A set of recordings on disk is listed without entries where there are none; ``missing`` says why.

    Args:
        context: Where recordings on disk lie; without it they are not looked for.
        catalog_directories: Folders of catalogue files.

    Raises:
        SequenceError: A catalogue file is wrong, or two define sets of one name.
    """
    files: dict[str, Path] = {}
    sets: list[SequenceSet] = []
    for directory in catalog_directories:
        for path in sorted(directory.glob("*.yaml")):
            described = read_yaml(path, _SetYaml)
            if described.name in files:
                raise DataFileError(
                    path, f"defines the set '{described.name}', as {files[described.name]} does; rename one"
                )
            files[described.name] = path
            sets.append(_sequence_set(described, context))
    return sorted(sets, key=lambda sequence_set: sequence_set.name)


def resolve(
    names: Iterable[str],
    context: ReaderContext,
    catalog_directories: Iterable[Path] = (CATALOG_DIRECTORY,),
) -> list[SequenceEntry]:
    """Say which sequences are meant.

    Args:
        names: Each a set, a sequence of any set, or the path of a folder. Order is kept; what is named
            twice is taken once.
        context: Where recordings on disk lie.
        catalog_directories: Folders of catalogue files.

    Raises:
        UnknownNameError: A name is nothing of these; the message lists what there is.
        SequenceError: A set has no sequences on this machine, a folder is no recording, or two different
            sequences have one name.
    """
    sets = list_sets(context, catalog_directories)
    resolved: dict[str, SequenceEntry] = {}
    for name in names:
        for entry in _entries_of(name, sets, context):
            known = resolved.setdefault(entry.name, entry)
            if (known.reader, known.parameters) != (entry.reader, entry.parameters):
                raise SequenceError(
                    f"two different sequences are called '{entry.name}': {known.parameters} and "
                    f"{entry.parameters}; rename one or run them in separate experiments"
                )
    return list(resolved.values())


def open_sequence(entry: SequenceEntry, context: ReaderContext) -> Sequence:
    """Open what :func:`resolve` found.

    Raises:
        SequenceError: The reader is not installed, or a file of the sequence is wrong.
    """
    return READERS.load(entry.reader).open(entry.name, entry.parameters, context)


def _sequence_set(described: _SetYaml, context: ReaderContext | None) -> SequenceSet:
    if described.discover is not None:
        entries, missing = _discovered(described, described.discover.readers, context)
    else:
        missing = None
        entries = tuple(
            SequenceEntry(
                sequence.name, sequence.reader, sequence.parameters, described.name, described.version
            )
            for sequence in described.sequences or ()
        )
    return SequenceSet(described.name, described.description, described.version, entries, missing)


def _discovered(
    described: _SetYaml, readers: list[str], context: ReaderContext | None
) -> tuple[tuple[SequenceEntry, ...], str | None]:
    """What is found on disk; where nothing is, why."""
    if context is None:
        return (), "recordings on disk were not looked for"
    try:
        root = context.require_data_directory()
    except SequenceError as error:
        return (), str(error)
    entries = tuple(
        # The path is kept relative, so that an entry holds on every machine that has the data.
        SequenceEntry(
            name,
            reader,
            {"directory": directory.relative_to(root).as_posix()},
            described.name,
            described.version,
        )
        for reader in readers
        for name, directory in find_recordings(root, reader).items()
    )
    if not entries:
        return (), (
            f"{DATA_DIRECTORY_VARIABLE} is set to '{root}', and nothing "
            f"below it is a recording for the reader {' or '.join(readers)}"
        )
    return entries, None


def _entries_of(name: str, sets: list[SequenceSet], context: ReaderContext) -> tuple[SequenceEntry, ...]:
    for sequence_set in sets:
        if sequence_set.name == name:
            if sequence_set.missing is not None:
                raise SequenceError(f"sequence set '{name}' is empty: {sequence_set.missing}")
            return sequence_set.entries
    entries = [entry for sequence_set in sets for entry in sequence_set.entries]
    named = tuple(entry for entry in entries if entry.name == name)
    if named:
        return named
    try:
        directory = Path(name).expanduser()
        is_folder = directory.is_dir()
    except (OSError, RuntimeError) as error:  # no permission, too long a name, no such user
        raise SequenceError(f"'{name[:100]}' cannot be looked at as a folder: {error}") from error
    if is_folder:
        return (_entry_of_folder(directory.resolve(), entries, context),)
    raise UnknownNameError(_unknown(name, sets))


def _entry_of_folder(directory: Path, entries: list[SequenceEntry], context: ReaderContext) -> SequenceEntry:
    """The set's own entry where the folder belongs to a set of recordings on disk."""
    root = context.data_directory
    for entry in entries:
        relative = entry.parameters.get("directory")
        if root is not None and isinstance(relative, str) and (root / relative).resolve() == directory:
            return entry
    return SequenceEntry(
        name_from_path(Path(directory.name)), recognise(directory), {"directory": str(directory)}
    )


def _unknown(name: str, sets: list[SequenceSet]) -> str:
    known = [found.name for found in sets] + [entry.name for found in sets for entry in found.entries]
    message = unknown_name_message("sequence, sequence set or folder", name, known)
    empty_for: dict[str, list[str]] = {}
    for found in sets:
        if found.missing is not None:
            empty_for.setdefault(found.missing, []).append(found.name)
    reasons = [f"Empty: {', '.join(names)}, because {reason}." for reason, names in empty_for.items()]
    return " ".join([message, *reasons])
