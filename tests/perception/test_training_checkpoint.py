"""Runs that stop, are killed and go on: the same tensors as of one that did not, bit for bit."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import training_boxes
from training_boxes import config_of, data_of, seen_by

from perception.training.checkpoint import (
    CheckpointError,
    checkpoint_files,
    read_newest_checkpoint,
    write_checkpoint,
)
from perception.training.configuration import TrainingConfigurationError
from perception.training.failures import TrainingError
from perception.training.log import TrainingLog, read_log
from perception.training.loop import CHECKPOINTS, TrainingData, train
from perception.training.seams import TrainingListener
from perception.weights import tensors_digest


def process(directory, begin_or_resume, steps, save_every=100, launcher=()):
    """A training in another process, with two batches to a step."""
    script = [training_boxes.__file__, str(directory), begin_or_resume, str(steps), str(save_every)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, *launcher, *script], stdout=subprocess.PIPE, text=True, env=environment
    )


def wait_for(running, line):
    for found in running.stdout:
        if found.strip() == line:
            return
    pytest.fail(f"it ended and never said '{line}'")


def newest(directory):
    return read_newest_checkpoint(directory / CHECKPOINTS)[0]


def assert_equal(found, expected, path=""):
    assert type(found) is type(expected), path
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for key, value in expected.items():
            assert_equal(found[key], value, f"{path}.{key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), path
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_equal(one, other, f"{path}.{number}")
    elif isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype, path
        assert torch.equal(found, expected), path
    else:
        assert found == expected, path


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Six steps without a stop."""
    directory = tmp_path_factory.mktemp("straight")
    config = config_of(accumulation=2)
    train(config, data_of(config), directory)
    return directory


def test_three_steps_and_three_in_another_process_are_six(straight, tmp_path):
    config = config_of(accumulation=2)
    assert train(config, data_of(config), tmp_path, stop_after=3).step == 3
    assert process(tmp_path, "resume", 6).wait() == 0
    assert_equal(newest(tmp_path), newest(straight) | {"identity": newest(tmp_path)["identity"]})
    assert read_log(tmp_path) == read_log(straight)


def test_a_run_killed_between_two_checkpoints_goes_on_from_the_earlier_one(straight, tmp_path):
    running = process(tmp_path, "begin", 6, save_every=2)
    wait_for(running, "3")
    running.kill()
    running.wait()
    assert newest(tmp_path)["step"] in (2, 4)
    assert process(tmp_path, "resume", 6, save_every=2).wait() == 0
    assert_equal(newest(tmp_path), newest(straight) | {"identity": newest(tmp_path)["identity"]})
    assert [row["step"] for row in read_log(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert read_log(tmp_path) == read_log(straight)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_a_checkpoint(tmp_path, number):
    running = process(tmp_path, "begin", 100_000)
    wait_for(running, "2")
    running.send_signal(number)
    output, _ = running.communicate(timeout=60)
    step = newest(tmp_path)["step"]
    assert running.returncode == 0
    assert output.splitlines()[-1] == f"ended at {step}"
    assert 2 <= step < 100_000
    assert read_log(tmp_path)[-1]["step"] == step


def test_two_processes_have_the_same_weights_and_other_batches_than_one(straight, tmp_path):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    assert process(tmp_path, "begin", 6, save_every=3, launcher=launcher).wait() == 0
    state = newest(tmp_path)
    assert state["step"] == 6
    assert [row["step"] for row in read_log(tmp_path)] == [1, 2, 3, 4, 5, 6]
    config = config_of(accumulation=2)
    first, second = seen_by(tmp_path, 0), seen_by(tmp_path, 1)
    assert len(first) == 6
    assert [row["weights"] for row in first] == [row["weights"] for row in second]
    assert first[-1]["weights"] == tensors_digest(state["network"])
    assert first[-1]["weights"] != tensors_digest(newest(straight)["network"])
    # The first one sees what one alone would see.
    batches = data_of(config).batches(config.seed)
    assert first[0]["names"] == [*batches.batch(0).names, *batches.batch(1).names]
    assert all(one["names"] != other["names"] for one, other in zip(first, second, strict=True))
    assert all(one["chance"] != other["chance"] for one, other in zip(first, second, strict=True))
    with pytest.raises(TrainingError, match="begun with 2 processes"):
        train(config, data_of(config), tmp_path, resume=True)


def test_the_last_two_checkpoints_are_kept(tmp_path):
    config = config_of(save_every=1, steps=5)
    train(config, data_of(config), tmp_path)
    names = [path.name for path in sorted((tmp_path / CHECKPOINTS).iterdir())]
    assert names == ["step-00000004.pt", "step-00000005.pt"]


def test_a_damaged_checkpoint_is_told_of_and_the_one_before_is_taken(tmp_path):
    class Notes(TrainingListener):
        sentences: list[str] = []

        def noticed(self, sentence):
            self.sentences.append(sentence)

    config = config_of(save_every=2)
    train(config, data_of(config), tmp_path)
    expected = newest(tmp_path)
    last = checkpoint_files(tmp_path / CHECKPOINTS)[0]
    last.write_bytes(last.read_bytes()[:1000])
    train(config, data_of(config), tmp_path, resume=True, listener=Notes())
    assert [last.name in sentence for sentence in Notes.sentences] == [True]
    assert_equal(newest(tmp_path), expected)


def test_a_checkpoint_that_would_run_code_is_not_read(tmp_path):
    class Harmful:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    directory = tmp_path / "checkpoints"
    directory.mkdir()
    torch.save({"step": 1, "state": Harmful()}, directory / "step-00000001.pt")
    with pytest.raises(CheckpointError, match=r"step-00000001\.pt"):
        read_newest_checkpoint(directory)
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_that_cannot_be_written_leaves_nothing_and_harms_no_other(tmp_path):
    write_checkpoint(tmp_path, 1, {"x": torch.ones(3)})

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python ignores the signal that comes with it, so that writing fails as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(CheckpointError, match=r"cannot write .*step-00000002\.pt: File too large"):
            write_checkpoint(tmp_path, 2, {"x": torch.ones(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.pt"]


def test_a_log_that_cannot_be_written_is_an_error_of_one_sentence(tmp_path):
    log = TrainingLog(tmp_path, 0, tensorboard=False)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(TrainingError, match=r"cannot write the log in .*: File too large"), log:
            log.add("training", 1, {"loss": 1.0})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_in_the_place_of_tensorboards_folder_is_an_error_of_one_sentence(tmp_path):
    (tmp_path / "tensorboard").write_text("mine")
    with pytest.raises(TrainingError, match=r"cannot write the log in .*: File exists"):
        TrainingLog(tmp_path, 0, tensorboard=True)


def test_there_must_be_something_to_resume(tmp_path):
    config = config_of()
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        train(config, data_of(config), tmp_path, resume=True)


def test_a_run_goes_on_with_its_own_configuration_alone(tmp_path):
    config = config_of()
    train(config, data_of(config), tmp_path, stop_after=1)
    changed = config_of(optimiser={"lr": 1e-3}, save_every=1, log_every=3)
    with pytest.raises(TrainingConfigurationError) as caught:
        train(changed, data_of(changed), tmp_path, resume=True)
    assert str(caught.value).endswith(
        "with another configuration: optimiser.lr is 0.002 there and 0.001 here"
    )
    saves_more_often = config_of(save_every=1)
    assert train(saves_more_often, data_of(config), tmp_path, resume=True).step == 6


def test_a_run_goes_on_with_its_own_data_alone(tmp_path):
    config = config_of()
    data = data_of(config)
    train(config, data, tmp_path, stop_after=1)
    with pytest.raises(TrainingError, match="other data"):
        train(config, TrainingData(data.batches, {"boxes": 17, "seed": 0}), tmp_path, resume=True)


def test_rows_of_the_log_that_are_taken_again_stand_there_once(tmp_path):
    config = config_of(save_every=2)
    train(config, data_of(config), tmp_path, stop_after=2)
    expected = read_log(tmp_path)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"kind": "training", "step": 3, "loss": -1.0}\n{"kind": "trai')
    train(config, data_of(config), tmp_path, resume=True)
    rows = read_log(tmp_path)
    assert rows[:2] == expected
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[2]["loss"] != -1.0
