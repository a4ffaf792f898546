"""What can be set of a module that runs a network, and where it then runs."""

import pytest
import torch

from perception.errors import PerceptionError
from perception.inference.device import choose_placement
from perception.inference.options import InferenceOptions, Precision, parse_options


def test_nothing_has_to_be_set():
    assert parse_options({}) == InferenceOptions()


def test_options_are_read_as_the_command_line_gives_them():
    options = parse_options(
        {"depth_scale": 2, "label_space": "nyud20", "resizing": "pillow", "precision": "bfloat16"}
    )
    assert (options.depth_scale, options.label_space) == (2.0, "nyud20")
    assert (options.resizing.value, options.precision) == ("pillow", Precision.BFLOAT16)


def test_an_option_that_does_not_exist_is_named_beside_those_that_do():
    with pytest.raises(PerceptionError, match="there is no option depthscale; options: depth_scale, label"):
        parse_options({"depthscale": 1.4})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("depth_scale", "1.4"),
        ("depth_scale", True),
        ("depth_scale", 0),
        ("depth_scale", -1.0),
        ("depth_scale", float("nan")),
        ("depth_scale", None),
        ("label_space", 40),
        ("resizing", "nearest"),
        ("resizing", 1),
        ("device", "gpu"),
        ("device", "cuda:"),
        ("device", 0),
        ("precision", "int8"),
    ],
)
def test_an_impossible_value_is_refused_by_the_name_of_its_option(name, value):
    with pytest.raises(PerceptionError, match=f"option {name}: "):
        parse_options({name: value})


def test_all_wrong_options_are_told_at_once():
    with pytest.raises(PerceptionError, match=r"option depth_scale.*option device"):
        parse_options({"depth_scale": 0, "device": "tpu"})


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


@pytest.fixture
def one_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


def placement(**options):
    chosen = choose_placement(parse_options(options))
    return str(chosen.device), chosen.precision.value


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_cpu_calculates_in_float32():
    assert placement() == placement(device="cpu") == ("cpu", "float32")
    assert placement(precision="bfloat16") == ("cpu", "bfloat16")


@pytest.mark.usefixtures("one_gpu")
def test_with_a_gpu_it_calculates_in_float16_unless_told_otherwise():
    assert placement() == ("cuda", "float16")
    assert placement(device="cuda:0", precision="float32") == ("cuda:0", "float32")
    assert placement(device="cpu") == ("cpu", "float32")


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:256"])
def test_a_gpu_that_is_not_there_is_refused(device):
    with pytest.raises(PerceptionError, match=f"'{device}' was asked for and torch sees 0 GPUs"):
        placement(device=device)


@pytest.mark.usefixtures("one_gpu")
@pytest.mark.parametrize("device", ["cuda:1", "cuda:256", "cuda:99999999999"])
def test_a_number_beyond_the_last_gpu_is_refused(device):
    with pytest.raises(PerceptionError, match="torch sees 1 GPUs"):
        placement(device=device)


def test_float16_on_the_cpu_is_refused():
    with pytest.raises(PerceptionError, match="on the CPU use 'bfloat16' or 'float32'"):
        placement(device="cpu", precision="float16")


def test_what_a_record_holds_of_a_placement_names_device_and_precision():
    chosen = choose_placement(parse_options({"device": "cpu"}))
    assert chosen.describe() == {"device": "cpu", "device_name": None, "precision": "float32"}
