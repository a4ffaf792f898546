"""docs/add-a-dataset.md, done to the letter: a reader that this project does not have."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from seen_room import CAMERA, camera_path, view

from sequences.model import Intrinsics

HARNESS = Path(sys.executable).with_name("harness")
DOCUMENT = Path(__file__).parents[2] / "docs" / "add-a-dataset.md"
SQUARE_PIXELS = Intrinsics(140.0, 140.0, 79.0, 60.5, CAMERA.width, CAMERA.height)


def write_what_the_document_shows(directory):
    text = DOCUMENT.read_text()
    (reader,) = re.findall(r"`scanner_reader\.py`:\n\n```python\n(.*?)\n```", text, re.DOTALL)
    (project,) = re.findall(r"```toml\n(.*?)\n```", text, re.DOTALL)
    directory.mkdir()
    (directory / "scanner_reader.py").write_text(reader + "\n")
    (directory / "pyproject.toml").write_text(project + "\n")


def write_scan(directory, frames=12):
    """As the document describes what the scanner writes."""
    for folder in ("colour", "range"):
        (directory / folder).mkdir(parents=True)
    rows = []
    for number, pose in enumerate(camera_path(frames)):
        rgb, depth, _ = view(pose, SQUARE_PIXELS)
        cv2.imwrite(str(directory / "colour" / f"{number:06d}.png"), rgb[..., ::-1])
        tenths = np.round(depth * 10_000).astype(np.uint16)
        cv2.imwrite(str(directory / "range" / f"{number:06d}.png"), tenths)
        right, down, forward, place = pose.T
        opengl = np.stack([right, -down, -forward, place], axis=1)
        rows.append(" ".join(f"{value:.9f}" for value in opengl.reshape(-1)))
    (directory / "path.txt").write_text("\n".join(rows) + "\n")
    camera = {"focal_length": 140.0, "centre": [79.0, 60.5], "width": 160, "height": 120}
    (directory / "scan.json").write_text(json.dumps(camera))
    return directory


@pytest.fixture
def harness(tmp_path):
    write_what_the_document_shows(tmp_path / "project")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", tmp_path / "installed", tmp_path / "project"], check=True)
    environment = os.environ | {
        "PYTHONPATH": str(tmp_path / "installed"),
        "HARNESS_DATA": str(tmp_path / "data"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }

    def run(*arguments):
        return subprocess.run(
            [HARNESS, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    return run


def test_what_the_document_shows_reads_recordings_that_nobody_read_before(harness, tmp_path):
    scan = write_scan(tmp_path / "data" / "office")
    verified = harness("sequences", "verify", str(scan))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "office: clean" in verified.stdout
    assert "ground-truth rows      0 of 12 left out (NaN or infinite entries)" in verified.stdout
    (tmp_path / "data" / "catalog").mkdir()
    (tmp_path / "data" / "catalog" / "ours.yaml").write_text(
        "name: ours\ndescription: d\nversion: 1\ndiscover: {readers: [scanner]}\n"
    )
    ran = harness(
        *("run", "--seqs", "ours", "--perception", "sensor", "--backends", "rgbd-odometry"),
        *("--output", "experiment"),
    )
    assert ran.returncode == 0, ran.stderr
    (record,) = tmp_path.glob("experiment/trials/office/*/*/run-0/record.json")
    assert json.loads(record.read_text())["sequence"]["source"]["reader"] == "scanner"


def test_what_is_wrong_with_such_a_recording_is_a_sentence(harness, tmp_path):
    scan = write_scan(tmp_path / "data" / "office")
    (scan / "range" / "000003.png").unlink()
    outcome = harness("sequences", "show", str(scan))
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("office: ")
    assert "1 of 24 images are missing, the first is" in outcome.stderr
