"""The command ``harness`` and what it does with errors."""

import logging
import sys

import click

from adapters.errors import AdapterError
from harness.cli import backends, check, doctor, perception, report, run, sequences
from harness.cli.console import ERRORS
from harness.environment import DISTRIBUTION
from harness.errors import HarnessError
from perception.errors import PerceptionError
from sequences.errors import SequenceError

#: A wrong command, name, file or option; also what click itself exits with.
USAGE_ERROR = 2
_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
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


harness.add_command(run.run)
harness.add_command(report.report)
harness.add_command(check.check)
harness.add_command(check.baseline)
harness.add_command(backends.backends)
harness.add_command(perception.perception)
harness.add_command(sequences.sequences)
harness.add_command(doctor.doctor)


def main() -> None:
    """Run the command line; a user's mistake gives one sentence and no traceback."""
    try:
        sys.exit(harness(standalone_mode=True))
    except (HarnessError, SequenceError, PerceptionError, AdapterError) as error:
        ERRORS.print(f"[bold red]error:[/] {error}", highlight=False, markup=True, soft_wrap=True)
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt:
        ERRORS.print("stopped", highlight=False)
        sys.exit(_INTERRUPTED)
