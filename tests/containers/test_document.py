"""docs/add-a-backend.md, done to the letter: a backend that this project does not have, in a container."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from container_images import require_image

HARNESS = Path(sys.executable).with_name("harness")
DOCUMENT = Path(__file__).parents[2] / "docs" / "add-a-backend.md"


def write_what_the_document_shows(directory):
    text = DOCUMENT.read_text()
    files = re.findall(r"`(guesswork/[\w./]+)`:\n\n *```\w*\n(.*?)\n *```", text, re.DOTALL)
    assert {Path(name).name for name, _ in files} >= {"backend.py", "adapter.py", "Dockerfile"}
    for name, content in files:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(textwrap.dedent(content) + "\n")
    project = re.search(r"```toml\n(.*?)\n *```", text, re.DOTALL)
    (directory / "pyproject.toml").write_text(textwrap.dedent(project[1]) + "\n")


def test_what_the_document_shows_becomes_a_backend_in_a_container(tmp_path):
    base = require_image("orbslam3")
    write_what_the_document_shows(tmp_path)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", tmp_path / "installed", tmp_path], check=True)
    # The document's own Dockerfile needs an index or wheels; the packages that it installs are in the base.
    dockerfile = tmp_path / "installed/guesswork/image/Dockerfile"
    dockerfile.write_text(re.sub(r"RUN python3 -m venv(.*\\\n)*.*", "", dockerfile.read_text()))
    environment = os.environ | {
        "PYTHONPATH": str(tmp_path / "installed"),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
    }

    def harness(*arguments):
        return subprocess.run(
            [HARNESS, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    built = harness("backends", "build", "guesswork", "--base-image", base.digest, "--network", "none")
    assert built.returncode == 0, built.stderr
    checked = harness("backends", "check", "guesswork", "--runtime", "docker")
    assert checked.returncode == 0, checked.stdout
    run = harness(
        *("run", "--seqs", "demo_flat", "--max-frames", "20", "--perception", "sensor"),
        *("--backends", "guesswork", "--output", "experiment"),
    )
    assert run.returncode == 0, run.stderr
    (record,) = tmp_path.glob("experiment/trials/*/*/guesswork/run-0/record.json")
    assert json.loads(record.read_text())["backend"]["runtime"] == "docker"
