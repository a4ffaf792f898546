"""Removes what a trial has started when its worker dies without having been able to.

A process of its own: ``python -m adapters.runtimes.reaper --engine ADDRESS --trial MARK --directory DIR``. It
sleeps on its standard input. A worker that ends as it should writes a line; one that is killed leaves
nothing but the closed pipe, and then the trial's containers and its socket's directory are removed.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from adapters.runtimes.engine import TRIAL_LABEL

_DONE = b"done\n"
#: A container that was being made when the worker died appears a little later.
_SECONDS = 10.0
_PERIOD_S = 0.5


class Reaper:
    """The process, from the worker's side."""

    def __init__(self, engine_address: str, trial_mark: str, directory: Path):
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "adapters.runtimes.reaper", "--engine", engine_address),
                *("--trial", trial_mark, "--directory", str(directory)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # What kills the worker's group must not take it along.
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Nothing is left to remove."""
        self._process.communicate(_DONE)


def remove_trial(engine_address: str, trial_mark: str, directory: Path) -> None:
    """Remove a trial's containers, now and when they appear in the next seconds, and its directory."""
    import requests
    from docker.errors import DockerException

    import docker

    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        try:
            client = docker.DockerClient(base_url=engine_address, version="auto")
            label = f"{TRIAL_LABEL}={trial_mark}"
            for container in client.containers.list(all=True, filters={"label": label}, ignore_removed=True):
                container.remove(force=True, v=True)
        except (DockerException, requests.RequestException):
            pass  # the engine may be starting; what stays is swept when the next harness starts
        shutil.rmtree(directory, ignore_errors=True)
        time.sleep(_PERIOD_S)


def main() -> None:
    """Wait for the worker's end, and clean up unless it has."""
    parser = argparse.ArgumentParser(prog="adapters.runtimes.reaper", description=__doc__)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--trial", required=True)
    parser.add_argument("--directory", required=True, type=Path)
    arguments = parser.parse_args()
    if sys.stdin.buffer.read() != _DONE:
        remove_trial(arguments.engine, arguments.trial, arguments.directory)


if __name__ == "__main__":
    main()
