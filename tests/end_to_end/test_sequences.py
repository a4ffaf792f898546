"""``harness sequences``: what there is, what is in it, whether it is right."""

import numpy as np
import pytest
from PIL import Image
from seen_room import camera_path
from tum_room import write_tum_room


@pytest.fixture
def room(harness):
    return write_tum_room(harness.directory / "data" / "room")


def test_a_listing_says_what_is_here_and_what_is_not(harness):
    outcome = harness("sequences", "ls")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert "  curve" in lines
    assert "  demo_flat" in lines
    heading = next(line for line in lines if line.startswith("scannet_selected"))
    assert heading.startswith("scannet_selected (version 1) [0 of 8 here]: ")
    not_here, reason = lines[lines.index(heading) + 1 :][:2]
    assert not_here.startswith("  not here: scene0000_00, scene0054_00, ")
    assert "none of its 8 recordings is below HARNESS_DATA" in reason
    assert "harness sequences download scannet" in reason


def test_show_says_what_is_known_without_reading_images(harness, room):
    (room / "rgb" / "1.000000.png").write_bytes(b"no image")
    outcome = harness("sequences", "show", "room")
    assert outcome.code == 0
    for words in (
        "reader                 tum",
        "frames                 12 over 1.1 s, 10 a second (median)",
        "images                 160×120",
        "camera                 fx 140, fy 138, cx 79, cy 60.5",
        "ground truth           12 poses, 0.81 m of path",
    ):
        assert f"  {words}" in outcome.out


def test_show_draws_a_picture_of_one_sequence(harness, room):
    outcome = harness("sequences", "show", "room", "--picture", "sheet.png")
    assert outcome.code == 0
    with Image.open(harness.directory / "sheet.png") as picture:
        assert picture.width > picture.height > 300
    several = harness("sequences", "show", "room", "curve", "--picture", "sheet.png")
    assert (several.code, "--picture is of one sequence, and 2 are named" in several.err) == (2, True)


def test_show_of_what_is_not_here_says_how_to_get_it(harness):
    outcome = harness("sequences", "show", "freiburg1_desk")
    assert outcome.code == 2
    assert "download with: harness sequences download freiburg1_desk" in outcome.err


def test_show_goes_on_after_a_recording_that_is_damaged(harness, room):
    damaged = write_tum_room(harness.directory / "data" / "damaged", frames=2)
    (damaged / "calibration.txt").write_text("nonsense\n")
    outcome = harness("sequences", "show", "damaged", "room")
    assert outcome.code == 1
    assert "calibration.txt" in outcome.err
    assert outcome.out.startswith("room\n")


def test_verify_finds_a_right_recording_clean(harness, room):
    outcome = harness("sequences", "verify", "room")
    assert outcome.code == 0
    assert "room: clean" in outcome.out
    assert "frames read            12, 0 unreadable" in outcome.out
    assert "colour images          0 of 12 left out (no depth image within 20 ms)" in outcome.out
    assert "depth                  agrees: " in outcome.out


def test_verify_names_what_is_wrong_and_fails(harness):
    write_tum_room(harness.directory / "data" / "backwards", poses=np.linalg.inv(camera_path(12)))
    broken = write_tum_room(harness.directory / "data" / "broken")
    (broken / "depth" / "1.300000.png").write_bytes(b"")
    missing = write_tum_room(harness.directory / "data" / "gaps")
    (missing / "rgb" / "1.200000.png").unlink()
    outcome = harness("sequences", "verify", "backwards", "broken", "gaps")
    assert outcome.code == 1
    assert (
        "backwards: WRONG: the ground truth is contradicted by depth; "
        "agreement would be better with the poses inverted" in outcome.out
    )
    assert "1.300000.png: frame 3: the depth image is empty; download or export the file again" in outcome.out
    assert "broken: WRONG: 1 frames cannot be read" in outcome.out
    assert "gaps: WRONG: " in outcome.out
    assert "1 of 12 images are missing, the first is " in outcome.out


def test_prepare_says_what_is_ready_and_what_is_missing(harness, room):
    (harness.directory / "data" / "catalog").mkdir()
    (harness.directory / "data" / "catalog" / "ours.yaml").write_text(
        "name: ours\ndescription: d\nversion: 1\nsequences:\n"
        "  - {name: first, reader: tum, parameters: {find: room}}\n"
        "  - {name: second, reader: tum, parameters: {find: elsewhere}}\n"
    )
    outcome = harness("sequences", "prepare", "ours")
    assert outcome.code == 1
    assert outcome.out == "first: ready, 12 frames\n"
    assert "'elsewhere'" in outcome.err


def test_any_folder_of_images_with_a_calibration_runs(harness, room):
    """Images and depth of the room without any list: names, times and poses are all that is left."""
    room.rename(harness.directory / "walk")
    walk = harness.directory / "walk"
    stamps = [line.split()[0] for line in (walk / "rgb.txt").read_text().splitlines()]
    (walk / "times.txt").write_text("\n".join(stamps) + "\n")
    for name in ("rgb.txt", "depth.txt"):
        (walk / name).unlink()
    outcome = harness(
        *("run", "--seqs", "walk", "--perception", "sensor", "--backends", "rgbd-odometry"),
        *("--output", "experiment"),
    )
    assert outcome.code == 0, outcome.err
    assert "walk / sensor / rgbd-odometry / run 0: ok, ATE SE(3) " in outcome.err
