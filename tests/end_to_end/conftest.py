"""The command line as its user has it: a process, an empty directory, exit codes and words."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from slam_test_recordings import record_curve


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


class CommandLine:
    """Runs ``harness`` in a directory."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.recording = record_curve(directory / "data" / "curve")
        self.environment = dict(os.environ) | {
            "HARNESS_DATA": str(directory / "data"),
            "XDG_CACHE_HOME": str(directory / "cache"),
            "COLUMNS": "200",
        }

    def command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).with_name("harness")), *arguments]

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str) -> Outcome:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        return Outcome(process.returncode, out, err)

    def run(self, *arguments: str) -> Outcome:
        """``harness run`` on the recording, into ``experiment``."""
        return self(
            *("run", "--seqs", str(self.recording), "--perception", "sensor", "--output", "experiment"),
            *arguments,
        )


@pytest.fixture
def harness(tmp_path) -> CommandLine:
    return CommandLine(tmp_path)
