"""The command line with containers, and a look at what is left of it on the machine."""

import json
import runpy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from adapters.runtimes.engine import OWNER_LABEL, engine

_END_TO_END = Path(__file__).parent.parent / "end_to_end" / "conftest.py"
CommandLine = runpy.run_path(str(_END_TO_END))["CommandLine"]


class ContainerCommandLine(CommandLine):
    """Runs ``harness`` with containers, in a directory and with temporary files of its own."""

    def __init__(self, directory: Path, temporary_files: Path):
        super().__init__(directory)
        self.temporary_files = temporary_files
        self.environment |= {"TMPDIR": str(temporary_files)}

    def fault_arguments(self, fault: str, *arguments: str, limits: str = "", runs: int = 2) -> list[str]:
        """``harness run`` with the backend that misbehaves in run 0, as ``fault`` says, and in no other."""
        (self.directory / "limits.yaml").write_text(f"limits: {{{limits}}}\n")
        return [
            *("run", "--config", "limits.yaml", "--seqs", str(self.recording), "--perception", "sensor"),
            *("--runtime", "docker", "--backends", "faults", "--set", f"faults.fault={fault}"),
            *("--runs", str(runs), "--output", "experiment", *arguments),
        ]

    def faulty(self, fault: str, *arguments: str, limits: str = "", runs: int = 2) -> Any:
        """Run that to its end."""
        return self(*self.fault_arguments(fault, *arguments, limits=limits, runs=runs))

    def failed_alone(self, outcome: Any) -> str:
        """The reason of run 0, which must have failed while run 1 went well."""
        assert outcome.code == 1, outcome.err
        assert "Traceback" not in outcome.err
        assert [record["status"] for record in self.records()] == ["failed", "ok"], self.records()
        return self.record(0)["reason"]

    def trial_directory(self, run: int) -> Path:
        return self.directory / f"experiment/trials/curve/sensor/faults/run-{run}"

    def record(self, run: int) -> dict[str, Any]:
        return json.loads((self.trial_directory(run) / "record.json").read_text())

    def records(self) -> list[dict[str, Any]]:
        files = sorted(self.directory.glob("experiment/trials/curve/sensor/faults/run-*/record.json"))
        return [json.loads(file.read_text()) for file in files]

    def containers(self, client: Any = None) -> list[Any]:
        """Containers of this harness, by the directories that they were given."""
        client = client or engine().client
        labelled = client.containers.list(all=True, filters={"label": OWNER_LABEL}, ignore_removed=True)
        return [
            container
            for container in labelled
            if any(mount["Source"].startswith(f"{self.directory}/") for mount in container.attrs["Mounts"])
        ]

    def container_of(self, run: int) -> Any:
        """The container of a trial, once it tracks frames."""

        def running() -> Any:
            # The backend writes this file when it starts, before its first frame.
            if not (self.trial_directory(run) / "backend" / "settings.txt").exists():
                return None
            source = str(self.trial_directory(run) / "backend")
            for container in self.containers():
                if any(mount["Source"] == source for mount in container.attrs["Mounts"]):
                    return container
            return None

        return wait_for(running, 60)

    def left_behind(self) -> list[str]:
        """What is on the machine of this harness: processes, containers, directories of sockets."""
        return [
            *(f"container {container.short_id}" for container in self.containers()),
            *(f"process {process.pid} {process.cmdline()}" for process in self.processes()),
            *(f"process {pid} of a container" for pid in self.processes_in_containers()),
            *map(str, self.temporary_files.glob("slam-harness-*")),
        ]

    def processes(self) -> list[psutil.Process]:
        """The harness, its workers and reapers."""
        return [
            process
            for process in psutil.process_iter()
            if _environment(process).get("TMPDIR") == str(self.temporary_files)
        ]

    def processes_in_containers(self) -> list[int]:
        """Processes that see a directory of this harness as a mount."""
        return [
            process.pid for process in psutil.process_iter() if f"{self.directory}/" in _mounts(process.pid)
        ]


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


def _mounts(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/mountinfo").read_text()
    except OSError:
        return ""


def wait_for(look: Callable[[], Any], seconds: float) -> Any:
    """What ``look`` returns as soon as it returns anything."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing within {seconds} s"
        time.sleep(0.1)
    return found
