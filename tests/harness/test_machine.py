"""What this process may use: GPUs by nvidia-smi and CUDA_VISIBLE_DEVICES, memory by control groups."""

import pytest

from harness import environment
from harness.machine import Gpu, control_group_memory, visible_gpus

GIB = 1024**3


@pytest.fixture
def four_gpus(tmp_path, monkeypatch):
    """A driver that reports four GPUs, whatever CUDA_VISIBLE_DEVICES says, as the real one does."""
    program = tmp_path / "nvidia-smi"
    rows = "\n".join(f"{index}, GPU-{letter * 8}, Card {letter}" for index, letter in enumerate("abcd"))
    program.write_text(
        f"#!/bin/sh\n[ \"$*\" = '--query-gpu=index,uuid,name --format=csv,noheader' ] && echo '{rows}'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


@pytest.mark.parametrize(
    ("variable", "identifiers"),
    [
        ("3", ["3"]),
        ("2,0", ["2", "0"]),
        ("GPU-bbbbbbbb", ["GPU-bbbbbbbb"]),
        ("GPU-c, 1", ["GPU-c", "1"]),
        ("1,GPU-b", ["1"]),
        ("0,7,1", ["0"]),
        ("-1", []),
        ("", []),
    ],
)
def test_gpus_that_cuda_does_not_show_do_not_count(four_gpus, variable, identifiers):
    found = visible_gpus({"CUDA_VISIBLE_DEVICES": variable})
    assert [gpu.identifier for gpu in found] == identifiers


def test_without_the_variable_every_gpu_of_the_driver_counts(four_gpus):
    assert visible_gpus({}) == tuple(Gpu(str(index), f"Card {name}") for index, name in enumerate("abcd"))


def test_a_visible_gpu_has_the_name_of_its_index_or_uuid(four_gpus):
    found = visible_gpus({"CUDA_VISIBLE_DEVICES": "3,GPU-a"})
    assert [gpu.name for gpu in found] == ["Card d", "Card a"]


def test_a_driver_that_fails_gives_no_gpus(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert visible_gpus({}) == ()


def root_with(tmp_path, cgroup, limits):
    """A root directory with ``/proc/self/cgroup`` and files below ``/sys/fs/cgroup``."""
    files = {"proc/self/cgroup": cgroup} | {f"sys/fs/cgroup/{name}": text for name, text in limits.items()}
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("cgroup", "limits", "expected"),
    [
        ("0::/job", {"job/memory.max": 6 * GIB}, 6 * GIB),
        ("0::/slice/job", {"slice/job/memory.max": "max", "slice/memory.max": 3 * GIB}, 3 * GIB),
        ("0::/slice/job", {"slice/job/memory.max": 2 * GIB, "slice/memory.max": 3 * GIB}, 2 * GIB),
        ("0::/", {"memory.max": 5 * GIB}, 5 * GIB),
        ("0::/job", {"job/memory.max": "max"}, None),
        (
            "5:cpu,cpuacct:/job\n4:memory:/job",
            {"memory/job/memory.limit_in_bytes": 4 * GIB, "memory/memory.limit_in_bytes": 2**63 - 4096},
            4 * GIB,
        ),
        ("4:memory:/docker/0123", {"memory/memory.limit_in_bytes": 7 * GIB}, 7 * GIB),
        ("4:memory:/job\n0::/", {"memory/job/memory.limit_in_bytes": GIB, "unified/memory.max": 1}, GIB),
        ("2:cpu:/job", {"job/memory.max": GIB}, None),
    ],
    ids=[
        "version 2",
        "a group above",
        "the lowest of both",
        "container of version 2",
        "no limit",
        "version 1",
        "container of version 1",
        "both versions",
        "no memory controller",
    ],
)
def test_the_lowest_limit_of_the_control_groups_is_found(tmp_path, cgroup, limits, expected):
    assert control_group_memory(root_with(tmp_path, cgroup, limits)) == expected


def test_a_system_without_control_groups_has_no_limit(tmp_path):
    assert control_group_memory(tmp_path) is None


def test_the_memory_to_share_out_is_no_more_than_the_control_group_has(monkeypatch):
    machine = environment.hardware.__wrapped__
    monkeypatch.setattr(environment, "control_group_memory", lambda: None)
    whole = machine().memory_bytes
    monkeypatch.setattr(environment, "control_group_memory", lambda: whole // 2)
    assert machine().memory_bytes == whole // 2
    monkeypatch.setattr(environment, "control_group_memory", lambda: whole * 2)
    assert machine().memory_bytes == whole
