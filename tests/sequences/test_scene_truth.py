"""The truth about a scene: read from files, refused when malformed, and right for synthetic scenes."""

import json

import numpy as np
import pytest
from tum_files import CALIBRATION, write_tum_sequence

from sequences.errors import DataFileError
from sequences.icl_nuim import IclNuimSequence
from sequences.model import SceneTruth
from sequences.scene_truth_file import find_scene_truth, write_scene_truth
from sequences.tum import TumSequence

ROOM = {
    "kind": "study",
    "minimum": [0, 0, 0],
    "maximum": [4, 3, 2.5],
    "floor": [[0, 0], [4, 0], [4, 3], [0, 3]],
}
CHAIR = {
    "label": 5,
    "name": "chair",
    "minimum": [1, 1, 0],
    "maximum": [1.5, 1.5, 0.9],
    "room": 0,
    "pixels": 120,
    "frames": 3,
}
SCENE = {"label_space": "nyu40", "rooms": [ROOM], "objects": [CHAIR, {**CHAIR, "room": None}]}


@pytest.fixture
def recording(tmp_path):
    directory = write_tum_sequence(tmp_path / "desk")
    (directory / "mesh.ply").write_text("ply\n")
    return directory


def test_a_recording_without_a_scene_has_no_scene_truth(tmp_path, recording):
    assert TumSequence("desk", recording).scene_truth() is None
    alone = write_tum_sequence(tmp_path / "alone")
    (alone / "scene.json").write_text(json.dumps(SCENE))
    assert TumSequence("alone", alone).scene_truth() is None


def test_rooms_and_objects_are_read_beside_their_mesh(recording):
    (recording / "scene.json").write_text(json.dumps(SCENE))
    truth = TumSequence("desk", recording).scene_truth()
    assert truth is not None
    assert (truth.mesh_path, truth.label_space) == (recording / "mesh.ply", "nyu40")
    (room,) = truth.rooms
    assert (room.kind, room.floor.shape) == ("study", (4, 2))
    chair, other = truth.objects
    assert (chair.label, chair.name, chair.room, chair.pixels, chair.frames) == (5, "chair", 0, 120, 3)
    np.testing.assert_array_equal(chair.maximum, [1.5, 1.5, 0.9])
    assert other.room is None


def test_what_is_written_is_read_back(recording, tmp_path):
    (recording / "scene.json").write_text(json.dumps(SCENE))
    truth = find_scene_truth(recording)
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "mesh.ply").write_text("ply\n")
    write_scene_truth(SceneTruth(copy / "mesh.ply", truth.label_space, truth.objects, truth.rooms))
    assert json.loads((copy / "scene.json").read_text()) == SCENE
    assert len(find_scene_truth(copy).objects) == 2


def test_the_reader_that_mirrors_the_world_offers_no_mesh_of_the_world_as_it_was(tmp_path):
    directory = write_tum_sequence(tmp_path / "kt0", calibration=CALIBRATION.replace("30 30", "30 -30"))
    (directory / "mesh.ply").write_text("ply\n")
    (directory / "scene.json").write_text(json.dumps(SCENE))
    assert IclNuimSequence("kt0", directory).scene_truth() is None


@pytest.mark.parametrize(
    ("scene", "problem"),
    [
        ([], "must hold the keys label_space, rooms, objects"),
        ({**SCENE, "objects": [{**CHAIR, "room": 1}]}, "object 0 is in room 1, but there are 1 rooms"),
        ({**SCENE, "objects": [{**CHAIR, "label": 300}]}, "'objects.0.label'"),
        ({**SCENE, "objects": [{**CHAIR, "maximum": [0, 9, 9]}]}, "minimum must not be greater than maximum"),
        ({**SCENE, "rooms": [{**ROOM, "floor": [[0, 0], [1, 1]]}]}, "'rooms.0.floor'"),
        ({**SCENE, "rooms": [{**ROOM, "colour": "red"}]}, "'rooms.0.colour'"),
    ],
)
def test_a_malformed_scene_is_refused_with_the_entry_at_fault(recording, scene, problem):
    (recording / "scene.json").write_text(json.dumps(scene))
    with pytest.raises(DataFileError, match=r"scene\.json") as caught:
        TumSequence("desk", recording)
    assert problem in str(caught.value)


def test_a_scene_that_is_not_json_is_refused_with_the_line(recording):
    (recording / "scene.json").write_text('{"rooms": [],\n nonsense}')
    with pytest.raises(DataFileError, match=r"scene\.json:2: is not JSON"):
        TumSequence("desk", recording)
