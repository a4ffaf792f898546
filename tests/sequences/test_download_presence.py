"""What counts as there: what a reader recognises, in its place or elsewhere; anything else is in the way."""

import os

import pytest
from slam_test_downloads import Downloader, rooms, small_server
from tum_files import write_tum_sequence

from sequences.datasets import load_dataset


@pytest.fixture
def server():
    with small_server() as running:
        yield running


@pytest.fixture
def downloaded(server, tmp_path):
    return Downloader(server, tmp_path / "data")


@pytest.mark.parametrize("content", [None, "notes.txt", "rgb/1.png"])
def test_a_folder_that_is_no_recording_is_in_the_way_and_is_left_as_it_is(server, downloaded, content):
    place = downloaded.folder / "small" / "dataset_desk"
    place.mkdir(parents=True)
    if content is not None:
        (place / content).parent.mkdir(exist_ok=True)
        (place / content).write_bytes(b"mine")
    before = sorted(place.rglob("*"))
    report = downloaded("desk", "room")
    (failure,) = report.failures
    what = f"a folder with {content.split('/')[0]} in it" if content else "an empty folder"
    assert f"{place} is in the way: it is {what}, and no recording that a reader recognises" in failure
    assert "left as it is; move it away and try again" in failure
    assert (report.there, set(report.new)) == ({}, {"room"})
    assert sorted(place.rglob("*")) == before
    assert [request.path for request in server.requests] == ["/room.tgz"]


def test_a_file_or_a_link_to_nothing_is_in_the_way_too(downloaded):
    place = downloaded.folder / "small" / "dataset_desk"
    place.parent.mkdir(parents=True)
    place.write_text("mine")
    assert "is in the way: it is a file, and no recording" in downloaded.fails("desk")
    place.unlink()
    place.symlink_to("nowhere")
    assert "is in the way: it is a link that leads nowhere, and no recording" in downloaded.fails("desk")
    assert os.readlink(place) == "nowhere"


def test_what_is_in_the_way_of_one_sequence_does_not_keep_others_of_its_archive_from_coming(
    server, downloaded
):
    described = rooms(server)
    (downloaded.folder / "small" / "room0").mkdir(parents=True)
    report = downloaded("room0", "room1", described=described)
    assert set(report.new) == {"room1"}
    assert ["room0 is in the way" in failure for failure in report.failures] == [True]
    assert list((downloaded.folder / "small" / "room0").iterdir()) == []


def test_a_recording_elsewhere_below_the_folder_is_there_and_is_not_fetched(server, downloaded):
    elsewhere = downloaded.folder / "old" / "recordings" / "dataset_desk"
    write_tum_sequence(elsewhere)
    report = downloaded("desk")
    assert (report.there, report.new, report.failures) == ({"desk": elsewhere}, {}, ())
    assert server.requests == []
    assert not (downloaded.folder / "small").exists()


def test_a_recording_elsewhere_counts_even_where_something_is_in_the_way_of_it(server, downloaded):
    elsewhere = write_tum_sequence(downloaded.folder / "old" / "dataset_desk")
    (downloaded.folder / "small" / "dataset_desk").mkdir(parents=True)
    report = downloaded("desk")
    assert (report.there, report.failures) == ({"desk": elsewhere}, ())


def test_a_folder_of_that_name_elsewhere_that_is_no_recording_does_not_count(downloaded):
    (downloaded.folder / "old" / "dataset_desk").mkdir(parents=True)
    assert set(downloaded("desk").new) == {"desk"}


def test_what_is_elsewhere_does_not_come_a_second_time_with_the_others_of_its_archive(server, downloaded):
    described = rooms(server)
    elsewhere = downloaded.folder / "old" / "room0"
    (elsewhere / "results").mkdir(parents=True)
    (elsewhere / "traj.txt").write_text("mine")
    report = downloaded("room0", "room1", described=described)
    assert (report.there, set(report.new)) == ({"room0": elsewhere}, {"room1"})
    assert downloaded.there() == ["room1"]


def test_of_a_sequence_in_the_catalogue_only_what_the_reader_it_names_recognises_counts(server, downloaded):
    described = load_dataset("replica")
    other = write_tum_sequence(downloaded.folder / "replica" / "room0")
    failure = downloaded.fails("room0", described=described)
    assert f"{other} is in the way" in failure
    assert server.requests == []
