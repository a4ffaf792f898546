"""The configuration of a training: one strict mapping, read from YAML. Needs no torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, FiniteFloat, JsonValue, ValidationError, model_validator

from perception.errors import PerceptionError
from perception.inference.options import Precision
from perception.m2hmx.configuration import NetworkConfig, resolve_config
from perception.m2hmx.errors import NetworkConfigurationError
from perception.settings import Settings
from perception.training.losses import LossSettings

#: What a run may be continued with other values of: nothing that it calculates depends on these, but for the
#: rounding of other devices and numbers of threads.
FREE_TO_CHANGE = frozenset(
    {"save_every", "evaluate_every", "log_every", "tensorboard", "threads", "device", "workers"}
)


class TrainingConfigurationError(PerceptionError):
    """A configuration of a training is not valid."""


class DataChoice(Settings):
    """Where views come from.

    Attributes:
        kind: Name of the source.
        parameters: What it is made with.
    """

    kind: str
    parameters: dict[str, JsonValue] = Field(default_factory=dict)


class EvaluationChoice(DataChoice):
    """Views that are held out, on which the network is looked at while it is trained.

    Attributes:
        views: So many of them, spread evenly over the source; null for all.
    """

    views: int | None = Field(default=None, ge=1)


class OptimiserSettings(Settings):
    """AdamW (Loshchilov and Hutter 2019).

    Attributes:
        lr: Highest learning rate.
        weight_decay: Of the weights; what is never decayed stands in `perception.training.optimisation`.
        betas: How slowly the means of gradients and of their squares follow.
    """

    lr: FiniteFloat = Field(default=5e-4, gt=0)
    weight_decay: FiniteFloat = Field(default=0.05, ge=0)
    betas: tuple[Annotated[FiniteFloat, Field(ge=0, lt=1)], Annotated[FiniteFloat, Field(ge=0, lt=1)]] = (
        0.9,
        0.999,
    )


class ScheduleSettings(Settings):
    """The learning rate rises linearly and then falls along half a cosine (Loshchilov and Hutter 2017).

    Attributes:
        warmup_steps: Steps in which it rises.
        final_share: What part of the highest rate is left at the last step.
    """

    warmup_steps: int = Field(default=0, ge=0)
    final_share: FiniteFloat = Field(default=0.0, ge=0, le=1)


class TrainingConfig(Settings):
    """Everything that describes a training.

    Attributes:
        network: What is trained: a preset's name, or a mapping like that of a preset.
        start_from: File of weights to start from; null: random weights.
        data: The views to train on.
        batches: How views become batches: `perception.training.batches.DataSettings`.
        evaluation: The held-out views; null: weights are written and not looked at.
        losses: Weights of all terms.
        steps: How many times the weights are changed.
        batch_size: Images in a batch, for every process.
        accumulation: Batches whose gradients are added up for one step.
        optimiser: AdamW.
        schedule: Of the learning rate.
        clip_norm: Greatest norm of the gradient of the network; a greater one is scaled to it. Null: any.
        ema_decay: Of the moving average of the weights; see `perception.training.averaging`.
        precision: ``float32``, ``bfloat16`` or ``float16`` (GPUs alone). Weights and losses are float32.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``; with several processes
            each takes a GPU of its own.
        seed: Of everything that is random.
        save_every: Steps between two checkpoints.
        evaluate_every: Steps between two evaluations.
        log_every: Steps between two rows of the log.
        tensorboard: Whether the log is written for TensorBoard as well.
        threads: Of torch on the CPU; null: as many as it takes of itself.
        workers: Processes that read batches ahead; 0: they are read between steps.
    """

    network: NetworkConfig
    start_from: str | None = None
    data: DataChoice
    batches: dict[str, JsonValue] = Field(default_factory=dict)
    evaluation: EvaluationChoice | None = None
    losses: LossSettings = LossSettings()
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    accumulation: int = Field(default=1, ge=1)
    optimiser: OptimiserSettings = OptimiserSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    clip_norm: FiniteFloat | None = Field(default=1.0, gt=0)
    ema_decay: FiniteFloat = Field(default=0.999, ge=0, lt=1)
    precision: Precision = Precision.FLOAT32
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    seed: int = Field(default=0, ge=0, lt=2**31)
    save_every: int = Field(default=500, ge=1)
    evaluate_every: int = Field(default=1000, ge=1)
    log_every: int = Field(default=10, ge=1)
    tensorboard: bool = True
    threads: int | None = Field(default=None, ge=1)
    workers: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "TrainingConfig":
        if self.schedule.warmup_steps >= self.steps:
            raise ValueError(
                f"schedule.warmup_steps: {self.schedule.warmup_steps} must be less than steps, {self.steps}"
            )
        if self.precision is Precision.AUTO:
            raise ValueError("precision: must be float32, bfloat16 or float16")
        tasks = self.network.tasks
        if not any(getattr(self.losses, task).weight > 0 for task in tasks):
            keys = ", ".join(f"losses.{task}.weight" for task in tasks)
            raise ValueError(
                f"losses: with {keys} all 0 nothing is trained towards ground truth; one must be above 0"
            )
        return self


def read_training_config(path: Path) -> TrainingConfig:
    """The configuration of a YAML file.

    Raises:
        TrainingConfigurationError: It cannot be read, or is not valid; names every wrong key.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingConfigurationError(f"cannot read {path}: {error}") from error
    except yaml.YAMLError as error:
        raise TrainingConfigurationError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise TrainingConfigurationError(f"{path} must hold a mapping such as 'network: m2hmx-nano'")
    try:
        return make_training_config(values)
    except TrainingConfigurationError as error:
        raise TrainingConfigurationError(f"{path}: {error}") from error


def make_training_config(values: Mapping[str, Any]) -> TrainingConfig:
    """Validate a mapping; ``network`` may be a preset's name.

    Raises:
        TrainingConfigurationError: Names every wrong key, and the keys that exist where one does not.
    """
    wrong: list[str] = []
    plain = dict(values)
    network = values.get("network")
    if isinstance(network, str | Mapping):
        try:
            plain["network"] = resolve_config(network).model_dump(mode="json")
        except NetworkConfigurationError as error:
            wrong.append(f"network: {error}")
            plain.pop("network")
    try:
        # As JSON a list may become a tuple and a whole number a float, while "4" is no number.
        config = TrainingConfig.model_validate_json(json.dumps(plain))
    except ValidationError as error:
        wrong += [line for item in error.errors() if (line := _line(item, "network" in plain or not wrong))]
    except (TypeError, ValueError) as error:
        wrong.append(str(error))
    if wrong:
        raise TrainingConfigurationError(f"the configuration is not valid: {'; '.join(wrong)}")
    return config


def plain_config(config: TrainingConfig) -> dict[str, Any]:
    """The configuration as plain values, from which `make_training_config` makes it again."""
    return config.model_dump(mode="json")


def differences(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is set otherwise in two configurations as plain values, but for what is free to change.

    Returns:
        A few words for every key: ``optimiser.lr is 0.001 there and 0.002 here``.
    """
    before, after = _flat(earlier), _flat(now)
    return [
        f"{key} is {json.dumps(before.get(key))} there and {json.dumps(after.get(key))} here"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key) and key.partition(".")[0] not in FREE_TO_CHANGE
    ]


def _flat(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
    return found


def _line(item: Any, network_is_known: bool) -> str | None:
    """One wrong value in words; None for a network whose own error is told already."""
    path = [str(part) for part in item["loc"]]
    if path == ["network"] and not network_is_known:
        return None
    if item["type"] == "extra_forbidden":
        return f"there is no key '{'.'.join(path)}'; keys: {', '.join(_keys_at(path[:-1]))}"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"].endswith("_type") and _is_number(item["input"]):
        message += f"; to YAML {item['input']} is text: a number has a point and a sign, as in 1.0e-4"
    return f"{'.'.join(path)}: {message}" if path else message


def _keys_at(path: list[str]) -> list[str]:
    """The keys of the settings at a path."""
    kind: Any = TrainingConfig
    for part in path:
        annotation = kind.model_fields[part].annotation
        kinds = [annotation, *getattr(annotation, "__args__", ())]
        kind = next(each for each in kinds if isinstance(each, type) and issubclass(each, Settings))
    return list(kind.model_fields)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return isinstance(value, str)
