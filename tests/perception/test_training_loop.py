"""The training loop on a tiny network: it learns, logs, evaluates, writes weights, and stops on nonsense."""

import math
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
import torch
from training_boxes import BoxViews, config_of, data_of

from perception.inference.device import choose_placement
from perception.inference.options import InferenceOptions
from perception.m2hmx.configuration import load_preset
from perception.m2hmx.network import M2HMX
from perception.m2hmx.weights import load_network, read_info
from perception.training.averaging import averaged_network
from perception.training.checkpoint import checkpoint_files
from perception.training.configuration import (
    DataChoice,
    TrainingConfigurationError,
    make_training_config,
    read_training_config,
)
from perception.training.data_choice import training_data
from perception.training.failures import MissingTrainingPackageError, NotFiniteError, TrainingError
from perception.training.learner import Learner
from perception.training.log import read_log
from perception.training.loop import WEIGHTS_FILE, TrainingData, train
from perception.training.losses import MultiTaskLoss
from perception.training.optimisation import learning_rate, parameter_groups
from perception.training.processes import Processes
from perception.training.seams import TrainingListener
from perception.training.validation import validate
from perception.training.view_sources import VIEW_SOURCES, make_source
from sequences.errors import SequenceError, UnknownNameError

EVALUATION = {"kind": "boxes", "parameters": {"seed": 1}, "views": 3}


class Notes(TrainingListener):
    def __init__(self):
        self.losses, self.evaluations = [], {}

    def trained(self, step, steps, report):
        self.losses.append(report.loss)

    def evaluated(self, step, figures):
        self.evaluations[step] = figures


class TheSameBatch:
    """Always the first batch of a stream."""

    def __init__(self, stream):
        self._batch = stream.batch(0)

    def batch(self, step):
        return self._batch


def learner_of(config, directory):
    placement = choose_placement(InferenceOptions(device="cpu", precision=config.precision))
    return Learner(config, placement, Processes(), directory)


def test_steps_on_a_fixed_batch_lower_the_loss_of_every_task(tmp_path):
    config = config_of(steps=40, network=config_of().network.model_dump(mode="json") | {"drop_path": 0.0})
    stream = data_of(config).batches(0)
    train(config, TrainingData(lambda seed: TheSameBatch(stream), {}), tmp_path)
    rows = read_log(tmp_path)
    assert [row["step"] for row in rows] == list(range(1, 41))
    for name in ("semseg/total", "depth/total"):
        assert rows[-1][name] < 0.7 * rows[0][name]


def test_the_weights_of_the_end_are_the_average_and_say_where_they_come_from(tmp_path):
    config = config_of(evaluation=EVALUATION, evaluate_every=4)
    notes = Notes()
    outcome = train(config, data_of(config), tmp_path, origin={"git": {"commit": "abc"}}, listener=notes)
    assert (outcome.step, outcome.signal, outcome.weights) == (6, None, tmp_path / WEIGHTS_FILE)
    info, network_config = read_info(tmp_path / WEIGHTS_FILE)
    assert network_config == config.network
    assert info.source["steps"] == 6
    assert info.source["git"] == {"commit": "abc"}
    assert info.source["data"] == BoxViews().identity()
    assert info.source["evaluation_data"] == BoxViews(4, seed=1).identity()
    assert make_training_config(info.source["training"]) == config
    # What was evaluated last is what is in the file.
    assert sorted(notes.evaluations) == [4, 6]
    placement = choose_placement(InferenceOptions(device="cpu"))
    network = load_network(info, network_config).to(memory_format=torch.channels_last)
    found = validate(network, BoxViews(4, seed=1), 3, placement)
    assert found == notes.evaluations[6]
    assert 0 < found["abs_rel"] < 10
    assert 0 <= found["miou"] <= 1


def test_an_evaluation_in_between_changes_nothing(tmp_path):
    digests = []
    for number, changes in enumerate([{}, {"evaluation": EVALUATION, "evaluate_every": 2, "save_every": 2}]):
        config = config_of(**changes)
        train(config, data_of(config), tmp_path / str(number))
        digests.append(read_info(tmp_path / str(number) / WEIGHTS_FILE)[0].digest)
    assert digests[0] == digests[1]


def test_evaluations_stand_in_the_log_beside_the_steps(tmp_path):
    config = config_of(evaluation=EVALUATION, evaluate_every=3, log_every=2)
    train(config, data_of(config), tmp_path)
    rows = [(row["kind"], row["step"]) for row in read_log(tmp_path)]
    assert rows == [("training", 2), ("evaluation", 3), ("training", 4), ("training", 6), ("evaluation", 6)]


def test_a_network_that_says_the_truth_is_given_full_marks():
    config = config_of().network
    source = BoxViews(3)

    class Oracle:
        """Knows which view is asked for from the order."""

        def __init__(self):
            self.config, self._next = config, 0

        def __call__(self, images):
            view = source.view(self._next)
            self._next += 1
            classes = torch.nn.functional.one_hot(torch.from_numpy(view.labels).long() - 1, 40)
            return {
                "depth": torch.from_numpy(view.depth)[None, None],
                "semseg": classes.permute(2, 0, 1)[None].float(),
            }

    placement = choose_placement(InferenceOptions(device="cpu"))
    found = validate(Oracle(), source, None, placement)
    assert found == {"abs_rel": 0.0, "rmse": 0.0, "delta1": 1.0, "miou": 1.0}


def test_a_loss_that_is_not_finite_stops_with_step_terms_and_images(tmp_path):
    config = config_of(accumulation=2)
    with pytest.raises(NotFiniteError) as caught:
        train(config, data_of(config, spoilt=5), tmp_path)
    error = caught.value
    names = data_of(config).batches(0).batch(5).names
    assert error.step == 3
    assert error.names == names
    assert all(name in str(error) for name in (*names, "step 3", "depth/silog"))
    saved = torch.load(error.saved, weights_only=True)
    assert torch.isinf(saved["batches"][0]["images"]).sum() == 1
    network = M2HMX(config.network)
    network.load_state_dict(saved["network"])
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())
    assert [row["step"] for row in read_log(tmp_path)] == [1, 2]


def test_a_gradient_that_is_not_finite_stops_before_the_weights_change(tmp_path):
    config = config_of()
    learner = learner_of(config, tmp_path)
    before = {name: tensor.clone() for name, tensor in learner.network.state_dict().items()}
    first = next(learner.network.parameters())
    first.register_hook(lambda gradient: gradient * torch.nan)
    with pytest.raises(NotFiniteError, match="the gradient is not finite"):
        learner.step(1, [data_of(config).batches(0).batch(0)])
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.network.state_dict().items())


def test_accumulated_batches_give_the_gradient_of_one_large_batch(tmp_path):
    network = config_of().network.model_dump(mode="json") | {"drop_path": 0.0}
    # Of the depth alone, which is known everywhere: its terms are means over images.
    losses = {"semseg": {"weight": 0.0}}
    split = config_of(network=network, losses=losses, batch_size=2, accumulation=2)
    whole = config_of(network=network, losses=losses, batch_size=4)
    stream = data_of(split).batches(0)
    halves = [stream.batch(0), stream.batch(1)]

    class Joined:
        images = torch.cat([half.images for half in halves])
        intrinsics = torch.cat([half.intrinsics for half in halves])
        names = halves[0].names + halves[1].names
        targets = type(halves[0].targets)(
            depth=torch.cat([half.targets.depth for half in halves]),
            labels=torch.cat([half.targets.labels for half in halves]),
        )

    found, expected = learner_of(split, tmp_path), learner_of(whole, tmp_path)
    report, reference = found.step(1, halves), expected.step(1, [Joined])
    assert report.loss == pytest.approx(reference.loss, rel=1e-5)
    assert report.gradient_norm == pytest.approx(reference.gradient_norm, rel=1e-4)


def test_bfloat16_trains_and_keeps_weights_in_float32(tmp_path):
    config = config_of(precision="bfloat16", steps=3)
    notes = Notes()
    train(config, data_of(config), tmp_path, listener=notes)
    assert all(math.isfinite(loss) for loss in notes.losses)
    tensors = load_network(*read_info(tmp_path / WEIGHTS_FILE)).state_dict().values()
    assert {tensor.dtype for tensor in tensors} == {torch.float32}


def test_the_learning_rate_rises_and_falls_along_half_a_cosine():
    config = config_of(steps=10, schedule={"warmup_steps": 4, "final_share": 0.1}, optimiser={"lr": 1.0})
    rates = [learning_rate(step, config) for step in range(1, 11)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[6] == pytest.approx(0.55)
    assert rates[9] == pytest.approx(0.1)
    assert rates[3:] == sorted(rates[3:], reverse=True)


def test_only_matrices_decay():
    config = config_of()
    network, loss = M2HMX(config.network), MultiTaskLoss(config.network)
    decayed, free = parameter_groups([network, loss], 0.1)
    names = {id(p): name for module in (network, loss) for name, p in module.named_parameters()}
    kept = {names[id(parameter)] for parameter in free["params"]}
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) + len(kept) == len(names)
    for part in ("mamba.A_log", "mamba.D", "reg_token", "log_variances.depth", "norm.weight", "dt_proj.bias"):
        assert any(part in name for name in kept)
    assert not any(name.endswith(("in_proj.weight", "conv1.weight")) for name in kept)


def test_the_average_follows_faster_at_the_beginning():
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    average = averaged_network(network, 0.5)
    average.update_parameters(network)
    expected = 0.0
    for update, weight in enumerate([1.0, 2.0, 3.0, -1.0] * 4, start=1):
        torch.nn.init.constant_(network.weight, weight)
        average.update_parameters(network)
        decay = min(0.5, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * weight
    assert average.module.weight.item() == pytest.approx(expected, rel=1e-5)


def test_a_directory_with_a_run_is_not_overwritten(tmp_path):
    config = config_of(steps=3)
    train(config, data_of(config), tmp_path)
    with pytest.raises(TrainingError, match="holds a run already"):
        train(config, data_of(config), tmp_path)


@pytest.mark.parametrize("name", ["weights.safetensors", "log.jsonl", "tensorboard"])
def test_files_of_somebody_elses_are_not_overwritten(name, tmp_path):
    (tmp_path / name).write_text("mine")
    config = config_of(steps=3)
    with pytest.raises(TrainingError, match=f"{name} is there already"):
        train(config, data_of(config), tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_two_trainings_do_not_work_in_one_directory(tmp_path):
    class Second(TrainingListener):
        def trained(self, step, steps, report):
            with pytest.raises(TrainingError, match="another training is at work in"):
                train(config, data_of(config), tmp_path, resume=True)

    config = config_of(steps=3)
    assert train(config, data_of(config), tmp_path, listener=Second()).step == 3


def test_an_evaluation_that_fails_takes_no_step_with_it(tmp_path):
    class Unreadable(BoxViews):
        def view(self, index):
            raise SequenceError("the file is damaged")

    config = config_of(steps=4, evaluation=EVALUATION, evaluate_every=4, save_every=4)
    data = data_of(config)
    with pytest.raises(SequenceError, match="the file is damaged"):
        train(config, replace(data, held_out=Unreadable()), tmp_path)
    assert [file.name for file in checkpoint_files(tmp_path / "checkpoints")] == ["step-00000004.pt"]


def test_images_of_which_a_border_is_not_seen_are_refused_before_data_is_prepared(tmp_path):
    prepared = []
    config = config_of(steps=3)
    data = replace(data_of(config), image_sizes=((32, 48), (40, 48)), prepare=prepared.append)
    with pytest.raises(
        TrainingConfigurationError, match=r"images of 40x48 pixels .* 32x48; correct image_size"
    ):
        train(config, data, tmp_path)
    assert not prepared


def test_data_is_prepared_when_nothing_else_can_be_wrong(tmp_path):
    prepared = []
    config = config_of(steps=3)
    data = replace(data_of(config), prepare=prepared.append)
    train(config, data, tmp_path)
    assert len(prepared) == 1
    with pytest.raises(TrainingError, match="holds a run already"):
        train(config, data, tmp_path)
    assert len(prepared) == 1


def test_without_tensorboard_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    config = config_of(tensorboard=True)
    with pytest.raises(MissingTrainingPackageError, match=r"slam-harness\[train\]"):
        train(config, data_of(config), tmp_path)


def test_tensorboard_is_given_the_rows_of_the_log(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = config_of(tensorboard=True, steps=3)
    train(config, data_of(config), tmp_path)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("training/loss")]
    assert found == [(row["step"], pytest.approx(row["loss"])) for row in read_log(tmp_path)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stepz": 3}, "there is no key 'stepz'; keys: network, start_from, data"),
        ({"optimiser": {"rate": 1}}, "there is no key 'optimiser.rate'; keys: lr, weight_decay, betas"),
        (
            {"evaluation": {"kind": "x", "count": 1}},
            "no key 'evaluation.count'; keys: kind, parameters, views",
        ),
        ({"losses": {"depth": {"silogg": 1}}}, "there is no key 'losses.depth.silogg'; keys: weight, aux"),
        ({"optimiser": {"lr": "1e-4"}}, "optimiser.lr: Input should be a valid number; to YAML 1e-4 is text"),
        ({"schedule": {"warmup_steps": 6}}, "schedule.warmup_steps: 6 must be less than steps, 6"),
        ({"network": "m2hmx-pico"}, "network: there is no preset 'm2hmx-pico'; presets: "),
        ({"network": {"tapz": 1}}, "there is no key 'tapz'"),
        ({"precision": "auto"}, "precision: must be float32"),
        ({"batch_size": 0}, "batch_size: "),
    ],
)
def test_a_wrong_key_is_named(change, words):
    with pytest.raises(TrainingConfigurationError) as caught:
        config_of(**change)
    assert words in str(caught.value)


def test_every_wrong_key_is_named_at_once():
    with pytest.raises(TrainingConfigurationError) as caught:
        config_of(network="m2hmx-pico", seed=-1, steps=None)
    assert all(words in str(caught.value) for words in ("m2hmx-pico", "seed: ", "steps: "))


def test_a_source_is_made_from_what_the_configuration_says(monkeypatch):
    monkeypatch.setattr(VIEW_SOURCES, "load", {"boxes": BoxViews}.__getitem__)
    source = make_source(DataChoice(kind="boxes", parameters={"count": 3, "seed": 7}), "data")
    assert source.identity() == {"boxes": 3, "seed": 7}
    with pytest.raises(TrainingConfigurationError, match=r"data\.parameters of 'boxes': .*'colour'"):
        make_source(DataChoice(kind="boxes", parameters={"colour": "red"}), "data")


@pytest.fixture
def boxes_by_name(monkeypatch):
    monkeypatch.setattr(VIEW_SOURCES, "load", {"boxes": BoxViews}.__getitem__)


def test_batches_that_another_process_reads_ahead_give_the_same_weights(boxes_by_name, tmp_path):
    digests = []
    for workers in (0, 1):
        config = config_of(workers=workers, evaluation=EVALUATION)
        directory = tmp_path / str(workers)
        train(config, training_data(config), directory, stop_after=3)
        train(config, training_data(config), directory, resume=True)
        digests.append(read_info(directory / WEIGHTS_FILE)[0].digest)
    assert digests[0] == digests[1]


def test_a_wrong_setting_of_batches_is_named(boxes_by_name):
    with pytest.raises(TrainingConfigurationError, match=r"batches\.augmentations: "):
        training_data(config_of(batches={"augmentations": None}))


def test_what_is_trained_on_is_not_held_out():
    flats = {"kind": "synthetic", "parameters": {"scenes": 3}}
    with pytest.raises(
        TrainingConfigurationError, match=r"3 of what its views show .* such as synthetic flat 1000000"
    ):
        training_data(config_of(data=flats, evaluation=flats))
    held_out = {"kind": "synthetic", "parameters": {"scenes": 3, "part": "held_out"}}
    assert training_data(config_of(data=flats, evaluation=held_out)).held_out is not None


def test_the_views_themselves_are_not_held_out_either(boxes_by_name):
    with pytest.raises(TrainingConfigurationError, match="those that are trained on"):
        training_data(config_of(evaluation={"kind": "boxes"}))


def test_held_out_views_that_cannot_be_compared_are_found_out_before_the_first_step(monkeypatch):
    class CityBoxes(BoxViews):
        label_space = "cityscapes19"

    monkeypatch.setattr(VIEW_SOURCES, "load", {"boxes": BoxViews, "city": CityBoxes}.__getitem__)
    with pytest.raises(TrainingConfigurationError, match=r"evaluation: .*cityscapes19.* cannot be compared"):
        training_data(config_of(evaluation={"kind": "city", "parameters": {"seed": 1}}))
    with pytest.raises(TrainingConfigurationError, match="evaluation: 'boxes' has no views"):
        training_data(config_of(evaluation={"kind": "boxes", "parameters": {"count": 0}}))


def test_an_unknown_source_is_named():
    with pytest.raises(UnknownNameError, match="unknown source of views 'spheres'"):
        make_source(DataChoice(kind="spheres"), "data")


def test_the_training_of_nano_is_valid():
    path = resources.files("perception.m2hmx").joinpath("training", "m2hmx-nano.yaml")
    config = read_training_config(Path(str(path)))
    assert config.network == load_preset("m2hmx-nano")
    assert (config.data.parameters["part"], config.evaluation.parameters["part"]) == ("training", "held_out")


def test_presets_can_be_named():
    assert config_of(network="m2hmx-nano").network.decoder_dim == 32
