"""What code in a container can reach and do: tried, not concluded."""

import ctypes
import os
import resource
import socket
import stat
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

_CLONE_NEWUSER = 0x10000000
_PTRACE_ATTACH = 16
_STATUS_FIELDS = (
    "Uid",
    "Gid",
    "Groups",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
)
#: Files of the kernel that change the machine for everybody.
_KERNEL_FILES = (
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/vm/drop_caches",
    "/proc/sys/net/ipv4/ip_forward",
    "/sys/kernel/uevent_helper",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/pids/pids.max",
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/pids.max",
)


def what_can_be_done(addresses: list[str], paths: list[str]) -> dict[str, Any]:
    """Try everything.

    Args:
        addresses: ``host:port`` of servers to connect to.
        paths: Files and folders of the host to read.
    """
    return {
        "status": _status(),
        "acts": sorted(name for name, act in _ACTS.items() if _succeeds(act)),
        "connected": [
            address for address in addresses if _succeeds(lambda address=address: _connect(address))
        ],
        "interfaces": sorted(os.listdir("/sys/class/net")),
        "read": [path for path in paths if _succeeds(lambda path=path: _read(path))],
        "writable directories": sorted(_writable_directories()),
        "writable files": sorted(_writable_files()),
        "writable kernel files": [path for path in _KERNEL_FILES if os.access(path, os.W_OK)],
        "own folder": _names_below("/slam-harness"),
        "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
        "environment": dict(os.environ),
        "core limit": list(resource.getrlimit(resource.RLIMIT_CORE)),
    }


def _succeeds(act: Callable[[], Any]) -> bool:
    try:
        act()
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return True


def _status() -> dict[str, str]:
    lines = (line.partition(":") for line in Path("/proc/self/status").read_text().splitlines())
    return {name: " ".join(value.split()) for name, _, value in lines if name in _STATUS_FIELDS}


def _connect(address: str) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=3).close()


def _read(path: str) -> None:
    if Path(path).is_dir():
        os.listdir(path)
    else:
        Path(path).read_bytes()


def _directories() -> Iterable[tuple[str, list[str]]]:
    for parent, directories, files in os.walk("/"):
        if parent == "/":
            # What the kernel shows of itself is tried by name.
            directories[:] = [name for name in directories if name not in ("proc", "sys")]
        yield parent, files


def _writable_directories() -> Iterable[str]:
    for parent, _ in _directories():
        if _succeeds(lambda parent=parent: _make_a_file_in(parent)):
            yield parent


def _make_a_file_in(directory: str) -> None:
    path = os.path.join(directory, "made-by-the-backend")
    with open(path, "x"):
        pass
    os.unlink(path)


def _writable_files() -> Iterable[str]:
    for parent, files in _directories():
        for path in (os.path.join(parent, name) for name in files):
            if not os.path.islink(path) and os.access(path, os.W_OK):
                kind = os.lstat(path).st_mode
                yield f"{path} (device)" if stat.S_ISCHR(kind) or stat.S_ISBLK(kind) else path


def _names_below(directory: str) -> list[str]:
    return sorted(os.path.join(parent, name) for parent, names, _ in os.walk(directory) for name in names)


def _call(name: str, *arguments: Any) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


_ACTS: dict[str, Callable[[], Any]] = {
    "become root": lambda: os.setuid(0),
    "become root's group": lambda: os.setgid(0),
    "join groups": lambda: os.setgroups([0]),
    "run a program of root's": lambda: subprocess.run(
        ["su", "-c", "true"], stdin=subprocess.DEVNULL, check=True, timeout=10, capture_output=True
    ),
    "make a user namespace": lambda: _call("unshare", _CLONE_NEWUSER),
    "mount": lambda: _call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "remount the root": lambda: _call("mount", None, b"/", None, 32, None),
    "make a device": lambda: os.mknod("/tmp/disk", stat.S_IFBLK | 0o600, os.makedev(8, 0)),
    "change the root": lambda: os.chroot("/tmp"),
    "change the host's name": lambda: socket.sethostname("taken"),
    "open a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close(),
    "raise its limits": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1)),
    "give a file away": lambda: os.chown("settings.txt", 0, 0),
    "watch the first process of the host": lambda: _call("ptrace", _PTRACE_ATTACH, os.getppid(), 0, 0),
    "take precedence": lambda: os.nice(-5),
}
