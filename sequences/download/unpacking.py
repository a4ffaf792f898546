"""Unpacks archives so that a folder is either there and whole, or not there at all."""

import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sequences.datasets import Archive
from sequences.download.disk_space import require_space
from sequences.download.errors import DownloadError, cannot_write
from sequences.download.member_names import Contents
from sequences.download.options import Progress
from sequences.download.tar_archive import inspect_tar, unpack_tar
from sequences.download.zip_archive import file_sizes, inspect_zip, unpack_one, unpack_zip

#: What macOS adds to archives.
_NOT_DATA = "__MACOSX"


def unpack(
    archive: Archive,
    file: Path,
    base: Path,
    sequences: tuple[str, ...],
    progress: Progress,
    not_again: Collection[str] = (),
) -> None:
    """Unpack an archive into the folder of its data set.

    Everything is written to a folder beside ``file`` first and given its name when all of it is there. What
    exists already is left as it is.

    Args:
        archive: How the archive is laid out.
        file: The archive, on the file system of ``base``. Nobody else may unpack it at the same time.
        base: Folder of the data set.
        sequences: Those of its sequences that are not there, for archives of archives.
        progress: Told how far it has come, in bytes.
        not_again: Names in ``base`` that are not made even when they are not there, of what lies elsewhere.

    Raises:
        BadArchiveError: The archive is damaged, or holds what must not be unpacked.
        DownloadError: There is no room, the disk refuses, or the archive is laid out otherwise.
    """
    with _scratch_folder(file) as scratch:
        if archive.inner is not None:
            _unpack_inner(archive.inner, file, scratch, base, sequences, progress)
            return
        contents = _inspect(file)
        require_space(base, {"for what is in the archive": contents.bytes})
        if archive.folder is not None:
            unpacked = scratch / archive.folder
            _unpack_into(unpacked, file, contents, progress)
            # An archive that has this very folder at its top after all is not put into it twice.
            only = [unpacked / archive.folder] if contents.top == {archive.folder} else [unpacked]
            _place(only, base)
        elif archive.top_folder is not None:
            if archive.top_folder not in contents.top:
                raise _laid_out_otherwise(file, f"folder '{archive.top_folder}' at its top", contents.top)
            _unpack_into(scratch / "all", file, contents, progress)
            top = scratch / "all" / archive.top_folder
            _place((entry for entry in top.iterdir() if entry.name not in not_again), base)
        else:
            there = {name for name in contents.top if name in not_again or os.path.lexists(base / name)}
            _unpack_into(scratch / "all", file, contents, progress, there)
            _place((scratch / "all").iterdir(), base)


def _unpack_inner(
    inner: str, file: Path, scratch: Path, base: Path, sequences: tuple[str, ...], progress: Progress
) -> None:
    """Unpack the archives in an archive, one after the other."""
    inspect_zip(file)
    sizes = file_sizes(file)
    for sequence in sequences:
        name = inner.format(sequence=sequence)
        if name not in sizes:
            raise _laid_out_otherwise(file, f"member '{name}'", sizes)
        require_space(base, {f"for {name}": sizes[name]})
        copy = scratch / f"{sequence}{''.join(Path(name).suffixes)}"
        unpack_one(file, name, copy, _reporter(progress, f"taking {copy.name} out", sizes[name]))
        contents = _inspect(copy)
        require_space(base, {f"for what is in {name}": contents.bytes})
        _unpack_into(scratch / sequence, copy, contents, progress)
        copy.unlink()
        _place([scratch / sequence], base)


def _inspect(file: Path) -> Contents:
    return inspect_zip(file) if file.suffix == ".zip" else inspect_tar(file)


def _unpack_into(
    folder: Path, file: Path, contents: Contents, progress: Progress, leave_out: set[str] | None = None
) -> None:
    folder.mkdir()
    unpack_files = unpack_zip if file.suffix == ".zip" else unpack_tar
    unpack_files(
        file,
        folder,
        lambda name: name != _NOT_DATA and name not in (leave_out or ()),
        _reporter(progress, f"unpacking {file.name}", contents.bytes),
    )


def _reporter(progress: Progress, task: str, total: int) -> Callable[[int], None]:
    done = 0

    def report(more: int) -> None:
        nonlocal done
        done += more
        progress(task, done, total)

    return report


def _laid_out_otherwise(file: Path, expected: str, found: Iterable[str]) -> DownloadError:
    return DownloadError(
        f"{file.name}: has no {expected}, but {', '.join(sorted(found)[:5]) or 'nothing'}; it is laid out in "
        f"another way than expected. The archive is kept, to be unpacked by hand: {file}"
    )


def _place(entries: Iterable[Path], base: Path) -> None:
    """Give what was unpacked its place; what is there already stays as it is.

    Folders come last: whoever finds all sequences there finds the files beside them as well.
    """
    for entry in sorted(entries, key=lambda entry: (entry.is_dir(), entry.name)):
        if not os.path.lexists(base / entry.name):
            os.rename(entry, base / entry.name)


@contextmanager
def _scratch_folder(file: Path) -> Iterator[Path]:
    """An empty folder for what is unpacked; what a killed process left in it is removed first."""
    scratch = file.with_name(f"{file.name}.unpacking")
    try:
        if scratch.exists():
            shutil.rmtree(scratch)
        scratch.mkdir()
        yield scratch
    except OSError as error:
        raise cannot_write(Path(error.filename or scratch), error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
