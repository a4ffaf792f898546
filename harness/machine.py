"""What this process may use of the machine: the memory of its control group, the GPUs that CUDA shows it."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        identifier: How ``CUDA_VISIBLE_DEVICES`` names it.
        name: The product's name.
    """

    identifier: str
    name: str


@dataclass(frozen=True)
class _ListedGpu:
    index: str
    uuid: str
    name: str


def visible_gpus(environment: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """The GPUs that NVIDIA's driver reports and ``CUDA_VISIBLE_DEVICES`` does not hide.

    As in CUDA, the variable has indices or beginnings of UUIDs, and ends at the first that names no GPU.
    They are kept as they are written, since CUDA may count in another order than the driver. Parts of a GPU
    (MIG) are not seen.
    """
    listed = _listed_gpus()
    allowed = environment.get(GPU_VARIABLE)
    if allowed is None:
        return tuple(Gpu(gpu.index, gpu.name) for gpu in listed)
    found: dict[str, Gpu] = {}
    for identifier in allowed.split(","):
        identifier = identifier.strip()
        matches = [gpu for gpu in listed if _names(identifier, gpu)]
        if len(matches) != 1:
            break
        found.setdefault(matches[0].uuid, Gpu(identifier, matches[0].name))
    return tuple(found.values())


def _names(identifier: str, gpu: _ListedGpu) -> bool:
    return identifier == gpu.index or (identifier.startswith("GPU-") and gpu.uuid.startswith(identifier))


def _listed_gpus() -> list[_ListedGpu]:
    query = shutil.which("nvidia-smi")
    if query is None:
        return []
    command = [query, "--query-gpu=index,uuid,name", "--format=csv,noheader"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [line.split(", ", 2) for line in answer.stdout.splitlines()] if answer.returncode == 0 else []
    return [_ListedGpu(*row) for row in rows if len(row) == 3]


def control_group_memory(root: Path = Path("/")) -> int | None:
    """Memory in bytes that the control groups of this process leave it, None where they set no limit.

    A container or a batch job may have less than the machine; what takes more is killed.

    Args:
        root: Where ``proc`` and ``sys`` lie.
    """
    limits = [limit for file in _limit_files(root) if (limit := _limit_in(file)) is not None]
    return min(limits, default=None)


def _limit_files(root: Path) -> Iterable[Path]:
    """Files with a limit for this process, of its own group and of those above; some may not exist."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        # hierarchy:controllers:path; version 2 has the hierarchy 0 and no controllers.
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0" and not controllers:
            top, name = mounts, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = mounts / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = top / path.strip("/")
        # Inside a container the path may be that of the host: then only the top exists, and is the group.
        for directory in (group, *group.parents):
            yield directory / name
            if directory == top:
                break


def _limit_in(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max" is no limit
