"""Unpacking: nothing leads outside, nothing is left half, nothing that is there is touched."""

import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slam_test_downloads import Unpacker
from slam_test_file_server import image, is_a_tar, recording_tar, tar_gz, tar_member, zip_of

from sequences.download import DownloadError
from sequences.download.errors import BadArchiveError
from sequences.download.member_names import Inspection


@pytest.fixture
def unpacked(tmp_path):
    return Unpacker(tmp_path)


def one(name, content=b"content"):
    return tar_gz(tar_member(name, content))


def test_the_archives_of_these_tests_are_archives():
    assert is_a_tar(recording_tar("a", images=1)) == ["a", "a/rgb.txt", "a/rgb/0.png"]


def test_an_archive_with_a_top_folder_unpacks_as_it_is(unpacked):
    found = unpacked("a.tgz", recording_tar("a"))
    assert set(found) == {"a/rgb.txt", "a/rgb/0.png", "a/rgb/1.png", "a/rgb/2.png"}
    assert found["a/rgb/2.png"] == image(2)
    assert unpacked.progress[-1] == ("unpacking a.tgz", 2100 + 21, 2100 + 21)


def test_an_archive_without_a_top_folder_gets_one(unpacked):
    assert set(unpacked("x.tar.gz", recording_tar("", images=1), folder="a")) == {"a/rgb.txt", "a/rgb/0.png"}


def test_an_archive_that_has_that_folder_after_all_does_not_get_two(unpacked):
    assert set(unpacked("x.tar.gz", recording_tar("a", images=1), folder="a")) == {"a/rgb.txt", "a/rgb/0.png"}


def test_a_top_folder_that_is_in_the_way_is_left_out(unpacked):
    content = zip_of({"Replica/room0/traj.txt": b"1", "Replica/room0_mesh.ply": b"2", "__MACOSX/._x": b"3"})
    found = unpacked("Replica.zip", content, ["room0"], top_folder="Replica")
    assert found == {"room0/traj.txt": b"1", "room0_mesh.ply": b"2"}


def test_archives_in_an_archive_are_unpacked_and_the_rest_is_left(unpacked):
    inner = {
        f"hall/{name}/{name}.zip": zip_of({"mav0/imu0/data.csv": name.encode(), "__MACOSX/._mav0": b""})
        for name in ("one", "two")
    }
    content = zip_of(inner | {"hall/one/one.bag": b"bag"})
    found = unpacked("hall.zip", content, ["one", "two"], inner="hall/{sequence}/{sequence}.zip")
    assert found == {"one/mav0/imu0/data.csv": b"one", "two/mav0/imu0/data.csv": b"two"}


def test_an_evil_archive_in_an_archive_is_refused(unpacked):
    content = zip_of({"a.zip": zip_of({"../evil": b"x"})})
    unpacked.refuses("leads outside", "hall.zip", content, ["a"], inner="{sequence}.zip")


@pytest.mark.parametrize("layout", [{"inner": "hall/{sequence}.zip"}, {"top_folder": "hall"}])
def test_an_archive_that_is_laid_out_otherwise_says_what_is_in_it(unpacked, layout):
    content = zip_of({"house/a.zip": zip_of({})})
    message = unpacked.refuses(
        "house.* laid out in another way", "x.zip", content, error=DownloadError, **layout
    )
    assert str(unpacked.work / "x.zip") in message


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../evil", "leads outside, with '..' in its name"),
        ("a/../../evil", "leads outside"),
        ("a/..", "leads outside"),
        ("/etc/evil", "absolute name"),
        ("//evil", "absolute name"),
        ("C:/evil", "absolute name"),
        ("a\\..\\..\\evil", "backslash"),
        ("a/\x07", "control character"),
    ],
)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_name_that_leads_outside_is_refused(unpacked, tmp_path, kind, name, problem):
    good, bad = ("good/file", b"good"), (name, b"evil")
    if kind == "tar":
        message = unpacked.refuses(problem, "a.tgz", tar_gz(tar_member(*good), tar_member(*bad)))
    else:
        message = unpacked.refuses(problem, "a.zip", zip_of(dict([good, bad])))
    assert "nothing was unpacked" in message
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ([tar_member("a/l", kind=b"2", target="../../evil")], "link that leads outside, to '../../evil'"),
        ([tar_member("a/l", kind=b"2", target="/etc/passwd")], "link that leads outside"),
        ([tar_member("l", kind=b"2", target="..")], "link that leads outside"),
        ([tar_member("l", kind=b"2", target="."), tar_member("l/x", b"evil")], "lies behind a link"),
        ([tar_member("l", kind=b"1", target="/etc/passwd")], "no file of this archive before it"),
        ([tar_member("l", kind=b"1", target="../evil")], "no file of this archive before it"),
        ([tar_member("d", kind=b"3")], "device or a pipe"),
        ([tar_member("p", kind=b"6")], "device or a pipe"),
    ],
)
def test_links_that_lead_outside_and_devices_are_refused(unpacked, members, problem):
    unpacked.refuses(problem, "a.tgz", tar_gz(tar_member("good", b"good"), *members))


def test_links_that_stay_inside_are_unpacked(unpacked):
    content = tar_gz(
        tar_member("a/rgb/0.png", b"image"),
        tar_member("a/first.png", kind=b"2", target="rgb/0.png"),
        tar_member("a/same.png", kind=b"1", target="a/rgb/0.png"),
    )
    found = unpacked("a.tgz", content)
    assert found == {"a/rgb/0.png": b"image", "a/first.png": b"image", "a/same.png": b"image"}
    assert os.readlink(unpacked.base / "a" / "first.png") == "rgb/0.png"


def test_a_link_or_an_encrypted_file_in_a_zip_is_refused(unpacked):
    unpacked.refuses("a link or a device", "a.zip", zip_of({"a/l": b"/etc/passwd"}, mode=0o120777))
    unpacked.refuses("encrypted", "a.zip", zip_of({"a/l": b"secret"}, encrypted=True))


@given(st.lists(st.sampled_from(["..", ".", "a", "b", "", "/", "\\", "C:", "\0"]), max_size=6))
def test_no_name_that_is_let_through_leads_outside(parts):
    name = "/".join(parts)
    inspection = Inspection(Path("archive.tgz"), limit_bytes=10)
    try:
        inspection.file(name, 0)
    except BadArchiveError:
        return
    reached = os.path.normpath(os.path.join("/top/folder", name))
    assert reached == "/top/folder" or reached.startswith("/top/folder/")


def test_an_archive_that_grows_beyond_reason_is_not_unpacked(unpacked):
    content = tar_gz(tar_member("a/zeros", b"\0" * (80 << 20)))
    assert len(content) < 200_000
    unpacked.refuses("would unpack to more than", "a.tgz", content)


def test_an_archive_with_endless_zeros_behind_its_end_is_not_unpacked(unpacked):
    content = one("a/file") + gzip.compress(b"\0" * (80 << 20))
    unpacked.refuses("far more behind its last member", "a.tgz", content)


@pytest.mark.parametrize("kept", [0, 10, 0.3, 0.8, -9, -1])
def test_a_truncated_tar_is_damaged(unpacked, kept):
    content = recording_tar("a", images=20)
    size = int(len(content) * kept) if isinstance(kept, float) else kept
    unpacked.refuses("is damaged or no archive", "a.tgz", content[:size])


def test_a_tar_with_a_flipped_byte_is_damaged(unpacked):
    content = bytearray(one("a/file", os.urandom(5000)))
    content[2500] ^= 0xFF
    unpacked.refuses("is damaged or no archive", "a.tgz", bytes(content))


@pytest.mark.parametrize("size", [0, 30, -1])
def test_a_truncated_zip_is_damaged(unpacked, size):
    unpacked.refuses("is damaged or no archive", "a.zip", zip_of({"a/file": b"content" * 20})[:size])


def test_a_zip_with_a_flipped_byte_is_damaged(unpacked):
    content = zip_of({"a/file": b"content" * 20}).replace(b"tcon", b"tCon", 1)
    unpacked.refuses("is damaged or no archive", "a.zip", content)


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_a_web_page_is_no_archive(unpacked, name):
    unpacked.refuses("is damaged or no archive", name, b"<html>moved</html>")


def test_what_is_there_is_left_as_it_is(unpacked):
    mine = unpacked.base / "a" / "rgb.txt"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    content = tar_gz(tar_member("a/rgb.txt", b"theirs"), tar_member("b/rgb.txt", b"new"))
    assert unpacked("x.tgz", content) == {"a/rgb.txt": b"mine", "b/rgb.txt": b"new"}


@pytest.mark.parametrize("layout", [{"folder": "a"}, {"top_folder": "top"}])
def test_what_is_there_is_left_as_it_is_in_every_layout(unpacked, layout):
    (unpacked.base / "a").mkdir()
    content = one("top/a/rgb.txt" if "top_folder" in layout else "rgb.txt")
    assert unpacked("x.tgz", content, **layout) == {}


def test_too_little_room_is_said_with_both_figures(unpacked, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**9, 10**9 - 1000, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    message = unpacked.refuses("not enough room", "a.tgz", one("a/file", b"x" * 5000), error=DownloadError)
    assert "5.0 kB for what is in the archive are needed, 1.0 kB are free" in message


def test_a_disk_that_refuses_is_said_with_the_place(unpacked):
    (unpacked.work / "a.tgz.unpacking").write_text("in the way")
    with pytest.raises(DownloadError, match=r"cannot write .*a\.tgz\.unpacking"):
        unpacked("a.tgz", one("a/file"))


def test_a_killed_unpacking_leaves_nothing_half_and_is_done_again(unpacked):
    content = tar_gz(*(tar_member(f"a/{number}.png", os.urandom(100)) for number in range(200)))
    file = unpacked.work / "a.tgz"
    file.write_bytes(content)
    code = (
        "import sys, time; from pathlib import Path\n"
        "from sequences.datasets import Archive\n"
        "from sequences.download.unpacking import unpack\n"
        "archive = Archive(url='https://host/a.tgz', sequences=['a'])\n"
        "file = Path(sys.argv[1])\n"
        "unpack(archive, file, file.parents[1], ('a',), lambda *told: time.sleep(0.02))"
    )
    half = unpacked.work / "a.tgz.unpacking" / "all" / "a"
    with subprocess.Popen([sys.executable, "-c", code, str(file)]) as process:
        while not half.exists() or len(list(half.iterdir())) < 5:
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert 5 <= len(list(half.iterdir())) < 200
    assert unpacked.files() == {}

    assert len(unpacked("a.tgz", content)) == 200
    assert not half.exists()
