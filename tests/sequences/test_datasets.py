"""What is written down of every data set: it loads, it is complete, and names lead where they should."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from sequences.datasets import Archive, Dataset, dataset_names, how_to_get, load_dataset, resolve_names
from sequences.errors import UnknownNameError
from sequences.sequence_sets import list_sets

DATASETS = [load_dataset(name) for name in dataset_names()]
DOWNLOADS = [dataset for dataset in DATASETS if dataset.downloads]


def archive(**changes):
    return Archive(**{"url": "https://host/a.tgz", "sequences": ["a"]} | changes)


def described(**changes):
    plain = {"name": "x", "title": "X", "homepage": "https://host/", "licence": "free", "citation": "A, 2020"}
    return Dataset(**plain | {"folder": "x", "downloads": [archive()]} | changes)


@pytest.mark.parametrize("dataset", DATASETS, ids=dataset_names())
def test_a_data_set_is_called_like_its_file_and_says_what_it_is(dataset):
    assert dataset.name in dataset_names()
    assert load_dataset(dataset.name) is dataset
    assert dataset.licence
    assert dataset.citation


def test_every_description_in_the_folder_can_be_named():
    folder = Path(__file__).parents[2] / "sequences" / "datasets"
    assert sorted(path.stem for path in folder.glob("*.yaml")) == sorted(dataset_names())


def test_no_two_data_sets_share_a_sequence_or_a_folder():
    names = [name for dataset in DATASETS for name in (*dataset.sequences, dataset.name)]
    assert len(names) == len(set(names))
    folders = [dataset.folder for dataset in DATASETS]
    assert len(folders) == len(set(folders))
    for dataset in DATASETS:
        assert [other.name for name in dataset.sequences for other in DATASETS if other.has(name)] == [
            dataset.name
        ] * len(dataset.sequences)


def test_the_sequences_of_papers_are_there():
    assert {"freiburg1_desk", "freiburg2_xyz", "freiburg3_long_office_household"} <= set(
        load_dataset("tum").sequences
    )
    assert load_dataset("replica").sequences == (
        *(f"office{number}" for number in range(5)),
        *(f"room{number}" for number in range(3)),
    )
    assert len(load_dataset("euroc").sequences) == 11
    assert {"living_room_traj2_frei_png", "traj3_frei_png"} <= set(load_dataset("icl_nuim").sequences)


def test_a_sequence_lies_where_its_archive_puts_it():
    assert load_dataset("tum").sequence_directory("freiburg1_desk") == Path("tum/rgbd_dataset_freiburg1_desk")
    assert load_dataset("euroc").sequence_directory("MH_01_easy") == Path("euroc/MH_01_easy")


@pytest.mark.parametrize("dataset", DOWNLOADS, ids=lambda dataset: dataset.name)
def test_the_links_of_a_data_set_are_archives_with_names_of_their_own(dataset):
    names = [download.name for download in dataset.downloads]
    assert len(names) == len(set(names))
    for download in dataset.downloads:
        assert download.inner is None or "{sequence}" in download.inner


@pytest.mark.parametrize("name", ["scannet", "seven_scenes", "tartanair"])
def test_instructions_say_where_to_lay_the_data_and_what_to_try(name):
    dataset = load_dataset(name)
    assert f"HARNESS_DATA/{dataset.folder}/" in dataset.instructions
    assert "harness sequences ls" in dataset.instructions


def test_a_name_stands_for_a_data_set_or_a_sequence():
    wanted = resolve_names(["freiburg1_desk", "replica", "freiburg1_xyz", "freiburg1_desk"])
    assert [(item.dataset.name, item.sequences) for item in wanted] == [
        ("tum", ("freiburg1_desk", "freiburg1_xyz")),
        ("replica", load_dataset("replica").sequences),
    ]


@pytest.mark.parametrize("name", ["scannet", "scene0059_00"])
def test_data_with_terms_to_accept_has_no_sequences_to_fetch(name):
    (wanted,) = resolve_names([name])
    assert (wanted.dataset.name, wanted.sequences) == ("scannet", ())


def test_a_name_that_is_nothing_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match=r"'freiburg1_dsek'\. Did you mean 'freiburg1_desk'"):
        resolve_names(["freiburg1_dsek"])
    with pytest.raises(UnknownNameError, match=r"euroc.* tum") as caught:
        resolve_names(["bedroom"])
    assert len(str(caught.value)) < 200
    with pytest.raises(UnknownNameError, match="unknown data set 'scannett'"):
        load_dataset("scannett")


def test_who_misses_a_recording_is_told_one_command():
    assert how_to_get("tum", "tum_rgbd") == "download with: harness sequences download tum_rgbd"


@pytest.mark.parametrize(
    ("dataset", "sequence"),
    [
        ("scannet", "scene0000_00"),
        ("seven_scenes", "chess_seq-01"),
        ("tartanair", "abandonedfactory_Easy_P000"),
    ],
)
def test_who_misses_data_with_terms_is_told_where_it_goes(dataset, sequence):
    words = how_to_get(dataset, sequence)
    assert f"HARNESS_DATA/{dataset}" in words
    assert f"harness sequences download {dataset}" in words
    assert "\n" not in words


def test_an_unknown_data_set_is_refused_with_those_there_are():
    with pytest.raises(UnknownNameError, match="euroc, icl_nuim, replica"):
        how_to_get("nothing", "x")


def test_all_sequences_that_the_catalogue_lists_belong_to_the_data_set_that_it_names():
    listed = [found for found in list_sets() if found.dataset is not None and found.entries]
    assert {found.name for found in listed} >= {"euroc", "icl_nuim", "replica", "scannet_six", "tum_rgbd"}
    for found in listed:
        dataset = load_dataset(found.dataset)
        assert [entry.name for entry in found.entries if not dataset.has(entry.name)] == [], found.name


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"url": "ftp://host/a.tgz"}, "match pattern"),
        ({"url": "https://host/content"}, "set 'file_name'"),
        ({"sequences": []}, "at least 1 item"),
        ({"sequences": ["../a"]}, "match pattern"),
        ({"file_name": "../a.tgz"}, "match pattern"),
        ({"sha256": "0123"}, "match pattern"),
        ({"bytes": 0}, "greater than 0"),
        ({"folder": "a", "top_folder": "b"}, "only one of"),
        ({"folder": "a", "sequences": ["a", "b"]}, "holds one sequence"),
    ],
)
def test_a_wrong_archive_is_refused(changes, problem):
    with pytest.raises(ValidationError, match=problem):
        archive(**changes)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"downloads": []}, "either 'downloads' or 'instructions'"),
        ({"instructions": "ask", "sequence_pattern": "a"}, "either 'downloads' or 'instructions'"),
        ({"downloads": [], "instructions": "ask"}, "go together"),
        ({"downloads": [archive(), archive(url="https://host/b.tgz")]}, "sequence 'a' is listed twice"),
        ({"downloads": [archive(), archive(sequences=["b"])]}, "archive 'a.tgz' is listed twice"),
        ({"downloads": [archive(folder="b")]}, "not where its sequence is looked for"),
        ({"citation": "one\ntwo"}, "match pattern"),
    ],
)
def test_a_wrong_description_is_refused(changes, problem):
    with pytest.raises(ValidationError, match=problem):
        described(**changes)
