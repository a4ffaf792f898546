"""What every sequence reader offers, and the registry that readers are found through."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from sequences.errors import SequenceError
from sequences.model import Sequence
from sequences.registry import Registry

DATA_DIRECTORY_VARIABLE = "HARNESS_DATA"


def ignore_progress(task: str, done: int, total: int) -> None:
    """Take a report of progress and show nothing."""


@dataclass(frozen=True)
class ReaderContext:
    """What a reader may need beside its own parameters.

    Attributes:
        data_directory: Where recordings on disk lie (the environment variable ``HARNESS_DATA``); None when
            it is not set.
        cache_directory: Where a reader keeps what takes long to make; may not exist yet.
        progress: Called with what is being done, how much is done and how much there is.
    """

    data_directory: Path | None
    cache_directory: Path
    progress: Callable[[str, int, int], None] = ignore_progress

    def require_data_directory(self) -> Path:
        """Return the data directory.

        Raises:
            SequenceError: It is not set, or is not a directory.
        """
        if self.data_directory is None:
            raise SequenceError(
                f"the environment variable {DATA_DIRECTORY_VARIABLE} is not set; "
                f"set it to the folder that holds your recordings: export {DATA_DIRECTORY_VARIABLE}=FOLDER"
            )
        if not self.data_directory.is_dir():
            raise SequenceError(
                f"{DATA_DIRECTORY_VARIABLE} is set to '{self.data_directory}', which is not a folder; "
                "set it to the folder that holds your recordings"
            )
        return self.data_directory


class SequenceReader(Sequence):
    """A sequence that can be opened by name and parameters, from a catalogue or from a folder.

    Attributes:
        file_suffixes: Endings, in small letters, of files that are recordings on their own: ``.mp4``. Files
            with other endings are never shown to ``recognises``.
    """

    file_suffixes: ClassVar[tuple[str, ...]] = ()

    @classmethod
    @abstractmethod
    def open(cls, name: str, parameters: dict[str, Any], context: ReaderContext) -> Self:
        """Open a sequence; cheap, no image is decoded unless the sequence has to be made first.

        Args:
            name: What the sequence is called in this experiment.
            parameters: From the catalogue; what they may be is the reader's own business.
            context: Directories, and where progress is reported.

        Raises:
            SequenceError: A parameter or a file is wrong; the message says which and what to do.
        """

    @classmethod
    @abstractmethod
    def recognises(cls, path: Path) -> bool:
        """Whether a folder (or file) is a sequence that this reader, rather than any other, is made for.

        Asked of every folder below ``HARNESS_DATA``: a few looks at what is there must do. A reader that
        answers True must open ``{"directory": ...}``. One that reads no folders answers False.
        """

    @classmethod
    def own_name(cls, path: Path) -> str:
        """What a recording is called by its place alone: its folder's name, a file's without the ending.

        Where several have the same name, more of the path is added.
        """
        return path.stem if path.is_file() else path.name


READERS: Registry[SequenceReader] = Registry(
    "slam_harness.readers",
    "sequence reader",
    SequenceReader,  # type: ignore[type-abstract]
)
