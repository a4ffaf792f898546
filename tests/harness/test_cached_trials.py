"""Trials that share predictions: one inference for all of them, and no speed that was not measured."""

import json

import pytest
from slam_test_recordings import record_curve
from test_executor import Watcher, machine

from harness.cli.experiment_options import configuration_of
from harness.configuration import ExperimentConfiguration, make_configuration
from harness.environment import reader_context
from harness.executor import LocalExecutor
from harness.experiment import run_trials
from harness.plan import plan_trials
from harness.record import Status
from harness.report.map_frames import read_map_frames
from harness.store import ExperimentDirectory

FRAMES = 12


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(tmp_path, name="experiment", cores=2, **changes):
    recording = tmp_path / "curve"
    if not recording.exists():
        record_curve(recording, FRAMES)
    values = {
        "sequences": [str(recording)],
        "perception": [f"counting:{tmp_path / 'counted'}"],
        "backends": ["curve", "witness"],
        "runs": 3,
    }
    configuration = make_configuration(values | changes)
    plan = plan_trials(configuration, reader_context())
    experiment = ExperimentDirectory.create(tmp_path / name, configuration, plan)
    outcome = run_trials(experiment, LocalExecutor(machine(cores=cores)), Watcher())
    assert outcome.count(Status.OK) == len(outcome.records)
    return outcome


def predicted(tmp_path):
    """Indices of the frames that were predicted, as often as they were."""
    return sorted(int(line) for line in (tmp_path / "counted").read_text().split())


@pytest.mark.parametrize("cores", [1, 4], ids=["one after the other", "four at a time"])
def test_two_backends_and_three_runs_cost_one_inference(tmp_path, cores):
    outcome = run(tmp_path, cores=cores)
    assert len(outcome.records) == 6
    assert predicted(tmp_path) == list(range(FRAMES))
    assert sum(record.perception["cached_frames"] for record in outcome.records) == 5 * FRAMES


def test_trials_give_the_same_whether_predictions_were_kept_or_not(tmp_path):
    kept = run(tmp_path, "kept", cores=1, backends=["curve"], runs=2).records[1]
    (anew,) = run(tmp_path, "anew", backends=["curve"], runs=1, prediction_cache=False).records
    assert kept.perception["cached_frames"] == FRAMES
    assert kept.evaluation == anew.evaluation
    assert kept.frames == anew.frames


def test_speed_is_told_only_where_every_frame_was_predicted(tmp_path):
    outcome = run(tmp_path, cores=1, backends=["curve"], runs=2)
    first, second = outcome.records
    assert (first.perception["cached_frames"], second.perception["cached_frames"]) == (0, FRAMES)
    assert first.timings.perception_ms_median >= 10
    assert first.timings.frames_per_second is not None
    assert second.timings.perception_ms_median is None
    assert second.timings.frames_per_second is None
    # What the backend took is as true as ever.
    assert second.timings.backend_ms_median is not None


@pytest.mark.parametrize("changes", [{"prediction_cache": False}, {"feed": "realtime"}])
def test_every_trial_predicts_for_itself(tmp_path, changes):
    outcome = run(tmp_path, backends=["curve"], runs=2, coverage_floor=0.0, **changes)
    sent = sum(record.frames.sent for record in outcome.records)
    assert len(predicted(tmp_path)) == sent > 0
    assert not any("cached_frames" in record.perception for record in outcome.records)
    assert not list((tmp_path / "cache").rglob("*.prediction"))


def test_maps_of_the_report_are_fused_from_what_the_trials_predicted(tmp_path):
    outcome = run(tmp_path, backends=["curve"], runs=1)
    frames = read_map_frames(outcome.records[0], reader_context())
    assert len(frames.images) == FRAMES
    assert len(predicted(tmp_path)) == FRAMES


def test_maps_are_predicted_anew_where_predictions_were_not_to_be_kept(tmp_path):
    outcome = run(tmp_path, backends=["curve"], runs=1, prediction_cache=False)
    read_map_frames(outcome.records[0], reader_context())
    assert len(predicted(tmp_path)) == 2 * FRAMES


def test_predictions_of_the_sensor_are_not_kept(tmp_path):
    outcome = run(tmp_path, perception=["sensor"], backends=["curve"], runs=2)
    for record in outcome.records:
        assert "cached_frames" not in record.perception
        assert record.timings.perception_ms_median is not None


OPTIONS = {
    "config_file": None,
    "settings": (),
    "images": (),
    "memory_limit_bytes": None,
    "output_limit_bytes": None,
    "sequences": ["demo"],
    "perception": ["sensor"],
}


@pytest.mark.parametrize(("given", "expected"), [(None, True), (True, True), (False, False)])
def test_the_option_says_whether_predictions_are_kept(given, expected):
    assert configuration_of(OPTIONS | {"prediction_cache": given}).prediction_cache is expected


def test_a_file_may_say_so_too_and_the_option_overrides_it(tmp_path):
    file = tmp_path / "experiment.yaml"
    file.write_text("prediction_cache: false\n")
    options = OPTIONS | {"config_file": file}
    assert not configuration_of(options | {"prediction_cache": None}).prediction_cache
    assert configuration_of(options | {"prediction_cache": True}).prediction_cache


def test_experiments_from_before_there_was_a_cache_can_still_be_read():
    values = make_configuration({"sequences": ["demo"], "perception": ["sensor"]}).model_dump(mode="json")
    del values["prediction_cache"]
    assert ExperimentConfiguration.model_validate_json(json.dumps(values)).prediction_cache
