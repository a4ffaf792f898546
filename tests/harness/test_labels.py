"""Backends that use labels are told what they mean; labels that mean nothing are not sent, which is noted."""

import pytest
from silent_listener import Silent
from slam_test_recordings import PERIOD_S, record_curve
from tum_files import write_imu, write_labels

from adapters.label_space import LabelRole
from harness.configuration import make_configuration
from harness.executor import LocalExecutor
from harness.experiment import run_trials
from harness.labels import backend_label_space
from harness.plan import plan_trials
from harness.record import Status
from harness.store import ExperimentDirectory
from sequences.label_spaces import load_label_space
from sequences.reader import ReaderContext

FRAMES = 6
STAMPS = [f"{PERIOD_S * (1 + index):.6f}" for index in range(FRAMES)]


def record_of(tmp_path, backend="witness", perception="sensor", label_space="nyu40"):
    """The record of a trial on a labelled recording with an IMU."""
    recording = record_curve(tmp_path / "curve", FRAMES)
    write_labels(recording, STAMPS, label_space)
    write_imu(recording, [10_000_000 * index for index in range(80)])
    configuration = make_configuration(
        {"sequences": [str(recording)], "perception": [perception], "backends": [backend]}
    )
    trials = plan_trials(configuration, ReaderContext(None, tmp_path / "cache"), lambda _: None)
    experiment = ExperimentDirectory.create(tmp_path / "experiment", configuration, trials)
    (record,) = run_trials(experiment, LocalExecutor(), Silent()).records
    assert record.status is Status.OK, record.reason
    return record


def test_a_backend_that_uses_labels_gets_them_with_their_meaning_and_imu_samples_beside(tmp_path):
    record = record_of(tmp_path)
    assert record.backend["statistics"] == {
        "label_space": "nyu40",
        "structure": [1, 2, 8, 9, 11, 13, 16, 19, 20, 22, 28, 30, 38],
        "labels": [1, 2, 3, 4, 5, 6],
        "labelled_frames": FRAMES,
        "imu_samples": 10 * (FRAMES - 1),
    }
    assert record.perception["labels_sent_as"] == "nyu40"
    assert "notes" not in record.perception


def test_a_backend_that_uses_none_gets_none_and_nothing_is_noted(tmp_path):
    record = record_of(tmp_path, backend="curve")
    assert not {"labels_sent_as", "notes"} & record.perception.keys()


@pytest.mark.parametrize(
    ("perception", "label_space", "note"),
    [
        ("unnamed-labels", "nyu40", "perception 'unnamed-labels' does not say of which label space they are"),
        ("sensor", "nyu41", "unknown label space 'nyu41'"),
    ],
)
def test_labels_that_nobody_can_explain_are_not_sent_and_the_record_says_so(
    tmp_path, perception, label_space, note
):
    record = record_of(tmp_path, perception=perception, label_space=label_space)
    statistics = record.backend["statistics"]
    assert (statistics["label_space"], statistics["labelled_frames"]) == (None, 0)
    (noted,) = record.perception["notes"]
    assert noted.startswith("labels are not sent to the backend: ")
    assert note in noted
    assert "labels_sent_as" not in record.perception


def test_without_labels_there_is_nothing_to_note(tmp_path):
    record = record_of(tmp_path, perception="none")
    assert "notes" not in record.perception
    assert record.backend["statistics"]["label_space"] is None


@pytest.mark.parametrize("name", ["cityscapes19", "nyu40", "nyud20", "scannet20"])
def test_backends_see_every_class_as_it_is_in_the_label_space(name):
    ours, theirs = load_label_space(name), backend_label_space(name)
    assert theirs.name == name
    for entry, seen in zip(ours.classes, theirs.classes, strict=True):
        assert (seen.id, seen.name, seen.colour) == (entry.id, entry.name, entry.colour)
        assert seen.role.value == entry.role.value


def test_classes_are_found_by_what_kind_of_thing_they_are():
    space = backend_label_space("nyu40")
    assert space.ids(LabelRole.DYNAMIC) == (31,)
    assert sorted(space.ids(*LabelRole)) == list(range(1, 41))
