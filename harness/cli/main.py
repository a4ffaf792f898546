"""The command ``harness`` and what it does with errors."""

import logging
import sys
from importlib import import_module
from typing import ClassVar

import click

from adapters.errors import AdapterError
from harness.cli.console import ERRORS, say
from harness.environment import DISTRIBUTION
from harness.errors import HarnessError
from perception.errors import PerceptionError
from sequences.errors import SequenceError

#: A wrong command, name, file or option; also what click itself exits with.
USAGE_ERROR = 2


class _LazyGroup(click.Group):
    """Imports the module of a command when the command is asked for, so that every other one starts fast."""

    modules: ClassVar[dict[str, str]] = {
        "run": "run",
        "ablate": "ablate",
        "report": "report",
        "check": "check",
        "baseline": "check",
        "backends": "backends",
        "perception": "perception",
        "rosbag": "rosbag",
        "sequences": "sequences",
        "doctor": "doctor",
    }

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.modules)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.modules:
            return None
        command: click.Command = getattr(import_module(f"harness.cli.{self.modules[name]}"), name)
        return command


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(cls=_LazyGroup, context_settings=_SETTINGS)
@click.version_option(package_name=DISTRIBUTION)
@click.option("-v", "--verbose", is_flag=True, help="Show what is logged, not only warnings.")
def harness(verbose: bool) -> None:
    """Does the better perception network make the SLAM system better?

    Run an experiment, look at its report, check it against a baseline:

    \b
      harness run --seqs demo --perception sensor --backends orbslam3,rgbd-odometry
      harness report
      harness check DIR --baseline NAME
    """  # noqa: D301 - click reads the control character
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )


def main() -> None:
    """Run the command line; a user's mistake gives one sentence and no traceback."""
    try:
        sys.exit(harness(standalone_mode=True))
    except (HarnessError, SequenceError, PerceptionError, AdapterError) as error:
        say(ERRORS, f"error: {error}")
        sys.exit(USAGE_ERROR)
