"""Which files make a ScanNet scene, where they may lie, and what is none."""

import numpy as np
import pytest
from scannet_files import SCENE, recorded_frames, write_exported_scene, write_sens_scene

from sequences.errors import SequenceError
from sequences.reader import ReaderContext
from sequences.scannet import ScanNetParameters, ScanNetSequence

COUNT = 6


def opened(folder, **parameters):
    return ScanNetSequence.open(
        "scene", {"directory": str(folder), **parameters}, ReaderContext(folder.parent, folder / "cache")
    )


def test_the_sens_file_is_read_where_both_forms_are_there(tmp_path):
    write_exported_scene(tmp_path, frames=recorded_frames()[:4])
    folder = write_sens_scene(tmp_path)
    assert len(opened(folder)) == COUNT
    assert len(opened(folder, source="sens")) == COUNT
    assert len(opened(folder, source="exported")) == 4


@pytest.mark.parametrize("subfolder", ["", "frames", "exported"])
def test_exported_images_are_found_in_the_scene_and_one_below(tmp_path, subfolder):
    folder = write_exported_scene(tmp_path, subfolder=subfolder)
    assert ScanNetSequence.recognises(folder)
    assert len(opened(folder)) == COUNT


def test_matrices_beside_the_folders_serve_as_in_the_published_subset(tmp_path):
    exported = opened(write_exported_scene(tmp_path / "whole"))
    folder = write_exported_scene(tmp_path / "subset")
    for kind in ("color", "depth"):
        (folder / "intrinsic" / f"intrinsic_{kind}.txt").rename(folder / f"intrinsics_{kind}.txt")
        (folder / "intrinsic" / f"extrinsic_{kind}.txt").unlink()
    assert ScanNetSequence.recognises(folder)
    np.testing.assert_array_equal(opened(folder).frame(0).rgb, exported.frame(0).rgb)


def test_a_sens_file_is_a_scene_by_itself(tmp_path):
    file = write_sens_scene(tmp_path) / f"{SCENE}.sens"
    assert ScanNetSequence.recognises(file)
    assert len(opened(file)) == COUNT


def test_folders_that_are_no_scene_are_not_recognised(tmp_path):
    scene = write_exported_scene(tmp_path / "whole")
    for missing in ("pose", "intrinsic"):
        folder = write_exported_scene(tmp_path / missing)
        (folder / missing).rename(tmp_path / f"moved-{missing}")
        assert not ScanNetSequence.recognises(folder)
    (tmp_path / "flat").mkdir()
    for name in ("scene0001_00", "scene0002_00"):
        (write_sens_scene(tmp_path / name, name) / f"{name}.sens").rename(tmp_path / "flat" / f"{name}.sens")
    # Its files are scenes, each by itself.
    assert not ScanNetSequence.recognises(tmp_path / "flat")
    assert not ScanNetSequence.recognises(tmp_path)
    assert not ScanNetSequence.recognises(scene / "color")
    assert not ScanNetSequence.recognises(scene / "color" / "0.jpg")


def test_unknown_parameters_are_refused_with_those_there_are(tmp_path):
    with pytest.raises(SequenceError, match=r"takes the parameters .*source.*label_space.*label_table"):
        opened(write_sens_scene(tmp_path), label_spaces="nyu40")


def test_the_reader_opens_a_folder_without_parameters_or_context(tmp_path):
    folder = write_sens_scene(tmp_path)
    assert len(ScanNetSequence("scene", folder)) == COUNT
    assert len(ScanNetSequence("scene", folder, ScanNetParameters(directory=str(folder)))) == COUNT
