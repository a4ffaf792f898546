"""The sequence set mono_hydra: every sequence generates and has what it is there for."""

import numpy as np
import pytest

pytest.importorskip("open3d", reason="synthetic sequences are ray cast with Open3D")
pytest.importorskip("skimage", reason="synthetic sequences use the photographs of scikit-image")

from sequences.reader import ReaderContext
from sequences.sequence_sets import list_sets
from sequences.synthetic import SyntheticSequence
from sequences.synthetic.labels import Nyu40
from sequences.synthetic.parameters import parameters_from_mapping
from sequences.synthetic.scene import build_route_and_path

(ENTRIES,) = (entry.entries for entry in list_sets() if entry.name == "mono_hydra")
PARAMETERS = {entry.name: parameters_from_mapping(entry.name, entry.parameters) for entry in ENTRIES}
FEW = 6


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Opens a sequence made small: few and tiny frames of the same scene along the same path."""
    context = ReaderContext(None, tmp_path_factory.mktemp("cache"))
    sequences = {}

    def open_small(name):
        if name not in sequences:
            (entry,) = (entry for entry in ENTRIES if entry.name == name)
            rate = (FEW - 1) / PARAMETERS[name].duration_s
            small = {**entry.parameters, "width": 96, "height": 72, "frames": FEW, "rate_hz": rate}
            sequences[name] = SyntheticSequence.open(name, small, context)
        return sequences[name]

    return open_small


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_sequence_is_short_and_of_one_size(name):
    parameters = PARAMETERS[name]
    assert (parameters.width, parameters.height, parameters.rate_hz) == (640, 480, 15)
    assert 120 <= parameters.frames <= 450


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_sequence_generates_with_imu_labels_depth_poses_and_its_scene(opened, name):
    sequence = opened(name)
    assert len(sequence) == len(sequence.ground_truth()) == FEW
    assert sequence.info.imu is not None
    assert (sequence.info.has_depth, sequence.info.label_space) == (True, "nyu40")
    assert len(sequence.scene_truth().rooms) == PARAMETERS[name].rooms
    seen = {entry.name for entry in sequence.scene_truth().objects if entry.pixels > 200}
    assert len(seen) >= 5


def motion_of(name, start, end):
    path = build_route_and_path(PARAMETERS[name])[2]
    return path.motion(np.arange(start, end, 0.01))


def test_the_loop_comes_back_to_where_it_began_and_goes_on():
    path = build_route_and_path(PARAMETERS["hydra_loop"])[2]
    motion = path.motion(np.linspace(0, path.duration, 500))
    offset = np.linalg.norm(motion.positions - motion.positions[0], axis=1)
    again = 250 + int(np.argmin(offset[250:]))
    assert offset[again] < 0.15
    assert again < 490
    turned = np.arccos(np.clip(motion.rotations[again, :, 2] @ motion.rotations[0, :, 2], -1, 1))
    assert np.degrees(turned) < 15
    assert offset.max() > 4


def test_before_its_outage_the_inertial_sequence_accelerates_in_every_direction():
    outage = PARAMETERS["hydra_inertial"].effects.outages[0]
    assert outage.start_s > 5
    motion = motion_of("hydra_inertial", 0, 4)
    assert (np.sqrt((motion.accelerations**2).mean(axis=0)) > 0.4).all()


def test_during_its_outage_the_inertial_sequence_moves_and_turns():
    outage = PARAMETERS["hydra_inertial"].effects.outages[0]
    motion = motion_of("hydra_inertial", outage.start_s, outage.start_s + outage.duration_s)
    assert np.linalg.norm(motion.velocities, axis=1).min() > 0.3
    assert np.degrees(np.linalg.norm(motion.angular_velocities, axis=1)).min() > 15


def test_the_outage_leaves_dark_images_without_depth_and_labels(opened):
    frames = list(opened("hydra_inertial"))
    lost = [frame.index for frame in frames if (frame.depth == 0).all()]
    assert lost == [3]
    assert (frames[3].labels == 255).all()
    assert frames[3].rgb.mean() < 20 < frames[2].rgb.mean()


def test_people_take_much_of_the_dynamic_sequence_and_are_no_part_of_its_scene(opened):
    sequence = opened("hydra_dynamic")
    shares = [np.mean(frame.labels == Nyu40.PERSON) for frame in sequence]
    assert np.mean(shares) > 0.25
    assert not any(entry.label == Nyu40.PERSON for entry in sequence.scene_truth().objects)


def test_labels_of_the_semantic_sequence_are_wrong_in_places(opened):
    frame = opened("hydra_semantic").frame(2)
    assert PARAMETERS["hydra_semantic"].effects.label_noise == 0.1
    assert len(np.unique(frame.labels)) > 4
