"""What all tests share: the plug-ins made for tests, found by subprocesses as well."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("harness", deadline=None)
settings.load_profile("harness")

SUPPORT = Path(__file__).parent / "support"


@pytest.fixture(autouse=True, scope="session")
def _plugins_in_subprocesses() -> None:
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{SUPPORT}{os.pathsep}{inherited}" if inherited else str(SUPPORT)


@pytest.fixture
def recorded_data() -> Path:
    """The folder with real recordings; the test is skipped when there is none."""
    directory = os.environ.get("HARNESS_DATA")
    if not directory:
        pytest.skip("HARNESS_DATA is not set: no real recordings here")
    return Path(directory)
