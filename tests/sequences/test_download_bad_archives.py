"""Archives that are damaged, or made to do harm: one sentence each, and nothing is unpacked."""

import contextlib
import gzip
import io
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slam_test_downloads import Unpacker
from slam_test_file_server import pax_header, tar_gz, tar_member, zip_of

from sequences.datasets import Archive
from sequences.download.errors import BadArchiveError
from sequences.download.unpacking import unpack


@pytest.fixture
def unpacked(tmp_path):
    return Unpacker(tmp_path)


@pytest.mark.parametrize(
    "records",
    [
        {"mtime": "1e300"},
        {"mtime": "inf"},
        {"mtime": "nan"},
        {"GNU.sparse.map": "0,x", "GNU.sparse.size": "1"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"},
        {"GNU.sparse.size": "9" * 5000, "GNU.sparse.map": "0,1"},
    ],
)
def test_a_tar_with_impossible_values_in_its_headers_is_damaged(unpacked, records):
    content = tar_gz(pax_header(**records), tar_member("a/file", b"x" * 600))
    unpacked.refuses("is damaged or no archive", "a.tgz", content)


def test_a_tar_whose_headers_have_headers_without_end_is_damaged(unpacked):
    content = tar_gz(*(pax_header(comment="x") for _ in range(2000)), tar_member("a/file", b"x"))
    unpacked.refuses("is damaged or no archive", "a.tgz", content)


def test_a_header_that_says_that_it_is_huge_is_not_read_into_memory(unpacked):
    bomb = tar_member("PaxHeader", bytes(30 << 20), kind=b"x")
    unpacked.refuses("is damaged or no archive: .*header of 31457280 bytes", "a.tgz", tar_gz(bomb))


def test_a_size_below_zero_is_refused(unpacked):
    # The upper bit says a number of two's complement.
    member = tar_member("a/file", size=b"\xff" * 12)
    unpacked.refuses("'a/file' has a size of -1 bytes; nothing was unpacked", "a.tgz", tar_gz(member))


@pytest.mark.parametrize("pieces", ["0,9000", "8000,100", "0,10,5,10", "-5,10"])
def test_a_file_with_pieces_outside_of_it_is_refused(unpacked, pieces):
    header = pax_header(**{"GNU.sparse.size": "20", "GNU.sparse.map": pieces})
    content = tar_gz(header, tar_member("a/file", bytes(9000)))
    unpacked.refuses("pieces that lie outside of it or on each other", "a.tgz", content)


def test_a_file_with_holes_is_unpacked(unpacked):
    header = pax_header(**{"GNU.sparse.size": "2000", "GNU.sparse.map": "500,3,2000,0"})
    found = unpacked("a.tgz", tar_gz(header, tar_member("a/file", b"abc")))
    assert found == {"a/file": bytes(500) + b"abc" + bytes(1497)}


@pytest.mark.parametrize(("method", "content"), [(8, b"x"), (12, b"x" * 40), (14, bytes(40)), (99, b"x")])
def test_a_zip_whose_files_are_not_compressed_as_it_says_is_damaged(unpacked, method, content):
    unpacked.refuses("is damaged or no archive", "a.zip", zip_of({"a/file": content}, method=method))


def test_a_zip_with_a_name_in_no_encoding_is_damaged(unpacked):
    content = zip_of({b"a/\xff\xfe": b"content"}, utf8=True)
    unpacked.refuses("is damaged or no archive", "a.zip", content)


def test_a_zip_whose_files_lie_before_its_beginning_is_damaged(unpacked):
    content = bytearray(zip_of({"a/file": b"content"}))
    position = content.index(b"PK\x01\x02") + 42
    content[position : position + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    unpacked.refuses("is damaged or no archive", "a.zip", bytes(content))


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_file_that_is_a_folder_too_is_refused(unpacked, kind, order):
    files = dict([("a/x", b"file"), ("a/x/y", b"file in it")][::order])
    if kind == "tar":
        name, content = "a.tgz", tar_gz(*(tar_member(*file) for file in files.items()))
    else:
        name, content = "a.zip", zip_of(files)
    problem = "'a/x/y' lies in a file" if order == 1 else "'a/x' is something else and a folder at once"
    unpacked.refuses(f"{problem}; nothing was unpacked", name, content)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ([("x", b"", b"5"), ("x", b"", b"2", "y")], "something else and a folder at once"),
        ([("x", b"1"), ("x", b"", b"2", "y")], "something else and a file at once"),
        ([("x", b"", b"2", "y"), ("x", b"1")], "something else and a link at once"),
        ([("x", b"1"), ("x", b"", b"1", "x")], "is there twice"),
    ],
)
def test_a_name_that_stands_for_two_things_is_refused(unpacked, members, problem):
    unpacked.refuses(problem, "a.tgz", tar_gz(*(tar_member(*member) for member in members)))


@pytest.mark.parametrize("name", ["a/" + "x" * 256, "a/" + "x/" * 2000, "é" * 128])
def test_a_name_that_no_disk_takes_is_refused(unpacked, name):
    unpacked.refuses("has too long a name", "a.tgz", tar_gz(pax_header(path=name), tar_member("a", b"1")))
    unpacked.refuses("has too long a name", "a.zip", zip_of({name: b"1"}, utf8=True))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["tar", "zip"]))
def test_whatever_is_damaged_nothing_but_a_bad_archive_is_said(tmp_path, data, kind):
    content = bytearray(damaged_archives()[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path / ("a.zip" if kind == "zip" else "a.tgz")
    file.write_bytes(content if kind == "zip" else gzip.compress(content, 1))
    archive = Archive(url=f"https://host/{file.name}", sequences=["a"])
    base = Path(tempfile.mkdtemp(dir=tmp_path))
    with contextlib.suppress(BadArchiveError):
        unpack(archive, file, base, ("a",), lambda *told: None)


@cache
def damaged_archives():
    """Archives with every kind of header, before they are damaged; the tar is not compressed yet."""
    tar = [
        tar_member("a/", kind=b"5"),
        pax_header(**{"mtime": "1.5", "GNU.sparse.size": "20", "GNU.sparse.map": "5,3"}),
        tar_member("a/holes", b"abc"),
        tar_member("LongLink", b"a/long", kind=b"L"),
        tar_member("a/short", b"content"),
        tar_member("a/link", kind=b"2", target="short"),
    ]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            archive.writestr(f"a/é{method}", b"content" * 10, method)
    return {"tar": b"".join(tar) + bytes(1024), "zip": packed.getvalue()}
