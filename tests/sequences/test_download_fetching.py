"""Fetching a file: from where it broke off, past every fault a server can have, or not at all."""

import os
import signal
import subprocess
import sys
import time

import pytest
from slam_test_file_server import file_server

from sequences.download import DownloadError, Patience
from sequences.download.fetching import fetch

CONTENT = bytes(number * 7 % 251 for number in range(100_000))
OTHER = bytes(number * 11 % 241 for number in range(90_000))


@pytest.fixture
def server():
    with file_server() as running:
        yield running


class Fetcher:
    """Fetches ``/a.tgz`` into a folder and keeps what it was told."""

    def __init__(self, server, folder):
        self.server, self.target = server, folder / "a.tgz"
        self.progress, self.room, self.waits = [], [], []

    def __call__(self, path="/a.tgz", tries=5, **changes):
        patience = Patience(tries=tries, silence_seconds=5, wait=self.waits.append)
        arguments = {"published_bytes": None} | changes
        fetch(
            path if path.startswith("http") else self.server.address + path,
            self.target,
            lambda *told: self.progress.append(told),
            self.room.append,
            patience,
            **arguments,
        )
        return self.target.read_bytes()

    def fails(self, problem, *arguments, **changes):
        with pytest.raises(DownloadError, match=problem) as caught:
            self(*arguments, **changes)
        assert not self.target.exists()
        return str(caught.value)

    @property
    def came(self):
        part = self.target.with_name("a.tgz.part")
        return part.read_bytes() if part.exists() else b""


@pytest.fixture
def fetched(server, tmp_path):
    return Fetcher(server, tmp_path)


def test_a_whole_file_comes_in_one_request(server, fetched, tmp_path):
    server.serve("/a.tgz", CONTENT)
    assert fetched() == CONTENT
    assert fetched.progress[0] == ("downloading a.tgz", 0, len(CONTENT))
    assert fetched.progress[-1] == ("downloading a.tgz", len(CONTENT), len(CONTENT))
    assert fetched.room == [len(CONTENT)]
    assert [request.headers["accept-encoding"] for request in server.requests] == ["identity"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.tgz"]


def test_what_broke_off_goes_on_where_it_ended(server, fetched):
    server.serve("/a.tgz", CONTENT, break_after=[30_000, 20_000, None])
    assert fetched() == CONTENT
    assert server.ranges() == [None, "bytes=30000-", "bytes=50000-"]
    assert [request.sent for request in server.requests] == [30_000, 20_000, 50_000]
    assert {request.headers.get("if-range") for request in server.requests} == {None, '"one"'}
    assert fetched.room == [100_000, 70_000, 50_000]


def test_tries_that_bring_something_new_go_on(server, fetched):
    server.serve("/a.tgz", CONTENT, break_after=[9_000] * 11)
    assert fetched(tries=2) == CONTENT
    assert len(server.requests) == 12


def test_tries_that_bring_nothing_new_end_it(server, fetched):
    server.serve("/a.tgz", CONTENT, break_after=[30_000, *[0] * 10])
    message = fetched.fails("ended after 30000 of 100000 bytes; given up after 3 tries", tries=3)
    assert "30000 bytes) is kept" in message
    assert fetched.came == CONTENT[:30_000]
    assert fetched.waits == [1, 2]
    server.files["/a.tgz"].break_after.clear()
    server.requests.clear()
    assert fetched() == CONTENT
    assert server.ranges() == ["bytes=30000-"]


def test_a_process_killed_in_the_middle_leaves_what_another_goes_on_with(server, fetched, tmp_path):
    served = server.serve("/a.tgz", CONTENT, delay_s=0.05)
    code = (
        "import sys; from pathlib import Path\n"
        "from sequences.download import Patience\n"
        "from sequences.download.fetching import fetch\n"
        "fetch(sys.argv[1], Path(sys.argv[2]), lambda *told: None, lambda size: None, Patience())"
    )
    arguments = [sys.executable, "-c", code, f"{server.address}/a.tgz", str(fetched.target)]
    with subprocess.Popen(arguments) as process:
        while len(fetched.came) < 20_000:
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    before = fetched.came
    assert process.returncode == -signal.SIGKILL
    assert 20_000 <= len(before) < len(CONTENT)
    assert CONTENT.startswith(before)

    served.delay_s = 0.0
    assert fetched() == CONTENT
    assert server.ranges()[-1] == f"bytes={len(before)}-"
    assert server.requests[-1].sent == len(CONTENT) - len(before)


def test_a_process_killed_before_the_file_got_its_name_leaves_nothing_to_fetch(server, fetched):
    server.serve("/a.tgz", CONTENT, break_after=[60_000])
    fetched.fails("given up", tries=1)
    fetched.target.with_name("a.tgz.part").write_bytes(CONTENT)
    server.requests.clear()
    assert fetched() == CONTENT
    assert server.requests == []


def test_a_server_that_knows_no_parts_sends_all_again(server, fetched):
    server.serve("/a.tgz", CONTENT, ranges=False, break_after=[60_000, None])
    assert fetched() == CONTENT
    assert [request.sent for request in server.requests] == [60_000, 100_000]


def test_a_server_that_knows_no_parts_and_always_breaks_off_is_given_up(server, fetched):
    server.serve("/a.tgz", CONTENT, ranges=False, break_after=[60_000] * 10)
    fetched.fails("given up after 3 tries", tries=3)
    assert len(server.requests) == 3


@pytest.mark.parametrize("etag", ['"two"', None])
def test_a_file_that_changed_between_two_tries_is_begun_anew(server, fetched, etag):
    server.serve("/a.tgz", CONTENT, break_after=[30_000])
    fetched.fails("given up", tries=1)
    server.serve("/a.tgz", OTHER, etag=etag, last_modified="Thu, 02 Jan 2025 00:00:00 GMT")
    assert fetched() == OTHER


def test_a_change_is_noticed_where_the_server_ignores_the_condition(server, fetched):
    # No validator on either side: only the size tells them apart.
    server.serve("/a.tgz", CONTENT, etag=None, last_modified=None, break_after=[30_000])
    fetched.fails("given up", tries=1)
    server.serve("/a.tgz", OTHER, etag=None, last_modified=None)
    assert fetched() == OTHER
    assert server.ranges() == [None, "bytes=30000-", None]


def test_a_weak_tag_is_no_condition_but_the_date_is(server, fetched):
    served = server.serve("/a.tgz", CONTENT, etag='W/"one"', break_after=[30_000])
    assert fetched() == CONTENT
    assert server.requests[1].headers["if-range"] == served.last_modified


def test_a_server_that_says_no_length_is_believed_until_something_contradicts(server, fetched):
    server.serve("/a.tgz", CONTENT, length=False)
    assert fetched() == CONTENT
    assert fetched.progress[-1] == ("downloading a.tgz", len(CONTENT), 0)


def test_where_nobody_says_a_length_room_is_asked_for_again_and_again(server, fetched):
    content = bytes(40 << 20)
    server.serve("/a.tgz", content, length=False)
    assert fetched() == content
    assert len(fetched.room) > 1
    assert len(content) <= sum(fetched.room) <= len(content) + fetched.room[0]


def test_where_nobody_says_a_length_it_ends_when_there_is_no_more_room(server, fetched):
    served = server.serve("/a.tgz", bytes(60 << 20), length=False)
    asked = []

    def room_for_one(size):
        asked.append(size)
        if len(asked) > 1:
            raise DownloadError("no room")

    patience = Patience(tries=1, silence_seconds=5)
    with pytest.raises(DownloadError, match="no room"):
        fetch(f"{server.address}/a.tgz", fetched.target, lambda *told: None, room_for_one, patience)
    assert len(fetched.came) == asked[0] < len(served.content)


def test_a_published_size_stands_in_for_a_length_that_is_not_announced(server, fetched):
    server.serve("/a.tgz", CONTENT, length=False, etag=None, last_modified=None, break_after=[172, None])
    assert fetched(published_bytes=len(CONTENT)) == CONTENT
    assert server.ranges() == [None, "bytes=172-"]
    assert fetched.room == [len(CONTENT), len(CONTENT) - 172]
    assert fetched.progress[-1] == ("downloading a.tgz", len(CONTENT), len(CONTENT))


def test_no_more_than_the_published_size_is_taken_where_no_length_is_announced(server, fetched):
    server.serve("/a.tgz", CONTENT + b"more", length=False)
    assert fetched(published_bytes=len(CONTENT)) == CONTENT


def test_a_length_of_thousands_of_digits_is_none(server, fetched):
    server.serve("/a.tgz", CONTENT, announced="9" * 5000, break_after=[30_000, None])
    assert fetched(published_bytes=len(CONTENT)) == CONTENT


def test_a_part_of_a_file_of_thousands_of_digits_is_one_of_a_file_that_says_no_length(server, fetched):
    server.serve("/a.tgz", CONTENT, whole_size="9" * 5000, break_after=[30_000, None])
    assert fetched() == CONTENT
    assert server.ranges() == [None, "bytes=30000-"]


def test_a_server_that_announces_too_much_is_found_out_by_its_own_parts(server, fetched):
    server.serve("/a.tgz", CONTENT, announced=120_000)
    assert fetched() == CONTENT
    assert server.ranges() == [None, "bytes=100000-"]


def test_a_server_that_announces_too_much_and_knows_no_parts_is_given_up(server, fetched):
    server.serve("/a.tgz", CONTENT, announced=120_000, ranges=False)
    fetched.fails("ended after 100000 of 120000 bytes", tries=3)


def test_what_is_sent_beyond_the_announced_length_is_not_looked_at(server, fetched):
    server.serve("/a.tgz", CONTENT, announced=60_000)
    assert fetched() == CONTENT[:60_000]


def test_a_published_size_is_compared_before_anything_comes(server, fetched):
    server.serve("/a.tgz", CONTENT)
    fetched.fails("offers 100000 bytes, published are 99999", published_bytes=99_999)
    assert fetched.came == b""


def test_a_part_that_is_longer_than_the_file_has_become_is_dropped(server, fetched):
    server.serve("/a.tgz", CONTENT, etag=None, last_modified=None, break_after=[95_000])
    fetched.fails("given up", tries=1)
    server.serve("/a.tgz", OTHER, etag=None, last_modified=None)
    assert fetched() == OTHER


def test_trouble_that_passes_is_waited_for(server, fetched):
    server.serve("/a.tgz", CONTENT, errors=[503, 429, 500])
    assert fetched() == CONTENT
    assert fetched.waits == [1, 2, 4]


def test_trouble_that_does_not_pass_is_said(server, fetched):
    server.serve("/a.tgz", CONTENT, errors=[503] * 9)
    fetched.fails("answered 503 Service Unavailable; given up after 5 tries")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "nothing at this address"),
        (410, "nothing at this"),
        (403, "not give this file"),
        (400, "answered 400"),
    ],
)
def test_a_refusal_is_said_at_once(server, fetched, status, words):
    server.serve("/a.tgz", CONTENT, errors=[status] * 9)
    message = fetched.fails(words)
    assert f"{server.address}/a.tgz" in message
    assert str(status) in message
    assert len(server.requests) == 1


def test_a_web_page_is_no_archive(server, fetched):
    server.serve("/a.tgz", b"<html>robots stay out</html>", content_type="text/html; charset=utf-8")
    fetched.fails("sent a web page and no archive")
    assert fetched.came == b""


def test_a_redirect_is_followed_and_keeps_the_part_that_is_wanted(server, fetched):
    server.serve("/a.tgz", b"", redirect="/elsewhere.tgz")
    server.serve("/elsewhere.tgz", CONTENT, break_after=[30_000])
    assert fetched() == CONTENT
    assert [
        request.headers.get("range") for request in server.requests if request.path == "/elsewhere.tgz"
    ] == [
        None,
        "bytes=30000-",
    ]


def test_a_redirect_to_a_file_of_this_machine_is_not_followed(server, fetched, tmp_path):
    (tmp_path / "secret").write_text("secret")
    server.serve("/a.tgz", b"", redirect=f"file://{tmp_path}/secret")
    fetched.fails("302|not followed")


def test_a_redirect_in_a_circle_ends(server, fetched):
    server.serve("/a.tgz", b"", redirect="/a.tgz")
    fetched.fails("302")


def test_a_server_that_is_not_there_is_said(fetched, server):
    server.server.server_close()
    fetched.fails("cannot be reached: .*refused.*; given up after 2 tries", tries=2)


def test_a_server_that_falls_silent_is_not_waited_for_forever(server, fetched):
    server.serve("/a.tgz", CONTENT, delay_s=3.0)
    patience = Patience(tries=1, silence_seconds=0.2)
    with pytest.raises(DownloadError, match="timed out"):
        fetch(f"{server.address}/a.tgz", fetched.target, lambda *told: None, lambda size: None, patience)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://host/a.tgz", "nothing"])
def test_what_is_no_address_of_the_web_is_refused(fetched, url):
    with pytest.raises(DownloadError, match="is no address of the web"):
        fetch(url, fetched.target, lambda *told: None, lambda size: None, Patience(tries=1))


def test_a_disk_without_room_is_said_before_anything_comes(server, fetched):
    server.serve("/a.tgz", CONTENT)

    def no_room(size):
        raise DownloadError(f"no room for {size}")

    with pytest.raises(DownloadError, match="no room for 100000"):
        fetch(f"{server.address}/a.tgz", fetched.target, lambda *told: None, no_room, Patience())
    assert fetched.came == b""
