"""Where upstream is installed: its home and the Python that has what it needs, by two environment variables.

Upstream wants a Python and packages of its own, other than those of the server side; the image sets both.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

HOME_VARIABLE = "GO_SLAM_HOME"
PYTHON_VARIABLE = "GO_SLAM_PYTHON"
_PROGRAM = "run.py"
_ADVICE = "upstream and its CUDA extensions come with the image: harness backends build go-slam"


@dataclass(frozen=True)
class Installation:
    """An upstream that can be run.

    Attributes:
        home: Its checkout, in which it is run.
        python: The interpreter it is run with.
    """

    home: Path
    python: str

    @property
    def program(self) -> Path:
        """What is run."""
        return self.home / _PROGRAM


def installation() -> Installation:
    """Where upstream is, by the environment; whether it is there says :func:`why_missing`."""
    home = Path(os.environ.get(HOME_VARIABLE, ""))
    return Installation(home.absolute(), os.environ.get(PYTHON_VARIABLE) or sys.executable)


def why_missing() -> str | None:
    """What is not there, in one sentence with the command that helps; None when upstream can be run."""
    if not os.environ.get(HOME_VARIABLE):
        return f"GO-SLAM is not installed here ({HOME_VARIABLE} is not set); {_ADVICE}"
    found = installation()
    if not found.program.is_file():
        return f"{HOME_VARIABLE} is {found.home}, where there is no {_PROGRAM}; {_ADVICE}"
    if shutil.which(found.python) is None:
        return f"{PYTHON_VARIABLE} is {found.python}, which is no program; {_ADVICE}"
    return None
