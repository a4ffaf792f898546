"""The local executor: as many trials at a time as the machine allows, every one ends in a record."""

import pytest
from slam_test_recordings import record_curve

from harness import backends
from harness.configuration import make_configuration
from harness.environment import Hardware
from harness.executor import Listener, LocalExecutor
from harness.experiment import run_trials
from harness.machine import Gpu
from harness.plan import plan_trials
from harness.record import Status
from harness.store import ExperimentDirectory
from sequences.reader import ReaderContext


class Watcher(Listener):
    """Counts how many trials run at a time."""

    def __init__(self):
        self.running = set()
        self.most_at_a_time = 0
        self.phases = set()
        self.finished_before = []

    def resumed(self, records):
        self.finished_before = list(records)

    def started(self, key):
        self.running.add(key)
        self.most_at_a_time = max(self.most_at_a_time, len(self.running))

    def progressed(self, key, progress):
        self.phases.add(progress.phase)

    def ended(self, record):
        self.running.discard(record.key)


def machine(cores, memory_gib=64, gpus=0):
    return Hardware(
        cores, memory_gib * 1024**3, tuple(Gpu(f"GPU-{number}", "a GPU") for number in range(gpus)), "a CPU"
    )


def experiment_of(tmp_path, **changes):
    recording = record_curve(tmp_path / "curve")
    values = {"sequences": [str(recording)], "perception": ["sensor"], "backends": ["curve"], "runs": 4}
    configuration = make_configuration(values | changes)
    plan = plan_trials(configuration, ReaderContext(None, tmp_path / "cache"))
    return ExperimentDirectory.create(tmp_path / "experiment", configuration, plan)


@pytest.mark.parametrize(
    ("hardware", "at_a_time"),
    [(machine(cores=1), 1), (machine(cores=3), 3), (machine(cores=8, memory_gib=9), 2)],
    ids=["one core", "three cores", "memory for two"],
)
def test_trials_share_out_cores_and_memory(tmp_path, hardware, at_a_time):
    experiment = experiment_of(tmp_path, backend_options={"curve": {"milliseconds": 30}})
    watcher = Watcher()
    outcome = run_trials(experiment, LocalExecutor(hardware), watcher)
    assert watcher.most_at_a_time == at_a_time
    assert outcome.count(Status.OK) == 4
    assert outcome.exit_code() == 0
    assert watcher.phases >= {"starting", "tracking", "finishing"}


def test_a_trial_that_wants_more_than_there_is_runs_alone(tmp_path):
    experiment = experiment_of(tmp_path, runs=2)
    watcher = Watcher()
    outcome = run_trials(experiment, LocalExecutor(machine(cores=0, memory_gib=1)), watcher)
    assert watcher.most_at_a_time == 1
    assert outcome.count(Status.OK) == 2


def test_finished_trials_are_not_repeated(tmp_path):
    experiment = experiment_of(tmp_path, runs=2)
    first = run_trials(experiment, LocalExecutor(machine(cores=1)), Watcher())
    lost = experiment.trial_directory(first.records[1].key) / "record.json"
    lost.unlink()
    watcher = Watcher()
    second = run_trials(experiment, LocalExecutor(machine(cores=1)), watcher)
    assert watcher.finished_before == [first.records[0]]
    assert second.records[0] == first.records[0]
    assert lost.exists()


def gpus_seen(experiment, *names):
    """What ``CUDA_VISIBLE_DEVICES`` was in each trial's backend."""
    return [
        (experiment.trial_directory(trial.key) / "backend" / "gpus.txt").read_text()
        for trial in experiment.plan().trials
        if trial.key.backend in names
    ]


def test_gpus_are_handed_out_by_name_and_none_twice(tmp_path, monkeypatch):
    hardware = machine(cores=8, gpus=2)
    monkeypatch.setattr(backends, "hardware", lambda: hardware)
    options = {"one-gpu": {"milliseconds": 100}}
    experiment = experiment_of(tmp_path, backends=["one-gpu"], runs=2, backend_options=options)
    watcher = Watcher()
    run_trials(experiment, LocalExecutor(hardware), watcher)
    assert watcher.most_at_a_time == 2
    assert sorted(gpus_seen(experiment, "one-gpu")) == ["GPU-0", "GPU-1"]


def test_trials_wait_for_gpus(tmp_path, monkeypatch):
    hardware = machine(cores=8, gpus=1)
    monkeypatch.setattr(backends, "hardware", lambda: hardware)
    experiment = experiment_of(tmp_path, backends=["one-gpu"], runs=2)
    watcher = Watcher()
    run_trials(experiment, LocalExecutor(hardware), watcher)
    assert watcher.most_at_a_time == 1
    assert gpus_seen(experiment, "one-gpu") == ["GPU-0", "GPU-0"]


def test_gpus_are_hidden_from_a_backend_that_needs_none_and_not_from_its_perception(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    experiment = experiment_of(tmp_path, perception=["gpu-witness"], runs=1)
    (record,) = run_trials(experiment, LocalExecutor(machine(cores=1, gpus=1)), Watcher()).records
    assert gpus_seen(experiment, "curve") == [""]
    assert record.perception["details"] == {"visible": "3"}


def test_a_sequence_that_cannot_be_opened_fails_its_trials_alone(tmp_path):
    broken = record_curve(tmp_path / "broken")
    (broken / "groundtruth.txt").write_text("9.0 0 0 0 0 0 0 1\n")
    recording = record_curve(tmp_path / "whole")
    configuration = make_configuration(
        {"sequences": [str(broken), str(recording)], "perception": ["sensor"], "backends": ["curve"]}
    )
    plan = plan_trials(configuration, ReaderContext(None, tmp_path / "cache"))
    experiment = ExperimentDirectory.create(tmp_path / "experiment", configuration, plan)
    outcome = run_trials(experiment, LocalExecutor(machine(cores=1)), Watcher())
    failed, done = outcome.records
    assert (failed.status, done.status) == (Status.FAILED, Status.OK)
    assert "groundtruth.txt" in failed.reason
    assert outcome.exit_code() == 1


def test_a_truncated_image_fails_its_trial_and_is_named(tmp_path):
    experiment = experiment_of(tmp_path, runs=1)
    image = tmp_path / "curve" / "rgb" / "0.800000.png"
    image.write_bytes(image.read_bytes()[:-20])
    outcome = run_trials(experiment, LocalExecutor(machine(cores=1)), Watcher())
    (record,) = outcome.records
    assert record.status is Status.FAILED
    assert "0.800000.png" in record.reason
    assert record.frames.sent == 7
