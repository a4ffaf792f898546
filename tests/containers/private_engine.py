"""An engine of a test's own, which it may stop and kill."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psutil
from container_command_line import wait_for

import docker

_START_S = 60


def why_not_here() -> str | None:
    """Why no engine can be started by this user, in a sentence."""
    if os.geteuid() != 0:
        return "only root can start an engine of its own"
    missing = [program for program in ("dockerd", "containerd", "unshare") if shutil.which(program) is None]
    return f"{', '.join(missing)} not installed" if missing else None


class PrivateEngine:
    """A ``dockerd`` with everything of its own; containers get no network from it.

    It runs in a network namespace of its own, since an engine without a bridge removes that of another one.
    """

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="e-", dir="/tmp"))
        self.address = f"unix://{self.directory}/docker.sock"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it, or start it again."""
        path = self.directory
        with (path / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("unshare", "--net", "dockerd", "--data-root", str(path / "data")),
                    *("--exec-root", str(path / "exec"), "--pidfile", str(path / "pid")),
                    *("--host", self.address, "--bridge=none", "--iptables=false"),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(self._answers, _START_S)

    def is_running(self) -> bool:
        """Whether it has not been stopped or killed."""
        return self._process is not None and self._process.poll() is None

    def client(self) -> Any:
        """A new connection."""
        return docker.DockerClient(base_url=self.address, version="auto", timeout=60)

    def stop(self) -> None:
        """Have it end as it does when the machine is shut down."""
        self._process.terminate()
        self._process.wait(60)

    def kill(self) -> None:
        """SIGKILL to it and to what it keeps containers with; the containers themselves run on."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        daemons = [child for child in children if child.name() == "containerd"]
        for process in (self._process, *daemons):
            process.kill()
        self._process.wait()
        psutil.wait_procs(daemons, timeout=10)

    def close(self) -> None:
        """End it, and remove everything of it."""
        if self.is_running():
            self.stop()
        for process in self._remains():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        psutil.wait_procs(self._remains(), timeout=10)
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in reversed(mounts):
            if mount.startswith(f"{self.directory}/"):
                subprocess.run(["umount", "--lazy", mount], check=True)
        shutil.rmtree(self.directory)

    def _remains(self) -> list[psutil.Process]:
        """Daemons and shims that name one of its directories."""
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if any(f"{self.directory}/" in argument for argument in process.info["cmdline"] or ())
        ]

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.directory / "log").read_text()[-2000:]
        try:
            client = self.client()
        except docker.errors.DockerException:
            return False
        client.close()
        return True
