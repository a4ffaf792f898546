"""Downloads sequences of a data set: fetch, check, unpack, one archive after the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.filesize import decimal

from sequences.datasets import Archive, Dataset
from sequences.download.checksum import WrongChecksumError, checksums, compare
from sequences.download.disk_space import require_space
from sequences.download.errors import BadArchiveError, DownloadError, ServerError, cannot_write
from sequences.download.fetching import fetch
from sequences.download.local_sequences import LocalSequences
from sequences.download.options import DownloadOptions, Progress
from sequences.download.receipt import Receipt, read_receipt, write_receipt
from sequences.download.unpacking import unpack
from sequences.errors import SequenceError
from sequences.file_lock import locked
from sequences.reader import ignore_progress

#: Archives, what has come of them, and receipts lie here, below the folder of a data set.
WORK_FOLDER = ".downloads"


@dataclass(frozen=True)
class DownloadReport:
    """What became of the sequences that were asked for.

    Attributes:
        there: Those that were there before, by name: where, which need not be the place they would come to.
        new: Those that are there now, and others that came in the same archives.
        failures: Why archives could not be had or unpacked, one sentence each.
    """

    there: Mapping[str, Path]
    new: Mapping[str, Path]
    failures: tuple[str, ...]


def download(
    dataset: Dataset,
    sequences: tuple[str, ...],
    data_directory: Path,
    progress: Progress = ignore_progress,
    options: DownloadOptions | None = None,
) -> DownloadReport:
    """Get sequences of a data set. What is there is left as it is; an archive is fetched once.

    There is what a reader recognises, wherever it lies below ``data_directory``. Anything else that lies
    where a sequence belongs is in the way: that is said, and the sequence does not come. Neither this nor an
    archive that cannot be had keeps the others from coming.

    Args:
        dataset: One with ``downloads``.
        sequences: Which of its sequences.
        data_directory: Where all data sets lie; made if need be.
        progress: Told what is being done and how far it has come, in bytes.
        options: What the user chose.

    Raises:
        DownloadError: A checksum was given and several archives are needed.
        SequenceError: A reader that the catalogue names cannot be loaded.
    """
    options = options or DownloadOptions()
    local = LocalSequences(dataset, data_directory)
    there = {name: path for name in sequences if (path := local.recording(name)) is not None}
    wanted = [name for name in sequences if name not in there]
    failures = [words for name in wanted if (words := local.obstacle(name)) is not None]
    archives = [
        archive
        for archive in dataset.downloads
        if any(name in wanted and local.is_missing(name) for name in archive.sequences)
    ]
    if options.sha256 is not None and len(archives) > 1:
        raise DownloadError(
            f"--sha256 belongs to one archive, and {len(archives)} are needed: "
            f"{', '.join(archive.name for archive in archives)}; ask for the sequences of one"
        )
    missing = [name for archive in archives for name in archive.sequences if local.is_missing(name)]
    for archive in archives:
        try:
            _get(local, archive, progress, options)
        except SequenceError as error:
            failures.append(str(error))
    new = {name: local.place(name) for name in missing if local.is_in_its_place(name)}
    return DownloadReport(there, new, tuple(failures))


def _get(local: LocalSequences, archive: Archive, progress: Progress, options: DownloadOptions) -> None:
    """Fetch an archive, check it and unpack it.

    Raises:
        SequenceError: Something of it failed.
    """
    base = local.folder
    work = base / WORK_FOLDER
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(work, error) from error
    waiting = f"another process downloads {archive.name}; waiting for it"
    with locked(work / f"{archive.name}.lock", lambda: options.tell(waiting)):
        missing = tuple(name for name in archive.sequences if local.is_missing(name))
        if not missing:
            return
        file = work / archive.name
        try:
            _fetch(local.dataset, archive, file, progress, options)
            receipt = _check(archive, file, progress, options)
            not_again = {local.place(name).name for name in archive.sequences if name not in missing}
            unpack(archive, file, base, missing, progress, not_again)
        except (BadArchiveError, WrongChecksumError):
            file.unlink(missing_ok=True)
            raise
        _require_recordings(local, archive, file, missing)
        # Only now: what turns out to be damaged is not what the next download is compared with.
        write_receipt(_receipt_place(file), receipt)
        if options.keep_archives:
            options.tell(f"the archive is kept: {file}")
        else:
            file.unlink(missing_ok=True)


def _require_recordings(
    local: LocalSequences, archive: Archive, file: Path, sequences: tuple[str, ...]
) -> None:
    absent = [name for name in sequences if not local.is_in_its_place(name)]
    if absent:
        raise DownloadError(
            f"{archive.name} was unpacked and brought no recording {', '.join(absent)} that a reader "
            f"recognises; it is laid out in another way than expected, look into {local.folder}. "
            f"The archive is kept: {file}"
        )


def _fetch(
    dataset: Dataset, archive: Archive, file: Path, progress: Progress, options: DownloadOptions
) -> None:
    if file.exists():
        return

    def room_for(still_to_come: int) -> None:
        whole = file.with_name(f"{file.name}.part").stat().st_size + still_to_come
        # How much is in it shows when it is there. Images do not shrink: at least as much again.
        require_space(
            file.parent,
            {f"for the archive {archive.name}": still_to_come, "or more for what is in it": whole},
        )

    url = options.link(archive.url)
    try:
        fetch(url, file, progress, room_for, options.patience, archive.bytes)
    except ServerError as error:
        raise ServerError(
            f"{error}. The data set's page is {dataset.homepage}; a copy elsewhere is named with --mirror"
        ) from error


def _check(archive: Archive, file: Path, progress: Progress, options: DownloadOptions) -> Receipt:
    """Compare checksums, and tell the user.

    Returns:
        What to remember of the archive once it is unpacked.
    """
    found = checksums(file, progress)
    compared = compare(archive, found, options.sha256, read_receipt(_receipt_place(file)))
    size = file.stat().st_size
    options.tell(f"{archive.name}: {decimal(size)}, SHA-256 {found.sha256}; compared with {compared}")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Receipt(options.link(archive.url), size, found.sha256, now)


def _receipt_place(file: Path) -> Path:
    return file.with_name(f"{file.name}.receipt.json")
