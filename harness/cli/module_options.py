"""Options of one perception module on the command line."""

from collections.abc import Iterable
from typing import Any

from harness.cli.experiment_options import parse_value
from harness.errors import ConfigurationError


def module_options(settings: Iterable[str]) -> dict[str, Any]:
    """The values of every ``--set OPTION=VALUE``.

    Raises:
        ConfigurationError: One is written in another way.
    """
    options = {}
    for setting in settings:
        option, equals, value = setting.partition("=")
        if not equals:
            raise ConfigurationError(f"--set {setting}: expected OPTION=VALUE, as in depth_scale=1.4")
        options[option] = parse_value(setting, value)
    return options
