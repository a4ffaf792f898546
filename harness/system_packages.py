"""What the operating system must provide, and how to get it.

Runs on Python's standard library alone, before anything is installed:
``python3 -I harness/system_packages.py --install``.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass

MINIMUM_PYTHON = (3, 11)
#: Open3D has no wheels for newer ones.
MAXIMUM_PYTHON = (3, 12)


@dataclass(frozen=True)
class SystemLibrary:
    """A shared library that wheels expect to find.

    Attributes:
        soname: The name it is loaded by.
        package: The Debian or Ubuntu package that has it.
        purpose: Which part of the harness needs it.
    """

    soname: str
    package: str
    purpose: str

    def present(self) -> bool:
        """Whether it can be loaded."""
        try:
            ctypes.CDLL(self.soname)
        except OSError:
            return False
        return True


_OPEN3D = "Open3D: synthetic sequences, backend rgbd-odometry, fused maps"
_ORBSLAM3 = "ORB-SLAM3: backend orbslam3"

SYSTEM_LIBRARIES = (
    SystemLibrary("libgomp.so.1", "libgomp1", _OPEN3D),
    SystemLibrary("libX11.so.6", "libx11-6", f"{_OPEN3D}; {_ORBSLAM3}"),
    SystemLibrary("libGL.so.1", "libgl1", f"{_OPEN3D}; {_ORBSLAM3}"),
    SystemLibrary("libEGL.so.1", "libegl1", _ORBSLAM3),
    SystemLibrary("libOpenGL.so.0", "libopengl0", _ORBSLAM3),
    SystemLibrary("libSM.so.6", "libsm6", _ORBSLAM3),
    SystemLibrary("libICE.so.6", "libice6", _ORBSLAM3),
    SystemLibrary("libXext.so.6", "libxext6", _ORBSLAM3),
)


def missing_libraries() -> list[SystemLibrary]:
    """The libraries that this machine lacks."""
    return [library for library in SYSTEM_LIBRARIES if not library.present()]


def library_packages() -> list[str]:
    """Debian packages with all the libraries, sorted."""
    return sorted({library.package for library in SYSTEM_LIBRARIES})


def missing_packages() -> list[str]:
    """Debian packages to install, sorted: libraries, and what ``python -m venv`` needs."""
    packages = {library.package for library in missing_libraries()}
    if importlib.util.find_spec("ensurepip") is None:
        packages.add(f"python3.{sys.version_info.minor}-venv")
    return sorted(packages)


def install_command(packages: list[str]) -> str:
    """The line a person types to install packages."""
    return f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {' '.join(packages)}"


def may_install() -> list[str] | None:
    """What goes before ``apt-get`` for it to be allowed here; None when it is not."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def install(packages: list[str]) -> int:
    """Install packages through apt; its exit code, with the line to type when it is not allowed."""
    prefix = may_install()
    if prefix is None:
        _say(f"These system packages are missing: {', '.join(packages)}. Install them first:")
        _say(f"    {install_command(packages)}")
        return 1
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = [*prefix, "apt-get"]
    for command in (
        [*apt, "update", "-q"],
        [*apt, "install", "-y", "-q", "--no-install-recommends", *packages],
    ):
        _say(f"+ {shlex.join(command)}")
        code = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL).returncode
        if code != 0:
            _say(f"That failed with exit code {code}. Install by hand: {install_command(packages)}")
            return code
    return 0


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> int:
    """Name what is missing, or install it; 0 when nothing is missing afterwards, or everything was named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true", help="install what is missing, where allowed")
    parser.add_argument("--list", action="store_true", help="name the packages of all libraries")
    arguments = parser.parse_args()
    if arguments.list:
        sys.stdout.write("".join(f"{package}\n" for package in library_packages()))
        return 0
    if not MINIMUM_PYTHON <= sys.version_info[:2] <= MAXIMUM_PYTHON:
        _say(f"This is Python {sys.version.split()[0]}; 3.11 or 3.12 is needed: make demo PYTHON=python3.11")
        return 1
    packages = missing_packages()
    if not packages:
        return 0
    if arguments.install:
        return install(packages)
    _say(install_command(packages))
    return 1


if __name__ == "__main__":
    sys.exit(main())
