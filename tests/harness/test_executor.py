"""The local executor: as many trials at a time as the machine allows, every one ends in a record."""

import pytest
from slam_test_recordings import record_curve

from adapters.adapter import ResourceNeeds
from harness.configuration import make_configuration
from harness.environment import Hardware
from harness.executor import Listener, LocalExecutor
from harness.experiment import run_trials
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
    return Hardware(cores, memory_gib * 1024**3, ("a GPU",) * gpus, "a CPU")


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


def test_gpus_are_handed_out_and_none_twice(tmp_path):
    executor = LocalExecutor(machine(cores=8, gpus=3))
    plan = experiment_of(tmp_path, runs=3).plan()
    trials = [
        trial.model_copy(update={"needs": ResourceNeeds(gpus=2 if trial.key.run == 0 else 1)})
        for trial in plan.trials
    ]
    experiment = experiment_of(tmp_path / "gpus", runs=3)
    executor.run(trials, experiment, Watcher())
    visible = [
        (experiment.trial_directory(trial.key) / "backend" / "gpus.txt").read_text() for trial in trials
    ]
    # The third may find those of the first free again, or not yet.
    assert visible[:2] == ["0,1", "2"]
    assert visible[2] in {"0", "2"}


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
