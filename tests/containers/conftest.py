"""Containers as their user has them: the command line, an engine, and a look at what is left afterwards."""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_command_line import ContainerCommandLine
from container_images import require_image
from slam_test_fault_adapters import FaultAdapter

from adapters.images.build import BuildSettings, build_image
from adapters.images.image import BackendImage

_GONE_S = 15.0


@pytest.fixture(scope="session")
def faults_image() -> BackendImage:
    """The image of backend ``faults``, built on that of ``orbslam3``."""
    # The workers of pytest-xdist come here at the same time.
    with open(Path(tempfile.gettempdir()) / "slam-test-faults-image.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        base = require_image("orbslam3")
        with tempfile.TemporaryDirectory() as directory:
            settings = BuildSettings(base_image=base.digest)
            return build_image(FaultAdapter(), settings, Path(directory) / "log", lambda *_: None)


@pytest.fixture
def temporary_files() -> Iterator[Path]:
    """A directory with a path short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="f-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def harness(faults_image, tmp_path, temporary_files) -> Iterator[ContainerCommandLine]:
    """The command line; whatever the test did, nothing of it may be left when it is over."""
    command_line = ContainerCommandLine(tmp_path, temporary_files)
    yield command_line
    deadline = time.monotonic() + _GONE_S
    while (left := command_line.left_behind()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left
