"""Sets whose recordings a user may have or not: found by name, listed as missing, with how to get them."""

from pathlib import Path

import pytest
from tum_files import write_tum_sequence

from sequences.errors import DataFileError, MissingRecordingError, SequenceError
from sequences.reader import ReaderContext
from sequences.sequence_sets import list_sets, open_sequence, resolve

DESKS = """
name: desks
description: Two desks of a public data set.
version: 1
dataset: tum
sequences:
  - name: freiburg1_desk
    reader: tum
    parameters: {find: rgbd_dataset_freiburg1_desk, published_frames: 613}
  - name: freiburg1_desk2
    reader: tum
    parameters: {find: rgbd_dataset_freiburg1_desk2}
"""


@pytest.fixture
def catalog(tmp_path):
    directory = tmp_path / "catalog"
    directory.mkdir()
    (directory / "desks.yaml").write_text(DESKS)
    (directory / "tum_local.yaml").write_text(
        "name: tum_local\ndescription: d\nversion: 1\ndiscover: {readers: [tum]}"
    )
    return [directory]


@pytest.fixture
def context(tmp_path):
    (tmp_path / "data").mkdir()
    return ReaderContext(tmp_path / "data", tmp_path / "cache")


@pytest.fixture
def desk(context):
    return write_tum_sequence(context.data_directory / "some" / "where" / "rgbd_dataset_freiburg1_desk")


def test_a_recording_is_found_by_the_name_of_its_folder_wherever_it_lies(context, catalog, desk):
    entries = resolve(["desks"], context, catalog)
    assert [entry.is_missing for entry in entries] == [False, True]
    assert entries[0].parameters == {
        "directory": "some/where/rgbd_dataset_freiburg1_desk",
        "published_frames": 613,
    }
    assert len(open_sequence(entries[0], context)) == 4


def test_another_number_of_frames_than_published_is_noted(context, catalog, desk):
    (entry,) = resolve(["freiburg1_desk"], context, catalog)
    sequence = open_sequence(entry, context)
    assert "The recording has 4 usable frames here and 613 where it was published." in sequence.info.notes
    assert "published_frames" not in sequence.info.source


def test_opening_a_missing_recording_says_how_to_get_it(context, catalog, desk):
    missing = resolve(["desks"], context, catalog)[1]
    with pytest.raises(
        MissingRecordingError,
        match=r"'rgbd_dataset_freiburg1_desk2'.*; download with: harness sequences download freiburg1_de",
    ):
        open_sequence(missing, context)


def test_who_names_a_missing_sequence_by_itself_is_told_at_once(context, catalog, desk):
    with pytest.raises(MissingRecordingError, match="harness sequences download freiburg1_desk2"):
        resolve(["freiburg1_desk", "freiburg1_desk2"], context, catalog)


def test_a_set_without_any_recording_is_refused_with_how_to_get_them(context, catalog):
    with pytest.raises(
        MissingRecordingError, match=r"set 'desks' is empty: none of its 2 recordings .* harness sequences"
    ):
        resolve(["desks"], context, catalog)
    with pytest.raises(MissingRecordingError, match="HARNESS_DATA is not set"):
        resolve(["desks"], ReaderContext(None, context.cache_directory), catalog)


def test_a_listing_keeps_the_sequences_that_are_missing(context, catalog, desk):
    desks, local = list_sets(context, catalog)
    assert [(entry.name, entry.is_missing) for entry in desks.entries] == [
        ("freiburg1_desk", False),
        ("freiburg1_desk2", True),
    ]
    assert desks.missing is None
    assert [entry.name for entry in local.entries] == ["rgbd_dataset_freiburg1_desk"]


def test_one_recording_in_two_sets_is_one_sequence_whatever_is_remarked_about_it(context, catalog, desk):
    (catalog[0] / "again.yaml").write_text(
        DESKS.replace("name: desks", "name: again").replace(", published_frames: 613", "")
    )
    assert len(resolve(["again", "desks"], context, catalog)) == 2


def test_names_that_the_catalogue_lists_are_known_without_looking_through_the_disk(
    context, catalog, monkeypatch
):
    (catalog[0] / "flats.yaml").write_text(
        "name: flats\ndescription: d\nversion: 1\nsequences: [{name: flat, reader: synthetic}]"
    )
    monkeypatch.setattr("os.walk", lambda *_, **__: pytest.fail("the disk was looked through"))
    (catalog[0] / "desks.yaml").unlink()
    for name in ("flats", "flat"):
        assert [entry.name for entry in resolve([name], context, catalog)] == ["flat"]


def test_folders_inside_a_recording_are_not_looked_through(context, catalog, desk):
    write_tum_sequence(desk / "copy" / "rgbd_dataset_freiburg1_desk2")
    assert [entry.is_missing for entry in resolve(["desks"], context, catalog)] == [False, True]


def test_a_broken_reader_hides_nobodys_recordings(context, catalog, desk, tmp_path, monkeypatch, caplog):
    folder = tmp_path / "plugins" / "broken_reader-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-reader\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[slam_harness.readers]\nbroken = tum_files:NoSuchReader\n")
    monkeypatch.syspath_prepend(folder.parent)
    assert len(resolve(["tum_local"], context, catalog)) == 1
    assert "'broken'" in caplog.text


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ("{find: a, directory: b}", "either directory: FOLDER or find: NAME"),
        ("{find: a, published_frames: 0}", "'published_frames'"),
        ("{directory: a, frames: 3}", "'frames'"),
    ],
)
def test_wrong_parameters_are_named(context, tmp_path, parameters, problem):
    directory = tmp_path / "wrong"
    directory.mkdir()
    (directory / "wrong.yaml").write_text(
        f"name: wrong\ndescription: d\nversion: 1\n"
        f"sequences: [{{name: x, reader: tum, parameters: {parameters}}}]"
    )
    with pytest.raises(SequenceError, match=problem):
        open_sequence(list_sets(context, [directory])[0].entries[0], context)


def test_users_keep_sets_of_their_own_with_their_data(context, desk):
    (context.data_directory / "catalog").mkdir()
    (context.data_directory / "catalog" / "ours.yaml").write_text(DESKS.replace("name: desks", "name: ours"))
    assert "demo" in [found.name for found in list_sets(context)]
    assert [entry.set_name for entry in resolve(["ours"], context)] == ["ours", "ours"]


def test_a_set_of_an_unknown_data_set_is_refused(context, tmp_path):
    directory = tmp_path / "wrong"
    directory.mkdir()
    (directory / "wrong.yaml").write_text(DESKS.replace("dataset: tum", "dataset: tumm"))
    with pytest.raises(DataFileError, match="Did you mean 'tum'"):
        list_sets(context, [directory])


def test_folders_that_cannot_be_looked_into_or_have_long_names_hide_no_other(
    context, catalog, desk, monkeypatch, caplog
):
    (context.data_directory / ("n" * 252)).mkdir()
    (context.data_directory / f"{'v' * 250}.mp4").touch()
    locked = context.data_directory / "locked"
    locked.mkdir()
    is_file = Path.is_file

    def refused(path):
        if locked in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refused)
    assert [entry.is_missing for entry in resolve(["desks"], context, catalog)] == [False, True]
    assert "Permission denied" in caplog.text
    assert "File name too long" in caplog.text


def test_of_several_recordings_of_one_name_the_first_is_taken_and_all_are_named(
    context, catalog, desk, caplog
):
    write_tum_sequence(context.data_directory / "again" / desk.name)
    entry = resolve(["freiburg1_desk"], context, catalog)[0]
    assert entry.parameters["directory"] == f"again/{desk.name}"
    assert "several recordings are called 'rgbd_dataset_freiburg1_desk'" in caplog.text
    assert str(desk) in caplog.text
