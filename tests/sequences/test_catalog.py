"""Sequence sets: the catalogue, recordings found on disk, and what a name stands for."""

import json
import pickle

import pytest
from tum_files import CALIBRATION, write_tum_sequence

from sequences.errors import DataFileError, SequenceError, UnknownNameError
from sequences.reader import ReaderContext
from sequences.sequence_sets import SequenceEntry, list_sets, open_sequence, resolve
from sequences.tum import TumSequence

ICL_CALIBRATION = CALIBRATION.replace("30 30", "30 -30")

TWO_FLATS = """
name: flats
description: Two flats.
version: 3
sequences:
  - name: first_flat
    reader: synthetic
    parameters: {seed: 1}
  - name: second_flat
    reader: synthetic
"""


@pytest.fixture
def data(tmp_path):
    write_tum_sequence(tmp_path / "data" / "tum" / "desk")
    write_tum_sequence(tmp_path / "data" / "lab" / "hall 2")
    write_tum_sequence(tmp_path / "data" / "icl" / "office", calibration=ICL_CALIBRATION)
    return tmp_path / "data"


@pytest.fixture
def context(data, tmp_path):
    return ReaderContext(data, tmp_path / "cache")


@pytest.fixture
def catalog(tmp_path):
    """Writes a catalogue of its own; returns its folder."""

    def write(**files):
        directory = tmp_path / "catalog"
        directory.mkdir()
        for name, text in files.items():
            (directory / f"{name}.yaml").write_text(text)
        return [directory]

    return write


def named(entries):
    return [entry.name for entry in entries]


def test_every_set_that_ships_is_well_formed(context):
    shipped = {sequence_set.name: sequence_set for sequence_set in list_sets(context)}
    assert {"tum_local", "icl_local"} <= set(shipped)
    assert named(shipped["tum_local"].entries) == ["hall_2", "desk"]
    assert named(shipped["icl_local"].entries) == ["office"]


def test_without_a_context_recordings_on_disk_are_not_looked_for():
    shipped = {sequence_set.name: sequence_set for sequence_set in list_sets()}
    assert shipped["tum_local"].entries == ()
    assert "not looked for" in shipped["tum_local"].missing


def test_names_are_sets_sequences_and_folders_in_the_order_given(context, data, catalog, tmp_path):
    directories = catalog(
        flats=TWO_FLATS, local="name: l\ndescription: d\nversion: 1\ndiscover: {readers: [tum]}"
    )
    outside = write_tum_sequence(tmp_path / "outside" / "garden")
    entries = resolve(["second_flat", str(outside), "flats", "desk"], context, directories)
    assert named(entries) == ["second_flat", "garden", "first_flat", "desk"]
    assert entries[2] == SequenceEntry("first_flat", "synthetic", {"seed": 1}, "flats", 3)
    assert entries[1] == SequenceEntry("garden", "tum", {"directory": str(outside)}, None, None)
    assert entries[3].parameters == {"directory": "tum/desk"}


def test_a_folder_of_a_set_given_by_its_path_is_the_sets_own_sequence(context, data):
    assert resolve([str(data / "tum" / "desk"), "desk"], context) == resolve(["desk"], context)


def test_the_reader_of_a_folder_is_found_by_what_is_in_it(context, tmp_path):
    outside = write_tum_sequence(tmp_path / "outside" / "kt1", calibration=ICL_CALIBRATION)
    (entry,) = resolve([str(outside)], context)
    assert entry.reader == "icl_nuim"


def test_an_entry_travels_as_json_or_pickle_and_opens_elsewhere(context):
    (entry,) = resolve(["desk"], context)
    for copy in (SequenceEntry(**json.loads(json.dumps(entry.to_json()))), pickle.loads(pickle.dumps(entry))):
        assert copy == entry
        sequence = open_sequence(copy, context)
        assert isinstance(sequence, TumSequence)
        assert (sequence.info.name, len(sequence)) == ("desk", 4)


def test_folders_of_one_name_get_the_names_of_their_parents(tmp_path):
    for parent in ("a", "b", "b c"):
        write_tum_sequence(tmp_path / parent / "desk")
    write_tum_sequence(tmp_path / "b_c" / "desk")
    entries = resolve(["tum_local"], ReaderContext(tmp_path, tmp_path / "cache"))
    assert named(entries) == ["a-desk", "b-desk", "b_c-desk", "b_c-desk-2"]
    assert len({entry.parameters["directory"] for entry in entries}) == 4


def test_the_data_directory_may_itself_be_a_recording_and_links_may_go_in_circles(tmp_path):
    directory = write_tum_sequence(tmp_path / "alone")
    (directory / "again").symlink_to(directory)
    context = ReaderContext(directory, tmp_path / "cache")
    (entry,) = resolve(["tum_local"], context)
    assert (entry.name, len(open_sequence(entry, context))) == ("alone", 4)


def test_an_unknown_name_lists_what_there_is_and_suggests_the_nearest(context):
    with pytest.raises(UnknownNameError, match="Did you mean 'desk'") as caught:
        resolve(["desq"], context)
    for known in ("desk", "hall_2", "icl_local", "office", "tum_local"):
        assert known in str(caught.value)


def test_an_unknown_name_says_why_sets_on_disk_are_empty(tmp_path):
    with pytest.raises(
        UnknownNameError, match=r"Empty: .*, icl_local, .*, tum_local, .*because .*HARNESS_DATA is not set"
    ):
        resolve(["desk"], ReaderContext(None, tmp_path))


@pytest.mark.parametrize(
    ("folder", "problem"),
    [
        (None, "HARNESS_DATA is not set"),
        ("nowhere", "is not a folder"),
        ("", "nothing below it is a recording"),
    ],
)
def test_a_set_on_disk_without_data_says_what_to_do(tmp_path, folder, problem):
    context = ReaderContext(None if folder is None else tmp_path / folder, tmp_path)
    with pytest.raises(SequenceError, match=f"sequence set 'tum_local' is empty: .*{problem}"):
        resolve(["tum_local"], context)


def test_a_catalogue_sequence_in_a_folder_needs_the_data_directory(tmp_path):
    entry = SequenceEntry("desk", "tum", {"directory": "tum/desk"})
    with pytest.raises(SequenceError, match="HARNESS_DATA is not set"):
        open_sequence(entry, ReaderContext(None, tmp_path))


def test_a_folder_that_no_reader_recognises_is_refused(context, data):
    with pytest.raises(SequenceError, match=r"no sequence reader recognises .* rgb\.txt"):
        resolve([str(data)], context)


def test_two_different_sequences_of_one_name_are_refused(context, tmp_path):
    other = write_tum_sequence(tmp_path / "elsewhere" / "desk")
    with pytest.raises(SequenceError, match="two different sequences are called 'desk'"):
        resolve(["desk", str(other)], context)


def test_a_recording_with_a_broken_calibration_is_found_and_says_so_when_opened(tmp_path):
    write_tum_sequence(tmp_path / "broken", calibration="nonsense\n")
    context = ReaderContext(tmp_path, tmp_path / "cache")
    (entry,) = resolve(["tum_local"], context)
    with pytest.raises(DataFileError, match=r"calibration\.txt"):
        open_sequence(entry, context)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("version: 3", ""), "'version'"),
        (("version: 3", "version: 0"), "'version'"),
        (("version: 3", "version: 3\ncolour: red"), "'colour'"),
        (("reader: synthetic", "redaer: synthetic"), "'sequences.0.redaer'"),
        (("name: first_flat", "name: first flat"), "'sequences.0.name'"),
        (("second_flat", "first_flat"), "names sequence 'first_flat' twice"),
        (("sequences:", "discover: {readers: [tum]}\nsequences:"), "either 'sequences' or 'discover'"),
        (("version: 3", "version: ]"), "is not YAML"),
        ((TWO_FLATS, "- a\n- b\n"), "must hold the keys"),
    ],
)
def test_a_bad_catalogue_file_is_named_with_the_key(context, catalog, change, problem):
    directories = catalog(flats=TWO_FLATS.replace(*change))
    with pytest.raises(DataFileError, match=r"flats\.yaml") as caught:
        list_sets(context, directories)
    assert problem in str(caught.value)


def test_two_files_that_define_one_set_are_refused(context, catalog):
    directories = catalog(flats=TWO_FLATS, more=TWO_FLATS)
    with pytest.raises(DataFileError, match=r"more\.yaml: defines the set 'flats'"):
        list_sets(context, directories)


def test_a_catalogue_file_with_an_unknown_reader_is_refused(context, catalog):
    directories = catalog(local="name: l\ndescription: d\nversion: 1\ndiscover: {readers: [tumm]}")
    with pytest.raises(UnknownNameError, match="Did you mean 'tum'"):
        list_sets(context, directories)
