"""The metric-semantic backend run through its backend class, in processes as it runs for users."""

import json

import numpy as np
import pytest
from run_backend_alone import run_job_alone
from textured_corner import camera_positions, render, write_job

from adapters.backend import BackendInputError
from adapters.mono_hydra import MonoHydraAdapter

pytest.importorskip("gtsam", reason="gtsam is not installed")
pytest.importorskip("spark_dsg", reason="spark-dsg is not installed")
pytest.importorskip("open3d", reason="open3d is not installed")

FRAMES = 24
# Whole images and no depth, as black frames come.
BLACK = FRAMES
NO_DEPTH = FRAMES + 1
# An image of one colour, with depth.
PLAIN = FRAMES + 2


@pytest.fixture(scope="module")
def recording():
    images, depths = zip(*(render(position) for position in camera_positions(FRAMES)), strict=True)
    black, plain = np.zeros_like(images[0]), np.full_like(images[0], 127)
    nothing = np.zeros_like(depths[0])
    return np.array([*images, black, images[0], plain]), np.array([*depths, nothing, nothing, depths[0]])


def run(directory, recording, image_of, **options):
    return run_job_alone(MonoHydraAdapter.server, write_job(directory, *recording, image_of, options))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, recording):
    directory = tmp_path_factory.mktemp("sweep")
    return directory, run(directory, recording, list(range(FRAMES)))


def test_a_sweep_is_followed_with_a_pose_for_every_frame(sweep):
    _, answer = sweep
    assert answer["states"] == ["ok"] * FRAMES
    assert len(answer["poses"]) == FRAMES
    relative = np.array(answer["live_positions"]) - np.array(answer["live_positions"][0])
    assert np.linalg.norm(relative - camera_positions(FRAMES), axis=1).max() < 0.02


def test_the_final_trajectory_has_z_up_and_the_right_shape(sweep):
    _, answer = sweep
    poses = np.array(answer["poses"])
    lengths = np.linalg.norm(poses[:, :3] - poses[0, :3], axis=1)
    truth = np.linalg.norm(camera_positions(FRAMES) - camera_positions(FRAMES)[0], axis=1)
    assert lengths == pytest.approx(truth, abs=0.02)
    # The camera is level, so that its downward axis is the world's.
    x, y, z, w = poses[0, 3:]
    assert 2 * (y * z + w * x) == pytest.approx(-1.0, abs=0.4)


def test_the_map_is_written_and_described(sweep):
    directory, answer = sweep
    description = json.loads((directory / "map.json").read_text())
    assert description["schema_version"] == 1
    for name in ("mesh", "scene_graph", "label_space"):
        assert (directory / description[name]).stat().st_size > 0
    assert answer["statistics"]["mesh_triangles"] > 100


def test_every_stage_tells_its_time(sweep):
    _, answer = sweep
    stages = answer["statistics"]["stage_ms"]
    assert {"tracking", "loop_features", "loop_detection", "map_integration", "scene_graph"} <= set(stages)
    assert stages["tracking"]["count"] == FRAMES
    assert all(0 <= stage["median"] <= stage["p95"] for stage in stages.values())


def test_two_runs_give_the_same_trajectory(tmp_path, recording, sweep):
    again = run(tmp_path, recording, list(range(FRAMES)))
    assert again["poses"] == sweep[1]["poses"]


def test_a_lost_camera_is_told_and_found_again(tmp_path, recording):
    image_of = [*range(14), *[BLACK] * 4, *range(10, FRAMES)]
    answer = run(tmp_path, recording, image_of)
    assert answer["states"][14:18] == ["lost"] * 4
    assert answer["states"][18:] == ["ok"] * (len(image_of) - 18)
    assert answer["statistics"]["frames_relocalised"] == 1
    assert answer["statistics"]["frames_interpolated"] == 4
    assert len(answer["poses"]) == len(image_of)
    truth = camera_positions(FRAMES)[image_of[18:]] - camera_positions(FRAMES)[0]
    found = np.array(answer["live_positions"][18:]) - np.array(answer["live_positions"][0])
    assert np.linalg.norm(found - truth, axis=1).max() < 0.03


def test_frames_without_depth_are_placed_by_landmarks_seen_before(tmp_path, recording):
    rgb, depth = recording
    holes = depth.copy()
    holes[8:12] = 0.0
    answer = run(tmp_path, (rgb, holes), list(range(FRAMES)))
    assert answer["states"] == ["ok"] * FRAMES
    assert position_errors_live(answer).max() < 0.03


def position_errors_live(answer):
    positions = np.array(answer["live_positions"])
    return np.linalg.norm(positions - positions[0] - camera_positions(FRAMES), axis=1)


@pytest.mark.parametrize("image", [BLACK, NO_DEPTH, PLAIN])
def test_images_that_say_nothing_give_no_pose_and_no_crash(tmp_path, recording, image):
    answer = run(tmp_path, recording, [image] * 5)
    assert answer["states"] == ["initialising"] * 5
    assert answer["poses"] == []


def test_one_frame_is_a_trajectory_of_one_pose(tmp_path, recording):
    answer = run(tmp_path, recording, [0])
    assert answer["states"] == ["ok"]
    assert len(answer["poses"]) == 1


def test_without_a_map_nothing_is_written(tmp_path, recording):
    answer = run(tmp_path, recording, list(range(6)), semantic_map=False)
    assert not (tmp_path / "map.json").exists()
    assert "mesh_triangles" not in answer["statistics"]
    assert len(answer["poses"]) == 6


def test_parts_can_be_switched_off(tmp_path, recording):
    answer = run(tmp_path, recording, list(range(FRAMES)), loop_closure=False, temporal_alignment=True)
    assert answer["states"] == ["ok"] * FRAMES
    assert "loop_detection" not in answer["statistics"]["stage_ms"]
    assert position_errors_live(answer).max() < 0.03


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"voxel_size": 0.0}, "voxel_size"),
        ({"features": 0}, "features must be above 0"),
        ({"flow_window": 6}, "flow_window must be odd"),
        ({"nearest_depth": 9.0}, "nearest_depth"),
        ({"window_keyframes": 2}, "window_keyframes"),
        ({"store_most_alike": 0}, "store_most_alike"),
        ({"loop_closure": 1}, "loop_closure must be of type bool"),
        ({"wheels": 4}, "unknown option wheels"),
    ],
)
def test_an_option_that_cannot_work_is_refused_by_name(options, message):
    with pytest.raises(BackendInputError, match=message):
        MonoHydraAdapter().check_options(options)
