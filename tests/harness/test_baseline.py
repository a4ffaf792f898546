"""Baselines: what is stored, and what is refused."""

import json

import pytest
from sample_records import GROUP, record, runs

from harness.baseline import load_baseline, save_baseline
from harness.errors import ConfigurationError, ResultsError
from harness.record import Alignment, Status

OTHER_GROUP = ("demo/house", "none", "orbslam3")


def test_a_saved_baseline_is_loaded_with_the_figures_of_every_group(tmp_path):
    records = [
        *runs(0.011, 0.012, group=GROUP),
        record(2, 0.05, 0.5, Status.PARTIAL, group=GROUP, reason="lost"),
        record(3, status=Status.FAILED, group=GROUP, reason="died"),
        *runs(0.02, group=OTHER_GROUP, alignment=Alignment.SIM3),
    ]

    path = save_baseline(records, "main", tmp_path)
    baseline = load_baseline("main", tmp_path)

    assert path == tmp_path / "main.json"
    assert baseline.environment == {"git_commit": "abc"}
    first, second = baseline.groups
    assert first.group == GROUP
    assert first.statuses == {Status.OK: 2, Status.PARTIAL: 1, Status.FAILED: 1}
    assert first.reasons == ("died", "lost")
    assert first.sequence_source == {"reader": "synthetic", "seed": 1}
    assert second.alignment is Alignment.SIM3
    assert second.ate_rmse_m == (0.02,)


def test_errors_of_partial_trials_are_not_among_the_errors(tmp_path):
    records = [record(0, 0.01), record(1, 0.001, 0.3, Status.PARTIAL)]

    save_baseline(records, "main", tmp_path)

    (group,) = load_baseline("main", tmp_path).groups
    assert group.ate_rmse_m == (0.01,)
    assert group.coverage == (1.0, 0.3)


def test_groups_that_say_nothing_are_left_out(tmp_path):
    records = [*runs(0.01), record(status=Status.SKIPPED, reason="no GPU", group=OTHER_GROUP)]

    save_baseline(records, "main", tmp_path)

    assert [group.group for group in load_baseline("main", tmp_path).groups] == [GROUP]


def test_a_baseline_is_loaded_by_path_as_well(tmp_path):
    path = save_baseline(runs(0.01), "main", tmp_path / "elsewhere")

    assert load_baseline(str(path), tmp_path).name == "main"


@pytest.mark.parametrize("status", [Status.PARTIAL, Status.FAILED, Status.SKIPPED])
def test_an_experiment_without_an_ok_trial_is_no_baseline(tmp_path, status):
    with pytest.raises(ResultsError, match="none of the 1 trials ended ok"):
        save_baseline([record(status=status)], "main", tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "../main", "a/b", ".hidden", "two words", "-x"])
def test_a_name_that_cannot_be_a_file_is_refused(tmp_path, name):
    with pytest.raises(ConfigurationError, match="cannot name a baseline"):
        save_baseline(runs(0.01), name, tmp_path)


def test_an_unknown_baseline_lists_those_there_are_and_suggests_the_nearest(tmp_path):
    save_baseline(runs(0.01), "main", tmp_path)
    save_baseline(runs(0.01), "demo", tmp_path)

    with pytest.raises(ConfigurationError) as caught:
        load_baseline("mian", tmp_path)

    assert str(caught.value) == "unknown baseline 'mian'. Did you mean 'main'? There are: demo, main."


def test_a_baseline_of_another_schema_is_refused_by_name(tmp_path):
    path = save_baseline(runs(0.01), "main", tmp_path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"schema_version": 2}))

    with pytest.raises(ResultsError, match=r"main\.json is not valid: schema_version"):
        load_baseline("main", tmp_path)


def test_a_damaged_baseline_is_refused_by_name(tmp_path):
    path = save_baseline(runs(0.01), "main", tmp_path)
    path.write_text(path.read_text()[:100])

    with pytest.raises(ResultsError, match=r"main\.json is not valid"):
        load_baseline("main", tmp_path)
