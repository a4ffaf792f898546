"""The options that say what an experiment is, the same for every command that runs one."""

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml

from harness.configuration import (
    ExperimentConfiguration,
    Feed,
    RuntimeChoice,
    load_configuration,
    make_configuration,
)
from harness.errors import ConfigurationError

Command = TypeVar("Command", bound=Callable[..., Any])

DIRECTORY = click.Path(file_okay=False, path_type=Path)
_EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _names(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[str] | None:
    """The names in all values of an option; None when it was not given."""
    names = [name for value in values for name in ([value] if _is_path(value) else value.split(","))]
    return [name.strip() for name in names if name.strip()] if values else None


def _is_path(value: str) -> bool:
    """Whether a value names something on disk, as ``PATH`` or ``NAME:PATH``; its commas separate nothing."""
    name, _, path = value.partition(":")
    paths = [value] if "," in name else [value, path]
    return any(os.path.exists(os.path.expanduser(path)) for path in paths)


#: An option of names, separated by commas or given several times.
names_option = partial(click.option, multiple=True, callback=_names, metavar="A,B")

_OPTIONS = (
    click.option("--config", "config_file", type=_EXISTING_FILE, help="YAML file; options override it."),
    names_option("--seqs", "sequences", help="Sets, sequences or directories; repeatable."),
    names_option("--perception", help="Perception modules: NAME or NAME:FILE; repeatable."),
    click.option("--runs", type=int, help="Repetitions of every combination (default 1)."),
    click.option("--seed", type=int, help="Seed of the first run (default 0)."),
    click.option(
        "--runtime",
        type=click.Choice([choice.value for choice in RuntimeChoice]),
        help="How backends are started (default: auto, a container where the image has been built).",
    ),
    click.option(
        "--image",
        "images",
        multiple=True,
        metavar="BACKEND=IMAGE",
        help="A container image instead of the backend's own; repeatable.",
    ),
    click.option("--feed", type=click.Choice([feed.value for feed in Feed]), help="Default: lockstep."),
    click.option(
        "--prediction-cache/--no-prediction-cache",
        default=None,
        help="Keep predictions of networks and use them again (default; never with --feed realtime).",
    ),
    click.option("--max-frames", type=int, help="Only the first frames of every sequence."),
    click.option("--coverage-floor", type=float, help="Share of frames that need a pose (default 0.9)."),
    click.option(
        "--memory-limit", "memory_limit_bytes", metavar="SIZE", help="For a backend, as in 6G or 800M."
    ),
    click.option(
        "--output-limit",
        "output_limit_bytes",
        metavar="SIZE",
        help="What a backend may write, its log included (default 4G).",
    ),
    click.option("--trial-limit", "trial_limit_s", type=float, help="Seconds a whole trial may take."),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME.OPTION=VALUE",
        help="An option of a backend or a perception module; repeatable.",
    ),
)


def experiment_options(command: Command) -> Command:
    """Give a command all options of an experiment but the backends; they arrive as keyword arguments."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def require_none(options: dict[str, Any], *others: object) -> None:
    """Refuse anything beside ``--resume``, which takes its configuration from what it continues.

    Raises:
        click.UsageError: An option was given.
    """
    if any(value not in (None, ()) for value in (*options.values(), *others)):
        raise click.UsageError("--resume takes its configuration from the experiment; give it alone")


def configuration_of(options: dict[str, Any]) -> ExperimentConfiguration:
    """The file's values, overridden by the options that were given.

    Args:
        options: As :func:`experiment_options` brings them, and ``backends`` where the command has them.

    Raises:
        ConfigurationError: A value is wrong, or sequences or perception modules are missing.
    """
    options = dict(options)
    file: Path | None = options.pop("config_file")
    values = load_configuration(file) if file else {}
    settings = [_parse_setting(setting) for setting in options.pop("settings")]
    images = dict(_parse_image(image) for image in options.pop("images"))
    if images:
        values["images"] = values.get("images", {}) | images
    for name, option in (("memory_limit_bytes", "--memory-limit"), ("output_limit_bytes", "--output-limit")):
        limit = options.pop(name)
        if limit is not None:
            values[name] = _parse_size(option, limit)
    values |= {name: value for name, value in options.items() if value is not None}
    for name, option in (("sequences", "--seqs"), ("perception", "--perception")):
        if not values.get(name):
            raise ConfigurationError(
                f"say which {name} to use: {option} NAME, or '{name}: [NAME]' in --config"
            )
    configuration = make_configuration(values)
    values = configuration.model_dump()
    modules = {text.partition(":")[0] for text in configuration.perception}
    for name, option, value in settings:
        kind = "perception_options" if name in modules else "backend_options"
        values[kind].setdefault(name, {})[option] = value
    return make_configuration(values)


def _parse_setting(setting: str) -> tuple[str, str, Any]:
    match = re.fullmatch(r"([^.=]+)\.([^=]+)=(.*)", setting)
    if match is None:
        raise ConfigurationError(f"--set {setting}: expected NAME.OPTION=VALUE, as in orbslam3.features=2000")
    name, option, value = match.groups()
    return name, option, parse_value(setting, value)


def parse_value(setting: str, value: str) -> Any:
    """The value of an option, written as in YAML.

    Raises:
        ConfigurationError: It is none; ``setting`` says which.
    """
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"--set {setting}: '{value}' is no value: {error}") from error


def _parse_image(text: str) -> tuple[str, str]:
    name, _, image = text.partition("=")
    if not name or not image:
        raise ConfigurationError(f"--image {text}: expected BACKEND=IMAGE, as in droid-slam=lab/droid-slam:1")
    return name, image


def _parse_size(option: str, text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise ConfigurationError(f"{option} {text}: expected a size such as 6G or 800M")
    number, unit = match.groups()
    return int(float(number) * 1024 ** " KMGT".index(unit.upper() or " "))
