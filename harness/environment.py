"""Where a trial ran: versions, git commit, hardware. And where the harness keeps and finds data."""

import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import platformdirs
import psutil

from adapters.runtimes.runtime import calculation_environment
from harness.machine import Gpu, control_group_memory, visible_gpus
from sequences.reader import DATA_DIRECTORY_VARIABLE, ReaderContext, ignore_progress

DISTRIBUTION = "slam-harness"
_RECORDED_PACKAGES = (
    DISTRIBUTION,
    "evo",
    "numpy",
    "opencv-python-headless",
    "open3d",
    "pyzmq",
    "scipy",
    "simplejpeg",
)


@dataclass(frozen=True)
class Hardware:
    """What trials can be given on this machine.

    Attributes:
        cores: CPU cores this process may use.
        memory_bytes: Memory of the machine, or of the control group of this process if that has less.
        gpus: The GPUs that this process may use.
        cpu: The processor's name.
    """

    cores: int
    memory_bytes: int
    gpus: tuple[Gpu, ...]
    cpu: str


@cache
def hardware() -> Hardware:
    """Look at this machine."""
    total = psutil.virtual_memory().total
    return Hardware(
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=min(total, control_group_memory() or total),
        gpus=visible_gpus(),
        cpu=_cpu_name(),
    )


@cache
def environment() -> dict[str, Any]:
    """What a record holds of software and hardware; JSON-compatible."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: package_version(name) for name in _RECORDED_PACKAGES},
        "calculation": calculation_environment(),
        "git": _git_state(Path(__file__).parent),
        "hardware": asdict(hardware()) | {"gpus": [gpu.name for gpu in hardware().gpus]},
    }


def package_version(distribution: str) -> str | None:
    """The installed version, None when it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def cache_directory() -> Path:
    """Where vocabularies, generated sequences and the like are kept between runs."""
    return platformdirs.user_cache_path(DISTRIBUTION)


def reader_context(progress: Callable[[str, int, int], None] = ignore_progress) -> ReaderContext:
    """What sequence readers get: the user's data directory, our cache, where progress goes."""
    data_directory = os.environ.get(DATA_DIRECTORY_VARIABLE)
    return ReaderContext(
        data_directory=Path(data_directory).expanduser() if data_directory else None,
        cache_directory=cache_directory(),
        progress=progress,
    )


def _git_state(directory: Path) -> dict[str, Any] | None:
    """Commit of the checkout the harness runs from; None when it was installed from a package."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(directory), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # The harness may be installed below somebody else's checkout, whose commit says nothing of it.
        git("ls-files", "--error-unmatch", __file__)
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
