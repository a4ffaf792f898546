"""What a plan refuses, what it skips, and what an experiment with skipped trials comes to."""

import pytest
from silent_listener import Silent
from slam_test_backends import CurveAdapter
from slam_test_recordings import record_curve

from adapters.adapter import Adapter
from adapters.backend import BackendInputError
from adapters.errors import BackendUnavailableError
from adapters.orbslam3 import OrbSlam3Adapter
from harness.backends import BACKENDS
from harness.configuration import make_configuration
from harness.errors import ConfigurationError
from harness.executor import LocalExecutor
from harness.experiment import run_trials
from harness.plan import plan_trials
from harness.record import Status
from harness.store import ExperimentDirectory
from sequences.errors import SequenceError
from sequences.reader import ReaderContext


@pytest.fixture
def recording(tmp_path):
    return record_curve(tmp_path / "curve")


@pytest.fixture
def broken_plugin(tmp_path, monkeypatch):
    """The name of a backend whose class is not where its entry point says."""
    folder = tmp_path / "plugins" / "broken_plugin-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[slam_harness.backends]\nbroken = slam_test_backends:NoSuchAdapter\n"
    )
    monkeypatch.syspath_prepend(folder.parent)
    return "broken"


def install_only(monkeypatch, *names):
    monkeypatch.setattr(BACKENDS, "names", lambda: sorted(names))


def plan(recording, announce=lambda _: None, **values):
    values = {"sequences": [str(recording)], "perception": ["sensor"]} | values
    configuration = make_configuration(values)
    context = ReaderContext(None, recording.parent / "cache")
    return configuration, plan_trials(configuration, context, announce)


def outcome_of(recording, **values):
    configuration, trials = plan(recording, **values)
    experiment = ExperimentDirectory.create(recording.parent / "experiment", configuration, trials)
    return run_trials(experiment, LocalExecutor(), Silent())


def fail_to_prepare(monkeypatch, error):
    def prepare(self, options, cache_directory):
        raise error

    monkeypatch.setattr(CurveAdapter, "prepare", prepare)


@pytest.mark.parametrize(
    ("backend", "option", "value", "message"),
    [
        ("orbslam3", "features", "abc", "backend 'orbslam3': option features must be of type int, got 'abc'"),
        ("orbslam3", "features", 5, "features must be at least 100"),
        ("orbslam3", "vocabulary", 3, "vocabulary must be of type str"),
        ("orbslam3", "vocabulary_url", 3, "vocabulary_url must be of type str"),
        ("rgbd-odometry", "stride", 0, "backend 'rgbd-odometry': option stride must be from 1 to 8"),
        ("rgbd-odometry", "iterations", "6", "iterations must be a list of whole numbers"),
    ],
)
def test_an_option_that_cannot_work_is_refused_before_any_backend_is_prepared(
    recording, backend, option, value, message
):
    announced = []
    with pytest.raises(ConfigurationError) as refused:
        plan(
            recording,
            announced.append,
            backends=["curve", backend],
            backend_options={backend: {option: value}},
        )
    assert message in str(refused.value)
    assert not announced


def test_a_vocabulary_that_is_not_there_is_refused_and_not_skipped(recording, monkeypatch):
    monkeypatch.setattr(OrbSlam3Adapter, "missing", lambda self: None)
    with pytest.raises(ConfigurationError, match=r"'orbslam3': /nonexistent/words\.txt: .*No such file"):
        plan(
            recording,
            backends=["curve", "orbslam3"],
            backend_options={"orbslam3": {"vocabulary": "/nonexistent/words.txt"}},
        )


def test_what_a_user_gave_and_a_backend_cannot_be_prepared_with_stops_the_experiment(recording, monkeypatch):
    fail_to_prepare(monkeypatch, BackendInputError("weights.bin: no such file"))
    install_only(monkeypatch, "curve")
    for backends in ([], ["curve"]):
        with pytest.raises(ConfigurationError, match=r"backend 'curve': weights\.bin: no such file"):
            plan(recording, backends=backends)


def test_what_a_machine_lacks_for_preparing_skips_the_backend(recording, monkeypatch):
    fail_to_prepare(monkeypatch, BackendUnavailableError("the server cannot be reached"))
    (trial,) = plan(recording, backends=["curve"])[1].trials
    assert (trial.verdict, trial.cannot_run_here) == (Status.SKIPPED, True)
    assert trial.reason == "backend 'curve' cannot run here: the server cannot be reached"


def test_a_backend_that_was_named_and_cannot_run_here_fails_the_experiment(recording):
    outcome = outcome_of(recording, backends=["curve", "absent", "gpu-only"])
    assert (outcome.count(Status.OK), outcome.count(Status.SKIPPED)) == (1, 2)
    assert outcome.exit_code() == 1
    absent, gpu_only = outcome.named_but_absent()
    assert "'absent' cannot run here: the package 'absent' is not installed" in absent
    assert "'gpu-only' cannot run here: it needs 1000 GPU" in gpu_only


def test_more_memory_than_there_is_fails_an_experiment_that_names_the_backend(recording):
    outcome = outcome_of(recording, backends=["curve"], memory_limit_bytes=2**60)
    assert outcome.exit_code() == 1
    assert "of memory and this machine has" in outcome.named_but_absent()[0]


def test_backends_that_nobody_named_may_be_unable_to_run_here(recording, monkeypatch):
    install_only(monkeypatch, "curve", "absent", "gpu-only")
    outcome = outcome_of(recording)
    assert (outcome.count(Status.OK), outcome.count(Status.SKIPPED)) == (1, 2)
    assert outcome.named_but_absent() == []
    assert outcome.exit_code() == 0


def test_a_named_backend_that_does_not_fit_the_perception_fails_nothing(recording, monkeypatch):
    monkeypatch.setattr("adapters.rgbd_odometry.RgbdOdometryAdapter.missing", lambda self: None)
    outcome = outcome_of(recording, perception=["none"], backends=["curve", "rgbd-odometry"])
    assert (outcome.count(Status.OK), outcome.count(Status.SKIPPED)) == (1, 1)
    assert outcome.named_but_absent() == []
    assert outcome.exit_code() == 0


def test_a_broken_plugin_is_skipped_with_the_reason_where_nobody_named_it(
    recording, monkeypatch, broken_plugin
):
    install_only(monkeypatch, "curve", broken_plugin)
    broken, curve = plan(recording)[1].trials
    assert curve.verdict is None
    assert (broken.verdict, broken.cannot_run_here) == (Status.SKIPPED, True)
    assert "NoSuchAdapter) cannot be loaded: AttributeError" in broken.reason


def test_a_broken_plugin_that_was_named_stops_the_experiment(recording, broken_plugin):
    with pytest.raises(SequenceError, match="cannot be loaded: AttributeError"):
        plan(recording, backends=["curve", broken_plugin])


def test_an_adapter_that_breaks_while_it_prepares_stops_those_alone_who_named_it(recording, monkeypatch):
    fail_to_prepare(monkeypatch, KeyError("weights"))
    install_only(monkeypatch, "curve")
    (trial,) = plan(recording)[1].trials
    assert trial.verdict is Status.SKIPPED
    assert "it cannot be prepared: KeyError: 'weights'" in trial.reason
    with pytest.raises(ConfigurationError, match="backend 'curve': it cannot be prepared: KeyError"):
        plan(recording, backends=["curve"])


class ForgetfulAdapter(Adapter):
    server = "slam_test_backends:CurveBackend"

    def missing(self):
        return None


class RaisingAdapter(CurveAdapter):
    def missing(self):
        raise OSError("libslam.so.3: cannot open shared object file")


@pytest.mark.parametrize(
    ("adapter", "reason"),
    [
        (ForgetfulAdapter, "backend 'other' cannot be created: TypeError"),
        (RaisingAdapter, "it cannot say what it needs: OSError: libslam.so.3: cannot open"),
    ],
)
def test_an_adapter_that_raises_is_skipped_and_hides_no_other(recording, monkeypatch, adapter, reason):
    install_only(monkeypatch, "curve", "other")
    load = BACKENDS.load
    monkeypatch.setattr(BACKENDS, "load", lambda name: adapter if name == "other" else load(name))
    curve, other = plan(recording)[1].trials
    assert curve.verdict is None
    assert other.verdict is Status.SKIPPED
    assert reason in other.reason


DESKS = """
name: desks
description: Two desks, of which one is here.
version: 1
dataset: tum
sequences:
  - {name: freiburg1_desk, reader: tum, parameters: {find: here}}
  - {name: freiburg1_desk2, reader: tum, parameters: {find: elsewhere}}
"""


def test_a_recording_of_a_set_that_is_not_here_is_skipped_with_how_to_get_it(tmp_path):
    record_curve(tmp_path / "data" / "here")
    (tmp_path / "data" / "catalog").mkdir()
    (tmp_path / "data" / "catalog" / "desks.yaml").write_text(DESKS)
    configuration = make_configuration(
        {"sequences": ["desks"], "perception": ["sensor"], "backends": ["curve"]}
    )
    trials = plan_trials(configuration, ReaderContext(tmp_path / "data", tmp_path / "cache")).trials
    assert [trial.verdict for trial in trials] == [None, Status.SKIPPED]
    assert "nothing below HARNESS_DATA" in trials[1].reason
    assert "download with: harness sequences download freiburg1_desk2" in trials[1].reason
    assert not trials[1].cannot_run_here
