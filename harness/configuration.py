"""The one configuration object of an experiment, the same behind the command line and a file."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    Field,
    FiniteFloat,
    JsonValue,
    ValidationError,
    field_validator,
)

from adapters.client import PhaseLimits
from adapters.runtimes.runtime import OUTPUT_LIMIT_BYTES
from harness.errors import ConfigurationError
from harness.record import FrozenModel


class Feed(StrEnum):
    """How frames are handed to a backend."""

    LOCKSTEP = "lockstep"
    REALTIME = "realtime"


class RuntimeChoice(StrEnum):
    """How a backend is started; ``auto`` takes the first that can."""

    AUTO = "auto"
    DOCKER = "docker"
    PROCESS = "process"


#: What is named twice is meant once.
Names = Annotated[tuple[str, ...], AfterValidator(lambda names: tuple(dict.fromkeys(names)))]

#: By name of backend or module, then by name of the option.
Options = dict[str, dict[str, JsonValue]]


class ExperimentConfiguration(FrozenModel):
    """Everything the user decides about an experiment.

    Attributes:
        sequences: Names of sets, sequences of sets, or directories.
        perception: Perception modules, each a name or ``NAME:ARGUMENT``.
        backends: Names of backends; empty means every backend that can run here.
        runs: Repetitions of every combination.
        seed: Run ``r`` of every combination gets ``seed + r``.
        limits: How long each phase of the conversation with a backend may be silent.
        prediction_cache: Whether predictions are kept and used again; never with feed ``realtime``.
        predict_limit_s: How long a perception module may take for a frame.
        trial_limit_s: How long a whole trial may take, everything included.
        images: Per backend, the container image to start instead of the backend's own.
        memory_limit_bytes: For every backend, instead of what each asks for.
        output_limit_bytes: What a backend may write, its log included.
        backend_options: Per backend, options that override its defaults.
        perception_options: The same per perception module.
    """

    schema_version: Literal[1] = 1
    sequences: Names = Field(min_length=1)
    perception: Names = Field(min_length=1)
    backends: Names = ()
    runs: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**31)
    runtime: RuntimeChoice = RuntimeChoice.AUTO
    images: dict[str, str] = Field(default_factory=dict)
    feed: Feed = Feed.LOCKSTEP
    max_frames: int | None = Field(default=None, ge=1)
    coverage_floor: float = Field(default=0.9, ge=0, le=1)
    limits: PhaseLimits = PhaseLimits()
    prediction_cache: bool = True
    predict_limit_s: FiniteFloat = Field(default=120.0, gt=0)
    trial_limit_s: FiniteFloat = Field(default=4 * 3600.0, gt=0)
    memory_limit_bytes: int | None = Field(default=None, gt=0)
    output_limit_bytes: int = Field(default=OUTPUT_LIMIT_BYTES, gt=0)
    backend_options: Options = Field(default_factory=dict)
    perception_options: Options = Field(default_factory=dict)

    @field_validator("backend_options", "perception_options")
    @classmethod
    def _finite(cls, options: Options) -> Options:
        json.dumps(options, allow_nan=False)  # raises ValueError for NaN and infinity
        return options


def load_configuration(path: Path) -> dict[str, Any]:
    """Read a YAML configuration file into plain values, not yet validated.

    Raises:
        ConfigurationError: The file cannot be read or is no mapping; names file and line.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path} must hold a mapping such as 'sequences: [demo]'")
    return values


def make_configuration(values: dict[str, Any]) -> ExperimentConfiguration:
    """Validate plain values.

    Raises:
        ConfigurationError: One line per wrong value, each with its name.
    """
    try:
        return ExperimentConfiguration.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(validation_message("configuration", error)) from error


def validation_message(what: str, error: ValidationError) -> str:
    """One line per wrong value instead of pydantic's page."""
    lines = (
        ": ".join(filter(None, [".".join(map(str, item["loc"])), item["msg"]])) for item in error.errors()
    )
    return f"{what} is not valid: " + "; ".join(lines)
