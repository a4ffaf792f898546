"""A .sens file is opened by looking at the headers of its frames alone, and read a frame at a time."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from scannet_files import SCENE, ScanNetScene, frame_header, recorded_frames

from sequences.scannet import ScanNetSequence

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")

FRAMES = 6000
SHOWN = 5000
IMAGES_BYTES = 1_500_000
PAGE = 4096


@pytest.fixture
def huge(tmp_path):
    """A file of 9 GB, of which only the headers and one frame are there; the rest are holes."""
    folder = tmp_path / SCENE
    folder.mkdir()
    said, frame = ScanNetScene(), recorded_frames()[0]
    whole = said.sens_frame(frame)
    with (folder / f"{SCENE}.sens").open("wb") as file:
        file.write(said.sens_header(FRAMES))
        for number in range(FRAMES):
            if number == SHOWN:
                file.write(whole)
                continue
            file.write(frame_header(frame, 200_000, IMAGES_BYTES - 200_000))
            file.seek(IMAGES_BYTES, os.SEEK_CUR)
        file.write(struct.pack("<Q", 0))
    return folder


def resident_bytes(file: Path) -> int:
    """How much of a file's mapping this process holds in memory."""
    mapped, resident = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.partition(" ")[0]:
            mapped = line.endswith(str(file))
        elif mapped and line.startswith("Rss:"):
            resident += int(line.split()[1]) * 1024
    return resident


def page_faults() -> int:
    """How often this process touched a page that it did not have."""
    minor, major = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[7:10:2]
    return int(minor) + int(major)


def test_a_frame_of_a_huge_file_is_read_without_the_rest_of_it(huge):
    file = huge / f"{SCENE}.sens"
    assert file.stat().st_size > 8_900_000_000
    sequence = ScanNetSequence("scene", huge)
    assert len(sequence) == FRAMES
    assert resident_bytes(file) < 64 * PAGE
    frame = sequence.frame(SHOWN)
    np.testing.assert_array_equal(frame.depth, recorded_frames()[0].depth / np.float32(1000))
    assert resident_bytes(file) < 64 * PAGE


def test_opening_touches_little_more_than_the_headers_of_frames(huge):
    faults_before = page_faults()
    ScanNetSequence("scene", huge)
    # Each frame has 366 pages; the system maps 16 of them at a time at most.
    assert page_faults() - faults_before < 3 * FRAMES
