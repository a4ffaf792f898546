"""The harness on ScanNet: one scene of the selected eight is on the disk, in either form."""

import json

import pytest
from scannet_files import (
    RecordedFrame,
    recorded_frames,
    write_exported_scene,
    write_label_table,
    write_labels,
    write_sens_scene,
)

MISSING = (
    "scene0054_00",
    "scene0059_00",
    "scene0106_00",
    "scene0169_00",
    "scene0181_00",
    "scene0233_00",
    "scene0465_00",
)
FRAMES = 60


@pytest.fixture
def frames() -> tuple[RecordedFrame, ...]:
    return recorded_frames(FRAMES)


@pytest.fixture(params=["sens", "exported"])
def scene(request, harness, frames):
    """The folder of the scene, laid out as the instructions of the data set say."""
    write = {"sens": write_sens_scene, "exported": write_exported_scene}[request.param]
    folder = write(harness.directory / "data" / "scannet", frames=frames)
    write_label_table(folder.parent)
    write_labels(folder, [frame.labels for frame in frames])
    return folder


def records(harness):
    paths = (harness.directory / "experiment" / "trials").glob("*/*/*/run-0/record.json")
    return {record["key"]["sequence"]: record for record in (json.loads(path.read_text()) for path in paths)}


def test_the_scene_that_is_here_runs_and_the_others_are_skipped_with_how_to_get_them(harness, scene):
    outcome = harness(
        *("run", "--seqs", "scannet_selected", "--perception", "sensor", "--backends", "rgbd-odometry"),
        *("--output", "experiment"),
    )
    assert outcome.code == 0, outcome.err
    found = records(harness)
    ran = found.pop("scene0000_00")
    assert ran["status"] == "ok"
    assert ran["evaluation"]["coverage"] == 1.0
    # Over 0.8 m; the room's smooth walls tell this backend no more, in whatever layout they come.
    assert ran["evaluation"]["final"]["ate_se3"]["rmse"] < 0.1
    assert (
        "The recording has 60 usable frames here and 5578 where it was published." in ran["sequence"]["notes"]
    )
    assert any("30 Hz" in note for note in ran["sequence"]["notes"])
    assert ran["sequence"]["label_space"] == "scannet20"

    assert tuple(sorted(found)) == MISSING
    for name, record in found.items():
        assert record["status"] == "skipped"
        assert f"nothing below HARNESS_DATA ('{scene.parents[1]}') is called '{name}'" in record["reason"]
        assert "get ScanNet from http://www.scan-net.org/" in record["reason"]
        assert "'harness sequences download scannet' prints the full instructions" in record["reason"]

    outcome = harness("report", "experiment", "--no-maps", "--published", "scannet")
    assert outcome.code == 0, outcome.err
    report = (harness.directory / "experiment" / "report" / "report.md").read_text()
    (ours,) = [line for line in report.splitlines() if "| measured here | RGB-D | SE(3) |" in line]
    assert ours.count("skipped") == 7
    assert ours.endswith("| – |")
    assert "scene0000\\_00 60 here, 5578 published" in report


def test_a_scene_is_verified(harness, scene):
    outcome = harness("sequences", "verify", "scene0000_00")
    assert outcome.code == 0, outcome.out
    assert "scene0000_00: clean" in outcome.out


def test_with_no_scene_at_all_nothing_starts_and_the_instructions_are_named(harness):
    outcome = harness("run", "--seqs", "scannet_six", "--perception", "none", "--backends", "curve")
    assert outcome.code == 2
    assert (
        "sequence set 'scannet_six' is empty: none of its 6 recordings is below HARNESS_DATA" in outcome.err
    )
    assert "harness sequences download scannet" in outcome.err
