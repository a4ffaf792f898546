"""Results on disk: whole or not at all, and clear words about what cannot be read or written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.configuration import make_configuration
from harness.errors import ConfigurationError, ResultsError
from harness.files import atomic_file, write_text
from harness.planned import ExperimentPlan
from harness.record import RunRecord, Status, Timings, TrialKey
from harness.store import TRIAL_COLUMNS, ExperimentDirectory, dated_path, newest_experiment

CONFIGURATION = make_configuration({"sequences": ["demo"], "perception": ["sensor"]})


PLAN = ExperimentPlan(
    trials=[
        {
            "key": {"sequence": "a", "perception": "sensor", "backend": "b", "run": run},
            "perception": {"module": "sensor"},
            "entry": {"name": "a", "reader": "tum"},
            "seed": run,
        }
        for run in range(2)
    ]
)


def record_of(run=0, **changes):
    values = {
        "key": TrialKey(sequence="a", perception="sensor", backend="b", run=run),
        "status": Status.FAILED,
        "reason": "it was told to",
        "started_at": "2026-01-01T00:00:00+00:00",
        "mode": None,
        "feed": "lockstep",
        "seed": 0,
        "configuration": {},
        "sequence": {},
        "perception": {},
        "backend": {},
        "timings": Timings(total_s=1.0),
        "environment": {},
    }
    return RunRecord(**values | changes)


def test_a_record_comes_back_as_it_was_written(tmp_path):
    experiment = ExperimentDirectory.create(tmp_path, CONFIGURATION, PLAN)
    experiment.write_record(record_of())
    assert experiment.records() == [record_of()]
    assert experiment.record(record_of().key) == record_of()


def test_records_are_in_the_order_of_their_numbers(tmp_path):
    experiment = ExperimentDirectory.create(tmp_path, CONFIGURATION, PLAN)
    for run in (10, 9, 0):
        experiment.write_record(record_of(run))
    assert [record.key.run for record in experiment.records()] == [0, 9, 10]


def test_a_trial_without_a_record_has_not_ended(tmp_path):
    assert ExperimentDirectory.create(tmp_path, CONFIGURATION, PLAN).record(record_of().key) is None


def test_trials_without_a_record_are_unfinished_and_said_to_be(tmp_path):
    experiment = ExperimentDirectory.create(tmp_path, CONFIGURATION, PLAN)
    experiment.write_record(record_of(1))
    assert [key.run for key in experiment.unfinished()] == [0]
    with pytest.raises(
        ResultsError, match="1 of 2 trials have no record, the first is a / sensor / b / run 0"
    ):
        experiment.require_finished()
    experiment.write_record(record_of(0))
    experiment.require_finished()


def test_the_configuration_comes_back_as_it_was_resolved(tmp_path):
    assert ExperimentDirectory.create(tmp_path, CONFIGURATION, PLAN).configuration() == CONFIGURATION


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Invalid JSON"),
        ('{"schema_version": 2}', "schema_version: Input should be 1"),
        ('{"schema_version": 1, "error_of_the_future": 0}', "error_of_the_future"),
    ],
)
def test_a_damaged_or_newer_record_is_named(tmp_path, text, message):
    experiment = ExperimentDirectory.create(tmp_path, CONFIGURATION, PLAN)
    file = experiment.trial_directory(record_of().key) / "record.json"
    write_text(file, text)
    with pytest.raises(ResultsError, match=message) as caught:
        experiment.records()
    assert str(caught.value).startswith(f"{file} is not valid: ")
    assert str(caught.value).count(str(file)) == 1
    advice = f"; delete this file, and its trial is run again by: harness run --resume {tmp_path}"
    assert str(caught.value).endswith(advice)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_record_takes_no_nan_for_a_figure(value):
    with pytest.raises(ValueError, match="total_s"):
        Timings(total_s=value)


def test_the_table_has_empty_cells_where_there_are_no_figures(tmp_path):
    experiment = ExperimentDirectory.create(tmp_path, CONFIGURATION, PLAN)
    experiment.write_trials_table([record_of()])
    header, row = (tmp_path / "trials.csv").read_text().splitlines()
    assert header.split(",") == TRIAL_COLUMNS
    cells = dict(zip(TRIAL_COLUMNS, row.split(","), strict=True))
    assert cells["status"] == "failed"
    assert cells["ate_se3_rmse_m"] == ""


def test_a_reason_of_several_lines_is_one_line_of_the_table(tmp_path):
    experiment = ExperimentDirectory.create(tmp_path, CONFIGURATION, PLAN)
    experiment.write_trials_table(
        [record_of(reason="no calibration;\n  write a file like this:\n# fx fy\r\n")]
    )
    _, row = (tmp_path / "trials.csv").read_text().splitlines()
    assert ",no calibration; write a file like this: # fx fy," in row


def test_paths_named_by_time_and_subject_are_never_those_of_something_else(tmp_path):
    paths = []
    for _ in range(3):
        paths.append(dated_path(tmp_path, "a:b/c"))
        paths[-1].mkdir()
    assert len({*paths}) == 3
    assert all(path.parent == tmp_path and "-a_b_c" in path.name for path in paths)


@given(st.text(min_size=1, max_size=20))
@example(".")
@example("..")
def test_no_name_of_a_module_leads_out_of_the_experiment(name):
    experiment = ExperimentDirectory(Path("/experiment"))
    directory = experiment.trial_directory(TrialKey(sequence="a", perception=name, backend="b", run=0))
    assert directory.is_relative_to("/experiment/trials/a")
    assert ".." not in directory.parts
    assert len(directory.parts) == 7


def test_the_newest_experiment_is_the_one_begun_last(tmp_path):
    for age, name in ((20, "b"), (10, "c"), (30, "a")):
        ExperimentDirectory.create(tmp_path / name, CONFIGURATION, PLAN)
        file = tmp_path / name / "experiment.json"
        os.utime(file, (file.stat().st_atime, file.stat().st_mtime - age))
    assert newest_experiment(tmp_path).path.name == "c"


def test_without_any_experiment_the_way_to_one_is_named(tmp_path):
    with pytest.raises(ResultsError, match="'harness run' makes one"):
        newest_experiment(tmp_path)


def test_a_file_that_could_not_be_finished_leaves_the_old_one_and_nothing_else(tmp_path):
    file = tmp_path / "result"
    write_text(file, "old")
    with pytest.raises(RuntimeError), atomic_file(file) as stream:
        stream.write(b"half of the n")
        raise RuntimeError("interrupted")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_full_disk_leaves_the_old_file_and_says_what_to_do(tmp_path):
    file = tmp_path / "result"
    write_text(file, "old")
    code = (
        "import resource, sys; from pathlib import Path; from harness.files import write_text\n"
        "from harness.errors import ResultsError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_text(Path(sys.argv[1]), 'x' * 100_000)\n"
        "except ResultsError as error: print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, file], capture_output=True, text=True, check=True
    ).stdout
    assert "cannot write" in said
    assert "choose another place" in said
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_wrong_values_are_named_one_by_one():
    with pytest.raises(ConfigurationError) as caught:
        make_configuration({"sequences": [], "perception": ["sensor"], "runs": 0, "colour": 1})
    assert all(name in str(caught.value) for name in ("sequences:", "runs:", "colour:"))


def test_what_is_named_twice_is_meant_once():
    values = {"sequences": ["demo", "demo"], "perception": ["sensor"], "backends": ["a", "b", "a"]}
    configuration = make_configuration(values)
    assert configuration.sequences == ("demo",)
    assert configuration.backends == ("a", "b")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_options_that_cannot_be_stored_are_refused(value):
    values = {"sequences": ["demo"], "perception": ["sensor"]}
    with pytest.raises(ConfigurationError, match="backend_options"):
        make_configuration(values | {"backend_options": {"curve": {"noise_m": value}}})


def test_limits_may_stand_in_a_file_and_unknown_ones_are_refused():
    values = {"sequences": ["demo"], "perception": ["sensor"]}
    assert make_configuration(values | {"limits": {"frame_s": 3}}).limits.frame_s == 3
    with pytest.raises(ConfigurationError, match="frame_seconds"):
        make_configuration(values | {"limits": {"frame_seconds": 3}})
