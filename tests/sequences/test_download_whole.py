"""Getting sequences of a data set: what is there is left, what is missing comes whole or not at all."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest
from slam_test_downloads import DESK, HOST, Downloader, dataset, rooms, small_server
from slam_test_file_server import (
    image,
    pax_header,
    recording_tar,
    tar_gz,
    tar_member,
)

from sequences.download import DownloadError, DownloadOptions


@pytest.fixture
def server():
    with small_server() as running:
        yield running


@pytest.fixture
def downloaded(server, tmp_path):
    return Downloader(server, tmp_path / "data")


def test_a_sequence_is_fetched_checked_and_unpacked_and_its_archive_deleted(server, downloaded):
    report = downloaded("desk")
    place = downloaded.folder / "small" / "dataset_desk"
    assert (report.there, report.new, report.failures) == ({}, {"desk": place}, ())
    assert (place / "rgb" / "2.png").read_bytes() == image(2)
    assert downloaded.there() == ["dataset_desk"]
    assert downloaded.kept() == ["desk.tgz.lock", "desk.tgz.receipt.json"]
    assert [task for task, _, _ in downloaded.progress if "downloading" in task]
    assert {task.split()[0] for task, _, _ in downloaded.progress} == {"downloading", "checking", "unpacking"}


def test_what_is_there_is_not_fetched(server, downloaded):
    mine = downloaded.folder / "small" / "dataset_desk" / "rgb.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    report = downloaded("desk", "room")
    assert report.there == {"desk": mine.parent}
    assert report.new == {"room": downloaded.folder / "small" / "dataset_room"}
    assert [request.path for request in server.requests] == ["/room.tgz"]
    assert [path.name for path in mine.parent.iterdir()] == ["rgb.txt"]


def test_nothing_is_asked_of_the_server_when_all_is_there(server, downloaded):
    downloaded("desk")
    server.requests.clear()
    assert tuple(downloaded("desk").there) == ("desk",)
    assert server.requests == []


def test_an_archive_that_cannot_be_had_does_not_keep_the_others_from_coming(server, downloaded):
    del server.files["/desk.tgz"]
    report = downloaded("desk", "room")
    assert set(report.new) == {"room"}
    (failure,) = report.failures
    assert f"{server.address}/desk.tgz: there is nothing at this address (the server answered 404" in failure
    assert f"The data set's page is {HOST}/" in failure
    assert "--mirror" in failure


def test_all_sequences_of_an_archive_come_with_the_one_that_was_asked_for(server, downloaded):
    assert tuple(downloaded("room1", described=rooms(server)).new) == ("room0", "room1")


def test_an_archive_is_kept_when_asked_for_and_used_the_next_time(server, downloaded):
    downloaded("desk", keep_archives=True)
    kept = downloaded.work / "desk.tgz"
    assert kept.read_bytes() == DESK
    assert f"the archive is kept: {kept}" in downloaded.told
    shutil.rmtree(downloaded.folder / "small" / "dataset_desk")
    server.requests.clear()
    assert tuple(downloaded("desk").new) == ("desk",)
    assert server.requests == []
    assert not kept.exists()


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_published_checksum_is_compared(downloaded, algorithm):
    right = hashlib.new(algorithm, DESK).hexdigest()
    assert tuple(downloaded("desk", described=dataset(**{algorithm: right})).new) == ("desk",)
    assert "compared with the published " in downloaded.told[-1]


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_another_file_than_was_published_is_deleted_and_not_unpacked(downloaded, algorithm):
    wrong = hashlib.new(algorithm, b"another").hexdigest()
    failure = downloaded.fails("desk", described=dataset(**{algorithm: wrong}))
    assert f"expected {wrong}, came {hashlib.new(algorithm, DESK).hexdigest()}" in failure
    assert downloaded.there() == []
    assert downloaded.kept() == ["desk.tgz.lock"]


def test_a_checksum_that_the_user_gives_takes_the_place_of_the_published_one(downloaded):
    described = dataset(sha256=hashlib.sha256(b"another").hexdigest())
    assert tuple(downloaded("desk", described=described, sha256=hashlib.sha256(DESK).hexdigest()).new) == (
        "desk",
    )
    other = hashlib.sha256(b"x").hexdigest()
    assert f"--sha256: expected {other}" in downloaded.fails("room", described=described, sha256=other)


def test_a_checksum_belongs_to_one_archive(downloaded):
    with pytest.raises(DownloadError, match=r"2 are needed: desk\.tgz, room\.tgz"):
        downloaded("desk", "room", sha256=hashlib.sha256(DESK).hexdigest())


def test_without_a_published_checksum_the_user_is_told_what_came_and_it_is_remembered(server, downloaded):
    downloaded("desk")
    digest = hashlib.sha256(DESK).hexdigest()
    assert f"SHA-256 {digest}; compared with nothing, since nobody publishes a checksum" in downloaded.told[0]
    receipt = json.loads((downloaded.work / "desk.tgz.receipt.json").read_text())
    assert (receipt["sha256"], receipt["bytes"]) == (digest, len(DESK))
    assert receipt["url"] == f"{server.address}/desk.tgz"

    shutil.rmtree(downloaded.folder / "small" / "dataset_desk")
    downloaded("desk")
    assert "compared with the download of 20" in downloaded.told[-1]


def test_an_archive_that_changed_since_the_last_download_is_not_unpacked_unless_accepted(server, downloaded):
    downloaded("desk")
    shutil.rmtree(downloaded.folder / "small" / "dataset_desk")
    changed = recording_tar("dataset_desk", images=5)
    server.serve("/desk.tgz", changed)
    digest = hashlib.sha256(changed).hexdigest()
    failure = downloaded.fails("desk")
    assert f"its SHA-256 was {hashlib.sha256(DESK).hexdigest()}, now it is {digest}" in failure
    assert downloaded.there() == []

    server.requests.clear()
    assert tuple(downloaded("desk", sha256=digest).new) == ("desk",)
    assert server.requests == []


def test_a_receipt_that_is_none_is_said(downloaded):
    downloaded.work.mkdir(parents=True)
    (downloaded.work / "desk.tgz.receipt.json").write_text("{}")
    assert "desk.tgz.receipt.json: is no receipt of a download; delete it" in downloaded.fails("desk")


def test_a_damaged_archive_is_deleted_so_that_the_next_try_begins_anew(server, downloaded):
    # The server announces less than there is, so that what comes looks whole.
    server.serve("/desk.tgz", DESK, announced=len(DESK) - 20)
    assert "desk.tgz: is damaged or no archive" in downloaded.fails("desk")
    assert downloaded.kept() == ["desk.tgz.lock"]
    assert downloaded.there() == []
    server.serve("/desk.tgz", DESK)
    assert tuple(downloaded("desk").new) == ("desk",)


def test_an_archive_with_a_name_that_leads_outside_touches_nothing(server, downloaded, tmp_path):
    server.serve("/desk.tgz", tar_gz(tar_member("dataset_desk/x", b"1"), tar_member("../../../evil", b"2")))
    assert "leads outside" in downloaded.fails("desk")
    assert downloaded.there() == []
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_an_archive_without_its_sequence_is_kept_and_said(server, downloaded):
    server.serve("/desk.tgz", recording_tar("something_else"))
    failure = downloaded.fails("desk")
    assert "brought no recording desk that a reader recognises; it is laid out in another way" in failure
    assert "desk.tgz" in downloaded.kept()


def test_an_archive_whose_folder_is_no_recording_is_kept_and_said(server, downloaded):
    server.serve("/desk.tgz", tar_gz(tar_member("dataset_desk/readme.txt", b"moved")))
    assert "brought no recording desk that a reader recognises" in downloaded.fails("desk")
    assert "desk.tgz" in downloaded.kept()


def test_an_archive_that_stumbles_while_it_is_unpacked_is_deleted_too(server, downloaded):
    # The inspection has no reason to look at times; the clock of the file system has none that large.
    server.serve("/desk.tgz", tar_gz(pax_header(mtime="1e300"), tar_member("dataset_desk/rgb.txt", b"1")))
    assert "desk.tgz: is damaged or no archive" in downloaded.fails("desk")
    assert downloaded.kept() == ["desk.tgz.lock"]
    server.serve("/desk.tgz", DESK)
    assert set(downloaded("desk").new) == {"desk"}


def test_a_server_that_says_no_length_cannot_fill_the_disk(server, downloaded, monkeypatch):
    free = 40 << 20

    def usage(folder):
        came = sum(path.stat().st_size for path in downloaded.work.iterdir())
        return namedtuple("usage", "total used free")(free, came, free - came)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    server.serve("/desk.tgz", bytes(60 << 20), length=False, etag=None, last_modified=None)
    assert "not enough room in" in downloaded.fails("desk")
    # Nothing tells whether what would come later is of the same file, so that what came is of no use.
    assert downloaded.kept() == ["desk.tgz.lock"]


def test_where_no_length_is_announced_the_published_size_counts(server, downloaded, monkeypatch):
    server.serve("/desk.tgz", DESK, length=False, etag=None, last_modified=None, break_after=[172, None])
    described = dataset(bytes=len(DESK), sha256=hashlib.sha256(DESK).hexdigest())
    assert set(downloaded("desk", described=described).new) == {"desk"}
    assert server.ranges() == [None, "bytes=172-"]


def test_too_little_room_is_said_before_anything_comes(server, downloaded, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**9, 10**9, len(DESK) + 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    failure = downloaded.fails("desk")
    size = f"{len(DESK) / 1000:.1f} kB"
    assert f"{size} for the archive desk.tgz and {size} or more for what is in it are needed" in failure
    assert f"{size} are free; make room or choose another folder with --to" in failure
    assert "--mirror" not in failure
    assert not (downloaded.work / "desk.tgz").exists()


def test_a_folder_that_cannot_be_made_is_said(downloaded):
    downloaded.folder.write_text("a file")
    assert f"cannot write {downloaded.work}: Not a directory" in downloaded.fails("desk")


@pytest.mark.parametrize("mirror", ["host", "ftp://host", "http://", "file:///etc", "https://host/?a=b"])
def test_a_mirror_that_is_no_address_is_said(downloaded, mirror):
    assert f"the mirror '{mirror}' is no address" in downloaded.fails("desk", mirror=mirror)


def test_a_mirror_may_have_a_folder():
    options = DownloadOptions(mirror="http://mirror:8080/copies/")
    assert options.link("https://host/rgbd/a.tgz") == "http://mirror:8080/copies/rgbd/a.tgz"


def in_another_process(server, folder):
    """Start a download of ``desk`` in a process of its own."""
    code = (
        "import sys; from pathlib import Path\n"
        "sys.path[:0] = sys.argv[3:]\n"
        "from slam_test_downloads import IMPATIENT, dataset\n"
        "from sequences.download import DownloadOptions, download\n"
        "options = DownloadOptions(mirror=sys.argv[1], patience=IMPATIENT, tell=print)\n"
        "report = download(dataset(), ('desk',), Path(sys.argv[2]), options=options)\n"
        "print(tuple(report.new), report.failures)"
    )
    here = Path(__file__)
    paths = [str(here.parent), str(here.parents[1] / "support")]
    return subprocess.Popen(
        [sys.executable, "-u", "-c", code, server.address, str(folder), *paths],
        stdout=subprocess.PIPE,
        text=True,
        cwd=here.parents[2],
    )


LARGE = tar_gz(
    tar_member("dataset_desk/rgb.txt"),
    *(tar_member(f"dataset_desk/{number}.png", os.urandom(1000)) for number in range(99)),
)


def test_two_processes_that_want_the_same_fetch_it_once(server, downloaded):
    served = server.serve("/desk.tgz", LARGE, delay_s=0.2)
    first = in_another_process(server, downloaded.folder)
    while not (downloaded.work / "desk.tgz.part").exists():
        assert first.poll() is None
        time.sleep(0.01)
    second = in_another_process(server, downloaded.folder)
    assert second.stdout.readline() == "another process downloads desk.tgz; waiting for it\n"
    served.delay_s = 0.0
    said = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert len(server.requests) == 1
    assert len(list((downloaded.folder / "small" / "dataset_desk").iterdir())) == 100
    assert all("('desk',) ()" in words for words in said)
    assert "waiting" not in said[0]


def test_a_killed_download_leaves_no_lock_and_only_the_rest_is_fetched(server, downloaded):
    served = server.serve("/desk.tgz", LARGE, delay_s=0.05)
    part = downloaded.work / "desk.tgz.part"
    process = in_another_process(server, downloaded.folder)
    while not part.exists() or part.stat().st_size < 20_000:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    came = part.stat().st_size
    assert 20_000 <= came < len(LARGE)

    served.delay_s = 0.0
    assert tuple(downloaded("desk").new) == ("desk",)
    assert server.ranges() == [None, f"bytes={came}-"]
    assert server.requests[-1].sent == len(LARGE) - came
    assert downloaded.told[0].startswith(f"desk.tgz: {len(LARGE) / 1000:.1f} kB")


def test_threads_of_one_process_wait_for_each_other_too(server, downloaded):
    server.serve("/desk.tgz", LARGE, delay_s=0.01)
    threads = [threading.Thread(target=downloaded, args=("desk",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 1
