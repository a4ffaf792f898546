"""A small data set whose host is a server on loopback, downloads of it, and archives to be unpacked."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from slam_test_file_server import FileServer, file_server, recording_tar, zip_of

from sequences.datasets import Archive, Dataset
from sequences.download import DownloadOptions, DownloadReport, Patience, download
from sequences.download.errors import BadArchiveError
from sequences.download.unpacking import unpack

DESK, ROOM = recording_tar("dataset_desk"), recording_tar("dataset_room")
HOST = "https://data.example"
IMPATIENT = Patience(tries=2, silence_seconds=10, wait=lambda seconds: None)


def dataset(**desk: object) -> Dataset:
    """Two sequences, ``desk`` and ``room``; ``desk`` are fields of its archive."""
    archives = [
        Archive(url=f"{HOST}/desk.tgz", sequences=["desk"], **desk),
        Archive(url=f"{HOST}/room.tgz", sequences=["room"]),
    ]
    return Dataset(
        name="small",
        title="Small",
        homepage=f"{HOST}/",
        licence="free",
        citation="Nobody, 2020",
        folder="small",
        directory="dataset_{sequence}",
        downloads=archives,
    )


def rooms(server: FileServer) -> Dataset:
    """A data set of two rooms in one archive, which the server has."""
    files = {
        f"Rooms/{room}/{file}": b"" for room in ("room0", "room1") for file in ("traj.txt", "results/0.jpg")
    }
    server.serve("/rooms.zip", zip_of(files))
    archive = Archive(url=f"{HOST}/rooms.zip", sequences=["room0", "room1"], top_folder="Rooms")
    return dataset().model_copy(update={"downloads": (archive,), "directory": "{sequence}"})


@contextmanager
def small_server() -> Iterator[FileServer]:
    """A server that has the archives of :func:`dataset`."""
    with file_server() as running:
        running.serve("/desk.tgz", DESK)
        running.serve("/room.tgz", ROOM)
        yield running


class Downloader:
    """Downloads below a folder from the server, which is the mirror of the data set's host."""

    def __init__(self, server: FileServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.told: list[str] = []
        self.progress: list[tuple[str, int, int]] = []

    def __call__(
        self, *sequences: str, described: Dataset | None = None, **options: object
    ) -> DownloadReport:
        options = {"mirror": self.server.address, "patience": IMPATIENT, "tell": self.told.append} | options
        return download(
            described or dataset(),
            sequences or ("desk",),
            self.folder,
            lambda *told: self.progress.append(told),
            DownloadOptions(**options),
        )

    def fails(self, *sequences: str, **how: object) -> str:
        report = self(*sequences, **how)
        assert not report.new
        (failure,) = report.failures
        return failure

    @property
    def work(self) -> Path:
        return self.folder / "small" / ".downloads"

    def there(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "small").iterdir() if path != self.work)

    def kept(self) -> list[str]:
        return sorted(path.name for path in self.work.iterdir())


class Unpacker:
    """A data set's folder with an archive in its work folder."""

    def __init__(self, folder: Path) -> None:
        self.base = folder / "data"
        self.work = self.base / ".downloads"
        self.work.mkdir(parents=True)
        self.progress: list[tuple[str, int, int]] = []

    def __call__(
        self, name: str, content: bytes, sequences: Iterable[str] = ("a",), **layout: object
    ) -> dict[str, bytes]:
        archive = Archive(url=f"https://host/{name}", sequences=sequences, **layout)
        file = self.work / name
        file.write_bytes(content)
        unpack(archive, file, self.base, tuple(sequences), lambda *told: self.progress.append(told))
        return self.files()

    def refuses(
        self,
        problem: str,
        *arguments: object,
        error: type[Exception] = BadArchiveError,
        **layout: object,
    ) -> str:
        with pytest.raises(error, match=problem) as caught:
            self(*arguments, **layout)
        assert self.files() == {}
        assert [path for path in self.work.iterdir() if path.is_dir()] == []
        return str(caught.value)

    def files(self) -> dict[str, bytes]:
        paths = [path for path in self.base.rglob("*") if path.is_file() and self.work not in path.parents]
        return {path.relative_to(self.base).as_posix(): path.read_bytes() for path in paths}
