"""``harness perception train``: from a file to weights, what it says, and its exit codes."""

import signal
import sys
import threading
from types import ModuleType

import pytest
import yaml
from click.testing import CliRunner
from training_boxes import BoxViews, data_of, values

from harness.cli.perception_train import train
from perception.errors import PerceptionError
from perception.m2hmx.weights import load_network, read_info
from perception.training.configuration import read_training_config
from perception.training.log import read_log


@pytest.fixture
def boxes(monkeypatch):
    """What the configuration calls 'boxes' is found, without an installed package."""
    module = ModuleType("perception.training.data_choice")
    module.training_data = data_of
    monkeypatch.setitem(sys.modules, "perception.training.data_choice", module)


@pytest.fixture
def config(tmp_path):
    def write(**changes):
        path = tmp_path / "boxes.yaml"
        path.write_text(yaml.safe_dump(values(**changes)))
        return path

    return write


def raising_for(package):
    def fail(*_):
        raise ModuleNotFoundError(f"No module named '{package}'", name=package)

    return fail


def run(*arguments):
    return CliRunner().invoke(train, [str(argument) for argument in arguments])


def test_a_file_becomes_weights_that_the_module_reads(boxes, config, tmp_path):
    path = config(evaluation={"kind": "boxes", "views": 2})
    result = run(path, "--output", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'run' / 'weights.safetensors'}\n"
    for words in ("step 6 of 6: loss ", "step 6: AbsRel ", "mIoU "):
        assert words in result.stderr
    info, network_config = read_info(tmp_path / "run" / "weights.safetensors")
    load_network(info, network_config)
    assert info.source["file"] == "boxes.yaml"
    assert info.source["git"] is None or len(info.source["git"]["commit"]) == 40
    assert info.source["data"] == BoxViews().identity()


def test_steps_stop_it_and_resume_goes_on(boxes, config, tmp_path):
    path, directory = config(), tmp_path / "run"
    stopped = run(path, "--output", directory, "--steps", 2)
    assert stopped.exit_code == 0
    assert (
        f"stopped after step 2 of 6; continue with: harness perception train {path} --resume {directory}"
        in (stopped.stderr)
    )
    assert run(path, "--resume", directory).exit_code == 0
    assert [row["step"] for row in read_log(directory)] == [1, 2, 3, 4, 5, 6]


def test_ctrl_c_stops_it_with_exit_code_1(boxes, config, tmp_path):
    timer = threading.Timer(2.0, signal.raise_signal, [signal.SIGINT])
    timer.start()
    result = run(config(steps=1_000_000), "--output", tmp_path / "run")
    timer.join()
    assert result.exit_code == 1
    assert "continue with: " in result.stderr


def test_every_run_has_a_directory_of_its_own(boxes, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = config(steps=3)
    assert run(path).exit_code == 0
    assert [each.name.endswith("-boxes") for each in (tmp_path / "results" / "training").iterdir()] == [True]


def test_a_wrong_key_is_told_before_anything_is_made(boxes, config, tmp_path):
    result = run(config(batchsize=3), "--output", tmp_path / "run")
    assert isinstance(result.exception, PerceptionError)
    assert "boxes.yaml: the configuration is not valid: there is no key 'batchsize'" in str(result.exception)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("text", "words"), [("a: [", "is not YAML"), ("- a", "must hold a mapping")])
def test_a_file_that_holds_no_configuration_is_told(tmp_path, text, words):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(PerceptionError, match=words):
        read_training_config(path)


def test_a_run_is_begun_or_continued(config, tmp_path):
    result = run(config(), "--output", tmp_path / "a", "--resume", tmp_path / "b")
    assert result.exit_code == 2
    assert "give one of them" in result.stderr


@pytest.mark.parametrize("package", ["timm", "torch", "tensorboard"])
def test_a_missing_package_is_named_with_the_extra_that_has_it(config, tmp_path, monkeypatch, package):
    monkeypatch.setattr("harness.cli.perception_train._train", raising_for(package))
    result = run(config(), "--output", tmp_path / "run")
    assert str(result.exception) == (
        f"training needs the package '{package}', which is not installed: pip install 'slam-harness[train]'"
    )


def test_a_missing_module_of_ours_is_no_missing_package(config, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.cli.perception_train._train", raising_for("perception.nothing"))
    result = run(config(), "--output", tmp_path / "run")
    assert isinstance(result.exception, ModuleNotFoundError)
