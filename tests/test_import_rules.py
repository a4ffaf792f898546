"""The table of imports in docs/architecture.md holds."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIGHT_MODULES = ["adapters.server", "adapters.messages", "adapters.protocol", "adapters.backend"]


def test_packages_import_only_what_they_may():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_the_server_side_needs_numpy_zeromq_and_msgpack_alone(module):
    allowed = {"adapters", "numpy", "zmq", "msgpack"}
    code = (
        f"import sys; before = set(sys.modules); import {module}; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    # Compiled extensions leave modules of Cython's own behind.
    loaded = {name for name in outcome.stdout.split() if "cython" not in name}
    assert loaded - sys.stdlib_module_names <= allowed


@pytest.mark.parametrize("module", ["harness.cli", "harness.trial", "harness.executor"])
def test_heavy_packages_are_imported_only_where_they_are_used(module):
    code = f"import sys, {module}; print(*sys.modules)"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"open3d", "pyorbslam3", "skimage", "sklearn", "torch"} & set(outcome.stdout.split())


def test_the_docker_folder_does_not_hide_the_docker_library():
    assert not (ROOT / "docker" / "__init__.py").exists()
