"""Synthetic sequences on disk: complete or absent, repeatable, and readable like any recording."""

import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest
import yaml

pytest.importorskip("open3d", reason="synthetic sequences are ray cast with Open3D")
pytest.importorskip("skimage", reason="synthetic sequences use the photographs of scikit-image")

from sequences.errors import SequenceError
from sequences.reader import ReaderContext
from sequences.synthetic import SyntheticSequence
from sequences.synthetic.parameters import parameters_from_mapping
from sequences.synthetic.scene import build_route_and_path
from sequences.synthetic.writer import files_digest, generate, is_complete

MAPPING = {
    "seed": 7,
    "frames": 6,
    "rate_hz": 10,
    "rooms": 1,
    "path": "sweep",
    "laps": 0.05,
    "width": 96,
    "height": 72,
    "normals": True,
    "effects": {
        "motion_blur_renders": 3,
        "exposure_time_s": 0.02,
        "exposure_drift_stops": 0.3,
        "image_noise": 2.0,
        "depth_noise_px": 0.06,
        "depth_step_px": 0.125,
        "depth_lateral_px": 0.3,
        "depth_holes": True,
    },
}
PARAMETERS = parameters_from_mapping("small", MAPPING)

IN_ANOTHER_PROCESS = """
import sys, yaml
from pathlib import Path
from sequences.synthetic.parameters import parameters_from_mapping
from sequences.synthetic.writer import generate
generate(
    parameters_from_mapping("small", yaml.safe_load(sys.argv[1])),
    Path(sys.argv[2]),
    lambda task, done, total: print(done, flush=True),
)
"""


def in_another_process(directory):
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, yaml.safe_dump(MAPPING), str(directory)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    return ReaderContext(None, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def sequence(context):
    return SyntheticSequence.open("small", MAPPING, context)


@pytest.fixture
def directory(sequence):
    return sequence.info.source["directory"]


def record_of(directory):
    return yaml.safe_load((directory / "generator.yaml").read_text())


def test_the_same_parameters_give_the_same_files_in_another_process(sequence, context, tmp_path):
    first = context.cache_directory / "synthetic" / PARAMETERS.digest()
    other = in_another_process(tmp_path / "again")
    assert other.wait(timeout=120) == 0
    assert files_digest(tmp_path / "again") == files_digest(first)
    assert record_of(tmp_path / "again") == record_of(first)
    assert record_of(first)["files_sha256"] == files_digest(first)


def test_a_killed_generation_leaves_nothing_that_is_taken_for_a_sequence(tmp_path):
    process = in_another_process(tmp_path / "killed")
    assert process.stdout.readline().strip() == "0"
    process.kill()
    process.wait()
    assert not is_complete(tmp_path / "killed")
    assert not (tmp_path / "killed").exists()
    assert list(tmp_path.glob("killed.partial-*"))


def test_two_that_want_the_same_sequence_generate_it_once_and_clear_up_after_a_killed_one(tmp_path):
    abandoned = tmp_path / "shared.partial-of-a-killed-process"
    abandoned.mkdir()
    progress = []

    def work():
        generate(PARAMETERS, tmp_path / "shared", lambda task, done, total: progress.append(done))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert progress == list(range(PARAMETERS.frames + 1))
    assert is_complete(tmp_path / "shared")
    assert not abandoned.exists()


def test_an_interrupted_generation_cleans_up_behind_itself(tmp_path):
    def interrupt(task, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(PARAMETERS, tmp_path / "interrupted", interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["interrupted.lock"]


def test_a_cache_that_cannot_be_written_is_reported_with_its_place(tmp_path):
    (tmp_path / "file").write_text("in the way")
    context = ReaderContext(None, tmp_path / "file")
    with pytest.raises(SequenceError, match=r"cannot be written to '.*file.*choose another cache folder"):
        SyntheticSequence.open("small", MAPPING, context)


def test_a_folder_without_the_mark_of_completeness_is_not_overwritten(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(SequenceError, match=r"has no generator\.yaml; delete it"):
        generate(PARAMETERS, tmp_path / "taken", lambda task, done, total: None)


def test_a_wrong_parameter_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(SequenceError, match="unknown parameter 'room'"):
        SyntheticSequence.open("small", {**MAPPING, "room": 1}, ReaderContext(None, tmp_path))
    assert not list(tmp_path.iterdir())


def test_opening_again_generates_nothing(sequence, context):
    def refuse(task, done, total):
        raise AssertionError("generated twice")

    again = SyntheticSequence.open("small", MAPPING, ReaderContext(None, context.cache_directory, refuse))
    assert len(again) == 6


def test_frames_are_read_back_with_depth_labels_and_imu(sequence):
    info = sequence.info
    assert (info.label_space, info.has_depth, info.source["reader"]) == ("nyu40", True, "synthetic")
    assert info.source["parameters"]["seed"] == 7
    assert info.intrinsics == PARAMETERS.intrinsics()
    assert info.imu is not None
    assert info.imu.rate_hz == 200
    frame = sequence.frame(3)
    assert frame.rgb.shape == (72, 96, 3)
    assert frame.depth is not None
    assert 0.4 <= frame.depth[frame.depth > 0].min() <= frame.depth.max() <= 6.0
    assert frame.labels is not None
    assert set(np.unique(frame.labels)) <= set(range(1, 41))
    since_the_frame_before = sequence.imu_between(*(int(time) for time in info.timestamps_ns[2:4]))
    assert since_the_frame_before is not None
    assert len(since_the_frame_before) == 20
    np.testing.assert_allclose(np.linalg.norm(since_the_frame_before.accelerometer, axis=1), 9.81, atol=2)


def test_ground_truth_has_a_pose_of_the_path_at_every_frame(sequence):
    truth = sequence.ground_truth()
    assert truth is not None
    np.testing.assert_array_equal(truth.timestamps_ns, sequence.info.timestamps_ns)
    times = (truth.timestamps_ns - truth.timestamps_ns[0]) / 1e9
    motion = build_route_and_path(PARAMETERS)[2].motion(times)
    np.testing.assert_allclose(truth.positions, motion.positions, atol=1e-8)


def test_what_was_seen_of_things_is_what_the_label_images_show(sequence):
    truth = sequence.scene_truth()
    assert truth is not None
    assert truth.mesh_path.is_file()
    labels = np.stack([frame.labels for frame in sequence])
    for label in {entry.label for entry in truth.objects}:
        entries = [entry for entry in truth.objects if entry.label == label]
        assert sum(entry.pixels for entry in entries) == np.sum(labels == label)
        shown = np.sum((labels == label).any(axis=(1, 2)))
        assert max(entry.frames for entry in entries) <= shown
        if len(entries) == 1:
            assert entries[0].frames == shown
    assert sum(entry.pixels > 0 for entry in truth.objects) >= 5


def test_normals_are_written_when_asked_for(sequence, context):
    folder = context.cache_directory / "synthetic" / PARAMETERS.digest() / "normals"
    (first, *others) = sorted(folder.iterdir())
    assert len(others) == 5
    coded = cv2.imread(str(first), cv2.IMREAD_UNCHANGED)
    normals = coded[..., ::-1] / 65535 * 2 - 1
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-3)
    # A camera that looks ahead sees surfaces from their front.
    assert (normals[..., 2] < 0.6).all()


def test_the_scene_mesh_opens_in_another_tool_with_colours_and_labels(sequence, context):
    import open3d as o3d

    path = context.cache_directory / "synthetic" / PARAMETERS.digest() / "mesh.ply"
    mesh = o3d.t.io.read_triangle_mesh(str(path))
    colours = mesh.vertex.colors.numpy()
    labels = mesh.vertex.label.numpy() if "label" in mesh.vertex else None
    assert len(colours) == len(mesh.vertex.positions) > 1000
    assert 0.15 < colours.mean() < 0.8
    if labels is not None:
        assert set(np.unique(labels)) <= set(range(1, 41))
    truth = sequence.ground_truth()
    assert truth is not None
    bounds = mesh.get_axis_aligned_bounding_box()
    assert (truth.positions > bounds.min_bound.numpy()).all()
    assert (truth.positions < bounds.max_bound.numpy()).all()
